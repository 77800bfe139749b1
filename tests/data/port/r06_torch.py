import torch
from alike import started
from torch import nn


def _made(momentum):
    return started(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding="same"),
            nn.BatchNorm2d(6, eps=1e-3, momentum=momentum),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 5),
        )
    )


def make():
    return _made(0.99)


def aligned():
    return _made(0.01)


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.05)
