"""
Is it only the order of the neurons?
====================================

A network's neurons can be shuffled without changing what it computes. Matched first (Ainsworth et al. 2022), two networks may lie
much closer.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])


def trained(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


a, b = trained(0), trained(1)
loss = torch.nn.functional.cross_entropy
objective = la.Objective(a, loss, (x, y))
matching = la.match_weights(la.Objective(b, loss, (x, y)), a)
lines = [la.barrier(objective, a, b, title="as trained"), la.barrier(objective, a, matching.module, title="neurons matched")]
print([f"{line.attrs['barrier']['loss']:.3f} nats" for line in lines])
la.plot(lines, "permutation.png")
