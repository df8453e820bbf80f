"""
A small transformer
===================

A two-layer encoder reads a digit row by row. Its attention weights alone move on the left, all weights on the right.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.images[:300] / 16, dtype=torch.float32), torch.tensor(digits.target[:300])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(8, 24), nn.Linear(24, 10)
        self.place = nn.Parameter(torch.zeros(8, 24))
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(24, 2, 48, 0.0, batch_first=True), 2, enable_nested_tensor=False)

    def forward(self, rows):
        return self.head(self.layers(self.embed(rows) + self.place).mean(1))


model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
objective = la.Objective(model.eval(), nn.functional.cross_entropy, (x, y))
parts = {"attention only": "*self_attn*", "all weights": None}
surfaces = [la.evaluate(objective, la.random_plane(objective, params=p), resolution=17, title=t) for t, p in parts.items()]
la.plot(surfaces, "transformer.png")
