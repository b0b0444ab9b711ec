"""On Dask's arrays everything is recorded and walked without computing, or raises."""

import operator
import os
from dataclasses import replace

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import autograd
import nn
import optim
from autograd import Tensor
from autograd.lazy import DASK
from autograd.primitive import plain, registry
from autograd.program import TracingWarning, compile
from autograd.rules.indexing import is_basic, setitem
from autograd.show import draw, explore, step
from autograd.tree import flatten

from .samples import SAMPLES
from .test_device import LAYERS, excepted, in_table
from .test_device import trained as run_through
from .test_operations import each, outputs, weights


def place(x):
    """An array in blocks: its rows in two."""
    first, *rest = np.shape(x) or (0,)
    chunks = (max(1, (first + 1) // 2), *rest) if np.ndim(x) else ()
    return da.from_array(np.asarray(x), chunks=chunks)


def refusing(*args, **options):
    raise AssertionError("Dask is asked to compute")


def results(sample, place):
    """The values of a call, its gradient and tangents."""
    xs = tuple(sample.inputs())
    if not xs:  # NumPy would ask Dask, and not us
        sample = replace(sample, function=registry.get(sample.function, sample.function))
    ys, pull = autograd.vjp(lambda *xs: outputs(sample.call(xs)), *xs) if xs else ([], None)
    if not ys:
        return [plain(y) for y in flatten(sample.call(list(map(Tensor, xs))))[0]]
    us = [place(weights(np.shape(y), 7 + k)) for k, y in enumerate(ys)]
    vs = tuple(place(weights(np.shape(x), 40 + k)) for k, x in enumerate(xs))
    tangents = autograd.jvp(lambda *xs: outputs(sample.call(xs)), xs, vs)[1]
    return [*ys, *pull(us), *tangents]


def runs_lazily(sample):
    """Compare with what NumPy's arrays give; nothing is computed before all is recorded."""
    with dask.config.set(scheduler=refusing):
        found = results(sample.on(place), place)
    expected = results(sample, lambda x: x)
    with dask.config.set(scheduler="synchronous"):
        computed = dask.compute(*found)
    for f, c, e in zip(found, computed, expected, strict=True):
        if isinstance(e, str) or e is None:
            assert f == e
            continue
        assert isinstance(f, da.Array) or not np.ndim(e) or not sample.inputs(), type(f)
        assert np.shape(c) == np.shape(e)
        np.testing.assert_allclose(c, e, rtol=1e-9, atol=1e-9)


# calls of what the table excepts, by another name
OTHERS = {"many reads", "own mask", "polymul led by zeros", "conv1d", "conv2d", "put_along_axis"}


def may_raise(sample):
    return sample.id in OTHERS or excepted(sample, "Dask")


@each([s for s in SAMPLES if not may_raise(s)])
def test_runs_lazily(sample):
    """Values, gradients and tangents are NumPy's numbers."""
    runs_lazily(sample)


def test_what_the_table_excepts_runs_or_raises():
    """Of each exception of the table some call raises, before anything is computed; of those that
    are not excepted altogether some call runs, and none gives other numbers.
    """
    ran, failed = set(), set()
    for sample in filter(may_raise, SAMPLES):
        try:
            runs_lazily(sample)
        except AssertionError as error:
            raise AssertionError(f"{sample.id}: {sample}") from error
        except Exception:
            failed |= in_table(sample)
        else:
            ran |= in_table(sample)
    assert set(DASK) <= failed
    assert {name for name, calls in DASK.items() if not calls.startswith("no")} - ran == set()


def by_slices(sample):
    """Whether a sample reads or writes by slices and numbers alone."""
    if sample.function not in (operator.getitem, setitem):
        return False
    index = sample.options.get("index", sample.args[-1])
    parts = index if type(index) is tuple else (index,)
    return is_basic(index) and not any(type(part) is bool for part in parts)


@each(list(filter(by_slices, SAMPLES)))
def test_slices_and_numbers_are_read_and_written(sample):
    runs_lazily(sample)


# --- what is said ---------------------------------------------------------------------------------


def audited(x):
    with autograd.audit():
        np.where(x > 0, x, 0.0)


def stepped(x):
    np.sum(x**2).backward()
    optim.SGD([x], lr=0.1).step()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (np.linalg.det, "np.linalg.det does not run on Dask's arrays.*x.compute()"),
        (np.argsort, "np.argsort does not run.*needs all elements at once"),
        (lambda x: np.sort(x), "np.sort does not run"),
        (lambda x: x[x > 0], "getitem: .*masks.*np.where"),
        (lambda x: np.pad(x, 1, "wrap"), "pad in the mode 'wrap' does not run.*np.concatenate"),
        (lambda x: np.convolve(x[0], x[1]), "np.convolve does not run.*sums of slices"),
        (lambda x: Tensor(np.ones((2, 2)))[x.data > 0], "getitem: .*in memory.*index.compute()"),
        (lambda x: autograd.audit(np.sum(x**2)), "audit looks at the values.*a part that fits"),
        (audited, "audit looks at the values.*a part that fits"),
        (stepped, "SGD: a parameter is a Dask array.*p.data.compute()"),
        (lambda x: optim.EMA([x]), "EMA: a parameter is a Dask array.*p.data.compute()"),
    ],
)
def test_what_dask_lacks_raises_before_anything_is_computed(call, message):
    x = Tensor(place(np.ones((2, 2))))
    with dask.config.set(scheduler=refusing), pytest.raises(TypeError, match=message):
        call(x)


