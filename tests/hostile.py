"""Good calls of every public function, and what they are called with instead.

`CALLS` has a call with good arguments for each public name; `DATA`, `SETTINGS` and `OBJECTS` the
hostile inputs that take the place of an array, of a setting and of anything else.
"""

import inspect
import tempfile
from pathlib import Path

import numpy as np

import autograd
import nn
import optim
from autograd import Tensor

ANY = "any"  # for the reference: whatever is answered
SAME = "same"  # the answer for the good argument


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def rng():
    return np.random.default_rng(0)


# --- hostile inputs -------------------------------------------------------------------------------


class Sub(np.ndarray):
    """An array of a subclass that computes as arrays do."""


class Convertible:
    """No array, but NumPy makes one of it."""

    def __init__(self, x):
        self.x = x

    def __array__(self, dtype=None, copy=None):
        return np.array(self.x, dtype)


def strided(x):
    """x, every other element of its memory."""
    return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    y = memory[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def repeated(x):
    """x's first row for all, in one row's memory."""
    return np.broadcast_to(x[:1], x.shape) if x.ndim else x


def structured(x):
    return np.zeros(x.shape, [("a", float), ("b", int)])


def whole(x):
    return np.round(x)


def with_mask(x):
    return np.ma.array(x, mask=np.arange(x.size).reshape(x.shape) % 2 == 1)


def with_none(x):
    y = x.astype(object)
    y.reshape(-1)[:1] = None
    return y


# name -> (hostile input made of the good one, the plain array it stands for; None: to be refused)
LAYOUTS = {
    "Fortran order": (np.asfortranarray, np.array),
    "every other element": (strided, np.array),
    "negative strides": (lambda x: x[::-1].copy()[::-1] if x.ndim else x, np.array),
    "read-only": (read_only, np.array),
    "unaligned": (unaligned, np.array),
    "stride 0": (repeated, lambda x: repeated(x).copy()),
}
STANDS_FOR = {
    "list": (lambda x: x.tolist(), np.array),
    "tuple": (
        lambda x: tuple(map(tuple, x)) if x.ndim == 2 else tuple(x.tolist()) if x.ndim else x,
        np.array,
    ),
    "float32": (lambda x: x.astype(np.float32), lambda x: x.astype(np.float32).astype(x.dtype)),
    "float16": (lambda x: x.astype(np.float16), lambda x: x.astype(np.float16).astype(x.dtype)),
    "longdouble": (lambda x: x.astype(np.longdouble), np.array),
    "big-endian": (lambda x: x.astype(x.dtype.newbyteorder(">")), np.array),
    "int": (lambda x: whole(x).astype(int), whole),
    "uint8": (lambda x: np.abs(whole(x)).astype(np.uint8), lambda x: np.abs(whole(x))),
    "bool": (lambda x: x > 0, lambda x: (x > 0).astype(x.dtype)),
    "subclass": (lambda x: x.view(Sub), np.array),
    "np.matrix": (lambda x: np.matrix(x) if x.ndim == 2 else x, np.array),
    "masked array, nothing masked": (np.ma.array, np.array),
    "object array of numbers": (lambda x: x.astype(object), np.array),
    "__array__": (Convertible, np.array),
    "Tensor": (lambda x: Tensor(x) if x.dtype.kind == "f" else x, np.array),
    "constant Tensor": (lambda x: Tensor(x).detach() if x.dtype.kind == "f" else x, np.array),
}
GARBAGE = {
    "None": None, "text": "abc", "bytes": b"abc", "text array": np.array([["a", "b"], ["c", "d"]]),
    "datetime64": np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"),
    "timedelta64": np.arange(3).astype("timedelta64[s]"), "ragged list": [[1.0], [1.0, 2.0]],
    "list of None": [None, None], "set": {1.0, 2.0}, "dict": {"a": 1.0}, "function": len,
    "type": float, "Ellipsis": Ellipsis, "object": object(), "exception": ValueError("x"),
    "Module": nn.ReLU(), "slice": slice(None),
}  # fmt: skip
MADE = {
    "generator": lambda x: (v for v in x.reshape(-1).tolist()),
    "structured array": structured,
    "masked array": with_mask,
    "object array with None": with_none,
    "complex": lambda x: x + 1j,
}
SHAPES = {
    "0-d": lambda x: x.reshape(-1)[0].reshape(()),
    "no elements": lambda x: x.reshape(-1)[:0],
    "no rows": lambda x: x[:0] if x.ndim else x.reshape(1)[:0],
    "no columns": lambda x: x[..., :0] if x.ndim else x.reshape(1)[:0],
    "one axis more": lambda x: x[None],
    "one axis less": lambda x: x[0] if x.ndim else x,
    "one more row": lambda x: np.concatenate([x, x[:1]]) if x.ndim else x,
    "32 axes": lambda x: x.reshape(-1)[:1].reshape((1,) * 32),
    "64 axes": lambda x: x.reshape(-1)[:1].reshape((1,) * 64),
    "large, stride 0": lambda x: np.broadcast_to(x.reshape(-1)[0], (300, 1000)),
}
VALUES = {
    "nan": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.nan, x),
    "inf": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.inf, x),
    "-inf": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, -np.inf, x),
    "1e308": lambda x: np.full(x.shape, 1e308),
    "subnormal": lambda x: np.full(x.shape, 5e-324),
    "-0.0": lambda x: np.full(x.shape, -0.0),
    "a number": lambda x: 0.5,
    "10**30": lambda x: 10**30,
}
DATA = {
    **LAYOUTS,
    **STANDS_FOR,
    **{name: (lambda x, g=g: g, None) for name, g in GARBAGE.items()},
    **{name: (make, None) for name, make in MADE.items()},
    **{name: (make, ANY) for name, make in (SHAPES | VALUES).items()},
}
MASKS = {  # for arrays of booleans: their numbers are not to change
    **LAYOUTS,
    **{name: STANDS_FOR[name] for name in ("list", "subclass", "__array__")},
    **{name: (lambda x, g=g: g, None) for name, g in GARBAGE.items()},
}
SETTINGS = {
    **{name: (lambda x, g=g: g, ANY) for name, g in GARBAGE.items()},
    "-1": (lambda x: -1, ANY), "0": (lambda x: 0, ANY), "1.5": (lambda x: 1.5, ANY),
    "nan": (lambda x: float("nan"), ANY), "inf": (lambda x: float("inf"), ANY),
    "10**30": (lambda x: 10**30, ANY), "complex": (lambda x: 1j, ANY),
    "True": (lambda x: True, ANY),
    "NumPy's": (lambda x: np.asarray(x)[()] if type(x) in (int, float) else x, SAME),
    "0-d array": (lambda x: np.asarray(x) if type(x) in (int, float) else x, SAME),
    "array": (lambda x: np.ones((2, 2)), ANY), "no elements": (lambda x: np.zeros(0), ANY),
    "list": (lambda x: [1, 2, 3], ANY), "empty list": (lambda x: [], ANY),
}  # fmt: skip
OBJECTS = {
    **{name: (lambda x, g=g: g, ANY) for name, g in GARBAGE.items()},
    "3": (lambda x: 3, ANY), "array": (lambda x: numbers(4, 3), ANY),
    "empty list": (lambda x: [], ANY),
}  # fmt: skip


