"""Optimizers: the formulas of `optim.rules`, run in place on the parameters' arrays.

    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

An optimizer knows nothing of graphs: it reads ``.grad`` and writes ``.data``.  Parameters without
a gradient are left alone.  Here stands what is done to one block of one array; what goes round it
is in `optim.executor`.  In all of them

lr             η, the learning rate
weight_decay   λ: adds λw to the gradient, as the penalty λ/2 ‖w‖² does (lecture D's λ is half)
eps            keeps a denominator from being 0

A pass over the arrays costs more than what is computed in it.  So running averages are kept as the
sums M ← βM + g, where m = (1-β)M is the average, and the factors 1-β go into the constants.  β may
change between steps (``optimizer.param_groups[0]["betas"] = 0.8, 0.99``): see `_decay`.
"""

import numpy as np

from .executor import Optimizer
from .rules import nadam_momenta


class SGD(Optimizer):
    """Gradient descent, with momentum if asked; see `optim.rules.sgd` for the formula.

    momentum   β in [0, 1): how much of the last step's velocity goes into the next
    nesterov   take the gradient at the point looked ahead to; needs a momentum
    """

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(
            params, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
        )
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True needs a momentum")

    def slots(self, hyper):
        """v, where there is a momentum."""
        return {"velocity": 0.0} if hyper["momentum"] else {}

    def constants(self, hyper, state):
        """η, β, and whether to look ahead."""
        return {"lr": hyper["lr"], "beta": hyper["momentum"], "nesterov": hyper["nesterov"]}

    def update(self, w, g, scratch, velocity=None, *, lr, beta, nesterov):
        """v ← βv + g;  w ← w - ηv."""
        a, *_ = scratch
        if velocity is not None:
            velocity *= beta
            velocity += g
            if nesterov:
                np.multiply(velocity, beta, out=a)
                a += g
                g = a
            else:
                g = velocity
        np.multiply(g, lr, out=a)
        w -= a


class Momentum(Optimizer):
    """Momentum with the rate inside, as lecture C has it; see `optim.rules.momentum`.

    momentum   β in [0, 1): how much of the last step goes into the next
    """

    def __init__(self, params, lr=1e-3, momentum=0.9, weight_decay=0.0):
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay)

    def slots(self, hyper):
        """ΔW."""
        return {"delta": 0.0}

    def constants(self, hyper, state):
        """η and β."""
        return {"lr": hyper["lr"], "beta": hyper["momentum"]}

    def update(self, w, g, scratch, delta, *, lr, beta):
        """Δ ← βΔ - ηg;  w ← w + Δ."""
        a, *_ = scratch
        np.multiply(g, lr, out=a)
        delta *= beta
        delta -= a
        w += delta


class Nesterov(Momentum):
    """Nesterov's momentum as lectures A and E have it; see `optim.rules.nesterov`.

    momentum   β in [0, 1): how much of the last step goes into the next
    """

    def update(self, w, g, scratch, delta, *, lr, beta):
        """Δ ← βΔ - ηg;  w ← w + βΔ - ηg."""
        a, b, *_ = scratch
        np.multiply(g, lr, out=a)
        delta *= beta
        delta -= a
        np.multiply(delta, beta, out=b)
        b -= a
        w += b


class RMSprop(Optimizer):
    """RMSprop; see `optim.rules.rmsprop` for the formula.

    alpha   γ in [0, 1): decay of the average of squares
    """

    numbers = ("squares_rate",)

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, alpha=alpha, eps=eps, weight_decay=weight_decay)

    def slots(self, hyper):
        """The sum of g²: E/(1-γ)."""
        return {"squares": 0.0}

    def constants(self, hyper, state):
        """ηg/(√E + ε) = rate · g/(√squares + eps)."""
        root = (1 - hyper["alpha"]) ** -0.5
        alpha = _decay(state, hyper["alpha"])
        return {"alpha": alpha, "rate": hyper["lr"] * root, "eps": hyper["eps"] * root}

    def update(self, w, g, scratch, squares, *, alpha, rate, eps):
        """E ← γE + (1-γ)g²;  w ← w - ηg/(√E + ε)."""
        a, *_ = scratch
        _add_square(squares, g, alpha, a)
        _divide(g, squares, rate, eps, a)
        w -= a


