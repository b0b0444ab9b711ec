"""The ledger against counts made by hand: Speelpenning's product, chains, networks."""

import json
import math
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import autograd
import nn
from autograd import compare_modes, general, measuring, scaling
from autograd.primitive import plain, registry
from autograd.rules.random import generator_or_default

NUMBERS = ("additions", "multiplications", "divisions", "comparisons", "gemm")
QUICK = {"repeats": 1, "seconds": 0.5}


def product(ws):
    p = 1.0
    for w in ws:
        p = p * w
    return p


def counted(costs, name):
    """The classes of a row in which anything was counted, without the bytes."""
    counts = costs[name].counts
    found = {n: getattr(counts, n) for n in NUMBERS} | counts.calls
    return {n: count for n, count in found.items() if count}


# --- Speelpenning's product, v_1 = 1 and v_{j+1} = v_j w_j ----------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10, 57])
def test_speelpennings_product(n):
    """Every step multiplies once; what the derivatives of the step add is worked out below."""
    costs = compare_modes(product, [1 + 1 / (j + 1) for j in range(n)], **QUICK)
    assert counted(costs, "f") == {"multiplications": n}
    # A direction: v_j' w_j + v_j w_j', two products and a sum; v_1 is constant, so the first step
    # has one product.
    pushed = 2 * n - 1
    assert counted(costs, "one direction (jvp)") == {
        "multiplications": n + pushed, "additions": n - 1,
    }  # fmt: skip
    # n directions: n times that, while the value is computed once.
    assert counted(costs, "forward gradient") == {
        "multiplications": n + n * pushed, "additions": n * (n - 1),
    }  # fmt: skip
    # The sweep back: v̄_j = v̄_{j+1} w_j and w̄_j = v̄_{j+1} v_j, but for v̄_1, which nobody wants.
    assert counted(costs, "reverse gradient") == {"multiplications": n + (2 * n - 1)}
    assert counted(costs, "checkpointed reverse") == {"multiplications": 2 * n + (2 * n - 1)}
    # A direction through value and sweep back.  Of the 2n - 1 products of the sweep, the first two
    # have the constant seed 1 and the last has the constant v_1: they gain one product each; all
    # the others gain two products and a sum.
    assert counted(costs, "hvp (forward over reverse)") == {
        "multiplications": (n + pushed) + (2 * n - 1) + 3 + 2 * (2 * n - 4),
        "additions": (n - 1) + (2 * n - 4),
    }  # fmt: skip


def test_ratios_and_the_bound_of_the_product():
    costs = compare_modes(product, [1.5] * 10, **QUICK)
    assert costs.ratio(costs["f"]) == 1
    assert costs.ratio(costs["reverse gradient"]) == 2.9
    assert costs.bound_holds is True
    assert "bound holds: value and reverse gradient together take 29 operations" in costs.text(200)


def test_the_product_of_one_number():
    costs = compare_modes(product, [2.5], **QUICK)
    assert counted(costs, "forward gradient") == {"multiplications": 2}
    assert counted(costs, "reverse gradient") == {"multiplications": 2}


def test_exponents_of_the_product():
    """n, 3n - 1 and 3n² - n operations: powers 1, 1 and 2, but for the lower terms."""
    growth = scaling(lambda n: (product, ([1.01] * n,)), [32, 64, 128, 256], **QUICK)
    powers = {name: found["operations"] for name, found in growth.exponents.items()}
    assert powers["f"] == pytest.approx(1, abs=1e-12)
    for name, total in {
        "reverse gradient": lambda n: 3 * n - 1,
        "forward gradient": lambda n: 3 * n * n - n,
    }.items():
        x = np.log(growth.sizes)
        y = np.log([total(n) for n in growth.sizes])
        slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
        assert powers[name] == pytest.approx(slope, abs=1e-12)
    assert powers["reverse gradient"] == pytest.approx(1, abs=0.01)
    assert powers["forward gradient"] == pytest.approx(2, abs=0.01)
    assert growth.exponents["reverse gradient"]["saved"] == pytest.approx(1, abs=1e-12)
    assert growth.exponents["f"]["saved"] is None


