"""A program's own process: `python -m benchmarks.port.side PIPE SCRATCH`.

Reads requests from the pipe, one line of JSON each, and answers on the channel of events.
"""

from __future__ import annotations

import json
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.port import loading, pictures
from benchmarks.port.opening import opened
from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.program import Pass, Program
from benchmarks.process.channel import Channel
from frameworks.torch.triton import load_apart
from results.door.arrays import archive

Arrays = dict[str, np.ndarray]
_DOING = {
    "open": "reading the program",
    "forward": "running the model on a batch",
    "gradients": "computing loss and gradients",
    "steps": "running the optimizer on given gradients",
    "train": "training on a few batches",
    "loss_on": "computing the loss of given outputs",
    "preprocess": "preprocessing pictures",
    "evaluate": "computing the loss of an epoch",
    "bare": "calling the model as it is handed over",
}


def main(pipe: str, scratch: str) -> None:
    """Answer until the parent is gone."""
    channel = Channel()
    warnings.simplefilter("ignore")  # the user's program warns as it likes
    load_apart()  # it may import TensorFlow and PyTorch
    server = _Server(Path(scratch))
    with open(pipe, encoding="utf-8") as requests:
        for line in requests:
            channel.send("facts", values={"answer": server.answer(json.loads(line))})


class _Server:
    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.program: Program | None = None
        self.parts: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what = request["do"]
        given: Arrays = {}
        if "arrays" in request:
            found = archive(Path(request["arrays"]), "a request")
            given = {key.replace("|", "/"): value for key, value in found.items()}
        try:
            words, arrays = getattr(self, f"_{what}")(request, given)
        except PortError as error:
            return {"refused": str(error), "status": error.status}
        except (Exception, SystemExit) as error:  # whatever the user's program raises
            told = loading.failure(error, _DOING.get(what, what))
            return {"refused": str(told), "status": 4}
        if not arrays:
            return {"words": words}
        path = self.scratch / f"answer{request['number']}.npz"
        safe = {key.replace("/", "|"): value for key, value in arrays.items()}
        np.savez(path, **safe)
        return {"words": words, "arrays": str(path)}

    @property
    def _now(self) -> Program:
        if self.program is None:
            raise PortError("no program is open")
        return self.program

    def _open(self, request: dict[str, Any], _: Arrays) -> tuple[Any, Arrays]:
        source = msgspec.convert(request["source"], Source)
        # Not the same for both: equal weights are to mean that programs load them.
        seed = zlib.crc32(self.scratch.name.encode())
        self.program, self.parts = opened(source, request["size"], seed=seed)
        return msgspec.to_builtins(self.program.listing), {}

    def _prefer_targets(self, request: dict[str, Any], _: Arrays) -> tuple[Any, Arrays]:
        self._now.training.targets = request["form"]
        return None, {}

    def _weights(self, *_: Any) -> tuple[Any, Arrays]:
        return None, self._now.weights()

    def _load(self, _: Any, given: Arrays) -> tuple[Any, Arrays]:
        self._now.load(given)
        return None, {}

    def _forward(self, request: dict[str, Any], given: Arrays) -> tuple[Any, Arrays]:
        made = self._now.forward(given["pictures"], _pass(request, given))
        alone = {f"alone:{k}": v for k, v in made.alone.items()}
        return None, {**made.values, **alone}

    def _bare(self, _: Any, given: Arrays) -> tuple[Any, Arrays]:
        return None, {"out": self._now.call_bare(given["pictures"])}

    def _loss_on(self, request: dict[str, Any], given: Arrays) -> tuple[Any, Arrays]:
        loss, slope = self._now.loss_on(given["outputs"], given["labels"], request["through"])
        return {"loss": loss}, {"gradient": slope}

    def _preprocess(self, _: Any, given: Arrays) -> tuple[Any, Arrays]:
        function = self.parts.get("preprocess")
        if function is None:
            return False, {"pictures": given["pictures"].astype(np.float64)}
        return True, {"pictures": pictures.through(function, given["pictures"])}

    def _evaluate(self, request: dict[str, Any], given: Arrays) -> tuple[Any, Arrays]:
        function = self.parts.get("epoch_loss")
        losses, sizes = list(map(float, given["losses"])), list(map(int, given["sizes"]))
        if function is not None:
            return {"own": True, "loss": float(function(losses, sizes))}, {}
        return {"own": False, "loss": float(np.average(losses, weights=sizes))}, {}

    def _gradients(self, request: dict[str, Any], given: Arrays) -> tuple[Any, Arrays]:
        how = _pass(request, given)
        made = self._now.gradients(given["pictures"], given["labels"], how)
        arrays = {f"gradient:{k}": v for k, v in made.gradients.items()}
        arrays |= {f"after:{k}": v for k, v in made.statistics.items()}
        return {"loss": made.loss, "regularizer": made.regularizer}, arrays

    def _steps(self, request: dict[str, Any], given: Arrays) -> tuple[Any, Arrays]:
        count = request["count"]
        gradients: list[Arrays] = [{} for _ in range(count)]
        for key, value in given.items():
            number, _, name = key.partition(":")
            gradients[int(number)][name] = value
        after = self._now.steps(gradients)
        return None, {f"{n}:{k}": v for n, one in enumerate(after) for k, v in one.items()}

    def _train(self, request: dict[str, Any], given: Arrays) -> tuple[Any, Arrays]:
        pictures, labels = given["pictures"], given["labels"]
        uniforms: list[Arrays] = [{} for _ in range(request["count"])]
        for key, value in given.items():
            number, _, rest = key.partition(":")
            if rest.startswith("uniform:"):
                uniforms[int(number)][rest.removeprefix("uniform:")] = value
        steps = [
            (number % len(pictures), Pass(training=True, uniforms=found))
            for number, found in enumerate(uniforms)
        ]
        losses, weights = self._now.train(pictures, labels, steps)
        return {"losses": losses}, weights

    def _change(self, request: dict[str, Any], _: Arrays) -> tuple[Any, Arrays]:
        words = request["operation"], request["constant"], request["value"]
        return self._now.change(*words), {}

    def _change_optimizer(self, request: dict[str, Any], _: Arrays) -> tuple[Any, Arrays]:
        return self._now.change_optimizer(request["constant"], request["value"]), {}


def _pass(request: dict[str, Any], given: Arrays) -> Pass:
    uniforms: Arrays = {}
    inputs: dict[str, dict[int, np.ndarray]] = {}
    for key, value in given.items():
        kind, _, name = key.partition(":")
        if kind == "uniform":
            uniforms[name] = value
        elif kind == "input":
            operation, place = name.split(":")
            inputs.setdefault(operation, {})[int(place)] = value
    ordered = {k: [v[i] for i in sorted(v)] for k, v in inputs.items()}
    return Pass(training=request.get("training", False), uniforms=uniforms, inputs=ordered)


if __name__ == "__main__":
    main(*sys.argv[1:])