class Adagrad(Optimizer):
    """Adagrad; see `optim.rules.adagrad` for the formula."""

    def __init__(self, params, lr=1e-2, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr, eps=eps, weight_decay=weight_decay)

    def slots(self, hyper):
        """The sum of g²."""
        return {"total": 0.0}

    def constants(self, hyper, state):
        """η and ε."""
        return {"lr": hyper["lr"], "eps": hyper["eps"]}

    def update(self, w, g, scratch, total, *, lr, eps):
        """s ← s + g²;  w ← w - ηg/(√s + ε)."""
        a, *_ = scratch
        np.multiply(g, g, out=a)
        total += a
        _divide(g, total, lr, eps, a)
        w -= a


class Adadelta(Optimizer):
    """Adadelta; see `optim.rules.adadelta` for the formula.

    rho   ρ in [0, 1): decay of the averages of squares
    """

    numbers = ("squares_rate",)

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
        super().__init__(params, lr, rho=rho, eps=eps, weight_decay=weight_decay)

    def slots(self, hyper):
        """The sums of g² and of Δ²."""
        return {"squares": 0.0, "moved": 0.0}

    def constants(self, hyper, state):
        """η, ρ; ε beside the sums.  The sum of Δ² is read before it decays: `scale` is c/ρ."""
        rho = hyper["rho"]
        scale = state.get("squares_rate", 1 - rho) / (1 - rho)
        decay = _decay(state, rho)
        return {
            "lr": hyper["lr"], "rho": rho, "decay": decay, "scale": scale,
            "eps": hyper["eps"] / (1 - rho),
        }  # fmt: skip

    def update(self, w, g, scratch, squares, moved, *, lr, rho, decay, scale, eps):
        """Δ = g √((D + ε)/(E + ε));  w ← w - ηΔ."""
        a, b, *_ = scratch
        if scale != 1:
            moved *= scale
        _add_square(squares, g, decay, a)
        np.add(squares, eps, out=a)
        np.add(moved, eps, out=b)
        b /= a
        np.sqrt(b, out=b)
        b *= g
        _add_square(moved, b, rho, a)
        if lr != 1:
            b *= lr
        w -= b


class Adam(Optimizer):
    """Adam; see `optim.rules.adam` for the formula.

    betas   decay of the averages of gradients and of their squares, in [0, 1)
    """

    numbers = ("total_rate", "total_weight", "squares_rate", "squares_weight")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def slots(self, hyper):
        """The sums of g and g²: m/(1-β₁) and v/(1-β₂)."""
        return {"total": 0.0, "squares": 0.0}

    def constants(self, hyper, state):
        """Bias corrections, folded: η m̂/(√v̂ + ε) = rate · total/(√squares + eps)."""
        b1, weight = _corrected(state, hyper["betas"][0], "total_rate", "total_weight")
        b2, square_weight = _corrected(state, hyper["betas"][1])
        root = square_weight**0.5
        return {"b1": b1, "b2": b2, "rate": hyper["lr"] * root / weight, "eps": hyper["eps"] * root}

    def update(self, w, g, scratch, total, squares, *, b1, b2, rate, eps):
        """m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  w ← w - η m̂/(√v̂ + ε)."""
        a, *_ = scratch
        _add(total, g, b1)
        _add_square(squares, g, b2, a)
        _divide(total, squares, rate, eps, a)
        w -= a


class AdamW(Adam):
    """Adam with decoupled weight decay, w ← w - ηλw; see `optim.rules.adamw`."""

    decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)


