"""
With and without shortcuts
==========================

Twenty layers of the same width on the same data for the same time. With shortcuts training finds a valley; without, it never left
the plateau.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:600] / 16, dtype=torch.float32), torch.tensor(digits.target[:600])


class Deep(torch.nn.Module):
    def __init__(self, shortcuts):
        super().__init__()
        self.first, self.last, self.shortcuts = torch.nn.Linear(64, 24), torch.nn.Linear(24, 10), shortcuts
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(24, 24) for _ in range(20))

    def forward(self, h):
        h = self.first(h)
        for layer in self.hidden:
            h = h * self.shortcuts + torch.relu(layer(h)) * (0.2 if self.shortcuts else 1)
        return self.last(h)


surfaces = []
for shortcuts, title in ((1, "with shortcuts"), (0, "without")):
    torch.manual_seed(0)
    model = Deep(shortcuts)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
    surfaces.append(la.evaluate(objective, la.random_plane(objective, seed=0), resolution=31, title=title))
la.plot(surfaces, "shortcuts.png", scale="log")
la.view(surfaces, export="shortcuts.html", view={"log": True})
