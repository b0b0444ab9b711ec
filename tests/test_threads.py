"""Threads work beside each other, and processes begin with generators of their own.

Eight threads do the same kinds of work on data of their own; what they find must be what one
after the other finds, to the bit.
"""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
import optim
from autograd import Tensor, audit, checkpoint, grad, hessian, jvp, no_grad, value_and_grad, vmap
from autograd.graph import recording
from autograd.program import compile
from autograd.rules.random import generator_or_default, uniform
from autograd.tree import flatten

ROOT = Path(__file__).parents[1]
THREADS, ROUNDS = 8, 15


@pytest.fixture(autouse=True)
def switching_often():
    """Threads take turns after few steps each."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def f(x):
    y = np.tanh(x @ x.T) * np.sin(x[:, :1])
    return np.sum(y[1:] * y[:-1]) + np.sum(np.exp(-(x**2)))


def data(number):
    return np.random.default_rng(number).normal(size=(4, 3))


def by_backward(number):
    x = Tensor(data(number), name=f"x{number}")
    f(x).backward()
    return x.grad


def by_loop(number):
    x = Tensor(data(number))
    y = np.copy(x)
    for i in range(1, 4):
        y[i] = y[i - 1] * x[i] + np.cos(y[i])
    return autograd.gradients(np.sum(y), x)


def partly_silenced(number):
    """Blocks of no_grad that open and close while other threads record."""
    x, total = Tensor(data(number)), 0.0
    for _ in range(5):
        with no_grad():
            factor = np.sin(x)
        assert not factor.requires_grad
        total = total + np.sum(factor * x)
        assert total.requires_grad and recording(0)
    total.backward()
    return x.grad


def audited(number):
    """A report has what its own thread did."""
    x = Tensor(data(number), name="x")
    x.data[0, 0] = 0.0 if number % 2 else 1.0
    with audit() as report, np.errstate(divide="ignore"):
        y = np.sum(np.log(np.abs(x)))
    infinite = any("inf" in str(finding) for finding in report.findings)
    assert infinite == bool(number % 2)
    return y.data


def trained(number):
    """Ten steps with dropout and batch normalization, and every draw from a generator."""
    rng = np.random.default_rng(number)
    model = nn.Sequential(
        nn.Linear(3, 5, generator=rng), nn.BatchNorm1d(5), nn.ReLU(),
        nn.Dropout(0.3, generator=rng), nn.Linear(5, 2, generator=rng),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, labels = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 2, 20)
    for _ in range(10):
        optimizer.zero_grad()
        nn.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return list(model.state_dict().values())


COMPILED = compile(value_and_grad(f))
WORK = {
    "grad": lambda number: grad(f)(data(number)),
    "value_and_grad": lambda number: value_and_grad(f)(data(number)),
    "backward": by_backward,
    "loop": by_loop,
    "jvp": lambda number: jvp(f, (data(number),), (data(number + 100),)),
    "vmap": lambda number: vmap(grad(f))(np.stack([data(number), data(number + 1)])),
    "hessian": lambda number: hessian(f)(data(number)),
    "checkpoint": lambda number: grad(checkpoint(f))(data(number)),
    "compiled": lambda number: COMPILED(data(number)),
    "no_grad": partly_silenced,
    "audit": audited,
    "training": trained,
}


def arrays(result):
    return [np.asarray(x) for x in flatten(result)[0]]


@pytest.mark.parametrize("name", WORK)
def test_eight_threads_find_what_one_finds(name):
    """All at once begin a round, so that they meet in it."""
    work, together = WORK[name], threading.Barrier(THREADS)
    expected = [[arrays(work(10 * t + r)) for r in range(ROUNDS)] for t in range(THREADS)]

    def thread(t):
        together.wait(timeout=60)
        return [arrays(work(10 * t + r)) for r in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(thread, range(THREADS)))
    for rounds, wanted in zip(found, expected, strict=True):
        for these, those in zip(rounds, wanted, strict=True):
            for a, b in zip(these, those, strict=True):
                np.testing.assert_array_equal(a, b)


def test_no_grad_silences_its_own_thread_only():
    inside, done = threading.Event(), threading.Event()

    def silent():
        with no_grad():
            inside.set()
            assert done.wait(60)
            return (Tensor(1.0) * 2.0).requires_grad

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(silent)
        assert inside.wait(60)
        here = Tensor(1.0) * 2.0
        done.set()
        assert here.requires_grad and not other.result()


def test_an_audit_is_of_its_own_thread():
    inside, done = threading.Event(), threading.Event()

    def auditing():
        with audit() as report:
            inside.set()
            assert done.wait(60)
        return report

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(auditing)
        assert inside.wait(60)
        with np.errstate(divide="ignore"):
            np.log(Tensor(np.zeros(2)))
        done.set()
        assert not other.result().findings


# --- random draws ---------------------------------------------------------------------------------


def test_seed_is_for_all_threads_and_no_draw_comes_twice():
    """As its docstring has it: the threads share the default generator, who gets what is open."""
    count = 200

    def draws(_):
        return [float(uniform(0.0)) for _ in range(count)]

    autograd.seed(0)
    expected = sorted(x for t in range(THREADS) for x in draws(t))
    assert len({*expected}) == THREADS * count
    autograd.seed(0)
    with ThreadPoolExecutor(THREADS) as pool:
        found = sorted(x for xs in pool.map(draws, range(THREADS)) for x in xs)
    assert found == expected


def test_the_default_generator_is_one_for_all_threads(monkeypatch):
    monkeypatch.setattr("autograd.rules.random._default", None)
    together = threading.Barrier(THREADS)

    def first(_):
        together.wait(timeout=60)
        return generator_or_default()

    with ThreadPoolExecutor(THREADS) as pool:
        assert len({*map(id, pool.map(first, range(THREADS)))}) == 1


FORKED = """
import os
import numpy as np
import autograd
from autograd.rules.random import uniform

