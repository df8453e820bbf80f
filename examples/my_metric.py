"""A metric of one's own: accuracy under attack over a plane, beside the loss and the distance in function space."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:400] / 16.0, dtype=torch.float32), torch.tensor(digits.target[:400])
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(100):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def robust(model: nn.Module) -> torch.Tensor:
    """Whether each image is still read right after one step of FGSM."""
    attacked = x.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(attacked), y), attacked)
    return model((x + 0.1 * slope.sign()).clamp(0, 1)).argmax(1) == y


robust_accuracy = la.Metric("robust_accuracy", robust, of="model", better="higher", units="fraction", protocol="FGSM, epsilon 0.1")
objective = la.Objective(model, nn.functional.cross_entropy, (x, y), split="train")
surface = la.evaluate(objective, la.random_plane(objective), resolution=15, metrics=("loss", "accuracy", "kl", robust_accuracy))
center = surface.sel(alpha=0, beta=0)
print(f"At the center: accuracy {float(center.accuracy):.3f}, under attack {float(center.robust_accuracy):.3f}", end=" ")
print(f"({float(center.robust_accuracy_lower):.3f} to {float(center.robust_accuracy_upper):.3f})")

assert float(center.kl) == 0.0  # computed by the same call as the reference
assert bool((surface.robust_accuracy <= surface.accuracy).mean() > 0.9)  # an attack seldom helps
la.plot(surface, "my_metric.png", quantity="robust_accuracy", kind="contour")
