"""
Two optimizers on one plane
===========================

Principal components of both runs together: one plane on which both may be drawn. Neither lies wholly in it.
"""

import torch
from sklearn.datasets import load_digits

import lossatlas as la

digits = load_digits()
x, y = torch.tensor(digits.data[:800] / 16, dtype=torch.float32), torch.tensor(digits.target[:800])
runs = []
for name, make in (("SGD", lambda p: torch.optim.SGD(p, lr=0.5)), ("Adam", lambda p: torch.optim.Adam(p, lr=0.01))):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10))
    optimizer = make(model.parameters())
    with la.Recorder(None, model, optimizer, every=3, label=name) as recorder:
        for _ in range(120):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
    runs.append(recorder.trajectory)

plane, objective = la.joint_pca_plane(runs), la.Objective(model, torch.nn.functional.cross_entropy, (x, y))
paths = [la.project_trajectory(run, plane, objective) for run in runs]
ends = [torch.tensor([float(v) for path in paths for v in path[axis].values]) for axis in ("path_alpha", "path_beta")]
span = [(float(v.min() - 0.15 * (v.max() - v.min())), float(v.max() + 0.15 * (v.max() - v.min()))) for v in ends]
surface = la.evaluate(objective, plane, span, resolution=(35, 29))
la.plot([surface, *paths], "optimizers.png", kind="contour", scale="log")
la.view([surface, *paths], export="optimizers.html", view={"log": True})