{before}
for _ in range(3):
    if not os.fork():
        {inside}
        print(float(uniform(0.0)), flush=True)
        os._exit(0)
    os.wait()
print(float(uniform(0.0)))
"""


def printed(code):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        timeout=100,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize("before", ["", "autograd.seed(0)", "uniform(0.0)"])
def test_forked_processes_draw_on_their_own(before):
    """Three children and the parent: no two alike, seeded before or not."""
    found = printed(FORKED.format(before=before, inside="pass"))
    assert len(found) == len({*found}) == 4


def test_a_fork_leaves_the_parents_draws_as_they_were():
    expected = printed(
        "import autograd\nautograd.seed(0)\nprint(autograd.rules.random.uniform(0.0))"
    )
    assert printed(FORKED.format(before="autograd.seed(0)", inside="pass"))[-1:] == expected


def test_a_seed_in_the_child_is_kept_to():
    found = printed(FORKED.format(before="", inside="autograd.seed(7)"))
    autograd.seed(7)
    assert found[:3] == [str(float(uniform(0.0)))] * 3


def test_a_fork_while_another_thread_is_in_no_grad():
    """The child finds no lock that nobody will ever open, and records."""
    assert printed(
        "import os, threading\n"
        "import autograd\n"
        "from autograd import Tensor, graph, no_grad\n"
        "graph._lock.acquire()\n"  # as another thread has it for a moment
        "if not os.fork():\n"
        "    with no_grad():\n"
        "        pass\n"
        "    print((Tensor(1.0) * 2.0).requires_grad, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    ) == ["True"]


SPAWNED = """
import multiprocessing
from autograd.rules.random import uniform
import autograd, tests.test_threads

if __name__ == "__main__":
    autograd.seed(0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(tests.test_threads.one_draw, range(4), chunksize=1)
    print(*found, float(uniform(0.0)))
"""


def one_draw(_):
    """For a process of a pool: which one it is, and a draw."""
    return float(uniform(0.0))


def test_spawned_processes_draw_on_their_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SPAWNED)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    found = done.stdout.split()
    assert len(found) == len({*found}) == 5