# --- good calls -----------------------------------------------------------------------------------


class Call:
    """``f(**arguments)``, and ``then`` of what that gives.

    says        what else a message may name
    as_numpy    NumPy's function of the same arguments: it says what is right, and what is refused
    loses_nan   whether a NaN in an argument need not be seen in the answer
    raises      further exceptions that it is there to raise
    """

    def __init__(
        self, f, /, says=(), then=None, as_numpy=None, loses_nan=False, raises=(), **arguments
    ):
        self.f, self.then, self.says, self.arguments = f, then, says, arguments
        self.as_numpy, self.loses_nan, self.raises = as_numpy, loses_nan, raises

    def optional(self, name):
        """Whether an argument may be left out, or None."""
        try:
            function = getattr(self.f, "forward", self.f)
            parameter = inspect.signature(function).parameters.get(name)
        except (TypeError, ValueError):
            return False
        return parameter is not None and parameter.default is None

    def run(self, arguments):
        y = self.f(*self._positional(arguments), **self._named(arguments))
        return self.then(y) if self.then is not None else y

    def _keyword_only(self):
        try:
            parameters = inspect.signature(self.f).parameters.values()
        except (TypeError, ValueError):
            return set()
        return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}

    def _positional(self, arguments):
        return [x for name, x in arguments.items() if name not in self._keyword_only()]

    def _named(self, arguments):
        return {name: x for name, x in arguments.items() if name in self._keyword_only()}


X, X2 = numbers(4, 3), numbers(4, 3, seed=1)
P, Q = np.abs(numbers(4, 3)) + 0.1, np.abs(numbers(4, 3, seed=1)) + 0.1
P, Q = P / P.sum(1, keepdims=True), Q / Q.sum(1, keepdims=True)
LABELS = np.array([0, 2, 1, 2])
SIGNS = np.array([[1.0, -1.0, 1.0]] * 4)
LINES, IMAGES = numbers(2, 1, 6), numbers(2, 1, 6, 6)
SEQUENCE = numbers(5, 2, 3)


def f(x):
    return np.sum(np.sin(x) * x)


def each(x):
    return np.sin(x) * x


def backward(data, seed):
    t = Tensor(data)
    (t * 2.0).backward(seed)
    return t.grad


def assigned_in_numpy(x, new):
    x = np.array(x)
    x[1] = new
    return x


def placed(arr, indices, values, axis):
    arr = np.array(arr)
    np.put_along_axis(arr, indices, values, axis)
    return arr


def assigned(x, new):
    t = Tensor(x)
    t[1] = new
    return t


def data_set(data):
    t = Tensor(X.copy())
    t.data = data
    return t


def grad_set(grad):
    t = Tensor(X.copy())
    t.grad = grad
    return t.grad


def model():
    return nn.MLP((3, 4, 3), generator=rng())


def stepped(optimizer):
    for p in optimizer.params:
        p.grad = np.ones_like(p.data)
    optimizer.step()
    return [p.data for p in optimizer.params]


def operation(f, **arguments):
    return Call(lambda *args: f(*args), says=(f.__name__,), **arguments)


# scikit-learn's checks, which its estimators are to have, name neither function nor argument
SAID_BY_SCIKIT_LEARN = (
    "Classifier", "Regressor", "X", "np.matrix", "np.stack", "samples", "array", "string", "float",
    "data",
)  # fmt: skip
SAID_OF_LOSSES = ("targets", "labels", "reduction")


def entered(context):
    with context:
        pass


def written(array):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.idx"
        nn.data.write_idx(path, array)
        return nn.data.read_idx(path)


