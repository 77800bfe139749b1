"""Spectra, light curves, cubes and decoders, as PyTorch's users write them."""

from dataclasses import dataclass

import torch
from attention_torch import Vit, VitApart, VitFused, VitUnscaled  # noqa: F401
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.optim import lr_scheduler


def loss(pred, target):
    return F.cross_entropy(pred, target)


def mse(out, t):
    return F.mse_loss(out, t)


def optimizer(params):
    return torch.optim.SGD(params, lr=0.1)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6)
        )
        self.fc = nn.Linear(6, 4 * 4 * 4)
        self.dec = nn.Sequential(
            nn.ReLU(), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 3, 2, 2), nn.Sigmoid()
        )

    def forward(self, x):
        return self.dec(self.fc(self.enc(x)))


class AutoEncoderTanh(AutoEncoder):
    def __init__(self):
        super().__init__()
        self.dec[-1] = nn.Tanh()


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(4, 5)

    def join(self, a, b):
        return torch.abs(a - b)

    def forward(self, x):
        a, b = x[:, :3], x[:, 3:]
        return self.head(self.join(self.branch(a), self.branch(b)))


class SiameseSquare(Siamese):
    def join(self, a, b):
        return (a - b) ** 2


class WithRedshift(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(5, 5)

    def forward(self, image, redshift):
        x = F.relu(self.conv(image)).amax((2, 3))
        return self.fc(torch.cat([x, redshift], 1))


@dataclass
class Config:
    hidden: int = 8
    act: str = "gelu"
    eps: float = 1e-6


@dataclass
class Output:
    logits: torch.Tensor = None
    hidden_states: tuple = None


ACT2FN = {"gelu": F.gelu, "relu": F.relu}


class ForImageClassification(nn.Module):
    def __init__(self, config=None):
        config = config or Config()
        super().__init__()
        self.config = config
        self.patch_embeddings = nn.Conv2d(3, config.hidden, 4, 4)
        self.layernorm = nn.LayerNorm(config.hidden, eps=config.eps)
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.act = ACT2FN[config.act]
        self.classifier = nn.Linear(config.hidden, 5)

    def forward(self, pixel_values):
        h = self.patch_embeddings(pixel_values).flatten(2).transpose(1, 2)
        h = self.layernorm(h)
        h = h + self.act(self.dense(h))
        return Output(logits=self.classifier(h.mean(dim=1)), hidden_states=(h,))


class Spectrum(nn.Module):
    pad = 3

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 4, 7, stride=2, padding=self.pad, bias=False),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(4, 8, 5, padding="same", dilation=2),
            nn.ELU(),
            nn.AvgPool1d(2),
            nn.Dropout1d(0.2),
        )
        self.fc1, self.fc2 = nn.Linear(8 * 8, 6), nn.Linear(6, 5)

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.fc2(torch.relu(self.fc1(x)))


class SpectrumFlat(Spectrum):
    """Takes (N, L)."""

    def forward(self, x):
        return super().forward(x.unsqueeze(1))


class SpectrumPool(Spectrum):
    def __init__(self):
        super().__init__()
        self.features[3] = nn.MaxPool1d(2, 2, ceil_mode=False)
        self.features[6] = nn.MaxPool1d(2)


class SpectrumLess(Spectrum):
    def __init__(self):
        super().__init__()
        self.features[4] = nn.Conv1d(4, 8, 5, padding="same")


class Causal(nn.Module):
    def __init__(self, i, o, k, d, norm):
        super().__init__()
        self.left = (k - 1) * d
        self.conv = norm(nn.Conv1d(i, o, k, dilation=d))

    def forward(self, x):
        return self.conv(F.pad(x, (self.left, 0)))


def plain(m):
    return m


class Tcn(nn.Module):
    norm = staticmethod(plain)

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            [
                Causal(2, 4, 3, 1, self.norm),
                Causal(4, 4, 3, 2, self.norm),
                Causal(4, 4, 3, 4, self.norm),
            ]
        )
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = F.relu(layer(x)) + (x if i else 0)
        return self.fc(x[:, :, -1])


class TcnNormed(Tcn):
    norm = staticmethod(parametrizations.weight_norm)


class TcnNormedOut(Tcn):
    norm = staticmethod(lambda m: parametrizations.weight_norm(m, dim=1))