# --- matrix products ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes", [(3, 5, 40), (40, 5, 3), (6, 6, 6), (7, 50, 7), (1, 8, 2), (2, 8, 1)]
)
def test_the_chain_of_matrices(sizes):
    """Forward takes a product with every matrix for each argument, reverse for each result."""
    rng = np.random.default_rng(0)
    Ws = [rng.standard_normal((m, n)) for n, m in zip(sizes, sizes[1:], strict=False)]

    def chain(x):
        for W in Ws:
            x = W @ x
        return x

    costs = compare_modes(chain, rng.standard_normal(sizes[0]), **QUICK)
    flops = sum(2 * W.size for W in Ws)
    matrix = "Jacobian" if sizes[-1] > 1 else "gradient"
    forward, reverse = costs[f"forward {matrix}"].counts, costs[f"reverse {matrix}"].counts
    assert counted(costs, "f") == {"gemm": flops}
    assert counted(costs, "one direction (jvp)") == {"gemm": 2 * flops}
    assert counted(costs, f"forward {matrix}") == {"gemm": (1 + sizes[0]) * flops}
    assert counted(costs, f"reverse {matrix}") == {"gemm": (1 + sizes[-1]) * flops}
    # the crossover is where there are as many results as arguments, whatever lies between
    assert np.sign(forward.total - reverse.total) == np.sign(sizes[0] - sizes[-1])


@pytest.mark.parametrize("sizes", [(4, 7, 3), (5, 5, 5, 5)])
def test_gradients_of_a_network(sizes):
    """Reverse: two products for every one of the value, but for the data's derivative."""
    rng, rows = np.random.default_rng(0), 6
    x = rng.standard_normal((rows, sizes[0]))
    Ws = [rng.standard_normal((n, m)) for n, m in zip(sizes, sizes[1:], strict=False)]

    def loss(Ws, x):
        for W in Ws[:-1]:
            x = np.tanh(x @ W)
        return np.sum(x @ Ws[-1])

    first, flops = 2 * rows * Ws[0].size, sum(2 * rows * W.size for W in Ws)
    by_weights = compare_modes(lambda Ws: loss(Ws, x), Ws, **QUICK)
    assert by_weights["f"].counts.gemm == flops
    assert by_weights["reverse gradient"].counts.gemm == 3 * flops - first
    assert by_weights["checkpointed reverse"].counts.gemm == 4 * flops - first
    by_all = compare_modes(loss, Ws, x, **QUICK)
    assert by_all["reverse gradient"].counts.gemm == 3 * flops
    assert by_all["one direction (jvp)"].counts.gemm == 3 * flops
    assert by_all["f"].counts.calls == {"tanh": rows * sum(sizes[1:-1])}
    assert by_all.bound_holds and by_weights.bound_holds


