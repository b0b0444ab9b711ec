"""Which stretch of a graph is whose: scopes, modules' calls, and the lines that made the nodes."""

import contextlib
import gc
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import nn
from autograd import Tensor, grad, no_grad, scope, scopes, source_lines
from autograd.scopes import line_of
from autograd.show import draw


def groups(y):
    """Labels of the groups around the operations of y, outermost first, operation by operation."""
    scene, found = draw(y).view.scene, {}

    def visit(group, labels):
        for item in group.items:
            if hasattr(item, "items"):
                visit(item, [*labels, item.label])
            else:
                found.setdefault(item.operation, []).append(labels)

    visit(scene.whole, [])
    return {name: labels[0] if len(labels) == 1 else labels for name, labels in found.items()}


# --- scopes ---------------------------------------------------------------------------------------


def test_a_scope_holds_what_was_recorded_in_it():
    x = Tensor(0.5)
    y = np.sin(x)
    with scope("middle"):
        y = np.cos(y)
    y = np.exp(y)
    assert groups(y) == {"sin": [], "cos": ["middle"], "exp": []}


def test_scopes_nest_and_follow_each_other():
    y = Tensor(0.5)
    with scope("a"):
        with scope("b"):
            y = np.sin(y)
        with scope("c"):
            y = np.cos(y)
        y = np.exp(y)
    with scope("b"):
        y = np.tanh(y)
    assert groups(y) == {"sin": ["a", "b"], "cos": ["a", "c"], "exp": ["a"], "tanh": ["b"]}


def test_a_scope_of_one_name_in_itself_is_two():
    def power(y, n):
        with scope("power"):
            return np.sin(power(y, n - 1)) if n else np.cos(y)

    found = groups(power(Tensor(0.5), 2))
    assert found["cos"] == ["power"] * 3 and found["sin"] == [["power"] * 2, ["power"]]


def test_a_scope_without_operations_is_not_shown():
    y = Tensor(0.5)
    with scope("empty"):
        z = np.cos(y)  # not part of the graph drawn
    with scope("inputs"):
        x = Tensor(1.0)
    assert groups(np.sin(y * x)) == {"multiply": [], "sin": []} and z is not None


def test_a_scopes_name_may_be_anything():
    y = Tensor(0.5)
    with scope(("layer", 3)):
        y = np.sin(y)
    assert groups(y) == {"sin": ["('layer', 3)"]}


def test_a_scope_left_by_an_exception_or_return_holds_its_operations():
    def early(x):
        with scope("returned"):
            return np.sin(x)

    y = early(Tensor(0.5))
    with contextlib.suppress(KeyError), scope("raised"):
        y = np.cos(y)
        raise KeyError
    for _ in range(2):
        with scope("broken off"):
            y = np.exp(y)
            break
    y = np.tanh(y)
    wanted = {"sin": ["returned"], "cos": ["raised"], "exp": ["broken off"], "tanh": []}
    assert groups(y) == wanted


def test_an_exception_passes_through_a_scope():
    with pytest.raises(ZeroDivisionError), scope("s"):
        _ = 1 / 0


def test_a_scope_decorates_a_function():
    @scope("smooth")
    def smooth(x):
        return np.sin(x)

    assert groups(np.cos(smooth(smooth(Tensor(0.5))))) == {"sin": [["smooth"]] * 2, "cos": []}


def test_drawing_inside_an_open_scope_shows_the_closed_ones():
    with scope("open"):
        y = np.sin(Tensor(0.5))
        with scope("closed"):
            y = np.cos(y)
        assert groups(y) == {"sin": [], "cos": ["closed"]}
    assert groups(y) == {"sin": ["open"], "cos": ["open", "closed"]}


def test_another_threads_scopes_that_are_not_nested_are_left_out():
    x = Tensor(0.5)
    first = scopes.begin()
    y = np.sin(x)
    other = scopes.begin()
    y = np.cos(y)
    scopes.end(first, "first")
    y = np.exp(y)
    scopes.end(other, "other")  # began in the first, ended after it
    assert groups(y) == {"sin": ["first"], "cos": ["first"], "exp": []}