def test_a_gradient_is_a_graph_of_dasks():
    """Nothing is computed on the way; parameters may be NumPy's, where the data is Dask's."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(6, 3)), rng.normal(size=3)
    expected = 2 * x.T @ (x @ w) / 6
    with dask.config.set(scheduler=refusing):
        v = Tensor(w)
        np.mean((place(x) @ v) ** 2).backward()
        g = autograd.grad(lambda w: np.mean((place(x) @ w) ** 2))(place(w))
    for found in (v.grad, g):
        assert isinstance(found, da.Array)
        np.testing.assert_allclose(found.compute(scheduler="synchronous"), expected, rtol=1e-12)


def test_labels_out_of_range_spoil_the_loss():
    """They cannot be checked before they are computed: the loss is nan, and no other number."""
    logits = Tensor(place(np.zeros((4, 3))))
    for labels, loss in (
        ([0, 1, 2, 2], np.log(3)),
        ([0, 3, 2, 2], np.nan),
        ([0, -1, 2, 2], np.nan),
    ):
        for scores in (logits, Tensor(np.zeros((4, 3)))):
            with dask.config.set(scheduler=refusing):
                found = nn.cross_entropy(scores, place(labels)).data
            np.testing.assert_allclose(found.compute(scheduler="synchronous"), loss)


def test_an_array_of_unknown_shape_raises():
    """What a mask has read counts its elements only when computed, and a mean divides by them."""
    x = place(np.arange(12.0).reshape(6, 2))
    unknown = x[x[:, 0] > 3]
    for call in (
        lambda: np.mean(unknown @ Tensor(np.ones(2))),
        lambda: np.sum(Tensor(unknown)),
        lambda: nn.data.Loader(unknown),
    ):
        with (
            dask.config.set(scheduler=refusing),
            pytest.raises(ValueError, match=r"shape \(nan.*compute_chunk_sizes"),
        ):
            call()


# --- looking ------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(6, 3))
Y = (X[:, 0] > 0).astype(int)
W = np.array([0.3, -0.2, 0.5])


class Computing:
    """A scheduler that counts how often it is asked."""

    def __init__(self):
        self.times = 0

    def __call__(self, graph, keys, **settings):
        self.times += 1
        return dask.get(graph, keys, **settings)


def test_what_shows_a_tensor_computes_nothing():
    x, w = Tensor(place(X), name="x"), Tensor(W)
    with dask.config.set(scheduler=refusing):
        y = np.tanh(x @ w)
        loss = np.sum(y)
        assert repr(x).startswith("Tensor(dask.array<array, shape=(6, 3), dtype=float64")
        assert repr(x).endswith(">, name='x')")
        assert str(y.detach()).startswith("Tensor(dask.array<tanh, shape=(6,)")
        loss.backward()
        assert "6×3 (Array)" in str(draw(loss))
        explore(loss)
        step(loss)
        autograd.compare_modes(lambda w: np.tanh(place(X) @ w), W)


def test_what_asks_for_a_number_gets_it():
    x = Tensor(place(X))
    with dask.config.set(scheduler="synchronous"):
        assert np.sum(x).item() == pytest.approx(np.sum(X), rel=1e-12)
        assert f"{np.sum(x):.3f}" == f"{np.sum(X):.3f}"
        assert x.tolist() == X.tolist()


def test_a_graph_keeps_what_was_there_before_a_write():
    w = Tensor(place(W))
    loss = np.sum(w**3)
    with dask.config.set(scheduler=refusing):
        with autograd.no_grad():
            w[0] = 5.0
        loss.backward()
    written, gradient = dask.compute(w.data, w.grad, scheduler="synchronous")
    np.testing.assert_array_equal(written, [5.0, *W[1:]])
    np.testing.assert_allclose(gradient, 3 * W**2)


# --- transformations ------------------------------------------------------------------------------


def energy(w, x):
    return np.sum(np.tanh(x @ w) ** 2) + np.sum(w**3)


def outputs_of(w, x):
    return np.tanh(x @ w)


TRANSFORMED = {
    "hvp": lambda w, x, v: autograd.hvp(lambda w: energy(w, x), (w,), (v,)),
    "hessian": lambda w, x, v: autograd.hessian(energy)(w, x),
    "grad of grad": lambda w, x, v: autograd.grad(
        lambda w: np.sum(autograd.grad(energy)(w, x) ** 2)
    )(w),
    "jvp": lambda w, x, v: autograd.jvp(lambda w: outputs_of(w, x), (w,), (v,)),
    "linearize": lambda w, x, v: autograd.linearize(lambda w: outputs_of(w, x), w)[1](v),
    "vjp": lambda w, x, v: autograd.vjp(lambda w: outputs_of(w, x), w)[1](np.arange(6.0)),
    "vmap": lambda w, x, v: autograd.vmap(autograd.grad(energy), (None, 0))(w, x),
    "checkpoint": lambda w, x, v: autograd.grad(
        lambda w: np.sum(autograd.checkpoint(outputs_of)(w, x))
    )(w),
    "reshape": lambda w, x, v: autograd.grad(lambda w: np.sum(np.reshape(x * w, -1) ** 2))(w),
    **{
        f"jacobian, {mode}": lambda w, x, v, mode=mode: autograd.jacobian(outputs_of, mode=mode)(
            w, x
        )
        for mode in ("forward", "reverse", "auto")
    },
}


@pytest.mark.parametrize("lazy", ["data", "argument", "both"])
@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformations_are_lazy(name, lazy):
    """Of Dask's data, of an argument that is Dask's, with directions of NumPy's."""
    w = W if lazy == "data" else place(W)
    x = X if lazy == "argument" else place(X)
    v = np.array([1.0, 0.5, -2.0])
    with dask.config.set(scheduler=refusing):
        found = flatten(TRANSFORMED[name](w, x, v))[0]
    expected = flatten(TRANSFORMED[name](W, X, v))[0]
    assert all(isinstance(f, da.Array) for f in found)
    for f, e in zip(dask.compute(*found, scheduler="synchronous"), expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-12)


