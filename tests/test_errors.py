"""Bad input: the message names operation, shapes, names and the remedy; nothing is changed."""

import copy
import re

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor, gradients, no_grad
from autograd.rules.random import generator_or_default


def tensor(shape, name):
    return Tensor(np.random.default_rng(0).normal(size=shape), name=name)


A, B = tensor((2, 3), "a"), tensor((4, 2), "b")
V, W = tensor((3,), "v"), tensor((4,), "w")
ERRORS = (ValueError, TypeError, IndexError)

# what is called, and what its message must have, each a regular expression
BAD = {
    # shapes
    "add": (lambda: V + W, ["add", r"\(3,\)", r"\(4,\)", "'v'", "'w'"]),
    "subtract, array": (lambda: V - np.ones(4), ["subtract", r"\(3,\)", r"\(4,\)", "'v'"]),
    "array first": (lambda: np.ones(4) * V, ["multiply", r"\(3,\)", r"\(4,\)", "'v'"]),
    "list": (lambda: V / [1.0, 2.0], ["divide", r"\(3,\)", r"\(2,\)", "'v'"]),
    "np.maximum": (lambda: np.maximum(V, W), ["maximum", r"\(3,\)", r"\(4,\)", "'v'", "'w'"]),
    "matmul": (lambda: A @ B, ["matmul", r"\(2, 3\)", r"\(4, 2\)", "'a'", "'b'"]),
    "matmul by a number": (lambda: A @ 2.0, ["matmul", r"\(2, 3\)", "'a'"]),
    "dot": (lambda: np.dot(V, W), ["dot", r"\(3,\)", r"\(4,\)", "'v'", "'w'"]),
    "einsum": (lambda: np.einsum("ij,jk", A, B), ["einsum", r"\(2, ?3\)", r"\(4, ?2\)"]),
    "where": (lambda: np.where(np.ones(5, bool), V, 0.0), ["where", r"\(3,\)", r"\(5,\)", "'v'"]),
    "concatenate": (
        lambda: np.concatenate([A, B]), ["concatenate", r"\(2, 3\)", r"\(4, 2\)", "'a'", "'b'"],
    ),
    "stack": (lambda: np.stack([V, W]), ["stack", r"\(3,\)", r"\(4,\)", "'v'", "'w'"]),
    "reshape": (lambda: A.reshape(4, 2), ["reshape", r"\(2, 3\)", r"\(4, ?2\)", "'a'"]),
    "broadcast_to": (
        lambda: np.broadcast_to(V, (2, 4)), ["broadcast", r"\(3,\)", r"\(2, ?4\)", "'v'"],
    ),
    "linear algebra": (
        lambda: np.linalg.inv(A), ["inv", r"\(2, 3\)", "'a'", "square"],
    ),
    "solve": (lambda: np.linalg.solve(np.eye(2), W), ["solve", r"\(4,\)", "'w'"]),
    "assignment": (
        lambda: copy.deepcopy(A).__setitem__(0, W), ["setitem|assign", r"\(4,\)", "'a'", "'w'"],
    ),
    # axes and indices
    "sum": (lambda: np.sum(V, axis=2), ["sum", "axis 2", r"\(3,\)", "'v'"]),
    "method": (lambda: A.mean(axis=5), ["mean|sum", "axis 5", r"\(2, 3\)", "'a'"]),
    "max": (lambda: np.max(A, axis=-3), ["max", "axis -3", r"\(2, 3\)", "'a'"]),
    "transpose": (lambda: A.transpose(0, 1, 2), ["transpose", r"\(2, 3\)", "'a'"]),
    "squeeze": (lambda: np.squeeze(A, axis=0), ["squeeze", r"\(2, 3\)", "'a'"]),
    "softmax": (lambda: autograd.softmax(V, axis=4), ["axis 4", r"\(3,\)", "'v'"]),
    "index": (lambda: V[7], ["index 7", "size 3|\\(3,\\)", "'v'"]),
    "many indices": (lambda: A[0, 0, 0], ["too many indices", r"\(2, 3\)|2-dim", "'a'"]),
    "fractional index": (lambda: V[1.5], ["integers", "'v'"]),
    "mask": (lambda: V[np.ones(4, bool)], ["boolean", "4", "'v'"]),
    "take": (lambda: np.take(A, [3], axis=0), ["take", "3", r"\(2, 3\)|size 2", "'a'"]),
    # backward
    "no seed": (lambda: (A * 2).backward(), ["multiply", r"\(2, 3\)", r"np\.sum", "seed"]),
    "no seed, named": (lambda: A.backward(), ["'a'", r"\(2, 3\)", r"np\.sum", "seed"]),
    "wrong seed": (
        lambda: (A * 2).backward(np.ones(3)), ["seed", "multiply", r"\(3,\)", r"\(2, 3\)"],
    ),
    "wrong seed, named": (
        lambda: A.backward(np.ones((3, 2))), ["seed", "'a'", r"\(3, 2\)", r"\(2, 3\)"],
    ),
    "seed for one number": (lambda: np.sum(A).backward(np.ones(2)), ["seed", "sum", r"\(2,\)"]),
    "no variable": (
        lambda: np.sum(A.detach() * 2).backward(), ["variable", r"Tensor\(data\)", "no_grad"],
    ),
    "no variable after no_grad": (lambda: silent().backward(), ["variable", "no_grad"]),
    "gradients of a constant": (
        lambda: gradients(silent(), A), ["gradients", "constant Tensor"],
    ),
    "gradients of an array": (lambda: gradients(A.data, A), ["gradients", "Tensor"]),
    # functions
    "no rule": (
        lambda: np.gcd(V, 2), [r"np\.gcd", "Register", r"autograd\.elementwise", r"\.data"],
    ),
    "no rule, not a ufunc": (
        lambda: np.fft.fft(V), [r"np\.fft.*fft", "Register", "README", r"\.data"],
    ),
    "out=": (lambda: np.exp(V, out=np.zeros(3)), ["exp", "returned value"]),
    "out= of a function": (lambda: np.sum(V, out=np.zeros(())), ["sum", "returned value"]),
    "where=": (lambda: np.add(V, 1.0, where=np.ones(3, bool)), ["add", "where", r"np\.where"]),
    "wrong type": (lambda: V - "a", ["Tensor", "str"]),
    # networks
    "labels too large": (
        lambda: nn.cross_entropy(A, [0, 3]), ["cross_entropy", "label 3", r"0\.\.2"],
    ),
    "labels negative": (
        lambda: nn.cross_entropy(A, [0, -1]), ["cross_entropy", "label -1", r"0\.\.2"],
    ),
    "labels fractional": (
        lambda: nn.cross_entropy(A, [0, 0.5]), ["cross_entropy", "float64", "integers", r"0\.\.2"],
    ),
    "labels nan": (lambda: nn.cross_entropy(A, [0, np.nan]), ["cross_entropy", "integers"]),
    "labels of wrong length": (
        lambda: nn.cross_entropy(A, [0, 1, 2]), ["cross_entropy", r"\(2, 3\)", r"\(3,\)"],
    ),
    "labels of wrong shape": (
        lambda: nn.cross_entropy(A, [[0], [1]]), ["cross_entropy", r"\(2, 3\)", r"\(2, 1\)"],
    ),
    "labels as words": (lambda: nn.cross_entropy(A, ["a", "b"]), ["cross_entropy", "integers"]),
    "logits of wrong shape": (
        lambda: nn.cross_entropy(V, [0, 1, 2]), ["cross_entropy", r"\(3,\)", r"\(N, C\)"],
    ),
    "no examples": (
        lambda: nn.cross_entropy(np.ones((0, 3)), np.ones(0, int)), ["cross_entropy", "N = 0"],
    ),
    "unknown reduction": (
        lambda: nn.cross_entropy(A, [0, 1], "average"), ["cross_entropy", '"sum"', "average"],
    ),
    "dropout, p = 1.5": (lambda: nn.Dropout(1.5), ["Dropout", r"\[0, 1\]", r"1\.5"]),
    "dropout, p = -0.1": (lambda: nn.Dropout(-0.1), ["Dropout", r"\[0, 1\]", r"-0\.1"]),
    "dropout, p = nan": (lambda: nn.Dropout(np.nan), ["Dropout", r"\[0, 1\]", "nan"]),
    "dropout function": (
        lambda: nn.functional.dropout(A, 2.0), ["dropout", r"\[0, 1\]", r"2\.0"],
    ),
    "linear": (
        lambda: nn.Linear(4, 2)(A), [r"Linear\(4, 2\)", "last axis", r"\(2, 3\)"],
    ),
    "linear of a number": (lambda: nn.Linear(4, 2)(1.0), [r"Linear\(4, 2\)", r"\(\)"]),
    "linear of no features": (lambda: nn.Linear(0, 2), ["Linear", "in_features", "0"]),
    "linear of a fraction": (lambda: nn.Linear(2, 1.5), ["Linear", "out_features", r"1\.5"]),
    "batch norm on one row": (
        lambda: nn.BatchNorm1d(3)(A[:1]), ["BatchNorm1d", r"\(1, 3\)", "larger batch", r"eval\(\)"],
    ),
    "batch norm on no rows": (
        lambda: nn.BatchNorm1d(3)(A[:0]), [r"BatchNorm1d\(3\)", r"\(0, 3\)", "larger batch"],
    ),
    "batch norm on other features": (
        lambda: nn.BatchNorm1d(4)(A), [r"BatchNorm1d\(4\)", r"\(N, 4\)", r"\(2, 3\)"],
    ),
    "batch norm on a vector": (lambda: nn.BatchNorm1d(3)(V), [r"BatchNorm1d\(3\)", r"\(3,\)"]),
    "module without forward": (lambda: nn.Module()(A), ["Module", "forward", "write one"]),
    "missing attribute": (lambda: nn.Linear(3, 2).wieght, ["Linear", "'wieght'"]),
    # optimizers
    "SGD of nothing": (lambda: optim.SGD([]), ["SGD", "no parameters", r"model\.parameters\(\)"]),
    "Adam of nothing": (lambda: optim.Adam(iter(())), ["Adam", "no parameters"]),
    "parameters of a layer without any": (
        lambda: optim.SGD(nn.ReLU().parameters()), ["SGD", "no parameters"],
    ),
    "lr < 0": (lambda: optim.SGD([V], lr=-0.1), ["SGD", "lr", ">= 0", r"-0\.1"]),
    "lr nan": (lambda: optim.Adam([V], lr=np.nan), ["Adam", "lr", "nan"]),
    "lr as a word": (lambda: optim.Adam([V], lr="fast"), ["Adam", "lr", "fast"]),
    "momentum": (lambda: optim.SGD([V], momentum=1.5), ["SGD", "momentum", r"\[0, 1\)", r"1\.5"]),
    "nesterov": (lambda: optim.SGD([V], nesterov=True), ["SGD", "nesterov", "momentum"]),
    "betas": (lambda: optim.Adam([V], betas=(0.9, 1.0)), ["Adam", "betas", r"\[0, 1\)"]),
    "one beta": (lambda: optim.Adam([V], betas=(0.9,)), ["Adam", "betas", "two numbers"]),
    "eps": (lambda: optim.Adam([V], eps=-1e-8), ["Adam", "eps", "> 0"]),
    "weight decay": (lambda: optim.SGD([V], weight_decay=-1), ["SGD", "weight_decay", ">= 0"]),
    "arrays to an optimizer": (
        lambda: optim.SGD([V, np.ones(3)]), ["SGD", "parameter 1", "ndarray", "Tensor"],
    ),
    "a parameter twice": (lambda: optim.SGD([V, W, V]), ["SGD", "more than once"]),
    "results to an optimizer": (lambda: optim.SGD([V * 2]), ["SGD", "parameter 0", "result|input"]),
    "one Tensor to an optimizer": (lambda: optim.SGD(V), ["SGD", "Tensor|list"]),
    # state
    "missing state": (
        lambda: nn.Linear(3, 2).load_state_dict({"weight": np.ones((2, 3))}),
        ["load_state_dict", "Linear", "missing bias"],
    ),
    "unexpected state": (
        lambda: nn.Linear(3, 2, bias=False).load_state_dict(nn.Linear(3, 2).state_dict()),
        ["load_state_dict", "unexpected bias"],
    ),
    "state of another shape": (
        lambda: nn.Linear(3, 2).load_state_dict(nn.Linear(4, 2).state_dict()),
        ["weight", r"\(2, 4\)", r"\(2, 3\)"],
    ),
    "unknown parameter": (
        lambda: nn.functional_call(nn.Linear(3, 2), {"w": V}, A),
        ["functional_call", "no parameter w", "weight, bias"],
    ),
}  # fmt: skip


