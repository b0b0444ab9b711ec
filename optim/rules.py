"""The optimizers' formulas: one pure function each, in NumPy.

``update(g, state, w, **hyper)`` takes the gradient, the state and the weights and returns
``(step, state)``: the new weights are ``w + step``.  State is a dict of arrays and numbers, {}
to begin with; nothing is changed in place.  The optimizers run the same formulas in place, and
the tests hold them to these.
"""

import numpy as np


def sgd(g, state, w, *, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """(Stochastic) gradient descent, with momentum as PyTorch has it.

    v ← βv + (g + λw);  w ← w - ηv, with Nesterov w ← w - η(g + λw + βv) (Sutskever et al. 2013).
    Lecture C writes ΔW ← βΔW - η∇: the same steps for a constant η, ΔW = -ηv.
    """
    if weight_decay:
        g = g + weight_decay * w
    if not momentum:
        return -lr * g, state
    v = momentum * state["velocity"] + g if state else g
    return -lr * (g + momentum * v if nesterov else v), {"velocity": v}


def adam(g, state, w, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Adam (Kingma & Ba 2015, algorithm 1), weight decay as an L2 penalty.

    m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  w ← w - η m̂/(√v̂ + ε), m̂ = m/(1-β₁ᵗ),
    v̂ = v/(1-β₂ᵗ).
    """
    b1, b2 = betas
    if weight_decay:
        g = g + weight_decay * w
    t = state.get("step", 0) + 1
    m = b1 * state.get("mean", np.zeros_like(g)) + (1 - b1) * g
    v = b2 * state.get("square", np.zeros_like(g)) + (1 - b2) * np.square(g)
    step = -lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return step, {"step": t, "mean": m, "square": v}
