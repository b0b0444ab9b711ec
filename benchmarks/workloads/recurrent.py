"""Elman's network, T = 100 steps, hidden 128, batch 32, float32: forward and backward."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Workload, no_slower

STEPS, BATCH, INPUTS, HIDDEN = 100, 32, 128, 128


def data(rng):
    """A sequence (T, N, inputs), and weights (hidden, inputs) and (hidden, hidden)."""
    shapes = (STEPS, BATCH, INPUTS), (HIDDEN, INPUTS), (HIDDEN, HIDDEN)
    x, w, u = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    scale = np.float32(HIDDEN**-0.5)
    return x, w * scale, u * scale


def ours():
    import nn

    model = nn.RNN(INPUTS, HIDDEN)

    def prepare(x, w, u):
        zeros = np.zeros(HIDDEN, np.float32)
        for p, value in zip(model.parameters(), (w, u, zeros, zeros), strict=True):
            p.data = value
        return (x,)

    def step(x):
        model.zero_grad()
        model(x)[0].sum().backward()
        return model.weight_hh_l0.grad

    return prepare, step


def torch_cell():
    """The loop that a user writes, with RNNCell."""
    import torch

    cell = torch.nn.RNNCell(INPUTS, HIDDEN)

    def prepare(x, w, u):
        zeros = np.zeros(HIDDEN, np.float32)
        with torch.no_grad():
            for p, value in zip(cell.parameters(), (w, u, zeros, zeros), strict=True):
                p.copy_(torch.from_numpy(value))
        return (torch.from_numpy(x),)

    def step(x):
        cell.zero_grad()
        h, outputs = torch.zeros(BATCH, HIDDEN), []
        for x_t in x:
            h = cell(x_t, h)
            outputs.append(h)
        torch.stack(outputs).sum().backward()
        return cell.weight_hh.grad

    return prepare, step


ELMAN = Workload(
    name="elman",
    what="Elman network, T = 100, hidden 128, batch 32, forward and backward; torch: RNNCell loop",
    data=data,
    sides={"ours": ours, "torch": torch_cell},
    bars=(no_slower("torch"),),
)
