"""PHYS449's C1 and C2 as their authors wrote them in PyTorch, with what they changed by it."""

import torch
import torch.nn.functional as F
from torch import nn


class C1(nn.Module):
    """Two batch norms where Keras has one, and a second ReLU after the dropout."""

    def __init__(self, size=33, classes=4):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.bn2 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(2, 2)
        self.dropout = nn.Dropout(0.5)
        self.fc1 = nn.Linear(64 * ((size - 8) // 2) ** 2, 256)
        self.fc2 = nn.Linear(256, classes)

    def forward(self, x):
        x = self.bn1(F.relu(self.conv1(x)))
        x = self.pool(self.bn2(F.relu(self.conv2(x))))
        x = torch.flatten(x, 1)
        x = F.relu(self.dropout(x))
        x = F.relu(self.fc1(x))
        return self.fc2(x)


class C2(nn.Module):
    """Four batch norms where Keras has three, and the dropout after the first dense layer."""

    def __init__(self, classes=4):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 7)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 64, 5)
        self.bn3 = nn.BatchNorm2d(64)
        self.conv4 = nn.Conv2d(64, 128, 3)
        self.bn4 = nn.BatchNorm2d(128)
        self.pool = nn.MaxPool2d(2, 2)
        self.dropout = nn.Dropout(0.5)
        self.fc1 = nn.Linear(128 * 4 * 4, 256)
        self.fc2 = nn.Linear(256, 256)
        self.fc3 = nn.Linear(256, classes)

    def forward(self, x):
        x = self.pool(self.bn1(F.relu(self.conv1(x))))
        x = self.bn2(F.relu(self.conv2(x)))
        x = self.pool(self.bn3(F.relu(self.conv3(x))))
        x = self.pool(self.bn4(F.relu(self.conv4(x))))
        x = torch.flatten(x, 1)
        x = F.relu(self.dropout(self.fc1(x)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def _one_hot_cross_entropy(outputs, labels):
    truth = F.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    return F.cross_entropy(outputs, truth)


loss = nn.CrossEntropyLoss()
one_hot = _one_hot_cross_entropy


def optimizer(parameters):
    return torch.optim.Adam(parameters, lr=2e-4)
