"""Minimizers of whole functions: SciPy's, given exact derivatives and arguments of any nesting.

SciPy works on one vector.  Here the leaves of a nested container (lists, tuples, dicts, Modules)
are strung together to that vector, in double precision whatever the leaves' dtype, and value,
gradient, Hessian times vector and Jacobian come from autograd.
"""

import copy
import functools
import math

import numpy as np

from autograd import Tensor, hessian, hvp, jacobian, value_and_grad
from autograd.lazy import computed
from autograd.payload import base_array
from autograd.primitive import telling
from autograd.tree import flatten, paths

WITHOUT_GRADIENT = ("nelder-mead", "powell", "cobyla", "cobyqa")
BY_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")  # Hessian times vector
BY_HESSIAN = ("dogleg", "trust-exact")


@telling
def minimize(f, x0, method="L-BFGS-B", **settings):
    """Minimize `f`, a function of `x0` that returns one number, with `scipy.optimize.minimize`.

    x0         an array, number, or any nesting of lists, tuples, dicts and Modules with such;
               f gets the same structure.  It stays as it is
    method     SciPy's: "BFGS", "L-BFGS-B" and "CG" take the gradient, "Newton-CG", "trust-ncg",
               "trust-krylov" and "trust-constr" Hessian-vector products too, "trust-exact" and
               "dogleg" the Hessian
    settings   SciPy's ``tol``, ``options``, ``bounds``, ``callback`` and so on, for the vector
               of all elements in the order of the leaves

    Returns SciPy's result; its ``x`` is a container like `x0`, with the dtypes of `x0`.  Where f
    computes with Dask's arrays, each evaluation computes value and gradient in one go through them.

    >>> found = minimize(
    ...     lambda p: (p["a"] - 1) ** 2 + np.sum((p["b"] - p["a"]) ** 2),
    ...     {"a": 0.0, "b": np.zeros(2)},
    ... )
    >>> {
    ...     name: value.round(4) if name == "b" else round(value, 4)
    ...     for name, value in found.x.items()
    ... }
    {'a': 1.0, 'b': array([1., 1.])}
    """
    import scipy.optimize

    start, g = _on_a_vector("minimize", f, x0)
    name = method.lower() if isinstance(method, str) else ""
    derivatives = {} if name in WITHOUT_GRADIENT else {"jac": True}
    if name in BY_PRODUCTS:
        derivatives["hessp"] = lambda v, u: _one(
            hvp(g, (v,), (u.astype(float),))[0]  # SciPy tries int8
        )
    if name in BY_HESSIAN:
        derivatives["hess"] = hessian(g)
    both = value_and_grad(g)

    def value(v):
        return _number(g(v))

    def value_and_slope(v):
        result, slope = computed(*both(v))
        return _number(result), slope

    found = scipy.optimize.minimize(
        value_and_slope if "jac" in derivatives else value,
        start,
        method=method,
        **{**derivatives, **settings},
    )
    found.x = _like(x0, found.x)
    return found


@telling
def least_squares(f, x0, method="trf", sparse=False, **settings):
    """Minimize half the sum of squares of the residuals f(x), with `scipy.optimize.least_squares`.

    f          returns an array of residuals, of any shape
    x0         as for `minimize`
    method     SciPy's: "lm" (Levenberg-Marquardt; needs as many residuals as variables), "trf",
               "dogbox"
    sparse     whether each residual depends on few of many variables: the Jacobian is found
               compressed, and SciPy solves with it by iteration ("trf" and "dogbox"), so that
               nothing of residuals times variables is ever in memory
    settings   SciPy's ``bounds``, ``loss``, ``xtol`` and so on

    Returns SciPy's result; its ``x`` is a container like `x0`.

    >>> t = np.array([0.0, 1.0, 2.0])
    >>> found = least_squares(
    ...     lambda p: p[0] * np.exp(-p[1] * t) - [2.0, 1.0, 0.5], [1.0, 1.0], "lm"
    ... )
    >>> [round(value, 4) for value in found.x]
    [2.0, 0.6931]
    """
    import scipy.optimize

    start, residuals = _on_a_vector("least_squares", f, x0)

    def g(v):
        return np.ravel(residuals(v))

    tall = start.size <= math.prod(np.shape(g(start)))
    mode = "auto" if sparse else "forward" if tall else "reverse"
    slopes = jacobian(g, mode=mode, sparse=sparse)
    found = scipy.optimize.least_squares(
        lambda v: _one(g(v)),
        start,
        jac=lambda v: _one(slopes(v)),
        method=method,
        **settings,
    )
    found.x = _like(x0, found.x)
    return found


def _on_a_vector(caller, f, x0):
    """The leaves of `x0` as one vector, and `f` as a function of that vector."""
    leaves, rebuild = flatten(x0)
    values = [base_array(np.asanyarray(_value(leaf))) for leaf in leaves]
    for value, path in zip(values, paths(x0), strict=True):
        if value.dtype.kind != "f":
            raise TypeError(f"{caller}: x0{path} is {value.dtype}: floats are wanted")
    start = np.concatenate([np.ravel(value).astype(float) for value in values] or [[]])
    if not start.size:
        raise ValueError(f"{caller}: x0 has no numbers to vary")
    ends = np.cumsum([value.size for value in values])

    @functools.wraps(f, updated=())
    def on_a_vector(v):
        parts = [
            v[end - value.size : end].reshape(value.shape)
            for value, end in zip(values, ends, strict=True)
        ]
        return f(rebuild(parts))

    return start, on_a_vector


def _like(x0, vector):
    """A container like `x0` with the numbers of the vector."""
    new = copy.deepcopy(x0)
    leaves, rebuild = flatten(new, by_value=False)
    start, found = 0, []
    for leaf in leaves:
        old = _value(leaf)
        size = math.prod(np.shape(old))
        value = vector[start : start + size].reshape(np.shape(old))
        start += size
        value = value.astype(old.dtype) if hasattr(old, "dtype") else float(value)
        if isinstance(leaf, Tensor):
            leaf.data = value
            value = leaf
        found.append(value)
    return new if hasattr(new, "__tree__") else rebuild(found)


def _number(result):
    return float(np.reshape(_one(result), ()))


def _one(value):
    return computed(value)[0]


def _value(leaf):
    return leaf.data if isinstance(leaf, Tensor) else leaf
