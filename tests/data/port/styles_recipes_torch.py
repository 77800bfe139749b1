"""Losses, optimizers and schedules of PyTorch, around the network of `styles_torch`."""

import torch
from styles_torch import Binary, Net, loss, optimizer  # noqa: F401
from torch import nn

_schedules = torch.optim.lr_scheduler
weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0, 1.0, 1.0]))
ignoring = nn.CrossEntropyLoss(ignore_index=0)
binary = nn.BCEWithLogitsLoss()
binary_positive = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))


def maximizing(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, maximize=True)


def head_alone(model):
    return torch.optim.SGD(model.fc.parameters(), lr=0.1, momentum=0.9)


def _two_rates(model, rate):
    groups = [{"params": model.fc.parameters()}, {"params": model.conv.parameters(), "lr": rate}]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def two_rates(model):
    return _two_rates(model, 0.01)


def two_other_rates(model):
    return _two_rates(model, 0.02)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-30)


def amsgrad(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-30, amsgrad=True)


def plain(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def cycle(made):
    return _schedules.OneCycleLR(made, max_lr=0.1, total_steps=100)


def cycle_of_rates(made):
    return _schedules.OneCycleLR(made, max_lr=0.1, total_steps=100, cycle_momentum=False)


def restarts(made):
    return _schedules.CosineAnnealingWarmRestarts(made, T_0=50)


def restarts_longer(made):
    return _schedules.CosineAnnealingWarmRestarts(made, T_0=50, T_mult=2)


def falling(made):
    return _schedules.LambdaLR(made, lambda step: 0.97**step)


def falling_early(made):
    return _schedules.LambdaLR(made, lambda step: 0.97 ** (step + 1))
