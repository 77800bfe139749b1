import torch
from alike import started
from torch import nn


def make():
    return started(
        nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(36, 10),
        )
    )


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.Adadelta(parameters)


def aligned(parameters):
    return torch.optim.Adadelta(parameters, lr=0.001, rho=0.95, eps=1e-7)
