"""
How non-convex, everywhere on the plane
=======================================

The ratio of the smallest to the largest Hessian eigenvalue at every cell (Li et al. 2018, figure 7): near 0 where the loss is
nearly convex in all directions.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:300] / 16, dtype=torch.float32), torch.tensor(digits.target[:300])
model = torch.nn.Sequential(torch.nn.Linear(64, 12), torch.nn.Tanh(), torch.nn.Linear(12, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
surface = la.hessian_map(objective, la.random_plane(objective, seed=0), resolution=11)
la.plot(surface, "hessian_ratio.png", quantity="hessian_ratio", kind="contour")
