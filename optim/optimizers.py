"""Optimizers: the formulas of `optim.rules`, run in place on the parameters' arrays.

    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

An optimizer knows nothing of graphs: it reads ``.grad`` and writes ``.data``.  It works through
large arrays in blocks that stay in the processor's cache and allocates nothing once it has run.
"""

import numpy as np

BLOCK = 16384  # elements worked on at a time: all of a step's operands fit the L2 cache


class Optimizer:
    """Base: holds parameters and their state; a subclass updates one block of one array.

    params   Tensors that are variables; raises ValueError for none, TypeError for others
    lr       learning rate η >= 0
    """

    slots = ()  # names of the state arrays, each shaped like its parameter

    def __init__(self, params, lr, **hyper):
        if hasattr(params, "requires_grad") or not hasattr(params, "__iter__"):
            raise TypeError(
                f"{type(self).__name__}: pass a list of Tensors, such as model.parameters(), not "
                f"a single {type(params).__name__}"
            )
        self.params = list(params)
        if not self.params:
            raise ValueError(
                f"{type(self).__name__}: no parameters to optimize; pass model.parameters()"
            )
        for i, p in enumerate(self.params):
            if not getattr(p, "is_leaf", False):
                result = "the result of an operation, not an input Tensor"
                what = result if hasattr(p, "is_leaf") else f"a {type(p).__name__}, not a Tensor"
                raise TypeError(f"{type(self).__name__}: parameter {i} is {what}")
        if len({id(p) for p in self.params}) != len(self.params):
            raise ValueError(f"{type(self).__name__}: a parameter is given more than once")
        _check(self, lr=lr, **hyper)
        self.lr, self.hyper = lr, hyper
        self.state = [{} for _ in self.params]
        self._scratch = {}

    def zero_grad(self):
        """Forget the parameters' gradients."""
        for p in self.params:
            p.grad = None

    def step(self):
        """Update every parameter that has a gradient, in place.

        Raises ValueError, before anything changes, where a parameter has got another shape.
        """
        ready = [
            (p, state)
            for p, state in zip(self.params, self.state, strict=True)
            if p.grad is not None and p.requires_grad
        ]
        for p, state in ready:
            if state and state["shape"] != p.shape:
                raise ValueError(
                    f"{type(self).__name__}: a parameter had shape {state['shape']} and has "
                    f"{p.shape} now; make a new optimizer for it"
                )
        for p, state in ready:
            w, g = p.data, p.grad
            if not state:
                state |= {"step": 0, "shape": p.shape}
                state |= {name: np.zeros(p.shape, p.dtype) for name in self.slots}
            state["step"] += 1
            if type(w) is float or not w.ndim:
                p.data = self._number(w, g, state)
                continue
            w = np.asarray(w)
            flat = w.reshape(-1) if w.flags.c_contiguous else w.flatten()
            self._blocks(flat, np.ascontiguousarray(g).reshape(-1), state)
            if not w.flags.c_contiguous:
                w[...] = flat.reshape(w.shape)
            p.data = w  # says that it was written: graphs recorded before must not read it

    def _number(self, w, g, state):
        """One number's step: on an array of one element."""
        one = np.array([w])
        self._blocks(one, np.array([g], one.dtype), state)
        return float(one[0]) if type(w) is float else one.reshape(())

    def _blocks(self, w, g, state):
        constants = self.constants(state["step"])
        slots = [state[name].reshape(-1) for name in self.slots]
        a, b = self._buffers(w.dtype)
        for start in range(0, w.size, BLOCK):
            part = slice(start, start + BLOCK)
            n = min(BLOCK, w.size - start)
            self.update(w[part], g[part], a[:n], b[:n], *(s[part] for s in slots), **constants)

    def _buffers(self, dtype):
        if dtype not in self._scratch:
            self._scratch[dtype] = np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
        return self._scratch[dtype]

    def constants(self, step):
        """What is the same for all elements in step number `step`, by `update`'s names."""
        return {}

    def update(self, w, g, a, b, *slots, **constants):
        """Update the weights `w` and the state `slots` in place; a and b are scratch."""
        raise TypeError(f"{type(self).__name__} does not say how to update")

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in {"lr": self.lr, **self.hyper}.items())
        size = sum(p.size for p in self.params)
        return f"{type(self).__name__}({settings}; {size:,} numbers in {len(self.params)} arrays)"


class SGD(Optimizer):
    """Gradient descent, with momentum if asked; see `optim.rules.sgd` for the formula.

    momentum       β in [0, 1): how much of the last step's velocity goes into the next
    nesterov       take the gradient at the point looked ahead to; needs a momentum
    weight_decay   λ of the L2 penalty
    """

    def __init__(self, params, lr=1e-3, momentum=0.0, nesterov=False, weight_decay=0.0):
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True needs a momentum")
        super().__init__(
            params, lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )
        if momentum:
            self.slots = ("velocity",)

    def update(self, w, g, a, b, velocity=None):
        """v ← βv + g;  w ← w - ηv."""
        h = self.hyper
        if h["weight_decay"]:
            np.multiply(w, h["weight_decay"], out=b)
            g = np.add(b, g, out=b)
        if velocity is not None:
            velocity *= h["momentum"]
            velocity += g
            if h["nesterov"]:
                np.multiply(velocity, h["momentum"], out=a)
                g = np.add(a, g, out=a)
            else:
                g = velocity
        np.multiply(g, self.lr, out=a)
        w -= a


class Adam(Optimizer):
    """Adam; see `optim.rules.adam` for the formula.

    betas          decay of the averages of gradients and of their squares, in [0, 1)
    eps            added to the root
    weight_decay   λ of the L2 penalty
    """

    slots = ("mean", "square")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def constants(self, step):
        """Bias corrections, folded: η m̂/(√v̂ + ε) = rate · m / (√v + eps)."""
        b1, b2 = self.hyper["betas"]
        root = (1 - b2**step) ** 0.5
        return {"rate": self.lr * root / (1 - b1**step), "eps": self.hyper["eps"] * root}

    def update(self, w, g, a, b, mean, square, rate, eps):
        """m ← m + (1-β₁)(g - m);  v ← β₂v + (1-β₂)g²;  w ← w - rate · m / (√v + eps)."""
        b1, b2 = self.hyper["betas"]
        if self.hyper["weight_decay"]:
            np.multiply(w, self.hyper["weight_decay"], out=b)
            g = np.add(b, g, out=b)
        np.subtract(g, mean, out=a)
        a *= 1 - b1
        mean += a
        np.multiply(g, g, out=a)
        a *= 1 - b2
        square *= b2
        square += a
        np.sqrt(square, out=a)
        a += eps
        np.divide(mean, a, out=a)
        a *= rate
        w -= a


def _check(optimizer, **settings):
    """Raise ValueError for a setting outside its range."""
    ranges = {
        "lr": ("a finite number >= 0", lambda v: 0 <= v < float("inf")),
        "momentum": ("in [0, 1)", lambda v: 0 <= v < 1),
        "betas": ("two numbers in [0, 1)", lambda v: len(v) == 2 and all(0 <= b < 1 for b in v)),
        "eps": ("a number > 0", lambda v: v > 0),
        "weight_decay": ("a number >= 0", lambda v: v >= 0),
    }
    for name, value in settings.items():
        if name in ranges:
            wanted, holds = ranges[name]
            try:
                fine = holds(value)
            except TypeError:
                fine = False
            if not fine:
                raise ValueError(
                    f"{type(optimizer).__name__}: {name} must be {wanted}, not {value!r}"
                )