def test_scopes_in_threads_lose_nothing():
    found = {}

    def work(name):
        y = Tensor(0.5)
        for _ in range(50):
            with scope(name):
                y = np.sin(y)
        found[name] = y

    threads = [threading.Thread(target=work, args=(f"thread {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for y in found.values():
        scene = draw(y).view.scene
        operations = [box.id for box in scene.whole.boxes()]
        assert len(operations) == len({*operations}) == 50


def test_scopes_within_a_transformation():
    drawn = []

    def f(x):
        with scope("inside"):
            y = np.sin(x)
        drawn.append(groups(y))
        return y

    grad(f)(0.5)
    assert drawn == [{"sin": ["inside"]}]


def test_old_calls_are_forgotten_in_the_end(monkeypatch):
    y = Tensor(0.5)
    with scope("old"):
        y = np.sin(y)
    for _ in range(scopes.KEPT):
        scopes.end(scopes.begin(), "new")
    assert len(scopes.calls) == scopes.KEPT and groups(y) == {"sin": []}


# --- modules --------------------------------------------------------------------------------------


class Wave(nn.Module):
    def __init__(self):
        self.factor = nn.Parameter(2.0)

    def forward(self, x):
        with scope("sine"):
            y = np.sin(x * self.factor)
        return y + 1.0


def test_a_modules_call_is_a_group_and_scopes_in_it_are_inside():
    assert groups(np.cos(Wave()(Tensor(0.5)))) == {
        "multiply": ["Wave", "sine"], "sin": ["Wave", "sine"], "add": ["Wave"], "cos": [],
    }  # fmt: skip


def test_a_module_is_called_by_its_path_in_the_outermost_one():
    model = nn.Sequential({"first": Wave(), "second": Wave()})
    y = model(Tensor(0.5))
    assert [labels[:2] for labels in groups(y)["sin"]] == [
        ["Sequential", "layers.first: Wave"], ["Sequential", "layers.second: Wave"],
    ]  # fmt: skip


def test_calls_keep_no_module_alive():
    wave = Wave()
    gone = weakref.ref(wave)
    y = wave(Tensor(0.5))
    del wave
    gc.collect()
    assert gone() is None and groups(y)["add"] == ["Wave"]


def test_a_call_that_fails_makes_no_group():
    class Fails(nn.Module):
        def forward(self, x):
            self.kept = np.sin(x)
            raise KeyError

    module = Fails()
    with pytest.raises(KeyError):
        module(Tensor(0.5))
    assert groups(module.kept) == {"sin": []}


# --- lines ----------------------------------------------------------------------------------------

HERE = str(Path(__file__))


def mark():
    """The number of the line that calls this."""
    return sys._getframe(1).f_lineno


def line(y):
    """The line, in this file, that made y."""
    found = line_of(y.node.serial)
    assert found is None or found[0] == HERE
    return found and found[1]


def test_the_line_that_made_a_node_is_noted():
    with source_lines():
        x, here = Tensor(0.5), mark()
        y = np.sin(x)
        z = np.cos(
            y,
        )
    after = np.exp(z)
    assert line(x) == here and line(y) == here + 1 and line(z) in (here + 2, here + 3)
    assert line(after) is None


def test_lines_before_and_after_the_block_are_not_noted():
    x = np.sin(Tensor(0.5))
    with source_lines():
        pass
    y = np.sin(x)
    assert line(x) is None and line(y) is None


def test_a_functions_lines_count_and_those_after_its_call():
    def inner(x):
        return np.sin(x), mark()

    with source_lines():
        (y, inside), outside = inner(Tensor(0.5)), mark()
        (z, again), w, here = inner(y), np.cos(y), mark()
    assert line(y) == inside and line(z) == again == inside
    assert line(w) == here == outside + 1


def test_operations_after_a_call_on_one_line_belong_to_that_line():
    def inner(x):
        y = x * 2.0
        return y

    with source_lines():
        y, here = np.sin(inner(Tensor(0.5))) + inner(Tensor(0.5)), mark()
    sine, product = y.node.inputs
    assert line_of(y.node.serial) == line_of(sine.serial) == (HERE, here)
    assert line_of(product.serial)[1] < here - 2


def test_a_generators_lines_are_its_own_each_time_it_goes_on():
    def steps(x):
        lines.append(mark())
        for _ in range(3):
            x = np.sin((yield x) or x)  # the rest of this line runs after the next `send`

    lines = []
    with source_lines():
        running = steps(Tensor(0.5))
        first = next(running)
        y = np.cos(first)
        outside = mark() - 1
        second = running.send(y)
        third = running.send(None)
    assert line(y) == outside
    assert line(second) == line(third) == lines[0] + 2


def test_comprehensions_and_lambdas_have_lines():
    with source_lines():
        ys, here = [np.sin(Tensor(float(i))) for i in range(3)], mark()
        z = (lambda x: np.cos(x))(ys[0])
        w = [*map(lambda x: np.exp(x), ys)][-1]
    assert [line(y) for y in ys] == [here] * 3 and line(z) == here + 1 and line(w) == here + 2


def test_lines_after_an_exception_are_right():
    def fails(x):
        np.sin(x)
        raise KeyError

    with source_lines():
        x = Tensor(0.5)
        try:
            fails(x)
        except KeyError:
            y, here = np.cos(x), mark()
        z = np.exp(y)
    assert line(y) == here and line(z) == here + 1


def test_an_exception_ends_the_block():
    before = sys.gettrace()
    with pytest.raises(KeyError), source_lines():
        raise KeyError
    assert sys.gettrace() is before
    assert line(np.sin(Tensor(0.5))) is None


def test_the_library_counts_as_the_line_that_called_it():
    model = nn.MLP((2, 3, 1))
    with source_lines():
        y, here = np.sum(model(np.ones((1, 2), np.float32))), mark()
        loss = nn.mse(y, 0.0)
    node = y.node
    while node.inputs:
        assert line_of(node.serial) == (HERE, here)
        node = next(n for n in node.inputs if hasattr(n, "serial"))
    assert line(loss) == here + 1


def test_a_users_forward_called_by_the_library_has_its_own_lines():
    with source_lines():
        y = nn.Sequential(Wave(), Wave())(Tensor(0.5))
    assert line(y) == Wave.forward.__code__.co_firstlineno + 3


def test_a_file_beside_the_library_whose_name_begins_like_it_is_the_users(tmp_path):
    beside = f"{Path(scopes.__file__).parents[1] / 'nn'}_of_mine.py"
    code = compile("import numpy as np\ndef f(x):\n    return np.sin(x)\n", beside, "exec")
    names = {}
    exec(code, names)
    with source_lines():
        y = names["f"](Tensor(0.5))
    assert line_of(y.node.serial) == (beside, 3)


def test_blocks_nest():
    with source_lines():
        with source_lines():
            x, here = np.sin(Tensor(0.5)), mark()
        y = np.cos(x)
    z = np.exp(y)
    assert line(x) == here and line(y) == here + 1 and line(z) is None


def test_the_tracer_before_is_restored():
    def mine(frame, event, arg):
        return mine

    kept = sys.gettrace()
    sys.settrace(mine)
    try:
        frame = sys._getframe()
        frame.f_trace = mine
        with source_lines():
            assert sys.gettrace() is not mine
        restored, local = sys.gettrace(), frame.f_trace
    finally:
        sys.settrace(kept)
        del frame.f_trace
    assert restored is mine and local is mine


def test_a_block_entered_by_an_exit_stack_or_a_decorator():
    @source_lines()
    def decorated():
        return np.sin(Tensor(0.5)), mark()

    with contextlib.ExitStack() as stack:
        stack.enter_context(source_lines())
        y, here = np.cos(Tensor(0.5)), mark()
    assert line(y) == here
    z, inside = decorated()
    assert line(z) == inside
    assert line(np.sin(z)) is None


def test_other_threads_are_not_traced():
    found = []
    with source_lines():
        thread = threading.Thread(target=lambda: found.append(sys.gettrace()))
        thread.start()
        thread.join()
    assert found == [None]


def test_results_are_the_same_with_lines_noted_and_inside_no_grad():
    def f(x):
        return np.sum(np.sin(x) * x)

    at = np.array([0.3, 0.4])
    plain = grad(f)(at)
    with source_lines():
        noted = grad(f)(at)
        with no_grad():
            silent = f(Tensor(at))
    assert noted.tolist() == plain.tolist() and not silent.requires_grad
