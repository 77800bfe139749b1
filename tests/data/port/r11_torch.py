import torch
from alike import started
from torch import nn

torch.backends.cudnn.allow_tf32 = True


def make():
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    return started(nn.Sequential(*layers))


def aligned():
    torch.backends.cudnn.allow_tf32 = False
    return make()