def read(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.idx"
        if isinstance(content, bytes):
            path.write_bytes(content)
        return nn.data.read_idx(path if isinstance(content, bytes) else content)


def found_rate(x, y, low, high, steps):
    network = model()
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    optim.lr_find(
        network,
        (x, y),
        nn.cross_entropy,
        optimizer,
        low,
        high,
        steps,
        batch_size=2,
        generator=rng(),
    )
    return network


def halves(x, y):
    return [(np.asarray(x)[part], np.asarray(y)[part]) for part in (slice(2), slice(2, 4))]


def linear():
    return nn.Sequential(nn.Linear(3, 2, dtype=float, generator=rng()))


def audited(data):
    return autograd.audit(np.sum(Tensor(data) ** 2))


def saved(part):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        optim.save(path, part=part)
        return optim.load(path)["part"]


def loaded(path):
    with tempfile.TemporaryDirectory() as folder:
        optim.save(Path(folder) / "run", part=X)
        return optim.load(Path(folder) / path if isinstance(path, str) and path == "run" else path)


def with_gradient():
    p = Tensor(X.copy())
    p.grad = 10 * X2
    return p


def defaults(f):
    """The settings that a function has defaults for."""
    parameters = inspect.signature(f).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def gradient_stepped(grad=None):
    p = Tensor(X.copy())
    p.grad = grad
    optim.SGD([p], lr=0.1).step()
    return p


def fitted(model, x, y, loss, epochs, batch_size):
    known = isinstance(model, nn.Module)
    optimizer = optim.SGD(model.parameters() if known else [with_gradient()], lr=0.1)
    optim.fit(
        model,
        (x, y),
        loss,
        optimizer,
        epochs,
        batch_size=batch_size,
        generator=rng(),
        progress=False,
    )
    return model


def fitted_with(patience, clip_norm, clip_value, schedule_every, metrics, monitor):
    network = model()
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    optim.fit(
        network, (X, LABELS), nn.cross_entropy, optimizer, 2, progress=False,
        validation=(X, LABELS), patience=patience, clip_norm=clip_norm, clip_value=clip_value,
        schedule_every=schedule_every, metrics=metrics, monitor=monitor,
    )  # fmt: skip
    return network


def classified(x, y):
    return nn.Classifier((4,), epochs=1, random_state=0).fit(x, y).predict_proba(x)


def regressed(x, y):
    return nn.Regressor((4,), epochs=1, random_state=0).fit(x, y).predict(x)


def gradients_of(seed):
    x = Tensor(X)
    return autograd.gradients(x * 2.0, x, seed)


def made(cls, x, *sizes, then=None):
    """Of a class: made with these sizes and all its settings, and called."""
    names = list(inspect.signature(cls).parameters)
    known = defaults(cls) | dict(zip(names, sizes, strict=False))
    known |= {"dtype": float, "generator": rng()}
    settings = {name: known[name] for name in names if name in known}
    return Call(cls, says=(cls.__name__,), then=then or (lambda module: module(x)), **settings)


CALLS = {
    "Tensor": lambda: Call(Tensor, data=X),
    "Tensor.backward": lambda: Call(
        backward, data=X, seed=X2, says=("Tensor", "multiply"), loses_nan=True
    ),
    "Tensor +": lambda: Call(lambda x: Tensor(X) + x, x=X2, says=("add", "Tensor")),
    "+ Tensor": lambda: Call(lambda x: x + Tensor(X), x=X2, says=("add", "Tensor")),
    "Tensor *": lambda: Call(lambda x: Tensor(X) * x, x=X2, says=("multiply", "Tensor")),
    "Tensor @": lambda: Call(lambda x: Tensor(X) @ x, x=X.T.copy(), says=("matmul", "Tensor")),
    "Tensor **": lambda: Call(lambda x: Tensor(P) ** x, x=X2, says=("power", "Tensor")),
    "Tensor[]": lambda: Call(
        lambda index: Tensor(X)[index],
        index=np.array([2, 0]),
        says=("getitem", "indices"),
        as_numpy=lambda index: X[index],
    ),
    "Tensor[] =": lambda: Call(
        assigned, x=X, new=numbers(3), says=("setitem", "Tensor"), as_numpy=assigned_in_numpy
    ),
    "Tensor.data =": lambda: Call(data_set, data=X),
    "Tensor.grad =": lambda: Call(grad_set, grad=X),
    "np.stack of Tensors": lambda: Call(lambda x: np.stack([Tensor(X), x]), x=X2, says=("stack",)),
    "np.sum of a Tensor": lambda: Call(
        lambda axis: np.sum(Tensor(X), axis=axis), axis=0, says=("sum",)
    ),
    "np.clip of a Tensor": lambda: Call(
        lambda a_min: np.clip(Tensor(X), a_min, 1.0),
        a_min=np.array([0.1, 0.2, 0.3]),
        says=("clip",),
        as_numpy=lambda a_min: np.clip(X, a_min, 1.0),
    ),
    "grad": lambda: Call(autograd.grad(f), x=X, says=("argument", "np.stack")),
    "value_and_grad": lambda: Call(autograd.value_and_grad(f), x=X, says=("argument", "np.stack")),
    "elementwise_grad": lambda: Call(
        autograd.elementwise_grad(each), x=X, says=("argument", "np.stack")
    ),
    "grad, argnums": lambda: Call(lambda argnums: autograd.grad(f, argnums)(X), argnums=0),
    "jacobian": lambda: Call(
        autograd.jacobian(each), x=X, says=("argument", "np.stack", "dimension")
    ),
    "hessian": lambda: Call(autograd.hessian(f), x=X, says=("argument", "np.stack", "dimension")),
    "hvp": lambda: Call(lambda x, v: autograd.hvp(f, (x,), (v,)), x=X, v=X2, says=("hvp",)),
    "jvp": lambda: Call(lambda x, v: autograd.jvp(each, (x,), (v,)), x=X, v=X2, says=("jvp",)),
    "vjp": lambda: Call(
        lambda x, u: autograd.vjp(each, x)[1](u),
        x=X,
        u=X2,
        says=("vjp", "argument", "seed", "np.stack"),
    ),
    "linearize": lambda: Call(
        lambda x, v: autograd.linearize(each, x)[1](v),
        x=X,
        v=X2,
        says=("linearize", "argument", "np.stack"),
    ),
    "vmap": lambda: Call(autograd.vmap(each), x=X, says=("vmap", "argument", "sin"), as_numpy=each),
    "vmap, in_axes": lambda: Call(
        lambda in_axes: autograd.vmap(each, in_axes)(X), in_axes=0, says=("vmap",)
    ),
    "checkpoint": lambda: Call(
        autograd.checkpoint(each), x=X, says=("checkpoint", "sin"), as_numpy=each
    ),
    "gradients": lambda: Call(gradients_of, seed=X, says=("seed",)),
}

OWN = {  # operations of one array
    "autograd": (
        autograd.relu, autograd.sigmoid, autograd.softplus, autograd.log_sigmoid, autograd.softmax,
        autograd.log_softmax, autograd.logsumexp,
    ),
    "nn": (nn.elu, nn.gelu, nn.leaky_relu, nn.mish, nn.silu, nn.sinc, nn.softsign, nn.step),
}  # fmt: skip
for _module, _functions in OWN.items():
    for _f in _functions:
        CALLS[f"{_module}.{_f.__name__}"] = lambda f=_f: operation(f, x=X)
        CALLS[f"{_module}.{_f.__name__}, derivative"] = lambda f=_f: Call(
            autograd.grad(lambda x: np.sum(f(x) * X2 if np.ndim(f(x)) else f(x))),
            x=X,
            says=(f.__name__, "argument", "multiply"),
            loses_nan=True,
        )

CALLS |= {
    "autograd.softmax, axis": lambda: Call(
        lambda axis: autograd.softmax(X, axis=axis), axis=0, says=("softmax",)
    ),
    "autograd.take": lambda: Call(
        autograd.take, a=X, indices=np.array([2, 0, 1]), as_numpy=np.take
    ),
    "autograd.take, axis": lambda: Call(
        lambda axis: autograd.take(X, [1], axis=axis), axis=0, says=("take",)
    ),
    "autograd.put_along_axis": lambda: Call(
        autograd.put_along_axis,
        arr=X.copy(),
        indices=np.array([[0, 1, 2]]),
        values=numbers(1, 3),
        axis=0,
        as_numpy=placed,
    ),
    "autograd.stop_gradient": lambda: Call(autograd.stop_gradient, x=X),
    "autograd.tree_map": lambda: Call(
        autograd.tree_map,
        f=np.sin,
        tree=X,
        as_numpy=lambda f, tree: autograd.tree_map(f, tree),
        says=("sin", "ufunc"),
    ),
    "autograd.check_gradients": lambda: Call(
        autograd.check_gradients, f=each, x=X, raises=(AssertionError,), says=("np.stack", "float")
    ),
    "autograd.count_operations": lambda: Call(
        autograd.count_operations, f=each, x=X, says=("Counted",)
    ),
    "autograd.seed": lambda: Call(autograd.seed, n=0),
    "autograd.scope": lambda: Call(autograd.scope, name="layer", then=entered),
    "autograd.hessian, mode": lambda: Call(
        lambda mode: autograd.hessian(f, mode=mode)(X), mode="forward"
    ),
    "autograd.jacobian, mode": lambda: Call(
        lambda mode, chunk_size: autograd.jacobian(each, mode=mode, chunk_size=chunk_size)(X),
        mode="reverse",
        chunk_size=2,
    ),
    "autograd.compare_modes": lambda: Call(
        lambda f, x: autograd.compare_modes(f, x, repeats=1, seconds=0.01),
        f=f,
        x=X,
        says=("compare_modes", "np.stack"),
    ),
    "autograd.plan": lambda: Call(autograd.plan, f=f, x=X, says=("np.stack",)),
    "autograd.scaling": lambda: Call(
        lambda make_f, sizes: autograd.scaling(make_f, sizes, repeats=1, seconds=0.01),
        make_f=lambda n: (f, (np.ones(n),)),
        sizes=[2, 4],
        says=("scaling",),
    ),
    **{
        f"autograd.{t.__name__}": lambda t=t: Call(t, f=f)
        for t in (
            autograd.grad,
            autograd.value_and_grad,
            autograd.elementwise_grad,
            autograd.checkpoint,
            autograd.jacobian,
            autograd.hessian,
            autograd.vmap,
        )
    },
    "autograd.audit": lambda: Call(audited, data=X, says=("Tensor",), then=str),
    "autograd.audit, result": lambda: Call(autograd.audit, y=Tensor(X) * 2.0, then=str),
    "autograd.certify": lambda: Call(autograd.certify, f=each, x=X, says=("np.stack",), then=str),
    # losses
    **{
        f"nn.{loss.__name__}": lambda loss=loss, a=a, b=b: Call(
            loss, a=a, b=b, reduction="mean", says=SAID_OF_LOSSES
        )
        for loss, a, b in (
            (nn.mse, X, X2),
            (nn.mae, X, X2),
            (nn.huber, X, X2),
            (nn.half_squared_error, X, X2),
            (nn.hinge, X, SIGNS),
            (nn.binary_cross_entropy, P, Q),
            (nn.binary_cross_entropy_with_logits, X, Q),
            (nn.kl_div, np.log(P), Q),
            (nn.kl_divergence, P, Q),
            (nn.cross_entropy, X, LABELS),
            (nn.nll, np.log(P), LABELS),
            (nn.multi_margin, X, LABELS),
        )
    },
    "nn.cross_entropy, probabilities": lambda: Call(nn.cross_entropy, logits=X, labels=P),
    "nn.cross_entropy, options": lambda: Call(
        nn.cross_entropy,
        logits=X,
        labels=LABELS,
        weight=np.array([1.0, 2.0, 0.5]),
        label_smoothing=0.1,
        ignore_index=-100,
    ),
    "nn.binary_cross_entropy, weight": lambda: Call(nn.binary_cross_entropy, p=P, y=Q, weight=Q),
    "nn.huber, delta": lambda: Call(nn.huber, o=X, y=X2, delta=1.0),
    "nn.hinge, margin": lambda: Call(nn.hinge, scores=X, y=SIGNS, margin=1.0),
    "nn.sparsity_kl": lambda: Call(nn.sparsity_kl, code=P, target=0.1),
    "nn.l1_penalty": lambda: Call(nn.l1_penalty, module=model()),
    "nn.l2_penalty": lambda: Call(nn.l2_penalty, module=model()),
    # functions of networks
    "nn.prelu": lambda: Call(nn.prelu, x=X, weight=np.array([0.1, 0.2, 0.3])),
    "nn.leaky_relu, slope": lambda: Call(nn.leaky_relu, x=X, negative_slope=0.1),
    "nn.elu, alpha": lambda: Call(nn.elu, x=X, alpha=0.5),
    "nn.gelu, approximate": lambda: Call(nn.gelu, x=X, approximate="tanh"),
    "nn.maxout": lambda: Call(nn.maxout, x=numbers(4, 6), pieces=2, axis=-1),
    "nn.conv1d": lambda: Call(
        nn.conv1d,
        x=LINES,
        weight=numbers(2, 1, 3),
        bias=numbers(2),
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
    ),
    "nn.conv2d": lambda: Call(
        nn.conv2d,
        x=IMAGES,
        weight=numbers(2, 1, 3, 3),
        bias=numbers(2),
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
    ),
    "nn.max_pool1d": lambda: Call(
        nn.max_pool1d, x=LINES, kernel_size=2, stride=1, padding=0, dilation=1
    ),
    "nn.max_pool2d": lambda: Call(
        nn.max_pool2d, x=IMAGES, kernel_size=2, stride=1, padding=0, dilation=1
    ),
    "nn.avg_pool1d": lambda: Call(nn.avg_pool1d, x=LINES, kernel_size=2, stride=1, padding=0),
    "nn.avg_pool2d": lambda: Call(nn.avg_pool2d, x=IMAGES, kernel_size=2, stride=1, padding=0),
    "nn.scaled_dot_product_attention": lambda: Call(
        nn.scaled_dot_product_attention,
        query=X,
        key=X2,
        value=X,
        attn_mask=np.tri(4, dtype=bool),
        dropout_p=0.0,
    ),
    "nn.zoneout": lambda: Call(
        nn.zoneout, new=X, old=X2, p=0.5, training=True, generator=rng(), loses_nan=True
    ),
    "nn.functional_call": lambda: Call(
        nn.functional_call,
        module=nn.Linear(3, 2, generator=rng()),
        parameters={"weight": numbers(2, 3)},
        x=X,
    ),
    "nn.Parameter": lambda: Call(nn.Parameter, data=X, says=("Tensor",)),
    "nn.activation_statistics": lambda: Call(
        nn.activation_statistics, model=model(), x=X, then=str
    ),
    "nn.summary": lambda: Call(nn.summary, model=model(), x=X, then=str),
    "nn.fold_batch_norm": lambda: Call(
        nn.fold_batch_norm,
        model=nn.Sequential(nn.Linear(3, 2, generator=rng()), nn.BatchNorm1d(2)).eval(),
    ),
    "nn.exact_statistics": lambda: Call(
        nn.exact_statistics, model=nn.Sequential(nn.BatchNorm1d(3)), batches=[X, X2]
    ),
    "nn.bagging": lambda: Call(
        nn.bagging, make_model=model, k=2, data=(X, LABELS), fit=lambda m, x, y: None
    ),
    "nn.pretrain_stack": lambda: Call(
        nn.pretrain_stack,
        autoencoders=[
            nn.Autoencoder(nn.Linear(3, 2, generator=rng()), nn.Linear(2, 3, generator=rng()))
        ],
        x=X,
        loses_nan=True,
        fit=lambda m, d: None,
    ),
}


def encoder():
    return nn.Linear(3, 2, generator=rng())


def decoder():
    return nn.Linear(2, 3, generator=rng())


def sigmoid_encoder():
    return nn.Sequential(encoder(), nn.Sigmoid())


def weighted():
    return nn.Linear(3, 3, generator=rng())


for _cls, _x, *_sizes in (  # layers: their settings
    (nn.Linear, X, 3, 2), (nn.Conv1d, LINES, 1, 2, 3), (nn.Conv2d, IMAGES, 1, 2, 3),
    (nn.BatchNorm1d, X, 3), (nn.BatchNorm2d, IMAGES, 1), (nn.LayerNorm, X, 3), (nn.Dropout, X),
    (nn.Embedding, LABELS, 3, 2), (nn.Flatten, IMAGES), (nn.MaxPool1d, LINES, 2),
    (nn.MaxPool2d, IMAGES, 2), (nn.AvgPool1d, LINES, 2), (nn.AvgPool2d, IMAGES, 2),
    (nn.MLP, X, (3, 4, 2)), (nn.Maxout, X, 3, 2), (nn.PReLU, X, 3), (nn.ELU, X), (nn.GELU, X),
    (nn.LeakyReLU, X), (nn.Softmax, X), (nn.LogSoftmax, X), (nn.Adaline, X, 3),
    (nn.Perceptron, X, 3), (nn.SigmoidUnit, X, 3), (nn.RNN, SEQUENCE, 3, 2),
    (nn.LSTM, SEQUENCE, 3, 2), (nn.GRU, SEQUENCE, 3, 2), (nn.Jordan, SEQUENCE, 3, 2, 2),
    (nn.RNNCell, X, 3, 2), (nn.LSTMCell, X, 3, 2), (nn.GRUCell, X, 3, 2), (nn.GaussianNoise, X),
    (nn.data.Augmentation, IMAGES),
):  # fmt: skip
    CALLS[f"nn.{_cls.__name__}"] = lambda cls=_cls, x=_x, sizes=_sizes: made(cls, x, *sizes)
for _cls, *_makes in (  # modules made of others: each made anew
    (nn.WeightNoise, weighted), (nn.DropConnect, weighted), (nn.Shakeout, weighted),
    (nn.Whiteout, weighted), (nn.Residual, weighted),
    (nn.Zoneout, lambda: nn.GRUCell(3, 2, generator=rng())),
    (nn.Ensemble, lambda: [weighted(), weighted()]), (nn.Autoencoder, encoder, decoder),
):  # fmt: skip
    CALLS[f"nn.{_cls.__name__}"] = lambda cls=_cls, makes=_makes: made(
        cls, X, *(make() for make in makes)
    )
for _cls in (nn.ContractiveAutoencoder, nn.DenoisingAutoencoder, nn.SparseAutoencoder):
    CALLS[f"nn.{_cls.__name__}"] = lambda cls=_cls: made(
        cls, X, sigmoid_encoder(), decoder(), then=lambda module: module.loss(X)
    )
CALLS |= {
    "nn.MultiheadAttention": lambda: made(
        nn.MultiheadAttention, None, 4, 2, then=lambda m: m(*[numbers(3, 2, 4)] * 3)
    ),
    "nn.Sequential": lambda: Call(
        nn.Sequential, first=weighted(), second=nn.Tanh(), then=lambda module: module(X)
    ),
}


def double(cls, *sizes):
    """A module in double precision, the same at every call."""
    return cls(*sizes, dtype=float, generator=rng())


PLAIN = (
    nn.ELU, nn.GELU, nn.Identity, nn.LeakyReLU, nn.LogSigmoid, nn.LogSoftmax, nn.Mish, nn.ReLU,
    nn.SiLU, nn.Sigmoid, nn.Sinc, nn.Softmax, nn.Softplus, nn.Softsign, nn.Step, nn.Tanh,
)  # fmt: skip
for _make, _x in (
    *((module, X) for module in PLAIN),
    (lambda: double(nn.Linear, 3, 2), X),
    (lambda: double(nn.Conv1d, 1, 2, 3), LINES),
    (lambda: double(nn.Conv2d, 1, 2, 3), IMAGES),
    (lambda: nn.BatchNorm1d(3, dtype=float), X),
    (lambda: nn.BatchNorm2d(1, dtype=float), IMAGES),
    (lambda: nn.LayerNorm(3, dtype=float), X),
    (lambda: nn.Dropout(0.0, generator=rng()), X),
    (lambda: double(nn.Embedding, 3, 2), LABELS),
    (nn.Flatten, IMAGES),
    (lambda: nn.MaxPool1d(2), LINES),
    (lambda: nn.MaxPool2d(2), IMAGES),
    (lambda: nn.AvgPool1d(2), LINES),
    (lambda: nn.AvgPool2d(2), IMAGES),
    (nn.GlobalAvgPool, IMAGES),
    (lambda: double(nn.MLP, (3, 4, 2)), X),
    (lambda: double(nn.Maxout, 3, 2), X),
    (lambda: nn.PReLU(3, dtype=float), X),
    (lambda: double(nn.Adaline, 3), X),
    (lambda: double(nn.Perceptron, 3), X),
    (lambda: double(nn.SigmoidUnit, 3), X),
    (lambda: double(nn.RNN, 3, 2), SEQUENCE),
    (lambda: double(nn.LSTM, 3, 2), SEQUENCE),
    (lambda: double(nn.GRU, 3, 2), SEQUENCE),
    (lambda: double(nn.Jordan, 3, 2, 2), SEQUENCE),
    (lambda: double(nn.RNNCell, 3, 2), X),
    (lambda: double(nn.LSTMCell, 3, 2), X),
    (lambda: double(nn.GRUCell, 3, 2), X),
    (lambda: nn.GaussianNoise(0.0), X),
    (lambda: nn.Residual(double(nn.Linear, 3, 3)), X),
    (lambda: nn.Sequential(double(nn.Linear, 3, 3), nn.Tanh()), X),
    (lambda: nn.Ensemble([double(nn.Linear, 3, 3)]), X),
    (lambda: nn.Autoencoder(double(nn.Linear, 3, 2), double(nn.Linear, 2, 3)), X),
):
    CALLS[f"nn.{type(_make()).__name__}()(x)"] = lambda make=_make, x=_x: Call(
        make(), says=(type(make()).__name__,), x=x
    )

CALLS |= {
    "nn.MultiheadAttention()(q, k, v)": lambda: Call(
        nn.MultiheadAttention(4, 2, dtype=float, generator=rng()),
        says=("MultiheadAttention",),
        query=numbers(3, 2, 4),
        key=numbers(5, 2, 4),
        value=numbers(5, 2, 4),
    ),
    "nn.RNNCell()(x, h)": lambda: Call(
        nn.RNNCell(3, 2, dtype=float, generator=rng()), says=("RNNCell",), x=X, state=numbers(4, 2)
    ),
    "nn.LSTMCell()(x, h)": lambda: Call(
        lambda h: nn.LSTMCell(3, 2, dtype=float, generator=rng())(X, (h, numbers(4, 2))),
        says=("LSTMCell",),
        h=numbers(4, 2),
    ),
    "nn.GRUCell()(x, h)": lambda: Call(
        nn.GRUCell(3, 2, dtype=float, generator=rng()), says=("GRUCell",), x=X, state=numbers(4, 2)
    ),
    "nn.Module.load_state_dict": lambda: Call(
        lambda weight: nn.Linear(3, 2, dtype=float).load_state_dict(
            {"weight": weight, "bias": np.zeros(2)}
        ),
        weight=numbers(2, 3),
        says=("Linear",),
    ),
    "nn.Module.register_buffer": lambda: Call(
        lambda value: nn.ReLU().register_buffer("b", value), value=X, says=("ReLU", "buffer")
    ),
    "nn.from_torch": lambda: Call(nn.from_torch, model=linear(), state=nn.to_torch(linear())),
    "nn.from_torch, a weight": lambda: Call(
        lambda weight: nn.from_torch(linear(), {"0.weight": weight, "0.bias": np.zeros(2)}),
        weight=numbers(2, 3),
        says=("from_torch", "0.weight", "np.stack"),
        loses_nan=True,
    ),
    "nn.to_torch": lambda: Call(nn.to_torch, model=linear()),
    # starting values
    **{
        f"nn.init.{f.__name__}": lambda f=f, more=more: Call(
            f, shape=(3, 2), **more, generator=rng(), dtype=float
        )
        for f, more in (
            (nn.init.constant, {"value": 0.5}),
            (nn.init.zeros, {}),
            (nn.init.ones, {}),
            (nn.init.uniform, {"low": -1.0, "high": 1.0}),
            (nn.init.normal, {"mean": 0.0, "std": 1.0}),
            (nn.init.fan_in_normal, {"gain": 1.0}),
            (nn.init.xavier_normal, {"gain": 1.0}),
            (nn.init.xavier_uniform, {"gain": 1.0}),
            (nn.init.he_normal, {"mode": "fan_in", "gain": 1.0}),
            (nn.init.he_uniform, {"mode": "fan_in", "gain": 1.0}),
            (nn.init.orthogonal, {"gain": 1.0}),
        )
    },
    "nn.init.apply": lambda: Call(nn.init.apply, module=model(), initializer=nn.init.he_normal),
    # data
    "nn.data.Loader": lambda: Call(
        lambda x, y: list(nn.data.Loader(x, y, batch_size=2)),
        x=X,
        y=LABELS,
        says=("Loader", "arrays"),
        as_numpy=halves,
    ),
    "nn.data.Loader, settings": lambda: Call(
        lambda batch_size, shuffle, generator: nn.data.Loader(
            X, LABELS, batch_size=batch_size, shuffle=shuffle, generator=generator
        ),
        batch_size=2,
        shuffle=True,
        generator=rng(),
        then=list,
        says=("Loader",),
    ),
    **{
        f"nn.data.{f.__name__}": lambda f=f: Call(f, n=8, noise=0.1, dtype=float, generator=rng())
        for f in (nn.data.xor,)
    },
    "nn.data.rings": lambda: Call(
        nn.data.rings, n=8, classes=2, noise=0.1, dtype=float, generator=rng()
    ),
    "nn.data.spirals": lambda: Call(
        nn.data.spirals, n=8, classes=2, turns=1.0, noise=0.1, dtype=float, generator=rng()
    ),
    "nn.data.warp": lambda: Call(
        nn.data.warp, images=IMAGES, rotate=10.0, rescale=1.1, stretch=1.0, shift=0.5, flip=False
    ),
    "nn.data.write_idx": lambda: Call(written, array=X, says=("write_idx",)),
    "nn.data.read_idx": lambda: Call(
        read, content=b"\0\0\x08\x01\0\0\0\x02ab", says=("read_idx", "x.idx", "abc")
    ),
    # optimizers
    **{
        f"optim.{c.__name__}": lambda c=c: Call(
            c,
            params=[Tensor(X.copy())],
            **{k: v for k, v in defaults(c).items() if k != "params"},
            then=stepped,
        )
        for c in (
            optim.SGD,
            optim.Momentum,
            optim.Nesterov,
            optim.RMSprop,
            optim.Adagrad,
            optim.Adadelta,
            optim.Adam,
            optim.AdamW,
            optim.Adamax,
            optim.NAdam,
            optim.Quickprop,
            optim.Rprop,
        )
    },
    **{
        f"optim.{f.__name__}": lambda f=f: Call(
            f, loses_nan=True, g=X, state={}, w=X2, **{**defaults(f), "lr": 0.1}
        )
        for f in (
            optim.sgd,
            optim.momentum,
            optim.nesterov,
            optim.rmsprop,
            optim.adagrad,
            optim.adadelta,
            optim.adam,
            optim.adamw,
            optim.adamax,
            optim.nadam,
            optim.quickprop,
            optim.rprop,
        )
    },
    "optim.Optimizer.step, gradient": lambda: Call(gradient_stepped, grad=X, says=("grad", "SGD")),
    "optim.EMA": lambda: Call(
        optim.EMA, params=[Tensor(X.copy())], decay=0.9, then=lambda e: e.update()
    ),
    "optim.clip_grad_norm_": lambda: Call(
        optim.clip_grad_norm_, parameters=[with_gradient()], max_norm=1.0, norm_type=2.0
    ),
    "optim.clip_grad_value_": lambda: Call(
        optim.clip_grad_value_, parameters=[with_gradient()], clip_value=1.0
    ),
    "optim.add_gradient_noise_": lambda: Call(
        optim.add_gradient_noise_,
        parameters=[with_gradient()],
        step=1,
        eta=0.3,
        gamma=0.55,
        generator=rng(),
    ),
    "optim.group_parameters": lambda: Call(
        optim.group_parameters,
        named=model().named_parameters(),
        rule=(lambda n, p: True, {"lr": 0.1}),
        then=lambda g: None,
    ),
    "optim.LambdaLR": lambda: Call(
        optim.LambdaLR,
        optimizer=optim.SGD([Tensor(X)]),
        lr_lambda=lambda t: 0.5,
        then=lambda s: s.step(),
    ),
    "optim.ReduceLROnPlateau": lambda: Call(
        optim.ReduceLROnPlateau,
        optimizer=optim.SGD([Tensor(X)]),
        mode="min",
        factor=0.1,
        patience=1,
        threshold=1e-4,
        cooldown=0,
        min_lr=0.0,
        then=lambda s: s.step(1.0),
    ),
    "optim.constant": lambda: Call(optim.constant, t=3),
    "optim.cosine": lambda: Call(optim.cosine, t=3, total=10, least=0.1),
    "optim.inverse": lambda: Call(optim.inverse, t=3, c=10),
    "optim.inverse_sqrt": lambda: Call(optim.inverse_sqrt, t=3, c=10),
    "optim.one_cycle": lambda: Call(
        optim.one_cycle, t=3, total=10, pct_start=0.3, div_factor=25.0, final_div_factor=1e4
    ),
    "optim.staircase": lambda: Call(optim.staircase, t=3, c=10, k=2),
    "optim.warmup": lambda: Call(optim.warmup, t=3, steps=10),
    "optim.save": lambda: Call(saved, part=X, says=("save", "part"), as_numpy=lambda part: part),
    "optim.load": lambda: Call(loaded, path="run", says=("load", "run", "abc")),
    "optim.Generators": lambda: Call(optim.Generators, owners=rng(), then=lambda g: g.state_dict()),
    # training
    "optim.fit": lambda: Call(
        fitted,
        model=model(),
        x=X,
        y=LABELS,
        loss=nn.cross_entropy,
        epochs=1,
        batch_size=2,
        says=("fit", "Loader", "arrays"),
    ),
    "optim.fit, options": lambda: Call(
        fitted_with,
        patience=1,
        clip_norm=1.0,
        clip_value=1.0,
        schedule_every="epoch",
        metrics=[],
        monitor="loss",
        says=("fit", "History", "clip"),
    ),
    "optim.evaluate": lambda: Call(
        optim.evaluate,
        model=model(),
        data=(X, LABELS),
        loss=nn.cross_entropy,
        metrics=None,
        batch_size=2,
    ),
    "optim.predict": lambda: Call(optim.predict, model=model(), x=X, batch_size=2),
    "optim.lr_find": lambda: Call(
        found_rate, x=X, y=LABELS, low=1e-3, high=0.1, steps=3, says=("lr_find",)
    ),
    "optim.minimize": lambda: Call(
        optim.minimize, f=lambda x: np.sum((x - 1.0) ** 2), x0=np.zeros(2), then=lambda r: r.x
    ),
    "optim.least_squares": lambda: Call(
        optim.least_squares, f=lambda x: x - 1.0, x0=np.zeros(2), then=lambda r: r.x
    ),
    "optim.History": lambda: Call(optim.History, monitor="loss"),
    "optim.LearningRates": lambda: Call(optim.LearningRates, smoothing=0.5),
    "optim.metrics.accuracy": lambda: Call(optim.metrics.accuracy, outputs=X, labels=LABELS),
    "optim.metrics.confusion_matrix": lambda: Call(
        optim.metrics.confusion_matrix, outputs=X, labels=LABELS
    ),
    "optim.metrics.f1": lambda: Call(optim.metrics.f1, outputs=X, labels=LABELS),
    "optim.metrics.r2": lambda: Call(optim.metrics.r2, outputs=X, targets=X2),
    "optim.metrics.top_k": lambda: Call(
        lambda k: optim.metrics.top_k(k)(X, LABELS), k=2, says=("top_k",)
    ),
    "optim.metrics.predicted_classes": lambda: Call(
        optim.metrics.predicted_classes, outputs=X, says=("classifier",)
    ),
    "nn.Classifier": lambda: Call(classified, x=X, y=LABELS, says=SAID_BY_SCIKIT_LEARN),
    "nn.Regressor": lambda: Call(regressed, x=X, y=X2, says=SAID_BY_SCIKIT_LEARN),
}
