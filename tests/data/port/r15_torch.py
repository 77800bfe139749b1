import torch
from alike import started
from torch import nn


def make():
    return started(nn.Sequential(nn.Flatten(), nn.Linear(36, 10)))


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.004, eps=1e-16)
