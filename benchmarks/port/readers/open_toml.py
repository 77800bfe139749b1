"""A network in TOML as a PyTorch program: what `benchmarks.run` trains, on scaled pictures."""

from __future__ import annotations

from functools import partial

import msgspec
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.program import scale_words
from benchmarks.port.readers.torch import Constants, TorchProgram
from benchmarks.port.readers.torch_recipe import Training
from frameworks.spec.architecture import load_with_recipe
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.layers import BatchNorm, Conv, Dense
from frameworks.spec.losses import CrossEntropy, name_of
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.torch import optimizers
from frameworks.torch.model import GalaxyNet, initialise, tensor_of


class _Scaled(nn.Module):
    """The network without its scaling: pictures as a user's program takes them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.net = GalaxyNet(network, native_dropout=True)
        initialise(self.net)
        self.constants: Constants = {}
        for layer in network.layers:
            if layer.name not in network.places:
                continue
            module = self.net.of(layer.name)
            if isinstance(layer, BatchNorm):
                told = {"running_variance": layer.running_variance}
                self.constants[id(module)] = {"batch_norm": told}
            if isinstance(layer, Conv | Dense):
                found: dict[str, str] = {}
                if layer.l2:
                    found["kernel_regularizer"] = f"L2(l2={layer.l2})"
                if layer.max_norm is not None:
                    found["kernel_constraint"] = f"MaxNorm(max_value={layer.max_norm})"
                kind = "conv" if isinstance(layer, Conv) else "dense"
                self.constants[id(module)] = {kind: found}

    def forward(self, x: Tensor) -> Tensor:
        return self.net.layers(x)

    def regularizer(self) -> Tensor:
        """The L2 terms of the loss."""
        total = torch.zeros(())
        for layer in self.net.network.layers:
            if isinstance(layer, Conv | Dense) and layer.l2:
                kernel = tensor_of(self.net, f"{layer.name}/kernel")
                total = total + layer.l2 * (kernel**2).sum()
        return total


def _loss(recipe: Recipe, label: str) -> nn.Module:
    """The loss of the recipe as PyTorch's own.

    Raises:
        PortError: its targets are not classes, or its mean over class weights is not PyTorch's.
    """
    if not isinstance(recipe.loss, CrossEntropy):
        raise PortError(
            f"{label}: of a network in TOML the loss cross_entropy is read, and not "
            f"{name_of(recipe.loss)}; leave it out of the file to compare the rest"
        )
    weights = recipe.class_weights
    if weights is not None and recipe.class_weight_mean != "weights":
        raise PortError(
            f"{label}: class weights divided by the number of images are not read; state "
            'class_weight_mean = "weights" or leave them out'
        )
    given = None if weights is None else torch.tensor(weights)
    return nn.CrossEntropyLoss(given, label_smoothing=recipe.loss.label_smoothing)


def network(source: Source, size: list[int]) -> TorchProgram:
    """The network of a file or of a shipped name, with its [recipe] if it states an optimizer.

    Raises:
        PortError: the file is no network, or no size is known.
    """
    if not size:
        raise PortError(
            f"{source.label}: a network in TOML does not say how large its pictures are; give "
            "--input HEIGHT WIDTH CHANNELS"
        )
    try:
        architecture, told = load_with_recipe(source.path)
        height, width, channels = size
        net = Network(fill_architecture(architecture), (height, width, channels), source.classes)
        model = _Scaled(net)
    except SpecificationError as error:
        raise PortError(str(error)) from error
    recipe = fill_recipe(told.recipe)
    loss = _loss(recipe, source.label)
    training = Training(loss, None, regularizer=model.regularizer)
    if "optimizer" in told.fields:
        spec = recipe.optimizer
        constants = msgspec.to_builtins(spec)
        kind, kernels = constants.pop("name"), constants.pop("decayed", "all") == "kernels"
        known = {"kind": "adam" if kind == "adamw" else kind, "decay_form": "decoupled"}
        known |= {name: value for name, value in constants.items() if value is not None}
        known["weight_decay"] = constants.get("weight_decay") or 0.0
        unused = {"decay_form": "weight_decay", "amsgrad_form": "amsgrad"}
        unused |= {"velocity_form": "momentum", "momentum_form": "momentum"}
        for name, needed in unused.items():
            if not known.get(needed):
                known.pop(name, None)
        if "momentum_form" in known:
            known["velocity_form"] = known.pop("momentum_form")
        if recipe.loss_scale is not None:
            initial, interval = msgspec.structs.astuple(recipe.loss_scale)
            known |= scale_words(initial, interval)

        def make(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
            spared = [kernels and one.ndim < 2 for one in parameters]
            return optimizers.make(spec, parameters, spared=spared)

        def clip(parameters: list[nn.Parameter]) -> None:
            optimizers.clip(parameters, recipe.clipping)

        average = None
        if recipe.average_weights is not None:
            function = optimizers.average_function(recipe.average_weights)
            average = partial(AveragedModel, multi_avg_fn=function)
        training = Training(
            loss,
            make,
            clip if recipe.clipping else None,
            regularizer=model.regularizer,
            known=known,
            accumulation=recipe.accumulation,
            average=average,
        )
    names = {f"net.{path}": name for path, name in model.net.outputs.items()}
    return TorchProgram(model, size, training, names=names, constants=model.constants)
