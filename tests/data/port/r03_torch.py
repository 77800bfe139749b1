from alike import started
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, zeros=(1, 1, 1, 1)):
        super().__init__()
        self.zeros = zeros
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        started(self)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(F.pad(x, self.zeros))))
        return self.head(x.mean((2, 3)))


def aligned():
    return Net((0, 1, 0, 1))
