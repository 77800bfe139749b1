"""The same shapes as PyTorch's users write them."""

import torch
from alike import started
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        blocks = ((6, 6, 1), (6, 8, 2), (8, 8, 1))
        self.blocks = nn.Sequential(*(Block(*sizes) for sizes in blocks))
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 5)
        started(self)

    def forward(self, x):
        x = self.pool(self.blocks(F.relu(self.stem(x))))
        return self.fc(torch.flatten(x, 1))


class DropPath(nn.Module):
    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if not self.training:
            return x
        kept = 1 - self.drop_prob
        return x * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(kept).div_(kept)


class Excitation(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(8, 2), nn.SiLU(), nn.Linear(2, 8), nn.Sigmoid())

    def forward(self, x):
        gate = self.fc(x.mean((2, 3))).view(x.shape[0], -1, 1, 1)
        return x * gate.expand_as(x)


class Excited(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.gate, self.path = Excitation(), DropPath(0.25)
        self.fc = nn.Linear(8, 5)
        started(self)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = x + self.path(self.gate(self.conv(x)))
        return self.fc(x.mean((2, 3)))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, padding=1)
        self.deep = nn.Conv2d(4, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.join = nn.Conv2d(8, 4, 3, padding=1)
        self.out = nn.Linear(256, 5)
        started(self)
        nn.init.xavier_uniform_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        wide = F.relu(self.down(x))
        deep = F.relu(self.deep(F.max_pool2d(wide, 2)))
        x = torch.cat([wide, self.up(deep)], dim=1)
        x = F.avg_pool2d(F.relu(self.join(x)), 2)
        return self.out(F.interpolate(x, scale_factor=2).flatten(1))


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.out = nn.Linear(256, 5)
        started(self)

    def forward(self, x):
        for _ in range(2):
            x = self.shared(x).relu()
        return self.out(x.reshape(x.shape[0], -1))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        started(self)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = x.view(int(x.size(0)), -1)
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


class Subclassed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        started(self)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x)).amax((2, 3)))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(192, 5)

    def forward(self, x):
        if x.mean() > 0:
            x = x + 1
        return self.out(x.flatten(1))


class Needs(nn.Module):
    def __init__(self, classes):
        super().__init__()


class Fails(nn.Module):
    def forward(self, x):
        return self._deeper(x)

    def _deeper(self, x):
        raise RuntimeError("no such luck")


class Unread(nn.Module):
    """Has a call that no reader knows, and its weights are ordinary ones."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        started(self)

    def forward(self, x):
        return self.out(torch.cumsum(torch.relu(self.conv(x)), dim=2).amax((2, 3)))


number = 7
loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1)