class Clock:
    """A clock that only tests move: what is measured is what they say it took."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)
    return clock


def test_many_sweeps_are_counted_as_if_all_were_run(clock, monkeypatch):
    """2,005 seeds, sixteen at a time, and the five that are left; a seed takes a millisecond."""

    class Timed(measuring.Mode):
        def __call__(self, xs, parts):
            clock.sleep(1e-3 * sum(stop - start for start, stop in parts))
            return super().__call__(xs, parts)

    monkeypatch.setattr(measuring, "Mode", Timed)
    n = 2005
    costs = compare_modes(lambda x: np.sum(x * x), np.ones(n), repeats=1, seconds=0.05)
    row = costs["forward gradient"]
    # x x' + x' x for each direction, then its sum
    assert counted(costs, "forward gradient") == {
        "multiplications": n + n * 2 * n, "additions": (n - 1) + n * (n + n - 1),
    }  # fmt: skip
    assert not row.whole
    assert "~" in costs.text() and "a part of its sweeps" in costs.text()
    run = compare_modes(lambda x: np.sum(x * x), np.ones(n), repeats=1, seconds=60)
    assert run["forward gradient"].whole
    assert "~" not in run.text()
    # estimated, as if the last part had sixteen seeds too, and measured
    assert row.median == pytest.approx(1e-3 * 16 * 126)
    assert run["forward gradient"].median == pytest.approx(1e-3 * n)


# --- the bound ------------------------------------------------------------------------------------


def test_the_bound_fails_for_a_single_quotient():
    """1 for y = a/b, then g/b and -g·y/b: a division, and a sign, a product and a division."""
    costs = compare_modes(lambda a, b: a / b, 3.0, 4.0, **QUICK)
    assert counted(costs, "f") == {"divisions": 1}
    assert counted(costs, "reverse gradient") == {
        "divisions": 3, "multiplications": 1, "additions": 1,
    }  # fmt: skip
    assert costs.bound_holds is False
    assert "bound fails" in costs.text(200)
    assert "5 operations, more than 4 times the 1 of f" in costs.text(200)


def test_the_bound_is_reached_by_tanh():
    """y = tanh x, then g·(1 - y²): four operations for one, and four is still within the bound."""
    costs = compare_modes(np.tanh, 0.5, **QUICK)
    assert costs["reverse gradient"].counts.total == 4
    assert costs.bound_holds is True


def test_no_bound_is_claimed_where_there_are_several_results():
    costs = compare_modes(lambda x: (x[0] / x[1], np.exp(x)), np.array([1.0, 2.0]), **QUICK)
    assert costs.bound_holds is None
    assert "bound" not in costs.text()
    assert costs.outputs == 3
    names = ["f", "one direction (jvp)", "forward Jacobian", "reverse Jacobian"]
    assert [row.name for row in costs.rows] == [*names, "checkpointed reverse"]


def test_a_function_without_operations():
    costs = compare_modes(lambda x: x, 2.0, **QUICK)
    assert {row.counts.total for row in costs.rows} == {0}
    assert costs.ratio(costs["reverse gradient"]) is None
    assert costs.bound_holds is True


# --- memory and time ------------------------------------------------------------------------------


def test_saved_bytes_of_a_network():
    """Every array of the graph once; views of the weights are the arguments' own memory."""
    rows, d, h, k = 9, 5, 7, 3
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, d))
    Ws = [rng.standard_normal((h, d)), rng.standard_normal((k, h))]

    def loss(Ws, x):
        return np.sum((np.tanh(x @ Ws[0].T) @ Ws[1].T) ** 2)

    values = 2 * rows * h + 2 * rows * k + 1  # two before and after tanh, two about the square
    costs = compare_modes(loss, Ws, x, **QUICK)
    assert costs["reverse gradient"].saved == 8 * values
    assert costs["checkpointed reverse"].saved == 8
    assert costs["hvp (forward over reverse)"].saved > 8 * 2 * values - 8 * rows * (h + k)
    closed = compare_modes(lambda Ws: loss(Ws, x), Ws, **QUICK)
    assert closed["reverse gradient"].saved == 8 * (values + x.size)
    assert costs["f"].saved == 0


def test_saved_bytes_count_memory_once():
    """A slice keeps its whole base, and a constant used twice is one array."""
    mask = np.ones(100)

    def f(x):
        y = np.exp(x)
        return np.sum(y[:3] * mask[:3]) + np.sum(y[5:] * mask[5:])

    costs = compare_modes(f, np.ones(100), **QUICK)
    # y, mask, the two products, their sums and the total
    assert costs["reverse gradient"].saved == 8 * (100 + 100 + 3 + 95 + 2 + 1)


def test_saved_bytes_of_numbers():
    assert compare_modes(product, [1.5] * 20, **QUICK)["reverse gradient"].saved == 8 * 20


def test_peak_memory():
    n = 20_000
    costs = compare_modes(lambda x: np.sum(np.exp(np.sin(x))), np.ones(n), repeats=1, seconds=5)
    assert 2 * 8 * n <= costs["f"].peak <= 2 * 8 * n + 5_000  # sin and exp at one time
    assert costs["reverse gradient"].peak >= 3 * 8 * n  # both, and a cotangent


def test_times_are_those_of_the_runs(clock):
    def slow(x):
        clock.sleep(0.02)
        return x * 2

    costs = compare_modes(slow, 1.0, repeats=3, seconds=30)
    for row in costs.rows:
        runs = 2 if row.name == "checkpointed reverse" else 1
        assert row.times == pytest.approx([0.02 * runs] * 3), row.name
        assert row.quartiles == pytest.approx([0.02 * runs] * 3)


