"""The same networks as PyTorch's users write them, and some that differ in one place."""

import torch
from torch import nn
from torch.nn import functional as F


class ConvNext(nn.Module):
    epsilon = 1e-6

    def __init__(self):
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8, eps=1e-6)
        self.depthwise, self.norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8)
        self.norm.eps = self.epsilon
        self.up, self.down, self.head = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 5)
        self.gamma = nn.Parameter(0.1 * torch.ones(8, 1, 1))
        self.last = nn.RMSNorm(8, eps=1e-6)

    def forward(self, x):
        skip = self.norm0(self.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.norm(self.depthwise(skip).permute(0, 2, 3, 1))
        x = self.down(F.gelu(self.up(x))).permute(0, 3, 1, 2)
        return self.head(self.last((self.gamma * x + skip).mean([-2, -1])))


class WiderNorm(ConvNext):
    epsilon = 1e-5


class Unscaled(ConvNext):
    def __init__(self):
        super().__init__()
        del self.gamma
        self.gamma = 1.0


class Cbam(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.attend = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(2, 1, 7, bias=False)
        self.head = nn.Linear(8, 5)

    def second(self, x):
        return torch.max(x, dim=1, keepdim=True)[0]

    def forward(self, x):
        x = F.relu(self.conv(x))
        both = torch.cat([torch.mean(x, 1, keepdim=True), self.second(x)], 1)
        gate = torch.sigmoid(self.attend(F.pad(both, (3, 3, 3, 3))))
        return self.head(F.adaptive_avg_pool2d(gate * x, 1).flatten(1))


class CbamOfLeast(Cbam):
    def second(self, x):
        return torch.min(x, dim=1, keepdim=True)[0]


class Vit(nn.Module):
    heads = 2

    def __init__(self):
        super().__init__()
        self.stem, self.places = nn.Conv2d(3, 12, 4, 4), nn.Parameter(torch.randn(1, 16, 12))
        self.norms = nn.ModuleList(nn.LayerNorm(12, eps=1e-6) for _ in range(3))
        self.attention = nn.MultiheadAttention(12, self.heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2) + self.places
        y = self.norms[0](x)
        x = x + self.attention(y, y, y)[0]
        return self.head(self.norms[2](x + self.mlp(self.norms[1](x))).mean(1))


class FourHeads(Vit):
    heads = 4


class Dropping(Vit):
    def __init__(self):
        super().__init__()
        self.attention.dropout = 0.1


class ByHand(Vit):
    """Attention of one dense layer for query, key and value."""

    def __init__(self):
        super().__init__()
        del self.attention
        self.three, self.out = nn.Linear(12, 36), nn.Linear(12, 12)

    def attend(self, x):
        q, k, v = self.three(x).reshape(len(x), 16, 3, 2, 6).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.out(x.transpose(1, 2).reshape(len(x), 16, 12))

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2) + self.places
        x = x + self.attend(self.norms[0](x))
        return self.head(self.norms[2](x + self.mlp(self.norms[1](x))).mean(1))


class Doubled(ByHand):
    """Its query, key and value are more than a dense layer."""

    def attend(self, x):
        q, k, v = (self.three(x) * 1.5).reshape(len(x), 16, 3, 2, 6).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.out(x.transpose(1, 2).reshape(len(x), 16, 12))


class Tokens(nn.Module):
    """A learned token ahead of the rows, and PyTorch's own encoder."""

    def __init__(self):
        super().__init__()
        self.stem, self.token = nn.Conv2d(3, 12, 4, 4), nn.Parameter(torch.zeros(1, 1, 12))
        layer = nn.TransformerEncoderLayer(12, 2, 24, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        return self.head(self.encoder(x)[:, 0])


class Patches(nn.Module):
    order = (0, 2, 4, 1, 3, 5)

    def __init__(self):
        super().__init__()
        self.rows, self.head = nn.Linear(48, 6), nn.Linear(96, 5)

    def forward(self, x):
        x = x.reshape(len(x), 3, 4, 4, 4, 4).permute(self.order).reshape(len(x), 16, 48)
        return self.head(F.gelu(self.rows(x)).flatten(1))


class WrongView(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.head = nn.Linear(3, 6), nn.Linear(6, 5)

    def forward(self, x):
        return self.head(F.gelu(self.rows(self.turned(x))).mean((1, 2)))

    def turned(self, x):
        return x.reshape(len(x), 16, 16, 3)


class RightView(WrongView):
    def turned(self, x):
        return x.permute(0, 2, 3, 1)


class Shuffled(nn.Module):
    groups = 2

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=2)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.one(x)
        if self.groups:
            x = x.view(len(x), self.groups, -1, 16, 16).transpose(1, 2).reshape(len(x), 8, 16, 16)
        return self.head(F.relu_(self.two(x)).amax((2, 3)))


class ShuffledInFour(Shuffled):
    groups = 4


class NotShuffled(Shuffled):
    groups = 0


class First(nn.Module):
    rate = 0.2

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.drop = nn.LazyConv2d(6, 3, 2), nn.LazyBatchNorm2d(), nn.Dropout2d
        self.conv.register_forward_pre_hook(lambda _, given: F.pad(given[0], (0, 1, 0, 1)))
        self.drop, self.grow = nn.Dropout2d(self.rate), nn.ConvTranspose2d(6, 4, 2, 2)
        self.head = nn.LazyLinear(5)

    def forward(self, x):
        x = F.interpolate(self.drop(F.relu(self.norm(self.conv(x)))), scale_factor=2)
        x = self.grow(F.pad(x, [1] * 4))
        return self.head(F.avg_pool2d(torch.cat((x, x), 1), 4).flatten(1))


class FirstLess(First):
    rate = 0.1


class Gates(nn.Module):
    """A one-dimensional convolution over the channels, which is not read."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 8, 3), nn.Conv1d(1, 1, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.conv(x)
        gate = torch.sigmoid(self.gate(x.mean((2, 3)).unsqueeze(1))).squeeze(1)
        return self.head((x * gate[:, :, None, None]).mean((2, 3)))


class Blurred(nn.Module):
    """A kernel that is no weight."""

    share = 9

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", torch.ones(3, 1, 3, 3) / self.share)
        self.head = nn.Linear(3, 5)

    def forward(self, x):
        return self.head(F.conv2d(x, self.kernel, stride=2, groups=3).mean((2, 3)))


class BlurredLess(Blurred):
    share = 8


class Limited(nn.Module):
    """The largest of many limited numbers hides the scale of the pictures from the outputs."""

    scale = 4.0

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        largest = torch.clamp(x * self.scale, -1.0, 1.0).amax((2, 3))
        return self.head(torch.cat([largest, x[:, :, 0, 0]], 1))


class LimitedMore(Limited):
    scale = 5.0


class Grown(nn.Module):
    """As wide_flax.Grown."""

    def __init__(self, cut=1):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.InstanceNorm2d(8, 1e-6, affine=True)
        self.two, self.one = nn.ConvTranspose2d(8, 6, 4, 2, cut), nn.ConvTranspose2d(6, 4, 2, 2)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = F.gelu(self.norm(self.conv(x)), approximate="tanh")
        return self.head(self.one(F.silu(self.two(x))).mean((2, 3)))


def cut_more():
    return Grown(2)


loss = nn.CrossEntropyLoss()


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def decayed(model):
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [{"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]
    groups = [{"params": kernels}, *others]
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.05, eps=1e-30)


def decayed_all(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05, eps=1e-30)
