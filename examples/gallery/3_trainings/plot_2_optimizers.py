"""
Two optimizers on one plane
===========================

``la.compare``: principal components of both runs together make one plane on which both may be drawn. Neither lies wholly in it.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])
runs = {}
for name, make in (("SGD", lambda p: torch.optim.SGD(p, lr=0.5)), ("Adam", lambda p: torch.optim.Adam(p, lr=0.01))):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10))
    optimizer = make(model.parameters())
    with la.Recorder(None, model, optimizer, every=3) as recorder:
        for _ in range(120):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
    runs[name] = recorder.trajectory

result = la.compare(runs, model, torch.nn.functional.cross_entropy, (x, y), metrics=("loss",))
result.plot("optimizers.png")
result.view(export="optimizers.html")
