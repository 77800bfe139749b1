"""PyTorch: the tutorial's DataLoader loop (siblings: keras, flax)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from datasets.batches import Batch, distinct_sizes
from frameworks.backend import MAX_NORM_EPSILON, Backend, EpochResult, Gradients, Runtime
from frameworks.spec import weights as canonical
from frameworks.spec.frozen import still_norms
from frameworks.spec.losses import answers
from frameworks.spec.optimizers import spares
from frameworks.spec.reading import SpecificationError
from frameworks.spec.weights import Weights
from frameworks.torch import later, optimizers, own_augment
from frameworks.torch.batches import Batches, tensors
from frameworks.torch.losses import BatchLoss
from frameworks.torch.model import (
    GalaxyNet,
    from_canonical,
    image_behind,
    initialise,
    tensor_of,
    to_canonical,
)

later.postpone()
# Precisions of autocast: what multiplies matrices or convolves computes in them, the rest that can
# overflow or lose digits (norms, losses) in float32.
HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchBackend(Backend):
    """PyTorch, eager."""

    every_loss = True
    layers_apart = True
    accumulates = True
    averages = True
    model_class: Callable[..., GalaxyNet] = GalaxyNet
    fused_optimizer = False

    def build(self, *, draw: bool) -> None:
        network, recipe, runtime = self.network, self.recipe, self.runtime
        configure(runtime)
        torch.manual_seed(runtime.seed)
        self.device = torch.device(runtime.device)
        self.dtype = torch.float64 if runtime.precision == "float64" else torch.float32
        own = {"native_dropout": runtime.native_dropout, "augment": recipe.drawn_by("framework")}
        model = self.model_class(network, **own)
        initialise(model)
        self.model = model.to(device=self.device, dtype=self.dtype)
        self.trainable = [tensor_of(self.model, key) for key in network.trainable_keys]
        for name in network.frozen:
            self.model.of(name).requires_grad_(False)
        self.model.still = still_norms(network, recipe)
        self.optimizer = optimizers.make(
            recipe.optimizer,
            self.trainable,  # type: ignore[arg-type]
            factors=[self.factors[key] for key in network.trainable_keys],
            spared=[spares(recipe.optimizer, key) for key in network.trainable_keys],
            fused=self.fused_optimizer,
        )
        self.optimizer.param_groups[0]["count"] = 0  # batches; SGD does not count its steps
        self.average = [] if recipe.average_weights is None else self._begin_average()
        self.scaler = optimizers.scaler(recipe.loss_scale, runtime.device)
        self._taken = True
        self.batch_loss = BatchLoss(recipe, self.dtype, self.device)
        self.answers = answers(recipe.trained_loss, network.classes)

    def parameters(self) -> int:
        kept = self.model.state_dict().values()  # without buffers that hold constants
        return sum(tensor.numel() for tensor in kept if tensor.is_floating_point())

    def device_name(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"

    def compile(self, epoch: Sequence[Batch]) -> None:
        """Eager: one step and one prediction per batch size make the kernels ready."""
        with self._unchanged():
            self._fit(distinct_sizes(epoch))
            self.predict(epoch[0].images)
        self.synchronize()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return self._fit(epoch)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        return self._fit(epoch, rates)

    def _fit(self, epoch: Sequence[Batch], rates: np.ndarray | None = None) -> EpochResult:
        self.model.train()
        total_loss = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        count = 0
        loader = DataLoader(Batches(epoch), batch_size=None)
        for step, (images, labels, masks) in enumerate(loader):
            if rates is not None:
                self.set_learning_rate(float(rates[step]))
            images, labels, masks = self._to_device(images, labels, masks)
            self._begin_batch()
            with self._autocast():
                logits = self.model(images, masks)
                loss = self._loss(logits, labels)
            self._backward(loss)
            self._step()
            total_loss += loss.detach() * len(labels)
            correct += self.batch_loss.right(logits, labels)
            count += len(labels)
        return EpochResult(total_loss.item() / count, correct.item() / (count * self.answers))

    def set_learning_rate(self, learning_rate: float) -> None:
        optimizers.set_learning_rate(self.optimizer, self.recipe.optimizer, learning_rate)

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        self.model.eval()
        size = self.recipe.batch_size
        logits = []
        for start in range(0, len(images), size):
            batch = torch.from_numpy(images[start : start + size]).to(self.device)
            with self._autocast():
                logits.append(self.model(batch).to(self.dtype))
        return torch.cat(logits).cpu().numpy()

    def gradients(self, batch: Batch) -> Gradients:
        with self._unchanged():
            self.model.train()
            self.optimizer.zero_grad()
            images, labels, masks = self._to_device(*tensors(batch))
            with self._autocast():
                logits = self.model(images, masks)
                loss = self._loss(logits, labels)
            self.scaler.scale(loss).backward()
            scale = self.scaler.get_scale()
            gradients = {
                key: to_canonical(self.network, key, tensor.grad.cpu().numpy() / scale)  # type: ignore[union-attr]
                for key, tensor in zip(self.network.trainable_keys, self.trainable, strict=True)
            }
            self.optimizer.zero_grad()
        return Gradients(loss.item(), logits.detach().to(self.dtype).cpu().numpy(), gradients)

    def apply_gradients(self, gradients: Weights) -> None:
        self._begin_batch()
        for key, tensor in zip(self.network.trainable_keys, self.trainable, strict=True):
            own = self.scaler.scale(self._tensor(key, gradients[key])) / self.recipe.accumulation
            tensor.grad = own if tensor.grad is None else tensor.grad + own
        self._step()
        self._begin_batch()

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        with self._unchanged(), torch.no_grad(), self._autocast():
            self.model.train(training)
            images, _, masks = self._to_device(*tensors(batch))
            with self.model.recording() as record:
                self.model(images, masks)
        return {name: self._canonical_activation(name, x) for name, x in record.items()}

    def get_weights(self) -> Weights:
        return {
            key: to_canonical(
                self.network, key, tensor_of(self.model, key).detach().cpu().numpy().copy()
            )
            for key in self.network.weight_shapes
        }

    def set_weights(self, weights: Weights) -> None:
        canonical.check(weights, self.network)
        with torch.no_grad():
            for key, array in weights.items():
                tensor_of(self.model, key).copy_(self._tensor(key, array))

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        spec, group = self.recipe.optimizer, self.optimizer.param_groups[0]
        state: dict[str, np.ndarray] = {
            "step": np.asarray(group["count"] // self.recipe.accumulation, dtype=np.int64),
            "learning_rate": np.asarray(optimizers.rate_of(self.optimizer)),
        }
        for slot, name in optimizers.slots(spec).items():
            for key, parameter in zip(self.network.trainable_keys, self.trainable, strict=True):
                value = self.optimizer.state[parameter].get(name) if state["step"] else None
                if value is None:
                    value = torch.full_like(parameter, optimizers.initial_slot_value(spec))
                array = value.detach().cpu().numpy().copy()
                state[f"{slot}/{key}"] = to_canonical(self.network, key, array)
        if (count := self.recipe.accumulation) > 1:
            state["batches"] = np.asarray(group["count"] % count, dtype=np.int64)
            for key, parameter in zip(self.network.trainable_keys, self.trainable, strict=True):
                mean = parameter.grad if state["batches"] else None
                total = torch.zeros_like(parameter) if mean is None else mean * count
                array = total.detach().cpu().numpy()
                state[f"accumulated/{key}"] = to_canonical(self.network, key, array)
        for key, value in zip(self.network.trainable_keys, self.average, strict=False):
            array = (value if state["step"] else torch.zeros_like(value)).detach().cpu().numpy()
            state[f"average/{key}"] = to_canonical(self.network, key, array.copy())
        return state | optimizers.scale_state(self.scaler)

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        names = optimizers.slots(self.recipe.optimizer)
        group = self.optimizer.param_groups[0]
        count = self.recipe.accumulation
        group["count"] = int(state["step"]) * count + int(state.get("batches", 0))
        optimizers.put_rate(self.optimizer, float(state["learning_rate"]))
        optimizers.put_scale_state(self.scaler, state)
        for key, parameter in zip(self.network.trainable_keys, self.trainable, strict=True):
            entry = self.optimizer.state[parameter]
            on = self.device if group.get("fused") else "cpu"  # where PyTorch counts the steps
            entry["step"] = torch.tensor(float(state["step"]), device=on)
            for slot, name in names.items():
                entry[name] = self._tensor(key, state[f"{slot}/{key}"])
            if count > 1:
                parameter.grad = self._tensor(key, state[f"accumulated/{key}"]) / count
        with torch.no_grad():
            for key, value in zip(self.network.trainable_keys, self.average, strict=False):
                value.copy_(self._tensor(key, state[f"average/{key}"]))

    def get_random_state(self) -> dict[str, np.ndarray]:
        state = {"cpu": torch.get_rng_state().numpy()}
        if self._on_gpu:
            state["cuda"] = torch.cuda.get_rng_state().numpy()
        return state

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        torch.set_rng_state(torch.from_numpy(state["cpu"].copy()))
        if self._on_gpu:
            torch.cuda.set_rng_state(torch.from_numpy(state["cuda"].copy()))

    def save(self, directory: Path) -> Path:
        """The `state_dict` as safetensors (`safetensors.torch.load_file`)."""
        from safetensors.torch import save as to_safetensors  # nothing else here needs it

        path = directory / "model.safetensors"
        tensors = {key: value.contiguous() for key, value in self.model.state_dict().items()}
        path.write_bytes(to_safetensors(tensors))
        return path

    def synchronize(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()

    def peak_memory(self) -> tuple[int, str]:
        if self._on_gpu:
            return torch.cuda.max_memory_allocated(), "device allocator"
        return super().peak_memory()

    def settings(self) -> dict[str, str]:
        found = {"layout": "channels first", "compiled": "eager"}
        stocked = (nn.BatchNorm2d, nn.BatchNorm1d)
        norms = [one for one in self.model.modules() if isinstance(one, stocked)]
        if norms:
            stock = all(type(one) in stocked for one in norms)
            found["batch_norm"] = "PyTorch's" if stock else "PyTorch's, biased running variance"
        return found | ({} if self.model.augment is None else {"augmentation": own_augment.NAME})

    # ---- inside

    @property
    def _on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The recipe's loss of the batch plus the L2 terms."""
        loss = self._mean_loss(logits, labels)
        for key, l2 in self.network.penalised.items():
            loss = loss + l2 * tensor_of(self.model, key).square().sum()
        return loss

    def _mean_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The recipe's loss of the batch."""
        return self.batch_loss(logits, labels)

    def _begin_batch(self) -> None:
        """Drop the gradients, unless the batch goes on with a group of `recipe.accumulation`."""
        if not self.optimizer.param_groups[0]["count"] % self.recipe.accumulation:
            self.optimizer.zero_grad()

    def _backward(self, loss: Tensor) -> None:
        """Add the gradients of a batch, as its share of the mean over its group."""
        group = self.recipe.accumulation
        self.scaler.scale(loss / group if group > 1 else loss).backward()

    def _step(self) -> None:
        """One optimizer step with the gradients in place, where they are of a whole group, and the
        max-norm projection."""
        self._update()
        self.optimizer.param_groups[0]["count"] += self._taken

    def _update(self) -> None:
        """The same, not counted; `_taken` says whether loss scaling let the step be taken."""
        step, left = divmod(self.optimizer.param_groups[0]["count"] + 1, self.recipe.accumulation)
        if not left:
            self._taken = self._scaled_step()
        if self._taken:
            self._project()
        if self.average and not left:
            self._take_average(step)

    def _scaled_step(self) -> bool:
        """The optimizer's step, and whether it was taken: the gradients are finite."""
        self.scaler.unscale_(self.optimizer)
        optimizers.clip(self.trainable, self.recipe.clipping)  # type: ignore[arg-type]
        self.scaler.step(self.optimizer)
        before = self.scaler.get_scale()
        self.scaler.update()
        return self.scaler.get_scale() >= before

    def _begin_average(self) -> list[Tensor]:
        """Make the averages of the weights, in the order of `trainable`."""
        assert self.recipe.average_weights is not None
        function = optimizers.average_function(self.recipe.average_weights)
        self.averaged_model = AveragedModel(self.model, multi_avg_fn=function)
        module: Any = self.averaged_model.module
        return [tensor_of(module, key).detach() for key in self.network.trainable_keys]

    def _take_average(self, step: int) -> None:
        """Take the weights into their averages, behind a step of the optimizer, from 1."""
        self.averaged_model.n_averaged.fill_(step - 1)
        self.averaged_model.update_parameters(self.model)

    @torch.no_grad()
    def _project(self) -> None:
        """Max-norm: w *= clip(norm, 0, max) / (epsilon + norm), norm over the incoming weights."""
        for key, limit in self.network.limited.items():
            kernel = tensor_of(self.model, key)
            axes = tuple(range(1, kernel.dim()))
            norm = kernel.square().sum(dim=axes, keepdim=True).sqrt()
            kernel.mul_(norm.clamp(max=limit) / (MAX_NORM_EPSILON + norm))

    def _autocast(self) -> AbstractContextManager:
        half = HALVES.get(self.runtime.precision)
        return nullcontext() if half is None else torch.autocast(self.device.type, half)

    def _to_device(self, images: Tensor, labels: Tensor, masks: dict[str, Tensor]) -> tuple:
        masks = {name: mask.to(self.device, non_blocking=True) for name, mask in masks.items()}
        images = images.to(self.device, non_blocking=True)
        dtype = labels.dtype if labels.is_floating_point() else torch.int64
        return images, labels.to(self.device, dtype, non_blocking=True), masks

    def _tensor(self, key: str, array: np.ndarray) -> Tensor:
        """A canonical array as a tensor of PyTorch's layout, on the device, in the run's dtype."""
        array = from_canonical(self.network, key, array)
        return torch.from_numpy(array).to(self.device, self.dtype, copy=True)

    def _canonical_activation(self, name: str, x: Tensor) -> np.ndarray:
        if x.dim() == 4:
            x = x.permute(0, 2, 3, 1)
        else:
            image = image_behind(self.network, name)
            if image is not None:
                height, width, channels = image
                x = x.reshape(-1, channels, height, width).permute(0, 2, 3, 1).flatten(1)
        return np.ascontiguousarray(x.to(self.dtype).cpu().numpy())

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Restore weights, running statistics, optimizer state, gradients of a group, averages and
        random state on leaving, however it is left."""
        model = copy.deepcopy(self.model.state_dict())
        optimizer = copy.deepcopy(self.optimizer.state_dict())
        kept = [one.grad if self.recipe.accumulation > 1 else None for one in self.trainable]
        kept = [None if one is None else one.clone() for one in kept]
        averages = [one.clone() for one in self.average]
        scaler = self.scaler.state_dict()
        try:
            with torch.random.fork_rng(devices=[0] if self._on_gpu else []):
                yield
        finally:
            self.model.load_state_dict(model)
            self.optimizer.load_state_dict(optimizer)
            for parameter, gradient in zip(self.trainable, kept, strict=True):
                parameter.grad = gradient
            for value, before in zip(self.average, averages, strict=True):
                value.copy_(before)
            self.scaler.load_state_dict(scaler)


def configure(runtime: Runtime) -> None:
    """Process-wide settings: threads, precision, determinism."""
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise SpecificationError("PyTorch sees no CUDA device here; use --device cpu.")
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    allowed = "tf32" if runtime.precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = allowed
    torch.backends.cudnn.conv.fp32_precision = allowed  # type: ignore[attr-defined]
    if torch.are_deterministic_algorithms_enabled() != runtime.deterministic:
        torch.use_deterministic_algorithms(runtime.deterministic)  # imports PyTorch's compiler
    torch.backends.cudnn.benchmark = False  # its choice of a kernel differs from call to call