def test_derivatives_by_a_number_are_lazy():
    """A Python float has gradients that are Dask's, until an optimizer wants numbers."""

    def loss(b, x):
        return np.mean(np.tanh(x @ W + b) ** 2)

    with dask.config.set(scheduler=refusing):
        b = Tensor(0.5)
        loss(b, place(X)).backward()
        found = [
            b.grad,
            autograd.grad(loss)(0.5, place(X)),
            autograd.grad(autograd.grad(loss))(0.5, place(X)),
            *autograd.hvp(lambda b: loss(b, place(X)), (0.5,), (1.0,)),
        ]
    first, second = autograd.grad(loss)(0.5, X), autograd.hessian(loss)(0.5, X)
    expected = [first, first, second, second]
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_allclose(dask.compute(*found), expected, rtol=1e-12)
        b = Tensor(0.5)
        loss(b, place(X)).backward()
        optim.SGD([b], lr=0.1).step()
    assert type(b.data) is float
    assert b.data == pytest.approx(0.5 - 0.1 * first, rel=1e-12)


def test_a_sparse_jacobian_is_computed():
    with dask.config.set(scheduler="synchronous"):
        found = autograd.jacobian(lambda w: w**2 * np.sum(place(X)), sparse=True)(W)
    np.testing.assert_allclose(found.toarray(), np.diag(2 * W * np.sum(X)), rtol=1e-9)