class Adamax(Optimizer):
    """AdaMax; see `optim.rules.adamax` for the formula.

    betas   decay of the average of gradients and of the largest |g|, in [0, 1)
    """

    numbers = ("total_rate", "total_weight")

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def slots(self, hyper):
        """The sum of g, m/(1-β₁), and u."""
        return {"total": 0.0, "peak": 0.0}

    def constants(self, hyper, state):
        """η with the bias correction; β₁, β₂, ε."""
        b1, weight = _corrected(state, hyper["betas"][0], "total_rate", "total_weight")
        b2 = hyper["betas"][1]
        return {"b1": b1, "b2": b2, "rate": hyper["lr"] / weight, "eps": hyper["eps"]}

    def update(self, w, g, scratch, total, peak, *, b1, b2, rate, eps):
        """u ← max(β₂u, |g| + ε);  w ← w - η m̂/u."""
        a, *_ = scratch
        _add(total, g, b1)
        peak *= b2
        np.abs(g, out=a)
        a += eps
        np.maximum(peak, a, out=peak)
        np.divide(total, peak, out=a)
        a *= rate
        w -= a


class NAdam(Optimizer):
    """Adam with Nesterov's momentum; see `optim.rules.nadam` for the formula.

    betas            decay of the averages of gradients and of their squares, in [0, 1)
    momentum_decay   ψ: how fast μ rises to β₁
    """

    numbers = ("product", "total_rate", "squares_rate", "squares_weight")

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3
    ):
        super().__init__(
            params, lr, betas=betas, eps=eps, weight_decay=weight_decay,
            momentum_decay=momentum_decay,
        )  # fmt: skip

    def slots(self, hyper):
        """The sums of g and g², as in Adam."""
        return {"total": 0.0, "squares": 0.0}

    def constants(self, hyper, state):
        """The factors of m and g, both with η and the correction of v; "product" is μ₁…μₜ."""
        (b1, b2), step = hyper["betas"], state["step"]
        now, coming = nadam_momenta(step, b1, hyper["momentum_decay"])
        product = state["product"] = state.get("product", 1.0) * now
        keep = _decay(state, b1, "total_rate")
        keep_square, square_weight = _corrected(state, b2)
        root = square_weight**0.5
        return {
            "b1": keep,
            "b2": keep_square,
            "of_total": hyper["lr"] * root * (1 - b1) * coming / (1 - product * coming),
            "of_g": hyper["lr"] * root * (1 - now) / (1 - product),
            "eps": hyper["eps"] * root,
        }

    def update(self, w, g, scratch, total, squares, *, b1, b2, of_total, of_g, eps):
        """w ← w - (of_total · total + of_g · g)/(√squares + eps)."""
        a, b, *_ = scratch
        _add(total, g, b1)
        _add_square(squares, g, b2, a)
        np.multiply(total, of_total, out=b)
        np.multiply(g, of_g, out=a)
        b += a
        _divide(b, squares, 1, eps, a)
        w -= a


class Rprop(Optimizer):
    """Rprop; see `optim.rules.rprop` for the formula.

    lr           the first step size
    etas         factors where the sign turns and where it stays
    step_sizes   the least and the largest step
    """

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0)):
        super().__init__(params, lr, etas=etas, step_sizes=step_sizes)

    def slots(self, hyper):
        """The last gradient and the step size."""
        return {"previous": 0.0, "size": hyper["lr"]}

    def constants(self, hyper, state):
        """The factors η⁻ and η⁺; the bounds."""
        (down, up), (least, most) = hyper["etas"], hyper["step_sizes"]
        return {"down": down, "up": up, "least": least, "most": most}

    def update(self, w, g, scratch, previous, size, *, down, up, least, most):
        """Factor of the size: 1 + t (up - down)/2 + t² ((up + down)/2 - 1), t = sign(g g')."""
        t, a, spare, mask = scratch
        np.multiply(g, previous, out=t)
        _sign(t, spare, mask)
        np.multiply(t, (up + down) / 2 - 1, out=a)
        a += (up - down) / 2
        a *= t
        a += 1
        size *= a
        np.clip(size, least, most, out=size)
        np.clip(t, -1, 0, out=t)
        t += 1  # 0 where the sign has turned, otherwise 1
        np.multiply(g, t, out=previous)
        np.copyto(a, previous)
        _sign(a, spare, mask)
        a *= size
        w -= a


