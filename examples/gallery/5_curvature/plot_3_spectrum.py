"""
The whole spectrum in forty products
====================================

Stochastic Lanczos quadrature: a bulk at zero and a few large eigenvalues, about one for each class.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:500] / 16, dtype=torch.float64), torch.tensor(digits.target[:500])
model = torch.nn.Sequential(torch.nn.Linear(64, 24), torch.nn.Tanh(), torch.nn.Linear(24, 10)).double()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

hessian = la.hessian_operator(la.Objective(model, torch.nn.functional.cross_entropy, (x, y)))
density = la.spectral_density(hessian, steps=40, probes=4)
nodes, weights = np.concatenate(density.nodes), np.concatenate(density.weights) / len(density.nodes)
fig, ax = plt.subplots(figsize=(7, 3))
ax.vlines(nodes, 1e-6, np.maximum(weights, 1e-6))
ax.set(
    xlabel="eigenvalue [nats]",
    ylabel="share of eigenvalues",
    yscale="log",
    title=f"{hessian.shape[0]:,} weights, trace {np.trace(hessian.dense()):.1f}",
)
fig.savefig("spectrum.png", dpi=150, bbox_inches="tight")
