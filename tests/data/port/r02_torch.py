import torch
from torch import nn


def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 4))


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, weight_decay=0.01)


def aligned(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