def test_least_squares_finds_the_same_optimum():
    def fitted(x, y, **settings):
        return optim.least_squares(lambda p: x @ p[0] + p[1] - y, [np.zeros(3), 0.0], **settings).x

    exact = np.linalg.lstsq(np.column_stack([X, np.ones(6)]), Y, rcond=None)[0]
    with dask.config.set(scheduler="synchronous"):
        for settings in ({}, {"method": "lm"}, {"sparse": True}):
            w, b = fitted(place(X), place(Y), **settings)
            np.testing.assert_allclose([*w, b], exact, rtol=1e-6)


def test_gradients_are_checked():
    wrong = autograd.elementwise(lambda x: x**2, lambda g, y, x: g * x, name="wrong")
    try:
        with dask.config.set(scheduler="synchronous"):
            autograd.check_gradients(lambda w: energy(w, place(X)), place(W))
            with pytest.raises(AssertionError, match="by finite differences"):
                autograd.check_gradients(lambda w: np.sum(wrong(place(X) @ w)), W)
    finally:
        del registry[wrong.function]


def test_a_compiled_function_runs_as_it_is():
    with (
        dask.config.set(scheduler=refusing),
        pytest.warns(TracingWarning, match="it computes with Dask's arrays"),
    ):
        found = compile(autograd.grad(energy))(W, place(X))
    expected = autograd.grad(energy)(W, X)
    np.testing.assert_allclose(found.compute(scheduler="synchronous"), expected, rtol=1e-9)


# --- training -------------------------------------------------------------------------------------


def network():
    autograd.seed(0)
    return nn.Sequential(nn.Linear(3, 4, dtype=float), nn.Tanh(), nn.Linear(4, 2, dtype=float))


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.startswith("Conv")])
def test_layers_are_lazy(name):
    """In training and evaluation, with their parameters and buffers on Dask."""
    make, shape = LAYERS[name]
    autograd.seed(1)
    model = make().map(lambda a: a.astype(float))
    x = np.random.default_rng(2).normal(size=shape)
    expected = run_through(model.copy(), x, lambda a: a)
    with dask.config.set(scheduler=refusing):
        found = run_through(model, x, place)
    for f, e in zip(dask.compute(*found, scheduler="synchronous"), expected, strict=True):
        assert (f is None) == (e is None)
        if e is not None:
            np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.Rprop])
def test_a_step_computes_all_gradients_in_one_go(kind):
    """And a ceiling on them too: behind it they are there."""

    def stepped(x, y):
        model = network()
        optimizer = kind(model.parameters(), lr=0.1)
        for clip in (optim.clip_grad_norm_, optim.clip_grad_value_, lambda *_: None):
            optimizer.zero_grad()
            nn.cross_entropy(model(x), y).backward()
            clip(model.parameters(), 0.01)
            optimizer.step()
        return model.state_dict()

    computing = Computing()
    with dask.config.set(scheduler=computing):
        found = stepped(place(X), place(Y))
    assert computing.times == 3
    expected = stepped(X, Y)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


def trained(x, y):
    model = network()
    history = optim.fit(
        model, (x, y), nn.cross_entropy, optim.Adam(model.parameters(), lr=0.05), epochs=2,
        batch_size=4, validation=(x, y), metrics=[optim.metrics.accuracy], progress=False,
    )  # fmt: skip
    return [
        *history.values(), *model.state_dict().values(),
        *optim.evaluate(model, (x, y), nn.cross_entropy).values(),
        optim.predict(model, x, batch_size=4),
    ]  # fmt: skip


def test_fit_evaluate_and_predict_compute_batch_by_batch():
    computing = Computing()
    with dask.config.set(scheduler=computing):
        found = trained(place(X), place(Y))
    assert computing.times == 2 * (2 + 1) + 1 + 2  # of two epochs with validation, and once more
    for f, e in zip(found, trained(X, Y), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-9)


