"""Starts PyTorch's weights as Keras does, so that pairs differ in what they are about alone."""

from torch import nn


def started(model):
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