def test_measuring_takes_about_the_seconds_it_is_given(clock):
    def slow(x):
        clock.sleep(0.01)
        return np.sum(x * x)

    costs = compare_modes(slow, np.ones(3000), repeats=1000, seconds=0.5)
    assert 0.4 < clock.now < 1.0  # 1,000 repeats of each take over 60
    assert all(2 < len(row.times) < 50 for row in costs.rows)


def test_taking_containers_apart_is_no_cost_of_the_function(clock):
    class Slow:
        def __tree__(self, by_value=True):
            def rebuild(leaves):
                clock.sleep(0.02)
                return leaves[0]

            return [2.0], rebuild

    costs = compare_modes(lambda x: x * x, Slow(), **QUICK)
    assert costs["f"].median == 0 < costs["reverse gradient"].median


def test_counts_do_not_change_from_call_to_call():
    def f(x):
        return np.sum(np.exp(x) / (1 + x))

    first, second = (compare_modes(f, np.ones(5), **QUICK) for _ in range(2))
    for a, b in zip(first.rows, second.rows, strict=True):
        assert (a.name, a.counts, a.saved) == (b.name, b.counts, b.saved)


# --- arguments, random draws, state ---------------------------------------------------------------


def test_integers_and_the_like_are_constants():
    def f(tree, power, labels, name):
        assert type(power) is int and labels.dtype.kind == "i" and name == "mean"
        return np.sum(tree["w"][labels] ** power) * tree["b"][0]

    tree = {"w": np.array([1.0, 2.0, 3.0]), "b": (2.0, 7)}
    costs = compare_modes(f, tree, 3, np.array([0, 2]), "mean", **QUICK)
    assert (costs.inputs, costs.outputs) == (4, 1)
    assert costs.bound_holds is not None


def test_what_numpys_own_generators_draw_cannot_be_checkpointed():
    rng = np.random.default_rng(0)
    costs = compare_modes(lambda x: np.sum(x * rng.normal(size=3)), np.ones(3), repeats=1)
    assert costs["reverse gradient"].counts.total > 0
    assert "another result than the first time" in costs["checkpointed reverse"].problem


def test_arguments_that_the_function_writes_into_are_left_as_found():
    def f(x):
        x[0] = 5.0
        return np.sum(x)

    x = np.array([1.0, 2.0])
    compare_modes(f, x, repeats=1)
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_parameters_of_modules_are_differentiated_by():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2, bias=False))
    x = np.ones((5, 4), np.float32)
    costs = compare_modes(lambda model: np.sum(model(x)), model, **QUICK)
    assert costs.inputs == 4 * 3 + 3 + 3 * 2
    flops = 2 * 5 * (4 * 3 + 3 * 2)
    assert costs["reverse gradient"].counts.gemm == 3 * flops - 2 * 5 * 4 * 3
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("own", [True, False])
def test_every_evaluation_draws_the_same_and_generators_are_left_as_found(own):
    autograd.seed(3)
    generator = np.random.default_rng(5) if own else None
    dropout = nn.Dropout(0.5, generator)
    state = generator_or_default(generator).bit_generator.state
    values = set()

    def f(x):
        y = np.sum(dropout(dropout(x)) * np.arange(32.0))
        values.add(float(plain(y)))
        return y

    costs = compare_modes(f, np.ones(32), **QUICK)
    assert len(values) == 1 and costs.rows[0].counts.total > 0
    assert generator_or_default(generator).bit_generator.state == state


def test_buffers_are_left_as_found():
    norm = nn.BatchNorm1d(3)
    before = norm.state_dict()
    x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    inside = compare_modes(lambda norm: np.sum(norm(x) ** 3), norm, **QUICK)
    closed = compare_modes(lambda x: np.sum(norm(x) ** 3), x, **QUICK)
    assert inside["f"].counts.total == closed["f"].counts.total > 0
    for name, value in norm.state_dict().items():
        assert np.array_equal(value, before[name]), name
    norm(x)  # and move on afterwards
    assert not np.array_equal(norm.running_mean, before["running_mean"])


