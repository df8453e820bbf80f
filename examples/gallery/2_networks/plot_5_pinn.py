"""
A physics-informed network
==========================

The loss is a differential equation's residual: u'' = −π² sin(πx), u(0) = u(1) = 0. No labels, no (x, y): any function of the
weights will do.
"""

import math

import torch
from torch.func import functional_call, grad, vmap

import lossatlas as la

net = torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
points = torch.linspace(0, 1, 33, dtype=torch.float64)


def residual(params, x):
    """Squared residual at each point, and the boundary's share of the mean."""
    u = lambda s: functional_call(net, params, (s.reshape(1, 1),)).squeeze()  # noqa: E731
    inside = vmap(grad(grad(u)))(x) + math.pi**2 * torch.sin(math.pi * x)
    return inside**2 + 10 * (u(torch.zeros(1, dtype=x.dtype)) ** 2 + u(torch.ones(1, dtype=x.dtype)) ** 2)


optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(200):
    optimizer.zero_grad()
    residual(dict(net.named_parameters()), points).mean().backward()
    optimizer.step()
params = {name: p.detach() for name, p in net.named_parameters()}
objective = la.Objective(residual, params=params, data=points, units="1")
surface = la.evaluate(
    objective, la.random_plane(objective, seed=0, biases=True), bounds=(-0.5, 0.5), resolution=25, title="Poisson, one dimension"
)
la.plot(surface, "pinn.png", scale="log")
la.view(surface, export="pinn.html", view={"log": True})
