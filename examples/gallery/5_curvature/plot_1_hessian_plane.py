"""
A saddle that a random plane hides
==================================

After five steps of training the Hessian has strongly negative eigenvalues. The random plane shows a bowl; the plane of the
extreme eigenvectors does not.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(5):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
curved = la.hessian_plane(objective)
print("eigenvalues:", [round(value, 3) for value in curved.construction["eigenvalues"]])
random = la.evaluate(objective, la.random_plane(objective, seed=0), (-0.5, 0.5), 25, title="random plane")
surface = la.evaluate(objective, curved, (-1, 1), 25, title="extreme eigenvectors")
la.plot(random, "random_plane.png")
la.plot(surface, "hessian_plane.png")
la.view(surface, export="hessian_plane.html")