def test_a_failing_function_leaves_generators_as_found():
    autograd.seed(3)
    state = generator_or_default().bit_generator.state

    def f(x):
        nn.functional.dropout(x, 0.5)
        raise ZeroDivisionError("in f")

    with pytest.raises(ZeroDivisionError, match="in f"):
        compare_modes(f, np.ones(3))
    assert generator_or_default().bit_generator.state == state


def test_without_a_reverse_gradient_no_bound_is_claimed():
    def only_forward(x):
        return x * 2

    def pull(g, y, x):
        raise TypeError("only_forward is not for reverse mode")

    operation = general(only_forward, pull, lambda t, y, x: t * 2)
    try:
        costs = compare_modes(lambda x: np.sum(operation(x)), np.ones(3), **QUICK)
    finally:
        del registry[only_forward]
    assert "only_forward is not for" in costs["reverse gradient"].problem
    assert costs.bound_holds is None
    assert "bound" not in costs.text(200)
    assert counted(costs, "one direction (jvp)") == {"multiplications": 6, "additions": 4}


def test_a_mode_that_an_operation_has_no_rule_for_is_left_out_and_said():
    def only_reverse(x):
        return x * 2

    operation = general(only_reverse, lambda g, y, x: g * 2)
    try:
        costs = compare_modes(lambda x: np.sum(operation(x)), np.ones(3), **QUICK)
    finally:
        del registry[only_reverse]
    assert "no rule to push" in costs["one direction (jvp)"].problem
    assert costs["forward gradient"].counts is None
    assert counted(costs, "reverse gradient")["multiplications"] == 6
    text = costs.text(200)
    assert "No forward gradient: only_reverse has no rule to push tangents forward" in text
    assert "no rule to push" in costs._repr_html_()
    assert {"name", "problem", "ratio"} == {*costs.to_dict()["rows"][1]}


# --- what is shown --------------------------------------------------------------------------------


def network():
    rng = np.random.default_rng(0)
    W, x = rng.standard_normal((30, 20)), rng.standard_normal((50, 30))
    return compare_modes(lambda W: np.sum(np.tanh(x @ W)), W, **QUICK)


def test_text_fits_the_width():
    costs = network()
    total = costs["forward gradient"].counts.total
    assert total > 1e6
    for width in (80, 120):
        assert max(map(len, costs.text(width).splitlines())) <= width
    assert f"{total:,}" in costs.text(120)
    assert "Calls by f: tanh 1,000." in costs.text()