def silent():
    with no_grad():
        return np.sum(A * 2)


@pytest.mark.parametrize("case", BAD)
def test_the_message_names_what_is_wrong(case):
    call, wanted = BAD[case]
    before = [t.data.copy() for t in (A, B, V, W)]
    error = AttributeError if case == "missing attribute" else ERRORS
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert [w for w in wanted if not re.search(w, message)] == [], message
    for t, data in zip((A, B, V, W), before, strict=True):
        np.testing.assert_array_equal(t.data, data)
        assert t.grad is None and t.node.primitive is None


def test_a_message_without_names_is_still_one():
    with pytest.raises(ValueError, match=r"(?s)add.*\(3,\).*\(4,\)"):
        Tensor(np.ones(3)) + Tensor(np.ones(4))


def test_messages_inside_a_transformation():
    """The operation and the shapes are those of the arrays, however deep the levels."""
    with pytest.raises(ValueError, match=r"(?s)matmul.*\(2, 3\).*\(4,\)"):
        autograd.grad(lambda x: np.sum(x @ np.ones(4)))(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"(?s)matmul.*\(2, 3\).*\(4,\)"):
        autograd.hessian(lambda x: np.sum(x @ np.ones(4)))(np.ones((2, 3)))


@pytest.mark.parametrize("transformed", [autograd.grad, autograd.hessian, autograd.vmap])
def test_the_causes_of_an_error_come_to_an_end(transformed):
    """None is its own: what follows them, as a worker does that sends an error home, has to end."""
    with pytest.raises(ValueError, match="add") as caught:
        transformed(lambda x: np.sum(x * x + np.ones(4)))(np.ones((2, 3)))
    error, causes = caught.value, []
    while error is not None:
        assert not any(error is cause for cause in causes)
        causes.append(error)
        error = error.__cause__
    assert len(causes) > 1


