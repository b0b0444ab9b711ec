"""Random draws: every draw is a node, made by an operation that keeps how to repeat it.

A draw takes ``like``, the array whose shape (and kind of array) it follows: under `vmap`
examples so get draws of their own.  Its node's options hold the generator and the generator's
state before the draw, so that a recomputation can draw the same again.  Draws do not depend on
``like``'s values: their derivative is zero.

For an array on a GPU NumPy's generators draw as for one of NumPy's, the same numbers, which are
copied there.  A generator of the array's own package, such as ``cupy.random.default_rng(0)``,
draws there; what it drew cannot be repeated, as `checkpoint` would have to.
"""

import os
import threading
from contextlib import contextmanager

import numpy as np

from ..costs import drawn
from ..families import elementwise
from ..primitive import is_foreign, telling
from ..repeat import draw as repeatable

_lock, _lending = threading.Lock(), threading.RLock()
_default = None  # made when first asked for: np.random takes a while to import


@telling
def seed(n):
    """Start the default generator anew, for this process and all its threads.

    Everything random takes a ``generator`` of its own too; without one, this is drawn from.  A
    process that is forked, or spawned, begins with a default generator of its own, from the
    system's entropy, whatever was seeded here; other generators are copied by a fork, so give
    each worker one of ``np.random.default_rng(n).spawn(workers)``.

    >>> seed(0)
    >>> first = uniform(np.zeros(3))
    >>> seed(0)
    >>> bool((uniform(np.zeros(3)) == first).all())
    True
    """
    global _default
    _default = np.random.default_rng(n)


def generator_or_default(generator=None):
    """`generator`, or the default one where that is None."""
    global _default
    if generator is not None and not hasattr(generator, "integers"):
        raise TypeError(
            f"generator is a numpy.random.Generator, such as np.random.default_rng(0), or None; "
            f"got {generator!r}"
        )
    if generator is None and _default is None:
        with _lock:
            if _default is None:  # no other thread has come before
                _default = np.random.default_rng()
    return _default if generator is None else generator


@contextmanager
def drawing_from(generator):
    """Inside, the default generator draws what `generator` would; behind, it is as it was.

    One at a time: threads wait.
    """
    with _lending:
        default = generator_or_default().bit_generator
        state = default.state
        default.state = generator.bit_generator.state
        try:
            yield
        finally:
            generator.bit_generator.state, default.state = default.state, state


def _begin_forked():
    """In the child of a fork: no generator of the parent's, and no lock that a thread there has."""
    global _default, _lock, _lending
    _default, _lock, _lending = None, threading.Lock(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_forked)


def _draw(forward, name, doc):
    def bind(args, options):
        given = options.pop("generator", None)
        args, options = draw.canonical(args, options)
        generator, state = repeatable(generator_or_default(given))
        return args, options | {"generator": generator, "state": state}

    draw = elementwise(forward, None, name=name, bind=bind, cost=drawn(name), doc=doc)
    return draw


def _uniform(like, *, generator, state, low=0.0, high=1.0):
    draw = generator.uniform(low, high, np.shape(like))
    return beside(draw, like).astype(_dtype(like), copy=False)


def _normal(like, *, generator, state, mean=0.0, std=1.0):
    draw = beside(generator.standard_normal(np.shape(like)), like)
    return (mean + std * draw).astype(_dtype(like), copy=False)


def _bernoulli(like, *, generator, state, p):
    return beside(generator.random(np.shape(like), np.float32), like) < p


def beside(draw, like):
    """What was drawn, where `like` is: what NumPy's generators draw is copied to a device."""
    return np.asarray(draw, like=like) if is_foreign(like) and not is_foreign(draw) else draw


def _dtype(like):
    """The dtype of real draws: like's, unless that holds no fractions."""
    dtype = getattr(like, "dtype", np.dtype(float))
    return dtype if dtype.kind in "fc" else np.dtype(float)


uniform = _draw(
    _uniform, "uniform", "Uniform draws in [low, high) of like's shape: uniform(like, low=, high=)."
)
normal = _draw(_normal, "normal", "Normal draws of like's shape: normal(like, mean=, std=).")
bernoulli = _draw(
    _bernoulli, "bernoulli", "True with probability p, of like's shape: bernoulli(like, p=)."
)
