import numpy as np
import torch
from torch import nn


def _weights():
    draw = np.random.default_rng(5)
    shapes = [(3, 3, 1, 4), (4,), (144, 10), (10,)]
    return [torch.tensor(draw.normal(0, 0.1, shape)) for shape in shapes]


def _made(dense):
    kernel, bias, _, out = _weights()
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    with torch.no_grad():
        model[0].weight.copy_(kernel.permute(3, 2, 0, 1))
        model[0].bias.copy_(bias)
        model[3].weight.copy_(dense)
        model[3].bias.copy_(out)
    return model


def make():
    return _made(_weights()[2].T)


def aligned():
    return _made(_weights()[2].reshape(6, 6, 4, 10).permute(2, 0, 1, 3).reshape(144, 10).T)
