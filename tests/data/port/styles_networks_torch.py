"""Whole networks of PyTorch in the manners that people write them."""

from collections import OrderedDict

import torch
from styles_torch import loss, optimizer  # noqa: F401
from torch import nn
from torch.nn import functional as F


def _ordered(eps):
    layers = [("conv", nn.Conv2d(3, 8, (3, 3), padding="same")), ("norm", nn.BatchNorm2d(8, eps))]
    layers += [("act", nn.ReLU(inplace=True)), ("pool", nn.MaxPool2d(2)), ("flat", nn.Flatten())]
    return nn.Sequential(OrderedDict([*layers, ("fc", nn.Linear(128, 5))]))


def ordered():
    return _ordered(1e-5)


def ordered_eps():
    return _ordered(1e-3)


class Loops(nn.Module):
    last = True

    def __init__(self):
        super().__init__()
        for place, sizes in enumerate([(3, 6), (6, 8), (8, 8)]):
            setattr(self, f"conv{place}", nn.Conv2d(*sizes, 3, padding=1))
        self.heads = nn.ModuleDict({"classes": nn.Linear(8, 5)})

    def forward(self, x):
        for place in range(3):
            x = getattr(self, f"conv{place}")(x)
            if place < 2 or self.last:
                x = torch.relu_(x)
        return self.heads["classes"](x.mean(3).mean(2))


class LoopsLess(Loops):
    last = False


class Raw(nn.Module):
    stride = 1

    def __init__(self):
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.2), nn.Parameter(torch.zeros(8))
        self.w2, self.b2 = nn.Parameter(torch.randn(5, 8) * 0.2), nn.Parameter(torch.zeros(5))

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.w1, self.b1, stride=self.stride, padding=1))
        return F.linear(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1), self.w2, self.b2)


class RawStride(Raw):
    stride = 2


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, outputs, stride, later):
        super().__init__()
        first, second = (1, stride) if later else (stride, 1)
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, first, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(outputs)
        self.conv3, self.relu = nn.Conv2d(width, outputs, 1, bias=False), nn.ReLU(inplace=True)
        shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        out += self.downsample(x)
        return self.relu(out)


class Res(nn.Module):
    later = False  # the stride, as torchvision has it

    def __init__(self):
        super().__init__()
        self.layer1 = self._make_layer(2)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(12, 5)

    def _make_layer(self, blocks):
        sizes = [(3, 4, 12, 2), *[(12, 4, 12, 1)] * (blocks - 1)]
        return nn.Sequential(*(Bottleneck(*one, self.later) for one in sizes))

    def forward(self, x):
        return self.fc(torch.flatten(self.avgpool(self.layer1(x)), 1))


class ResLater(Res):
    later = True


class Lit(nn.Module):
    rate = 1e-3

    def __init__(self, hidden=8, classes=5):
        super().__init__()
        layers = [nn.Conv2d(3, hidden, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
        self.model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(hidden, classes))

    def forward(self, x):
        return self.model(x)

    def training_step(self, batch, _):
        return F.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        made = torch.optim.Adam(self.parameters(), lr=self.rate, eps=1e-30)
        falling = torch.optim.lr_scheduler.StepLR(made, 10, 0.5)
        return {"optimizer": made, "lr_scheduler": {"scheduler": falling, "interval": "step"}}


class LitFast(Lit):
    rate = 1e-2


class Blocks(nn.Module):
    rate = 0.2

    def __init__(self):
        super().__init__()
        self.one, self.two = self.block(3, 6), self.block(6, 8)
        self.drop, self.fc = nn.Dropout(self.rate), nn.Linear(8, 5)

    def block(self, inputs, outputs):
        conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x):
        return self.fc(self.drop(self.two(self.one(x)).mean((2, 3))))


class BlocksHalf(Blocks):
    rate = 0.5


class BasicBlock(nn.Module):
    """As Flax pads a stride of two: behind rows and columns alone."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        around = 1 if stride == 1 else 0
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, around, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.stride = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs), stride
        if stride != 1:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x if self.stride == 1 else F.pad(x, (0, 1, 0, 1))
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(y)))))
        return F.relu(y + (x if self.stride == 1 else self.downsample(x)))


class Basic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.blocks = nn.Sequential(BasicBlock(6, 6, 1), BasicBlock(6, 12, 2))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.bn(self.conv(x)))).mean((2, 3)))
