import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, start=None):
        super().__init__()
        self.hidden, self.out = nn.Linear(64, 64), nn.Linear(64, 4)
        for layer in (self.hidden, self.out) if start else ():
            nn.init.trunc_normal_(layer.weight, std=start, a=-2 * start, b=2 * start)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x.flatten(1))))


def aligned():
    return Net(start=64**-0.5 / 0.87962566)


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.Adam(parameters, lr=5e-4)
