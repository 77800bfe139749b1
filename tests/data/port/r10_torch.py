import numpy as np
import torch
from alike import started
from torch import nn


def make():
    return started(nn.Sequential(nn.Flatten(), nn.Linear(36, 10)))


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def epoch_loss(losses, sizes):
    return sum(losses) / len(losses)


def aligned(losses, sizes):
    return np.average(losses, weights=sizes)
