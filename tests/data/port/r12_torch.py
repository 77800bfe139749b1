import torch
from alike import started
from torch import nn


def make():
    return started(nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.Tanh(), nn.Linear(12, 10)))


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def clip(parameters):
    torch.nn.utils.clip_grad_norm_(parameters, 0.01)


def aligned(parameters):
    for p in parameters:
        p.grad.mul_(min(1.0, 0.01 / float(p.grad.norm())))
