"""
A metric of one's own
=====================

The network's mean confidence over the same plane: it falls around the model and grows again far out,
where its answers are no better than chance.
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

confidence = la.Metric("confidence", lambda scores: scores.outputs.softmax(-1).amax(-1), units="fraction")
objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
surface = la.evaluate(
    objective, la.random_plane(objective, seed=0), bounds=(-2, 2), resolution=31, metrics=("loss", "accuracy", confidence)
)
la.plot(surface, "confidence.png", quantity="confidence")
la.plot(surface, "accuracy.png", quantity="accuracy")
