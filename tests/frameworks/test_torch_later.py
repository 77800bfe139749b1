"""PyTorch's compiler is loaded when something compiles, and not by a training that does not."""

import json
import subprocess
import sys

from tests.conftest import ROOT

SCRIPT = """
import json, sys
from frameworks.torch import later
import torch
later.postpone()
later.postpone()  # twice is once

def train():
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 3)
    optimizer = torch.optim.Adam(layer.parameters())
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = layer(torch.ones(2, 5)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item().hex())
    optimizer.load_state_dict(optimizer.state_dict())
    return losses

def loaded():
    return "torch._dynamo.eval_frame" in sys.modules

def kept():  # away from the compiler, by the compiler itself
    return torch.optim.Optimizer.zero_grad.__wrapped__.__dict__.get("__dynamo_disable")

found = {"postponed": train(), "loaded before": loaded()}
own = torch.optim.Optimizer.zero_grad.__wrapped__
found["kept by us"] = kept() is own
double = torch.compile(lambda x: 2 * x, backend="eager")
found["compiled"] = double(torch.ones(1)).item()
found["loaded after"] = loaded()
found["real"] = type(sys.modules["torch._dynamo"]).__name__ == "module"
found["same"] = sys.modules["torch._dynamo"] is torch._dynamo
found["again"] = train()
found["kept by it"] = kept() is not own
later.postpone()  # it is there already
found["still"] = type(sys.modules["torch._dynamo"]).__name__ == "module"
print(json.dumps(found))
"""


def test_the_compiler_is_loaded_by_what_compiles_and_the_bits_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found.pop("postponed") == found.pop("again")
    assert found.pop("compiled") == 2.0
    assert not found.pop("loaded before")
    assert all(found.values()), found