def test_parameters_on_dask_are_kept_and_saved(tmp_path):
    """Their state is theirs, computed only to be written into a file."""
    model, expected = network(), network().state_dict()
    with dask.config.set(scheduler=refusing):
        model.map(place)
        state = model.state_dict()
        model.load_state_dict(state)
        model.load_state_dict(expected)
        assert all(isinstance(p.data, da.Array) for p in model.parameters())
    assert all(isinstance(value, da.Array) for value in state.values())
    with dask.config.set(scheduler="synchronous"):
        optim.save(tmp_path / "model", model=model)
    other = network().map(np.zeros_like)
    optim.load(tmp_path / "model", model=other)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, expected[name])


# --- larger than memory ---------------------------------------------------------------------------

LIMIT = 192 * 2**20  # bytes, of each of two workers; an idle one takes 90 MB
FEATURES = 256


STRICT = {  # beyond its limit a worker is killed, and that fails the test; nothing goes to disk
    **{f"distributed.worker.memory.{what}": False for what in ("target", "spill", "pause")},
    "distributed.scheduler.allowed-failures": 0,
    # blocks are made when one is wanted, and used where they are
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
}


def by_hand(x, y, labels, w, mlp):
    """Sums over a block of the two losses, and of their gradients, by lecture A's formulas."""
    x = x.astype(float)
    z = x @ w
    p = 1 / (1 + np.exp(-z))
    first = np.sum(np.log1p(np.exp(z)) - y * z), x.T @ (p - y)
    u, b, v, c = (a.astype(float) for a in mlp)
    h = np.tanh(x @ u.T + b)
    s = np.exp(h @ v.T + c)
    s /= s.sum(axis=1, keepdims=True)
    delta = s - np.eye(len(c))[labels]
    below = (delta @ v) * (1 - h**2)
    loss = -np.sum(np.log(s[np.arange(len(x)), labels]))
    return [*first, loss, below.T @ x, below.sum(axis=0), delta.T @ h, delta.sum(axis=0)]


def test_gradients_of_more_data_than_memory():
    """Logistic regression and an MLP, on data of four times a worker's memory limit."""
    rows = 2**13
    n = 4 * LIMIT // (4 * FEATURES)
    x = da.random.default_rng(0).random((n, FEATURES), dtype=np.float32, chunks=(rows, FEATURES))
    y, labels = x[:, 0] > x[:, 1], (x[:, 0] > 0.5) + 2 * (x[:, 1] > 0.5)
    assert x.nbytes == 4 * LIMIT and x.blocks[0].nbytes == 2**23
    autograd.seed(0)
    w = Tensor(np.linspace(-0.1, 0.1, FEATURES, dtype=np.float32))
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, 4))
    z = x @ w
    logistic, mlp = np.mean(np.logaddexp(0, z) - y * z), nn.cross_entropy(model(x), labels)
    logistic.backward()
    mlp.backward()
    parameters = model.parameters()
    wanted = (logistic.data, w.grad), (mlp.data, *(p.grad for p in parameters))
    with (
        dask.config.set(STRICT),
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        processes = client.run(os.getpid)
        found = [value for values in wanted for value in dask.compute(*values)]
        assert client.run(os.getpid) == processes  # no worker was killed
    expected = 0
    values = w.data, [p.data for p in parameters]
    for block in zip(*(a.to_delayed().ravel() for a in (x, y, labels)), strict=True):
        sums = by_hand(*dask.compute(*block, scheduler="synchronous"), *values)
        expected = [a + b for a, b in zip(expected or [0] * len(sums), sums, strict=True)]
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e / n, rtol=1e-3, atol=1e-5)


def test_lbfgs_finds_the_same_optimum():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = (x @ [1.0, -2.0, 0.5] + rng.normal(size=400) > 0).astype(float)

    def fitted(x, y, method="L-BFGS-B"):
        def loss(p):
            z = x @ p["w"] + p["b"]
            return np.mean(np.logaddexp(0, z) - y * z) + 0.01 * np.sum(p["w"] ** 2)

        return optim.minimize(loss, {"w": np.zeros(3), "b": np.zeros(())}, method, tol=1e-12)

    here = fitted(x, y)
    assert np.linalg.norm(here.jac) < 1e-6
    with dask.config.set(scheduler="synchronous"):
        there = [fitted(place(x), place(y), method) for method in ("L-BFGS-B", "Newton-CG")]
    for found in there:
        np.testing.assert_allclose(found.x["w"], here.x["w"], rtol=1e-5)
        np.testing.assert_allclose(found.x["b"], here.x["b"], rtol=1e-5)
