"""The same as PyTorch's users write them, and some that differ in one place."""

import numpy as np
import torch
from alike import started
from torch import nn
from torch.nn import functional as F


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Identity())
            for n in (3, 8)
        )
        self.out = nn.Linear(8, 5)
        started(self)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2).contiguous()
        for block in self.blocks:
            x = F.relu(block(x), inplace=True)
        return self.out(x.mean([-1, -2]))


class Computed(nn.Module):
    form = "tanh"

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(16, 5)
        started(self)

    def forward(self, x):
        x = self.conv(x)
        x = torch.cat((torch.relu(x), F.gelu(x, approximate=self.form)), 1)
        return self.out(torch.mean(torch.mul(x, 0.5).add(1.0), dim=(2, 3)))


class Exact(Computed):
    form = "none"


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.group, self.out = nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.Linear(8, 5)
        self.norm = nn.LayerNorm(8)
        started(self)

    def forward(self, x):
        x = self.norm(F.gelu(self.conv(x)).movedim(1, -1)).movedim(-1, 1)
        return self.out(torch.amax(self.group(x), dim=(2, 3)))


class Excited(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(32, 5)
        self.down, self.up = nn.Linear(8, 4), nn.Linear(4, 8)
        started(self)

    def forward(self, x):
        x = F.relu(self.conv(x))
        batch, channels, _, _ = x.shape
        s = F.adaptive_avg_pool2d(x, 1).view(batch, channels)
        s = torch.sigmoid(self.up(F.relu(self.down(s)))).view(batch, channels, 1, 1)
        return self.out(torch.flatten(F.adaptive_avg_pool2d(x * s.expand_as(x), (2, 2)), 1))


class Standardized(nn.Module):
    red = 0.4

    def __init__(self):
        super().__init__()
        mean, variance = torch.tensor([self.red, 0.5, 0.6]), torch.tensor([0.04, 0.05, 0.06])
        self.register_buffer("mean", mean.view(1, 3, 1, 1))
        self.register_buffer("deviation", variance.sqrt().view(1, 3, 1, 1))
        self.out = nn.Linear(192, 5)
        started(self)

    def forward(self, x):
        return self.out(((x / 255 - self.mean) / self.deviation).flatten(1))


class Redder(Standardized):
    red = 0.5


class Active(nn.Module):
    slope = 0.2

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 1)
        self.alpha, self.out = nn.PReLU(4), nn.Linear(4, 5)
        started(self)

    def forward(self, x):
        x = F.leaky_relu(self.b(F.hardswish(self.a(x))), self.slope)
        return self.out(F.mish(self.alpha(F.hardsigmoid(self.c(x)))).mean((2, 3)))


class Sloped(Active):
    slope = 0.01


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(4, 5)
        started(self)

    def forward(self, x):
        a, b = self.conv(x).chunk(2, dim=1)
        return self.out((a * torch.sigmoid(b)).mean((2, 3)))


class Unflipped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3), nn.Linear(288, 5)
        started(self)

    def forward(self, x):
        return self.out(F.relu(self.conv(x)).flatten(1))


loss = nn.CrossEntropyLoss()


class Separable(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False)
        self.pointwise = nn.Conv2d(6, 8, 1)
        self.head = nn.Linear(8 * 8 * 8, 5)
        started(self)

    def forward(self, x):
        x = torch.relu(self.pointwise(self.depthwise(x)))
        return self.head(x.permute(0, 2, 3, 1).flatten(1))


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def rounded(parameters):
    return torch.optim.SGD(parameters, lr=float(np.float32(0.1)), momentum=0.9)


def decayed(model):
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.01, eps=1e-30)


def decayed_all(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, eps=1e-30)


def plain(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def plateau(optimizer):
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)


def short(optimizer):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=100)