class Cube(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 4, (3, 1, 1), stride=(2, 1, 1))
        self.bn, self.fc = nn.BatchNorm3d(4), nn.Linear(4, 5)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.bn(self.a(x))), 2)
        x = F.adaptive_avg_pool3d(self.b(x), 1)
        return self.fc(torch.flatten(x, 1))


class UNet1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv1d(1, 4, 3, padding=1),
            nn.Conv1d(4, 8, 3, padding=1),
            nn.Conv1d(12, 4, 3, padding=1),
        )
        self.up, self.head = nn.ConvTranspose1d(8, 8, 2, 2), nn.Linear(4, 5)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool1d(a, 2)))
        x = F.relu(self.c(torch.cat([a, self.up(b)], 1)))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.head(F.adaptive_max_pool1d(x, 1).squeeze(-1))


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.GRU(2, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])


class Eca(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.fc = (
            nn.Conv2d(3, 8, 3),
            nn.Conv1d(1, 1, 3, padding=1, bias=False),
            nn.Linear(8, 5),
        )

    def forward(self, x):
        x = F.relu(self.stem(x))
        y = F.adaptive_avg_pool2d(x, 1)
        y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        x = x * torch.sigmoid(y).expand_as(x)
        return self.fc(x.mean((2, 3)))


class GRN(nn.Module):
    eps = 1e-6

    def __init__(self, c):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.zeros(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x):  # NHWC
        gx = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        nx = gx / (gx.mean(dim=-1, keepdim=True) + self.eps)
        return self.gamma * (x * nx) + self.beta + x


class ConvNextV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.grn, self.head = nn.Conv2d(3, 8, 3), GRN(8), nn.Linear(8, 5)

    def forward(self, x):
        x = F.gelu(self.conv(x)).permute(0, 2, 3, 1)
        return self.head(self.grn(x).mean([1, 2]))


class ConvNextV2Eps(ConvNextV2):
    def __init__(self):
        super().__init__()
        self.grn.eps = 1e-2


class Maxout(nn.Module):
    """Dieleman 2015: rotations that share a branch, then maxout."""

    order = (0, 1, 2, 3)

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.out = nn.Conv2d(3, 4, 3), nn.Linear(4 * 4 * 9, 12), nn.Linear(6, 5)

    def maxout(self, x):
        return x.view(x.shape[0], 6, 2).max(dim=2)[0]

    def forward(self, x):
        parts = []
        for k in self.order:
            y = torch.rot90(x, k, (2, 3))
            parts.append(torch.flatten(F.max_pool2d(F.relu(self.conv(y)), 2), 1))
        return self.out(self.maxout(self.fc(torch.cat(parts, dim=1))))


class MaxoutOther(Maxout):
    def maxout(self, x):
        return x.view(x.shape[0], 2, 6).max(dim=1).values


class MaxoutBack(Maxout):
    order = (0, 3, 2, 1)


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)
        )

    def forward(self, x):
        return self.net(x)


class Stretched(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.5, 0.6, 0.7]).view(1, 3, 1, 1))
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def stretch(self, x):
        return torch.asinh(10 * x) / 3

    def forward(self, x):
        x = (self.stretch(x) - self.mean) / self.std
        return self.fc(torch.amax(F.relu(self.conv(x)), (2, 3)))


class StretchedLog(Stretched):
    def stretch(self, x):
        return torch.log1p(10 * x) / 3


class Down(nn.Module):
    antialias = True

    def __init__(self):
        super().__init__()
        self.a, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(
            F.relu(
                self.a(F.interpolate(x, size=(4, 4), mode="bilinear", antialias=self.antialias))
            ).mean((2, 3))
        )


class DownPlain(Down):
    antialias = False


def lamb(opt):
    return lr_scheduler.LambdaLR(opt, lambda n: 1 / (1 + 0.01 * n))


class Focal(nn.Module):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, out, t):
        logp = F.log_softmax(out, -1).gather(1, t[:, None])[:, 0]
        return (-((1 - logp.exp()) ** self.gamma) * logp).mean()


def groups(model):
    decay = [p for n, p in model.named_parameters() if p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1e-3
    )


focal = Focal()


class Standardized(nn.Module):
    unbiased = False

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        spread = x.std(dim=(1, 2, 3), unbiased=self.unbiased, keepdim=True)
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (spread + 1e-6)
        return self.fc(F.relu(self.conv(x)).amax((2, 3)))


class StandardizedUnbiased(Standardized):
    unbiased = True
