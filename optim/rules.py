"""The optimizers' formulas: one pure function each, in NumPy.

``update(g, state, w, **hyper)`` takes the gradient, the state and the weights and returns
``(step, state)``: the new weights are ``w + step``.  State is a dict of arrays and numbers, {}
to begin with; nothing is changed in place.  The optimizers run the same formulas in place, and
the tests hold them to these.

η   learning rate                 g   gradient at the weights w
β   decay of a running average    λ   ``weight_decay``: adds λw to g, unless said otherwise

λw is what the penalty λ/2 ‖w‖² adds, as in PyTorch; lecture D writes the penalty λ‖w‖² and so
2λw: its λ is half of ours.
"""

import numpy as np

from autograd.payload import real
from autograd.primitive import telling


@telling
def sgd(g, state, w, *, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    """(Stochastic) gradient descent, with momentum as PyTorch has it.

    v ← βv + (g + λw);  w ← w - ηv, with Nesterov w ← w - η(g + λw + βv) (Sutskever et al. 2013).
    The same steps as `momentum` and `nesterov` for a constant η.
    """
    g = _decayed(g, state, w, weight_decay)
    if not momentum:
        return -lr * g, state
    v = momentum * state["velocity"] + g if state else g
    return -lr * (g + momentum * v if nesterov else v), {"velocity": v}


@telling
def momentum(g, state, w, *, lr, momentum=0.9, weight_decay=0.0):
    """Momentum as lecture C writes it: the last step goes on, ΔW ← βΔW - ηg;  w ← w + ΔW.

    η is inside the average: when it falls, steps already under way keep their size, where
    PyTorch's `sgd` scales them down too.
    """
    g = _decayed(g, state, w, weight_decay)
    step = momentum * state.get("delta", np.zeros_like(g)) - lr * g
    return step, {"delta": step}


@telling
def nesterov(g, state, w, *, lr, momentum=0.9, weight_decay=0.0):
    """Nesterov's momentum: the gradient is taken at the point looked ahead to (lectures A, E).

    Lecture E: u ← z - ηg(z);  z ← u + β(u - u'), u' the last u.  What is kept as weights is z,
    where the gradient is wanted, and Δ = u - u':  Δ ← βΔ - ηg;  z ← z + βΔ - ηg.
    """
    g = _decayed(g, state, w, weight_decay)
    delta = momentum * state.get("delta", np.zeros_like(g)) - lr * g
    return momentum * delta - lr * g, {"delta": delta}


@telling
def rmsprop(g, state, w, *, lr, alpha=0.99, eps=1e-8, weight_decay=0.0):
    """RMSprop: steps as large as the gradient is beside its usual size (lecture C, γ = alpha).

    E ← γE + (1-γ)g²;  w ← w - ηg/(√E + ε).  The lecture has √(E + ε); PyTorch as here.
    """
    g = _decayed(g, state, w, weight_decay)
    square = alpha * state.get("square", np.zeros_like(g)) + (1 - alpha) * np.square(g)
    return -lr * g / (np.sqrt(square) + eps), {"square": square}


@telling
def adagrad(g, state, w, *, lr, eps=1e-10, weight_decay=0.0):
    """Adagrad (Duchi et al. 2011; lecture E): s ← s + g²;  w ← w - ηg/(√s + ε)."""
    g = _decayed(g, state, w, weight_decay)
    total = state.get("total", np.zeros_like(g)) + np.square(g)
    return -lr * g / (np.sqrt(total) + eps), {"total": total}


@telling
def adadelta(g, state, w, *, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    """Adadelta (Zeiler 2012): steps in the units of the weights.

    E ← ρE + (1-ρ)g²;  Δ = g √(D + ε)/√(E + ε);  D ← ρD + (1-ρ)Δ²;  w ← w - ηΔ.
    """
    g = _decayed(g, state, w, weight_decay)
    square = rho * state.get("square", np.zeros_like(g)) + (1 - rho) * np.square(g)
    moved = state.get("moved", np.zeros_like(g))
    delta = g * np.sqrt((moved + eps) / (square + eps))
    moved = rho * moved + (1 - rho) * np.square(delta)
    return -lr * delta, {"square": square, "moved": moved}


@telling
def adam(g, state, w, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Adam (Kingma & Ba 2015, algorithm 1), weight decay as an L2 penalty.

    m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  w ← w - η m̂/(√v̂ + ε), m̂ = m/(1-Πβ₁),
    v̂ = v/(1-Πβ₂), Πβ over all steps: βᵗ for a constant β, as the paper writes it.

    1-Πβ is lecture E's correction Σₖ λₖ Π(1-λₗ), l > k, with λ = 1-β, for a β that varies too.
    The lecture writes √(v̂ + ε).
    """
    g = _decayed(g, state, w, weight_decay)
    return _adam(g, state, lr, betas, eps)


@telling
def adamw(g, state, w, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    w ← w - ηλw, and then Adam's step: the decay is not divided by √v̂.
    """
    step, state = _adam(_decayed(g, state, w), state, lr, betas, eps)
    return step - lr * weight_decay * real("the weights w", w), state


def _adam(g, state, lr, betas, eps):
    b1, b2 = betas
    p1, p2 = b1 * state.get("product", 1.0), b2 * state.get("square_product", 1.0)
    m = b1 * state.get("mean", np.zeros_like(g)) + (1 - b1) * g
    v = b2 * state.get("square", np.zeros_like(g)) + (1 - b2) * np.square(g)
    step = -lr * (m / (1 - p1)) / (np.sqrt(v / (1 - p2)) + eps)
    return step, {"product": p1, "square_product": p2, "mean": m, "square": v}


@telling
def adamax(g, state, w, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """AdaMax (Kingma & Ba 2015, algorithm 2): the largest recent |g| in the place of √v̂.

    m ← β₁m + (1-β₁)g;  u ← max(β₂u, |g| + ε);  w ← w - η/(1-Πβ₁) m/u, Πβ₁ as in `adam`.  ε is
    PyTorch's: it keeps u from being 0.
    """
    b1, b2 = betas
    g = _decayed(g, state, w, weight_decay)
    product = b1 * state.get("product", 1.0)
    m = b1 * state.get("mean", np.zeros_like(g)) + (1 - b1) * g
    u = np.maximum(b2 * state.get("peak", np.zeros_like(g)), np.abs(g) + eps)
    return -lr / (1 - product) * m / u, {"product": product, "mean": m, "peak": u}


@telling
def nadam(g, state, w, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=0.004):
    """Adam with Nesterov's momentum (Dozat 2016), μ rising towards β₁.

    μₜ = β₁(1 - 0.96^(tψ)/2);  m, v as in Adam;
    w ← w - η(μₜ₊₁m/(1 - μ₁…μₜ₊₁) + (1-μₜ)g/(1 - μ₁…μₜ))/(√v̂ + ε).
    """
    b1, b2 = betas
    g = _decayed(g, state, w, weight_decay)
    t = state.get("step", 0) + 1
    now, coming = nadam_momenta(t, b1, momentum_decay)
    product, p2 = state.get("product", 1.0) * now, b2 * state.get("square_product", 1.0)
    m = b1 * state.get("mean", np.zeros_like(g)) + (1 - b1) * g
    v = b2 * state.get("square", np.zeros_like(g)) + (1 - b2) * np.square(g)
    ahead = coming / (1 - product * coming) * m + (1 - now) / (1 - product) * g
    step = -lr * ahead / (np.sqrt(v / (1 - p2)) + eps)
    return step, {"step": t, "product": product, "square_product": p2, "mean": m, "square": v}


def nadam_momenta(t, beta, momentum_decay):
    """μₜ and μₜ₊₁ of `nadam`."""
    return tuple(beta * (1 - 0.5 * 0.96 ** (s * momentum_decay)) for s in (t, t + 1))


@telling
def rprop(g, state, w, *, lr, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0)):
    """Rprop (Riedmiller & Braun 1993; lecture C): only the gradient's sign counts.

    Each weight's step size, η at first, grows by etas[1] while the sign stays and shrinks by
    etas[0] where it turns; there, as in PyTorch, the weight waits one step.  For gradients of
    all the data: of minibatches the signs turn by chance.
    """
    g = _decayed(g, state, w)
    previous = state.get("previous", np.zeros_like(g))
    turn = np.sign(g * previous)
    factor = np.where(turn > 0, etas[1], np.where(turn < 0, etas[0], 1.0)).astype(g.dtype)
    size = np.clip(state.get("size", np.full_like(g, lr)) * factor, *step_sizes)
    g = np.where(turn < 0, np.zeros_like(g), g)
    return -np.sign(g) * size, {"previous": g, "size": size}


@telling
def quickprop(g, state, w, *, lr, mu=1.75, weight_decay=0.0):
    """Quickprop (Fahlman 1988; lecture C): jump to the minimum of a parabola, weight by weight.

    Through the slopes g and g' of this and the last step Δ' goes a parabola with its minimum at
    Δ = Δ'g/(g' - g).  Where the slope has kept its sign, -ηg is added; where it has hardly
    fallen (g/g' > μ/(1+μ)) or grown, Δ = μΔ', and no Δ is above μ|Δ'|.  Where nothing moved,
    Δ = -ηg.  For gradients of all the data.
    """
    g = _decayed(g, state, w, weight_decay)
    if not state:
        return -lr * g, {"previous": g, "delta": -lr * g}
    before, delta = state["previous"], state["delta"]
    fall = before - g
    ratio = np.clip(g / np.where(fall == 0, np.inf, fall), -mu, mu)  # 0 where nothing moved
    onward = g * before > 0
    far = onward & (np.abs(g) >= mu / (1 + mu) * np.abs(before))
    jump = np.where(far, np.full_like(g, mu), ratio) * delta
    step = jump - np.where(onward | (delta == 0), lr * g, np.zeros_like(g))
    return step, {"previous": g, "delta": step}


def _decayed(g, state, w, weight_decay=0.0):
    """g + λw, of arguments that are found to be what they are to be."""
    g, w = real("the gradient g", g), real("the weights w", w)
    if np.shape(g) != np.shape(w):
        raise ValueError(f"g and w are of one shape, these have {np.shape(g)} and {np.shape(w)}")
    if not isinstance(state, dict):
        raise TypeError(f"state is a dict, {{}} to begin with, not a {type(state).__name__}")
    return g + weight_decay * w if weight_decay else g
