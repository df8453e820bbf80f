"""
An adapter and the weights it stands for
========================================

A LoRA adapter W + BA. A plane in (A, B) bends what is straight in W: two landscapes of one fine-tuning, and only one is of the
weights.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])


class Adapted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.base = torch.nn.Linear(64, 10).requires_grad_(False)
        self.lora_a, self.lora_b = torch.nn.Parameter(torch.randn(4, 64) / 8), torch.nn.Parameter(torch.zeros(10, 4))

    def forward(self, inputs):
        return self.base(inputs) + inputs @ self.lora_a.T @ self.lora_b.T


model = Adapted()
optimizer = torch.optim.Adam([model.lora_a, model.lora_b], lr=0.02)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
merged = torch.nn.Linear(64, 10)
merged.load_state_dict({"weight": model.base.weight + (model.lora_b @ model.lora_a).detach(), "bias": model.base.bias})
surfaces = []
for module, chosen, title in ((model, "lora_*", "adapter landscape (A, B)"), (merged, "weight", "weight landscape (W)")):
    objective = la.Objective(module, torch.nn.functional.cross_entropy, (x, y))
    surfaces.append(la.evaluate(objective, la.random_plane(objective, params=chosen), resolution=25, title=title))
la.plot(surfaces, "lora.png")
