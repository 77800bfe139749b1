"""The same as PyTorch's users write them, and some that differ in one place."""

import torch
from alike import started
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Net(nn.Module):
    """A convolution, `mid`, a mean, and a dense layer of so many inputs."""

    inputs = 8

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(self.inputs, 5)
        self.more()
        started(self)

    def more(self):
        pass

    def mid(self, x):
        return F.relu(x).mean((2, 3))

    def forward(self, x):
        return self.out(self.mid(self.conv(x)))


class Instance(Net):
    epsilon = 1e-5

    def more(self):
        self.norm = nn.InstanceNorm2d(8, affine=True, eps=self.epsilon)

    def mid(self, x):
        return super().mid(self.norm(x))


class InstanceWider(Instance):
    epsilon = 1e-3


class SpectralNormed(Net):
    def more(self):
        self.conv = parametrizations.spectral_norm(self.conv)


class Cropped(Net):
    inputs, sides = 288, (1, -1)

    def mid(self, x):
        first, last = self.sides
        return F.relu(x)[:, :, first:last, first:last].reshape(len(x), -1)


class CroppedOther(Cropped):
    sides = (2, None)


class Padded(Net):
    sides = (1, 0, 1, 0)

    def more(self):
        self.conv, self.pad = nn.Conv2d(3, 8, 3), nn.ZeroPad2d(self.sides)

    def forward(self, x):
        return super().forward(self.pad(x))


class PaddedOther(Padded):
    sides = (0, 1, 0, 1)


class Noised(Net):
    def forward(self, x):
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return super().forward(x)


class Alpha(Net):
    def more(self):
        self.drop = nn.AlphaDropout(0.25)

    def mid(self, x):
        return self.drop(F.selu(x)).mean((2, 3))


class Dropped(Net):
    def mid(self, x):
        return F.dropout(F.relu(x), 0.2, self.training).mean((2, 3))


class AlwaysDropped(Net):
    def mid(self, x):
        return F.dropout(F.relu(x), 0.2).mean((2, 3))


class Resized(Net):
    inputs = 200

    def mid(self, x):
        x = F.interpolate(F.relu(x), scale_factor=2, mode="bilinear")
        return F.max_pool2d(x, 3).flatten(1)


class WholeNorm(Net):
    def more(self):
        self.norm = nn.LayerNorm([8, 8, 8])

    def mid(self, x):
        return self.norm(x).mean((2, 3))


class Six(Net):
    second = nn.ReLU6

    def more(self):
        self.conv2, self.last = nn.Conv2d(8, 8, 3, padding=1), self.second()

    def mid(self, x):
        return self.last(self.conv2(x.clamp(0, 6))).mean((2, 3))


class SixNot(Six):
    second = nn.ReLU


class Undilated(Net):
    def more(self):
        self.conv = nn.Conv2d(3, 8, 3, padding="same")


class Active(Net):
    beta = 1.0

    def more(self):
        self.others = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.soft = nn.Softplus(beta=self.beta)

    def mid(self, x):
        a, b, c = self.others
        return torch.exp(c(F.elu(b(F.softsign(a(self.soft(x))))))).mean((2, 3))


class Steeper(Active):
    beta = 2.0


class Gated(Net):
    inputs = 4

    def mid(self, x):
        a, b = torch.split(x, 4, dim=1)
        return (a * torch.sigmoid(b)).mean((2, 3))


class Larger(Net):
    def more(self):
        self.other = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        x = torch.max(torch.relu(self.conv(x)), torch.tanh(self.other(x)))
        return self.out(x.mean((2, 3)))


class Logs(Net):
    def forward(self, x):
        return F.log_softmax(super().forward(x), dim=1)


class Normed(Net):
    inputs = 128

    def more(self):
        self.norm = nn.BatchNorm2d(8)

    def mid(self, x):
        return F.max_pool2d(F.relu(self.norm(x)), 2).flatten(1)


class FrozenNorm(Normed):
    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self


class Frozen(Normed):
    def more(self):
        super().more()
        self.conv.requires_grad_(False)


class Flat(Net):
    inputs = 512

    def mid(self, x):
        return F.relu(x).flatten(1)


loss = nn.CrossEntropyLoss()


def _smoothed(out, labels, share):
    logs = F.log_softmax(out, 1)
    return -((1 - share) * logs.gather(1, labels[:, None])[:, 0] + share * logs.mean(1)).mean()


def smooth(out, labels):
    return _smoothed(out, labels, 0.1)


def smoother(out, labels):
    return _smoothed(out, labels, 0.2)


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def still(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def halved(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)


def limit_norm(parameters):
    nn.utils.clip_grad_norm_(parameters, 0.01)


def nadam(parameters):
    return torch.optim.NAdam(parameters, lr=1e-3)


def adamax(parameters):
    return torch.optim.Adamax(parameters, lr=1e-3)


def decayed(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-30, weight_decay=0.01)


class Lion(torch.optim.Optimizer):
    """As found on the web: one weight after another."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                one, two = group["betas"]
                p.add_(torch.sign(mean * one + p.grad * (1 - one)), alpha=-group["lr"])
                mean.mul_(two).add_(p.grad, alpha=1 - two)


def lion(parameters):
    return Lion(parameters, lr=1e-3, weight_decay=0.01)


two, three = 2, 3
scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
huge = torch.amp.GradScaler("cuda", init_scale=2.0**127)
switched_off = torch.amp.GradScaler("cuda", enabled=False)


def averages(model):
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))


def averages_of_all(model):
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95), use_buffers=True)


def mean_of_steps(model):
    return AveragedModel(model)
