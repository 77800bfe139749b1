"""PyTorch in the manners that people write it, and each with one thing changed."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """A convolution, `mid` down to one number a channel, and a dense layer of so many inputs."""

    inputs = 8

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.more()
        self.fc = nn.Linear(self.inputs, 5)

    def more(self):
        pass

    def mid(self, x):
        return F.relu(x).mean((2, 3))

    def forward(self, x):
        return self.fc(self.mid(self.conv(x)))


class Scaled(Net):
    deviation = (0.229, 0.224, 0.225)

    def more(self):
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[None, :, None, None])
        self.register_buffer("std", torch.tensor(self.deviation)[None, :, None, None])

    def forward(self, x):
        return super().forward((x.float() / 255.0 - self.mean) / self.std)


class ScaledHalf(Scaled):
    deviation = (0.5, 0.5, 0.5)


class Cast(Net):
    factor = 1

    def forward(self, x):
        x = x.to(torch.float32).to(memory_format=torch.channels_last)
        return super().forward(x if self.factor == 1 else self.factor * x)


class CastTwice(Cast):
    factor = 2


class Activated(Net):
    slopes, threshold = 8, 0.05

    def more(self):
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.prelu, self.shrink = nn.PReLU(self.slopes), nn.Softshrink(self.threshold)

    def mid(self, x):
        x = self.b(self.prelu(self.a(F.gelu(x, approximate="tanh"))))
        return F.hardtanh(self.shrink(F.celu(x))).mean((2, 3))


class OneSlope(Activated):
    slopes = 1


class Shrunk(Activated):
    threshold = 0.03


class Swish(Net):
    sign = -1

    def mid(self, x):
        y = x * F.relu6(x + 3.0) / 6.0
        return (y * torch.sigmoid(y) - (1 + self.sign * torch.sigmoid(x))).mean((2, 3))


class SwishPlus(Swish):
    sign = 1


class Pooled(Net):
    counted, dilation = False, 2

    def more(self):
        self.wide = nn.Conv2d(8, 8, 3, padding=self.dilation, dilation=self.dilation)

    def mid(self, x):
        x = self.wide(F.max_pool2d(F.relu(x), 3, 2, ceil_mode=True))
        return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=self.counted).mean((2, 3))


class PooledCounted(Pooled):
    counted = True


class PooledDense(Pooled):
    dilation = 1


class Ceiled(Net):
    inputs = 72

    def mid(self, x):
        return F.avg_pool2d(F.relu(x), 3, 3, ceil_mode=True).flatten(1)


class Parted(Net):
    inputs, size = 72, 3

    def mid(self, x):
        return F.adaptive_avg_pool2d(F.relu(x), self.size).flatten(1)


class PartedFour(Parted):
    inputs, size = 128, 4


class Reflected(Net):
    mode = "reflect"

    def more(self):
        self.conv = nn.Conv2d(3, 8, 3, padding=1, padding_mode=self.mode)


class Circular(Reflected):
    mode = "circular"


class Whole(Net):
    affine = tracked = True

    def more(self):
        self.norm = nn.BatchNorm2d(8, affine=self.affine, track_running_stats=self.tracked)

    def mid(self, x):
        return F.relu(self.norm(x)).mean((2, 3))


class Untracked(Whole):
    tracked = False


class Plain(Whole):
    affine = False


class Grouped(Net):
    groups = 2

    def more(self):
        self.norm = nn.GroupNorm(self.groups, 8)

    def mid(self, x):
        return F.relu(self.norm(x)).mean((2, 3))


class GroupedFour(Grouped):
    groups = 4


class Channels(Net):
    def more(self):
        self.drop = nn.Dropout2d(0.3)

    def mid(self, x):
        return self.drop(F.relu(x)).mean((2, 3))


class ChannelsLess(Channels):
    def more(self):
        self.drop = nn.Dropout2d(0.2)


class Tied(Net):
    tied = True

    def more(self):
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        if self.tied:
            self.b.weight, self.b.bias = self.a.weight, self.a.bias

    def mid(self, x):
        return F.relu(self.b(F.relu(self.a(super().mid(x)))))


class Untied(Tied):
    tied = False


class Excited(Net):
    gate = staticmethod(torch.sigmoid)

    def more(self):
        self.down, self.up = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def mid(self, x):
        x = F.relu(x)
        s = self.gate(self.up(F.relu(self.down(x.mean((-2, -1), keepdim=True)))))
        return (x * s).mean((2, 3))


class ExcitedHard(Excited):
    gate = staticmethod(F.hardsigmoid)


class Summed(Net):
    alpha = 1

    def more(self):
        self.other = nn.Conv2d(3, 8, 1)

    def forward(self, x):
        x = torch.add(F.relu(self.conv(x)), self.other(x), alpha=self.alpha)
        return self.fc(x.mean((2, 3)))


class SummedHalf(Summed):
    alpha = 0.5


class Binary(Net):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 1)

    def forward(self, x):
        return super().forward(x).squeeze(1)


class NoBias(Net):
    def more(self):
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)


def compiled():
    return torch.compile(Net())


class Automatic(Net):
    def forward(self, x):
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            return super().forward(x)


class Assigned(Net):
    def mid(self, x):
        x[:, 0] = 0
        return super().mid(x)


class Embedded(Net):
    def more(self):
        self.places = nn.Embedding(8, 8)

    def mid(self, x):
        return super().mid(x) + self.places(torch.arange(8)).mean(0)


def turned():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5))


class Lenient(Net):
    def more(self):
        self.lenient = nn.PReLU(init=0.01)

    def mid(self, x):
        return self.lenient(x).mean((2, 3))


class Dropped(Whole):
    def more(self):
        super().more()
        self.drop = nn.Dropout(0.3)

    def mid(self, x):
        return self.drop(F.relu(self.norm(x))).mean((2, 3))


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
