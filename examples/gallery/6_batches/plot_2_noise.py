"""
Where gradients are noise
=========================

The variance of a mini-batch's gradient over the plane, beside the gradient itself: far out gradients are large and clear, near
the minimum they are mostly noise.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:300] / 16, dtype=torch.float64), torch.tensor(digits.target[:300])
model = torch.nn.Sequential(torch.nn.Linear(64, 10)).double()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
maps = la.gradient_noise(objective, la.random_plane(objective, seed=0), resolution=11, batch_size=10)
print(sorted(maps.data_vars))
la.plot(maps, "gradient_variance.png", quantity="gradient_variance_alpha", kind="contour")
