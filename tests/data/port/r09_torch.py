import torch
from alike import started
from torch import nn


def make():
    layers = (nn.Conv2d(3, 4, 4, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    return started(nn.Sequential(*layers))


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.RMSprop(parameters, lr=2.5e-4, alpha=0.95, eps=0.01)