def test_messages_in_a_constant_expression():
    with pytest.raises(ValueError, match=r"(?s)add.*\(3,\).*\(4,\)"):
        V.detach() + W.detach()
    with no_grad(), pytest.raises(ValueError, match=r"(?s)add.*\(3,\).*\(4,\)"):
        V + W


# --- nothing is changed ------------------------------------------------------------------------


def trained():
    """A network with gradients, running statistics and an optimizer with state."""
    autograd.seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x, labels = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32), np.arange(6) % 2
    for _ in range(2):
        optimizer.zero_grad()
        nn.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return model, optimizer, x, labels


def snapshot(model, optimizer):
    return copy.deepcopy(
        [
            model.state_dict(), [p.grad for p in model.parameters()], optimizer.state,
            optimizer.lr, optimizer.hyper, generator_or_default().bit_generator.state,
        ]
    )  # fmt: skip


FAILURES = {
    "labels": lambda m, o, x, y: nn.cross_entropy(m.eval()(x), y + 1).backward(),
    "wrong shape": lambda m, o, x, y: m(x[:, :2]),
    "one row": lambda m, o, x, y: m.layers[1](m.layers[0](x[:1])),
    "backward without a seed": lambda m, o, x, y: m.eval()(x).backward(),
    "backward with a wrong seed": lambda m, o, x, y: m.eval()(x).backward(np.ones(6)),
    "load_state_dict": lambda m, o, x, y: m.load_state_dict(
        m.state_dict() | {"layers.3.bias": np.ones(3)}
    ),
    "load_state_dict, no array": lambda m, o, x, y: m.load_state_dict(
        m.state_dict() | {"layers.3.bias": ["a", "b"]}
    ),
    "load_state_dict, unknown": lambda m, o, x, y: m.load_state_dict(m.state_dict() | {"c": 1.0}),
    "dropout": lambda m, o, x, y: nn.functional.dropout(m.eval()(x), -1.0),
    "optimizer": lambda m, o, x, y: optim.Adam(m.parameters(), lr=-1.0),
    "grad of another shape": lambda m, o, x, y: setattr(m.layers[0].weight, "grad", np.ones(2)),
    "integer data": lambda m, o, x, y: setattr(m.layers[0].weight, "data", np.ones((4, 3), int)),
    "functional_call": lambda m, o, x, y: nn.functional_call(m, {"c": x}, x),
    "assignment": lambda m, o, x, y: m.layers[0].bias.__setitem__(9, 1.0),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failed_call_changes_nothing(case):
    model, optimizer, x, labels = trained()
    before = snapshot(model, optimizer)
    with pytest.raises(ERRORS):
        FAILURES[case](model, optimizer, x, labels)
    np.testing.assert_equal(snapshot(model, optimizer), before)


def test_a_failed_backward_leaves_every_gradient_alone():
    """One of two leaves could have been reached; neither is."""
    x, z = tensor(3, "x"), tensor(3, "z")
    y = np.sum(x * 2 + np.sin(z))
    x.grad = np.ones(3)
    z.data[...] = 0.0
    with pytest.raises(RuntimeError, match="'z'"):
        y.backward()
    np.testing.assert_array_equal(x.grad, np.ones(3))
    assert z.grad is None


def test_an_error_inside_a_rule_leaves_every_gradient_alone():
    def pull(g, y, x):
        raise ZeroDivisionError("in the rule")

    operation = autograd.general(lambda x: x * 2, pull, name="fails")
    try:
        x, z = tensor(3, "x"), tensor(3, "z")
        y = np.sum(z * 3.0 + operation(x))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="in the rule"):
                y.backward()
        assert x.grad is None and z.grad is None
    finally:
        del autograd.primitive.registry[operation.function]


def test_a_failing_function_leaves_the_engine_as_it_was():
    """After an error inside a transformation or a silent block all works as before."""

    def fails(x):
        with no_grad():
            raise KeyError("inside")

    for call in (lambda: autograd.grad(fails)(1.0), lambda: autograd.hessian(fails)(np.ones(2))):
        with pytest.raises(KeyError):
            call()
    x = Tensor(3.0)
    (x * x).backward()
    assert x.grad == 6.0 and autograd.grad(autograd.grad(lambda x: x**3))(2.0) == 12.0


def test_a_failed_draw_leaves_the_generator_alone():
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state
    with pytest.raises(ValueError, match="dropout"):
        nn.functional.dropout(V, 1.5, generator)
    with pytest.raises(ValueError, match="Linear"):
        nn.Linear(-1, 3, generator=generator)
    assert generator.bit_generator.state == state