class Quickprop(Optimizer):
    """Quickprop; see `optim.rules.quickprop` for the formula.

    mu   μ > 0: how many times the last step a step may be
    """

    def __init__(self, params, lr=1e-2, mu=1.75, weight_decay=0.0):
        super().__init__(params, lr, mu=mu, weight_decay=weight_decay)

    def slots(self, hyper):
        """The last gradient and the last step."""
        return {"previous": 0.0, "delta": 0.0}

    def constants(self, hyper, state):
        """η and μ."""
        return {"lr": hyper["lr"], "mu": hyper["mu"]}

    def update(self, w, g, scratch, previous, delta, *, lr, mu):
        """Δ ← μΔ or Δg/(g' - g), and -ηg where the slope keeps its sign or nothing moved."""
        a, b, c, mask = scratch
        np.subtract(previous, g, out=a)
        np.equal(a, 0, out=mask)
        np.copyto(a, np.inf, where=mask)  # 0 where nothing moved
        np.divide(g, a, out=b)
        np.clip(b, -mu, mu, out=b)
        np.multiply(g, previous, out=c)
        np.abs(g, out=a)
        np.abs(previous, out=previous)
        previous *= mu / (1 + mu)
        a -= previous
        np.less_equal(c, 0, out=mask)
        np.copyto(a, -1, where=mask)
        np.greater_equal(a, 0, out=mask)  # the slope keeps its sign and has hardly fallen
        np.copyto(b, mu, where=mask)
        b *= delta
        np.equal(delta, 0, out=mask)
        np.copyto(c, 1, where=mask)
        np.greater(c, 0, out=mask)
        np.multiply(g, lr, out=a)
        np.logical_not(mask, out=mask)
        np.copyto(a, 0, where=mask)
        b -= a
        np.copyto(delta, b)
        w += b
        np.copyto(previous, g)


# --- what several of them do, with scratch `a` -------------------------------------------------


def _add(total, g, beta):
    """M ← βM + g."""
    total *= beta
    total += g


def _add_square(squares, g, beta, a):
    """V ← βV + g²."""
    np.multiply(g, g, out=a)
    squares *= beta
    squares += a


def _sign(x, spare, mask):
    """x ← its sign.  Of random signs np.sign takes ten times as long: it branches."""
    below = spare.reshape(-1).view(bool)[: x.size].reshape(x.shape)
    np.less(x, 0, out=below)
    np.greater(x, 0, out=mask)
    sign = mask.view(np.int8)
    sign -= below.view(np.int8)
    np.copyto(x, sign)


def _decay(state, beta, rate="squares_rate"):
    """c, for a sum M ← cM + g of which (1-β)M is the average m ← βm + (1-β)g.

    It is β, except in the step in which 1-β, which the state keeps under this name, changes.
    """
    now, last = 1 - beta, state.get(rate)
    if last == now:
        return beta
    state[rate] = now
    return beta if last is None else beta * (last / now)


def _corrected(state, beta, rate="squares_rate", weight="squares_weight"):
    """(c, N): `_decay`'s c, and the sum N ← cN + 1 of the weights that the gradients have in M.

    M/N is the average with its bias corrected, also for a β that varies: (1-β)N is lecture E's
    Σₖ λₖ Π(1-λₗ), l > k, with λ = 1-β.  For a constant β it is 1-βᵗ.
    """
    c = _decay(state, beta, rate)
    n = state[weight] = c * state.get(weight, 0.0) + 1.0
    return c, n


def _divide(x, squares, rate, eps, a):
    """a ← rate · x/(√squares + eps)."""
    np.sqrt(squares, out=a)
    a += eps
    np.divide(x, a, out=a)
    if rate != 1:
        a *= rate
