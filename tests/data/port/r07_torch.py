from torch import nn


def make():
    return nn.Sequential(nn.BatchNorm2d(4))


def aligned():
    return make().eval()
