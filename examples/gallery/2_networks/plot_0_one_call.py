"""
One call
========

Model, loss, data: ``la.landscape`` makes objective, plane and evaluation of them, and keeps loss and accuracy.
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

result = la.landscape(model, torch.nn.functional.cross_entropy, (x, y))
print(result)
result.plot("landscape.png", quantity=("loss", "accuracy"))
result.view(export="landscape.html")
