"""
A convolutional network with BatchNorm
======================================

On a log scale the valley goes on down to the model; on a linear one its floor looks flat.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32), torch.tensor(digits.target)
layers = [
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(60):
    rows = torch.randint(0, len(x), (128,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
    optimizer.step()

objective = la.Objective(model.eval(), nn.functional.cross_entropy, (x[:256], y[:256]), split="train")
surface = la.evaluate(objective, la.random_plane(objective, seed=0), resolution=31, title="8-16 convolutions, BatchNorm")
la.plot(surface, "convolutional.png", scale="log")
la.view(surface, export="convolutional.html", view={"log": True})