def test_printing_takes_the_terminals_width(monkeypatch):
    costs = network()
    for width in (80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        assert repr(costs) == str(costs) == costs.text(width)


def test_html_is_well_formed_and_exact():
    costs = network()
    page = ElementTree.fromstring(costs._repr_html_())
    assert page.find("b").text == "<lambda>: 600 numbers → 1 number"
    rows = [["".join(c.itertext()) for c in row] for row in page.iter("tr")]
    assert [row[0] for row in rows[1:]] == [row.name for row in costs.rows]
    column = rows[0].index("total")
    assert [row[column] for row in rows[1:]] == [f"{r.counts.total:,}" for r in costs.rows]


def test_dicts_are_json():
    costs = network()
    found = json.loads(json.dumps(costs.to_dict()))
    assert found["cheap_gradient_bound"] is True
    assert found["inputs"] == 600
    row = found["rows"][3]
    assert row["name"] == "reverse gradient"
    assert row["total"] == row["counts"]["total"] == costs["reverse gradient"].counts.total
    assert row["ratio"] == pytest.approx(row["total"] / found["rows"][0]["total"])
    growth = scaling(lambda n: (np.sum, (np.ones(n),)), np.array([2, 4]), **QUICK)
    assert json.loads(json.dumps(growth.to_dict()))["sizes"] == [2, 4]


def test_an_unknown_row_is_named_with_those_there_are():
    with pytest.raises(KeyError, match="no row 'forward'; there are f, one direction"):
        network()["forward"]


@pytest.fixture
def pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_plot_of_a_comparison(pyplot):
    costs = network()
    figure = costs.plot()
    figure.canvas.draw()
    operations, times, memory = figure.axes
    drawn = [bar.get_width() for bar in operations.patches]
    assert drawn == [row.counts.total for row in reversed(costs.rows)]
    assert [bar.get_width() for bar in times.patches] == [r.median for r in reversed(costs.rows)]
    assert operations.get_xscale() == memory.get_xscale() == "log"
    labels = [label.get_text() for label in operations.get_yticklabels()]
    assert labels == [row.name for row in reversed(costs.rows)]


def test_plot_of_a_growth(pyplot):
    sizes = [4, 8, 16]
    growth = scaling(lambda n: (product, ([1.5] * n,)), sizes, **QUICK)
    figure = growth.plot()
    figure.canvas.draw()
    operations = figure.axes[0]
    assert operations.get_xscale() == operations.get_yscale() == "log"
    lines = {line.get_label().partition(":")[0]: line for line in operations.lines}
    assert list(lines["forward gradient"].get_xdata()) == sizes
    assert list(lines["forward gradient"].get_ydata()) == [3 * n * n - n for n in sizes]
    assert lines["f"].get_label() == "f: 1.00"


def test_a_growth_as_text_and_html():
    growth = scaling(lambda n: (product, ([1.5] * n,)), [64, 128], **QUICK)
    assert repr(growth).startswith("product: growth over sizes 64, 128\n")
    line = next(x for x in repr(growth).splitlines() if x.startswith("forward gradient"))
    assert line.split()[2] == "2.00"
    page = ElementTree.fromstring(growth._repr_html_())
    assert [row[0].text for row in page.iter("tr")][1:] == growth.modes


def test_without_matplotlib_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        network().plot()


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f, args, error, says",
    [
        (lambda x: None, (1.0,), TypeError, "<lambda> returned None; return a number"),
        (lambda x: [], (1.0,), TypeError, r"returned \[\]"),
        (lambda x: x[:0], (np.ones(2),), TypeError, "return a number, an array"),
        (lambda x: np.argsort(x), (np.ones(2),), TypeError, "the result of <lambda>.*int64"),
        (lambda x: "text", (1.0,), TypeError, "the result of <lambda>.*a str"),
        (lambda x: x * 2, (2,), TypeError, "no floating-point argument.*write 2.0 instead of 2"),
        (lambda x: x * 2, (np.arange(3),), TypeError, r"x\.astype\(float\)"),
        (lambda: 1.0, (), TypeError, "no floating-point argument"),
    ],
)
def test_functions_that_cannot_be_compared(f, args, error, says):
    with pytest.raises(error, match=says):
        compare_modes(f, *args)


@pytest.mark.parametrize("effort", [{"repeats": 0}, {"repeats": 1.5}, {"seconds": 0}])
def test_effort_must_be_positive(effort):
    (name,) = effort
    with pytest.raises(ValueError, match=f"compare_modes: {name} is a positive"):
        compare_modes(np.sin, 1.0, **effort)
    with pytest.raises(ValueError, match=name):
        scaling(lambda n: (np.sum, (np.ones(n),)), [1, 2], **effort)


@pytest.mark.parametrize("sizes", [[], [4], [4, 4], [0, 1], [-1, 2]])
def test_sizes_must_differ_and_be_positive(sizes):
    with pytest.raises(ValueError, match="at least two different positive sizes"):
        scaling(lambda n: (np.sum, (np.ones(n),)), sizes)


@pytest.mark.parametrize("make", [lambda n: np.sum, lambda n: (np.sum, np.ones(n)), lambda n: None])
def test_make_f_returns_a_function_and_its_arguments(make):
    with pytest.raises(TypeError, match=r"make_f\(2\) returned .*return \(f, args\)"):
        scaling(make, [2, 3])


def test_exponents_of_known_costs():
    """A matrix times its transpose takes 2n³ operations."""
    growth = scaling(
        lambda n: (lambda A: A @ A.T, (np.ones((n, n)),)), [2, 4, 8], repeats=1, seconds=0.1
    )
    assert growth.exponents["f"]["operations"] == pytest.approx(3, abs=1e-12)
    assert math.isfinite(growth.exponents["f"]["time"])
