"""
The landscape around a classifier
=================================

A small network for handwritten digits on a filter-normalized random plane: loss, and the accuracy that stays good far further
out.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y), split="train")
surface = la.evaluate(objective, la.random_plane(objective, seed=0), resolution=41, metrics=("loss", "accuracy"))
la.plot(surface, "loss.png")
la.plot(surface, "accuracy.png", quantity="accuracy")
la.view(surface, export="classifier.html")
