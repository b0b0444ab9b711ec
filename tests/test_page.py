"""The explorable page and the stepper, used in a browser as a person would use them.

Chromium is driven through Playwright; every page is a file of its own, and whatever it asked the
network for, said on the console, or opened as a dialog fails the test.
"""

import contextlib
import math
import re

import numpy as np
import pytest

import nn
from autograd import Tensor, scope
from autograd.show.draw import draw
from autograd.show.page import explore
from autograd.show.stepper import step

SIZE = {"width": 1200, "height": 800}


@pytest.fixture
def show(browser, tmp_path):
    """Opens a Page, or HTML text; at the end nothing may have been asked, said or thrown."""
    heard, contexts = [], []

    def opened(page, **options):
        path = tmp_path / f"{len(contexts)}.html"
        path.write_text(page if isinstance(page, str) else page.html, encoding="utf-8")
        options = {"viewport": SIZE, "reduced_motion": "reduce"} | options
        context = browser.new_context(**options)
        contexts.append(context)

        def route(route):
            if route.request.url != path.as_uri():
                heard.append(f"request of {route.request.url}")
            route.continue_()

        context.route("**/*", route)
        tab = context.new_page()
        tab.on("console", lambda message: heard.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: heard.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (heard.append("a dialog"), dialog.dismiss()))
        tab.goto(path.as_uri())
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert heard == []


# --- graphs --------------------------------------------------------------------------------------


def neuron():
    w, x, b = Tensor(0.8, name="w"), Tensor(1.5, name="x"), Tensor(-0.4, name="b")
    y = np.tanh(w * x + b)
    y.name = "y"
    return y


def diamond():
    """y = 3 x · x − x³ at x = 1: along one way 3, along the other 3 (twice), and back −3."""
    x = Tensor(1.0, name="x")
    a = x * 3.0
    a.name = "a"
    b = a * x
    b.name = "b"
    y = b - x**3
    y.name = "y"
    return y


def network(layers=2):
    rng = np.random.default_rng(0)
    body = [m for _ in range(layers) for m in (nn.Linear(4, 4), nn.Tanh())]
    model = nn.Sequential(nn.Sequential(*body), nn.Linear(4, 3))
    y = np.mean(model(Tensor(rng.normal(size=(5, 4)), name="X")) ** 2)
    y.name = "loss"
    return y, {"model": model}


def long_chain(count=300):
    x = Tensor(0.1, name="x")
    y = x
    for i in np.random.default_rng(0).integers(4, size=count - 2):  # without repeats to fold
        y = (np.sin, np.tanh, np.cos, np.negative)[i](y)
    y = np.arctan(y)
    y.name = "the end"
    return y


def speelpenning(x1, x2, x3, x4):
    return x1 * x2 * x3 * x4


POINT = (1.5, 2.0, 0.5, 4.0)


@pytest.fixture(scope="module")
def pages():
    """Pages that several tests look at."""
    y, names = network()
    deep, deep_names = network(20)
    return {
        "neuron": explore(neuron()),
        "diamond": explore(diamond()),
        "network": explore(y, names=names),
        "deep": explore(deep, names=deep_names),
        "chain": explore(long_chain()),
        "stepper": step(speelpenning, *POINT),
    }


# --- what is read off a tab ----------------------------------------------------------------------


def box(tab, selector):
    """``(left, top, right, bottom)`` on the screen."""
    return tuple(
        tab.locator(selector).first.evaluate(
            "el => (r => [r.left, r.top, r.right, r.bottom])(el.getBoundingClientRect())"
        )
    )


def middle(tab, selector):
    left, top, right, bottom = box(tab, selector)
    return (left + right) / 2, (top + bottom) / 2


def inside(tab, inner, outer="#stage"):
    a, b = box(tab, inner), box(tab, outer)
    return a[0] >= b[0] - 1 and a[1] >= b[1] - 1 and a[2] <= b[2] + 1 and a[3] <= b[3] + 1


def text(tab, selector):
    return " ".join(tab.inner_text(selector).split())


def node(tab, title):
    """Selector of the box with this title."""
    ids = tab.evaluate(
        "title => [...document.querySelectorAll('.node')]"
        ".filter(n => n.querySelector('text').textContent.trim() === title).map(n => n.id)",
        title,
    )
    assert len(ids) == 1, f"{title!r}: {ids}"
    return f"#{ids[0]}"


def percentages(tab):
    return sorted(tab.locator(".share").all_text_contents())


# --- moving --------------------------------------------------------------------------------------


def test_the_whole_graph_is_in_view_at_first(show, pages):
    tab = show(pages["neuron"])
    for i in range(6):
        assert inside(tab, f"#n{i}")
    assert tab.title() == "y"


def test_the_wheel_zooms_at_the_cursor(show, pages):
    tab = show(pages["neuron"])
    before = box(tab, "#n3")
    x, y = before[0] + 10, before[1] + 10
    tab.mouse.move(x, y)
    tab.mouse.wheel(0, -240)
    tab.wait_for_function("w => document.querySelector('#n3').getBoundingClientRect().width > w",
                          arg=(before[2] - before[0]) * 1.1)  # fmt: skip
    after = box(tab, "#n3")
    grown = (after[2] - after[0]) / (before[2] - before[0])
    assert grown > 1.1
    assert after[0] == pytest.approx(x - 10 * grown, abs=1)
    assert after[1] == pytest.approx(y - 10 * grown, abs=1)


def test_dragging_moves_the_graph_and_chooses_nothing(show, pages):
    tab = show(pages["neuron"])
    before = middle(tab, "#n3")
    tab.mouse.move(*before)
    tab.mouse.down()
    tab.mouse.move(before[0] + 30, before[1] + 20)
    tab.mouse.move(before[0] + 70, before[1] - 40)
    tab.mouse.up()
    after = middle(tab, "#n3")
    assert after == pytest.approx((before[0] + 70, before[1] - 40), abs=1)
    assert tab.locator(".pinned").count() == 0
    tab.mouse.click(*after)  # and the next click chooses
    assert tab.locator(".pinned").get_attribute("id") == "n3"


def test_two_fingers_pinch_and_move(show, pages):
    tab = show(pages["neuron"], has_touch=True)
    before = box(tab, "#n3")
    x, y = middle(tab, "#n3")
    fingers = tab.context.new_cdp_session(tab)

    def touch(kind, *points):
        points = [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (x - 40, y), (x + 40, y))
    for d in (45, 50, 55, 60):
        touch("touchMove", (x - d, y), (x + d, y))
    for d in (10, 20, 30):
        touch("touchMove", (x - 60, y + d), (x + 60, y + d))
    touch("touchEnd")
    after = box(tab, "#n3")
    # the first few pixels settle that it is no tap
    assert (after[2] - after[0]) / (before[2] - before[0]) == pytest.approx(1.5, abs=0.1)
    assert middle(tab, "#n3") == pytest.approx((x, y + 30), abs=5)


def test_two_fingers_on_a_touchpad_move(show, pages):
    """Two fingers on a touchpad are a wheel that turns by any amount, also sideways."""
    tab = show(pages["neuron"])
    before = box(tab, "#n3")
    tab.mouse.move(*before[:2])
    tab.evaluate(
        "document.querySelector('#stage').dispatchEvent("
        "new WheelEvent('wheel', {deltaX: 13, deltaY: 7, bubbles: true, cancelable: true}))"
    )
    moved = (before[0] - 13, before[1] - 7, before[2] - 13, before[3] - 7)
    assert box(tab, "#n3") == pytest.approx(moved, abs=0.5)


def test_buttons_and_keys_zoom_fit_and_move(show, pages):
    tab = show(pages["neuron"])

    def width():
        left, _, right, _ = box(tab, "#n3")
        return right - left

    first = box(tab, "#n3")
    for more, less in (("#zoom-in", "#zoom-out"), ("+", "-")):
        was = width()
        for action in (more, less):
            if action.startswith("#"):
                tab.click(action)
            else:
                tab.focus("#stage")
                tab.keyboard.press(action)
            if action == more:
                assert width() == pytest.approx(1.25 * was, rel=0.01)
        assert width() == pytest.approx(was, rel=0.01)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    assert box(tab, "#n3")[:2] == pytest.approx((first[0] - 60, first[1] - 60), abs=1)
    tab.keyboard.press("0")
    assert box(tab, "#n3") == pytest.approx(first, abs=1)


def test_text_is_left_out_where_it_cannot_be_read(show, pages):
    tab = show(pages["chain"])
    tab.select_option("#level", label="all")
    tab.click("#fit")
    assert tab.locator("#n5 text").first.is_hidden()
    tab.fill("#query", "the end")
    tab.wait_for_selector(".current text", state="visible")


# --- details -------------------------------------------------------------------------------------


def test_details_of_the_box_pointed_at_and_pinned(show, pages):
    tab = show(pages["neuron"])
    slope = 1 - math.tanh(0.8) ** 2
    tab.hover("#n3")
    assert "multiply" in text(tab, "#details")
    assert "value 1.2" in text(tab, "#details")
    assert f"gradient {slope:.4g}" in text(tab, "#details")
    assert "memory 8 B" in text(tab, "#details")
    tab.hover("#n0")
    assert text(tab, "#details-title") == "w"
    tab.click("#n0")
    assert "w, input, value 0.8" in text(tab, "#live")
    tab.hover("#n3")  # what is pinned stays
    assert text(tab, "#details-title") == "w"
    tab.click("#unpin")
    tab.hover("#n4")
    assert text(tab, "#details-title") == "add"


def test_neighbours_are_links(show, pages):
    tab = show(pages["neuron"])
    tab.click("#n3")
    tab.click("#details .link >> text=add")
    assert text(tab, "#details-title") == "add"
    assert tab.locator(".pinned").get_attribute("id") == "n4"


def test_everything_is_reached_by_tab_and_chosen_by_enter(show, pages):
    tab = show(pages["neuron"])
    reached = []
    for _ in range(25):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id"))
    assert {"query", "zoom-in", "zoom-out", "fit", "panel", "stage"} <= {*reached}
    assert [id for id in reached if re.fullmatch(r"n\d", id)] == [
        g.get_attribute("id") for g in tab.locator(".node").all()
    ]
    tab.focus("#n3")
    tab.keyboard.press("Enter")
    assert text(tab, "#details-title") == "multiply"
    assert "multiply, operation" in text(tab, "#live")
    tab.keyboard.press("Escape")
    assert text(tab, "#details-title") == "Details"
    for button in tab.get_by_role("button").all():
        assert button.get_attribute("aria-label") or button.inner_text().strip()


def test_a_box_in_focus_is_in_view(show, pages):
    tab = show(pages["neuron"])
    for _ in range(8):
        tab.click("#zoom-in")
    assert not inside(tab, "#n0")
    tab.focus("#stage")
    seen = set()
    while len(seen) < 6:
        tab.keyboard.press("Tab")
        id = tab.evaluate("document.activeElement.id")
        if re.fullmatch(r"n\d", id):
            seen.add(id)
            left, top, right, bottom = box(tab, "#stage")
            x, y = middle(tab, f"#{id}")
            assert left < x < right and top < y < bottom


# --- search --------------------------------------------------------------------------------------


def test_search_counts_cycles_and_brings_into_view(show, pages):
    tab = show(pages["chain"])
    tab.select_option("#level", label="all")
    titles = [
        t.split(" = ")[-1] for t in (i["title"] for i in pages["chain"].data["items"].values())
    ]
    count = titles.count("tanh")
    assert count > 10
    tab.fill("#query", "TANH")
    seen = set()
    for i in range(10):
        assert text(tab, "#found") == f"{i + 1} of {count}"
        assert inside(tab, ".current")
        assert text(tab, "#details-title").endswith("tanh")
        seen.add(tab.locator(".current").get_attribute("id"))
        tab.press("#query", "Enter")
    assert len(seen) == 10
    tab.fill("#query", "tanh")
    tab.press("#query", "Shift+Enter")
    assert text(tab, "#found") == f"{count} of {count}"
    tab.press("#query", "Enter")
    assert text(tab, "#found") == f"1 of {count}"
    tab.fill("#query", "no such thing")
    assert text(tab, "#found") == "none"
    tab.fill("#query", "")
    assert text(tab, "#found") == "" and tab.locator(".found, .current").count() == 0


def test_search_finds_what_is_collapsed_and_groups_by_their_label(show, pages):
    tab = show(pages["network"])
    tab.select_option("#level", index=0)
    tab.fill("#query", "layers.0.weight")
    assert inside(tab, ".current")
    assert "shown as part of model" in text(tab, "#details")
    tab.fill("#query", "layers.1: Linear")
    assert inside(tab, ".current")
    assert text(tab, "#details-title") == "layers.1: Linear"


# --- groups and levels ---------------------------------------------------------------------------


def label(tab, name):
    """Selector of an open group's label."""
    found = tab.locator(".cluster text", has_text=name)
    return f'text[data-id="{found.first.get_attribute("data-id")}"]'


def test_closing_a_group_hides_its_interior_and_opening_shows_it(show, pages):
    tab = show(pages["network"])
    tab.select_option("#level", label="all")
    frame = label(tab, "layers.0: Sequential")
    id = tab.locator(frame).get_attribute("data-id")
    bounds = box(tab, f"#{id}.cluster > path")
    within = tab.evaluate(
        """([l, t, r, b]) => [...document.querySelectorAll('.node')].filter(n => {
             const q = n.querySelector('path, polygon').getBoundingClientRect();
             return q.left > l && q.top > t && q.right < r && q.bottom < b; }).map(n => n.id)""",
        [*bounds],
    )
    assert len(within) == 4 + 4  # operations and parameters of two Linear and two Tanh
    tab.click(frame)
    assert box(tab, ".cover") == pytest.approx(bounds, abs=2)
    assert "layers.0: Sequential" in tab.text_content(".cover")
    assert "8 boxes" in tab.text_content(".cover")
    for other in tab.locator(".node").all():
        assert other.is_visible() == (other.get_attribute("id") not in within)
    assert tab.evaluate("document.activeElement.classList.contains('cover')")
    assert "closed" in text(tab, "#live")
    tab.keyboard.press("Enter")
    assert tab.locator(".cover").count() == 0
    assert all(tab.locator(f"#{other}").is_visible() for other in within)


def test_a_search_opens_the_group_that_was_closed(show, pages):
    tab = show(pages["network"])
    tab.select_option("#level", label="all")
    tab.click(label(tab, "layers.0: Sequential"))
    assert tab.locator(".cover").count() == 1
    tab.fill("#query", "layers.0.layers.2.bias")
    assert tab.locator(".cover").count() == 0
    assert tab.locator(".current").is_visible()


def test_a_collapsed_group_opens_at_the_next_level_in_the_middle(show, pages):
    tab = show(pages["network"])
    tab.select_option("#level", index=0)
    model = tab.locator(".node", has_text="model: Sequential")
    id = model.get_attribute("id")
    count = tab.locator(".node").count()
    model.click()
    assert tab.locator(f"#{id}").get_attribute("class") == "cluster"
    assert tab.locator(".node").count() > count
    assert tab.evaluate("document.querySelector('#level').selectedIndex") == 1
    left, top, right, bottom = box(tab, "#stage")
    assert middle(tab, f"#{id}.cluster > path") == pytest.approx(
        ((left + right) / 2, (top + bottom) / 2), abs=2
    )
    assert inside(tab, f"#{id}.cluster > path")
    assert "opened" in text(tab, "#live")


def test_a_stretch_of_operations_opens_where_what_it_holds_is_shown(show, pages):
    page = pages["chain"]
    tab = show(page)
    tab.select_option("#level", index=0)
    stretch = tab.locator(".node", has_text="operations").nth(3)
    id = stretch.get_attribute("id")
    held = [item for item, place in page.data["levels"][0]["stands"].items() if place == id]
    assert len(held) > 5
    stretch.click()
    assert tab.locator(f"#{id}").count() == 0
    assert all(inside(tab, f"#{item}") for item in held)
    assert "opened" in text(tab, "#live")


def test_levels_show_more_and_less_and_say_what_is_left_out(show, pages):
    page = pages["deep"]
    tab = show(page)
    counts = []
    for i, level in enumerate(page.data["levels"]):
        tab.select_option("#level", index=i)
        counts.append(tab.locator(".node").count())
        assert text(tab, "#note") == level["note"]
    assert counts == sorted(counts) and counts[0] < counts[-1] == len(page.data["items"])


def tangle(count):
    """Operations that read any two of the results so far: of no use to lay out in full."""
    rng = np.random.default_rng(0)
    values = [Tensor(float(v)) for v in rng.normal(size=50)]
    for _ in range(count):
        a, b = rng.integers(len(values), size=2)
        values.append(np.tanh(values[a] * values[b]))
    return sum(values[-100:], start=values[-1])


def test_levels_are_those_that_graphviz_can_lay_out():
    """A thousand boxes in a row it can, however early the parameters were made."""
    layers = 300
    page = explore(nn.MLP([3] * (layers + 1), activation=nn.Tanh)(np.ones(3)).sum())
    assert page.data["levels"][-1]["label"] == "all"
    assert len(page.data["items"]) == 3 * layers + 1 + 1 + (layers - 1)
    page = explore(tangle(2900))
    assert 2000 < len(page.data["items"]) < 2500
    assert [level["label"] != "all" for level in page.data["levels"]] == [True]


def test_of_a_deep_nest_the_first_levels_and_the_last_are_there():
    y = Tensor(0.5, name="x")
    with contextlib.ExitStack() as stack:
        for depth in range(40):
            stack.enter_context(scope(f"depth {depth}"))
            y = np.sin(y)
    page = explore(y)
    assert len(page.data["levels"]) <= 14
    assert page.data["levels"][-1]["label"] == "all" and page.svg.count('class="cluster"') == 40


def test_the_box_in_the_middle_stays_there_when_the_level_changes(show, pages):
    tab = show(pages["network"])
    tab.select_option("#level", label="all")
    tab.fill("#query", "loss")
    tab.click("#zoom-in")
    tab.fill("#query", "")
    stage = box(tab, "#stage")
    target = (stage[0] + stage[2]) / 2, (stage[1] + stage[3]) / 2
    last = node(tab, "loss = mean")
    x, y = middle(tab, last)
    tab.mouse.move(stage[0] + 8, stage[1] + 8)
    tab.mouse.down()
    tab.mouse.move(stage[0] + 20, stage[1] + 20)
    tab.mouse.move(stage[0] + 8 + target[0] - x, stage[1] + 8 + target[1] - y)
    tab.mouse.up()
    assert middle(tab, last) == pytest.approx(target, abs=2)
    tab.select_option("#level", index=0)
    assert middle(tab, last) == pytest.approx(target, abs=2)


# --- from an input to the output -----------------------------------------------------------------


def test_shares_of_a_diamond(show, pages):
    """dy/dx = 6x − 3x² = 3: by a 3, by x itself 3, by the cube −3, so 100 %, 100 % and −100 %."""
    tab = show(pages["diamond"])
    tab.click(node(tab, "x"))
    # x→a→b, x→b, b→y with both ways, x→cube→y
    assert percentages(tab) == sorted(["100 %", "100 %", "100 %", "200 %", "−100 %", "−100 %"])
    assert tab.locator(".edge.against").count() == 2
    assert "3 paths from x" in text(tab, "#paths-text")
    shares = tab.locator("#path-list .number").all_text_contents()
    assert sorted(shares) == ["100 %", "100 %", "−100 %"]
    assert tab.locator(node(tab, "x")).get_attribute("class").split().count("on") == 1
    # one path alone
    tab.locator("#path-list button").filter(has_text="a = multiply").click()
    assert percentages(tab) == ["100 %"] * 3
    assert "4 boxes, 100 %" in text(tab, "#live")
    off = tab.locator(".node:not(.on)")
    assert sorted(t.split()[0] for t in off.locator("text:first-of-type").all_text_contents()) == [
        "constant", "constant", "power",
    ]  # fmt: skip
    tab.keyboard.press("Escape")
    assert tab.locator(".share").count() == 0 and tab.locator(".tracing").count() == 0


def test_a_repeated_operand_has_a_share_on_each_arrow(show):
    x = Tensor(3.0, name="x")
    tab = show(explore(x * x))
    assert tab.locator(".edge").count() == 2
    tab.click("#input-list button")
    assert percentages(tab) == ["50 %", "50 %"]


def test_shares_between_collapsed_groups_are_sums(show):
    """d(2x + x²)/dx at 3: a quarter by one way, three quarters by the other, all into the group."""
    x = Tensor(3.0, name="x")
    with scope("inside"):
        a, b = 2.0 * x, x**2
        c = a + b
    y = c * 5.0
    y.name = "y"
    tab = show(explore(y))
    tab.select_option("#level", label="all")
    tab.click("#input-list button")
    assert percentages(tab) == sorted(["25 %", "75 %", "25 %", "75 %", "100 %"])
    tab.select_option("#level", index=0)
    assert tab.locator(".node", has_text="inside").count() == 1
    assert percentages(tab) == ["100 %", "100 %"]


def test_the_gradient_is_followed_at_every_level(show, pages):
    page = pages["network"]
    tab = show(page)
    for i in range(len(page.data["levels"])):
        tab.select_option("#level", index=i)
        tab.click("#input-list button:has-text('X')")
        assert {*percentages(tab)} == {"100 %"}  # a chain
        assert tab.locator(node(tab, "loss = mean")).get_attribute("class").count("on")
        tab.keyboard.press("Escape")


def test_repeats_that_are_folded_do_not_add_up(show, pages):
    tab = show(pages["deep"])
    tab.click("#input-list button:has-text('X')")
    assert {*percentages(tab)} == {"100 %"}


# --- the stepper ---------------------------------------------------------------------------------


def lines(tab, title, kind):
    """Visible lines of a kind (value, tangent, gradient) of a box."""
    found = tab.locator(f"{node(tab, title)} text.{kind}").all()
    return [t.text_content() for t in found if t.is_visible()]


def test_stepping_forward_lights_up_values_then_gradients(show, pages):
    tab = show(pages["stepper"])
    steps = pages["stepper"].data["timeline"]["steps"]
    assert text(tab, "#where") == f"step 1 of {len(steps)} – forward sweep"
    assert lines(tab, "x1", "value") == ["1.5"]
    assert lines(tab, "y = multiply", "value") == []
    assert tab.locator("#back").is_disabled()
    said = {text(tab, "#say")}
    while tab.locator("#forward").is_enabled():
        tab.click("#forward")
        said.add(text(tab, "#say"))
    assert len(said) == len(steps)
    assert text(tab, "#where") == f"step {len(steps)} of {len(steps)} – reverse sweep"
    assert lines(tab, "y = multiply", "value") == [f"{math.prod(POINT):g}"]
    for i, x in enumerate(POINT, 1):
        assert lines(tab, f"x{i}", "gradient") == [f"∂ {math.prod(POINT) / x:g}"]
    assert tab.locator(".node:not(.has-gradient)").count() == 0


def test_gradients_come_only_in_the_sweep_back(show, pages):
    tab = show(pages["stepper"])
    steps = pages["stepper"].data["timeline"]["steps"]
    turn = next(i for i, s in enumerate(steps) if s["phase"] == "reverse")
    for i in range(turn):
        if i:
            tab.keyboard.press("ArrowRight")
        assert text(tab, "#where").endswith("forward sweep")
        assert not any(t.is_visible() for t in tab.locator("text.gradient").all())
    tab.keyboard.press("ArrowRight")
    assert text(tab, "#where") == f"step {turn + 1} of {len(steps)} – reverse sweep"
    assert lines(tab, "y = multiply", "gradient") == ["∂ 1"]
    assert lines(tab, "x4", "gradient") == []
    tab.keyboard.press("ArrowRight")  # ∂y/∂x4 = x1 x2 x3
    assert lines(tab, "x4", "gradient") == ["∂ 1.5"]


def test_active_arrows_show_their_partials(show, pages):
    tab = show(pages["stepper"])
    assert not any(t.is_visible() for t in tab.locator(".edge text").all())
    tab.keyboard.press("ArrowRight")  # v1 = x1 x2
    assert tab.locator(".edge.active").count() == 2
    shown = [t.text_content() for t in tab.locator(".edge text").all() if t.is_visible()]
    assert sorted(shown) == ["1.5", "2"]
    assert tab.locator(".node.active").count() == 1


def test_keys_slider_and_list_of_steps(show, pages):
    tab = show(pages["stepper"])
    last = len(pages["stepper"].data["timeline"]["steps"])

    def at():
        return int(text(tab, "#where").split()[1])

    tab.keyboard.press("End")
    assert at() == last
    tab.keyboard.press("ArrowLeft")
    assert at() == last - 1
    tab.keyboard.press("Home")
    assert at() == 1
    tab.focus("#slider")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert at() == 3
    assert tab.get_attribute("#slider", "aria-valuetext") == text(tab, "#where")
    tab.focus("#stage")  # in the graph the arrows move the graph
    before = middle(tab, "#n0")
    tab.keyboard.press("ArrowRight")
    assert at() == 3 and middle(tab, "#n0")[0] == pytest.approx(before[0] - 60, abs=1)
    tab.click("#all-steps summary")
    tab.click("#step-list li:nth-child(5)")
    assert at() == 5
    assert text(tab, "#say") == text(tab, "#step-list li[aria-current]")


def test_play_runs_to_the_end_and_pauses(show, pages):
    tab = show(pages["stepper"])
    last = len(pages["stepper"].data["timeline"]["steps"])
    tab.clock.install()
    tab.reload()
    tab.keyboard.press("Space")
    assert tab.get_attribute("#play", "aria-label") == "Pause"
    tab.clock.run_for(1500)
    assert text(tab, "#where").startswith("step 2 ")
    tab.click("#play")
    tab.clock.run_for(9000)
    assert text(tab, "#where").startswith("step 2 ")
    tab.select_option("#speed", "4")
    tab.click("#play")
    tab.clock.run_for(1400 * last / 4)
    assert text(tab, "#where").startswith(f"step {last} ")
    assert tab.get_attribute("#play", "aria-label") == "Play"


def test_programs_are_side_by_side_and_the_current_lines_in_view(show, pages):
    tab = show(pages["stepper"], viewport={"width": 900, "height": 600})
    timeline = pages["stepper"].data["timeline"]
    for i, state in enumerate(timeline["steps"]):
        if i:
            tab.keyboard.press("ArrowRight")
        for mode in ("forward", "reverse"):
            pane = f".mode.sweep-{mode}"
            current = tab.locator(f"{pane} li[aria-current]")
            wanted = [timeline["programs"][mode][line] for line in state["lines"][mode]]
            assert current.all_text_contents() == wanted
            if wanted:  # the first of them; the line may be wider than its pane
                line, program = box(tab, f"{pane} li[aria-current]"), box(tab, f"{pane} .program")
                assert program[1] <= line[1] and line[3] <= program[3]
            numbers = tab.locator(f"{pane} .counter b").all_text_contents()
            held = state["counters"][mode]
            assert numbers == [f"{held['operations']:,}", f"{held['bytes']} B"]
    assert box(tab, ".mode.sweep-forward")[1] == box(tab, ".mode.sweep-reverse")[1]


def test_counters_of_both_modes_have_one_scale(show, pages):
    tab = show(pages["stepper"])
    tab.keyboard.press("End")
    end = pages["stepper"].data["timeline"]["steps"][-1]["counters"]
    for row, what in enumerate(("operations", "bytes")):
        widths = []
        for mode in ("forward", "reverse"):
            bar = f".mode.sweep-{mode} .counter >> nth={row} >> .bar i"
            left, _, right, _ = box(tab, bar)
            widths.append(right - left)
        ratio = end["forward"][what] / end["reverse"][what]
        assert widths[0] / widths[1] == pytest.approx(ratio, rel=0.02)


# --- any names, any place ------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "<!-- <script>",
    "]]></svg><iframe src=//example.org>",
    "\"quoted\" & 'so' \\N",
    "two\nlines\tand a tab",
    "y" * 10_000,
    "Größe 𝛿 עברית 😀 \u202e",
    "/*DATA*/ <!--STAGE-->",
]


def hostile():
    xs = [Tensor(float(i + 1), name=name) for i, name in enumerate(HOSTILE)]
    y = xs[0] * 2.0
    for x in xs[1:]:
        y = y * x
    y.name = HOSTILE[0]
    return y


@pytest.mark.parametrize("make", [explore, step])
def test_hostile_names_are_text(show, make):
    tab = show(make(hostile(), title="</title><script>alert(3)</script>"))
    assert tab.title() == "</title><script>alert(3)</script>"
    assert text(tab, "h1") == "</title><script>alert(3)</script>"
    assert tab.locator("script").count() == 2  # the data and the page's own
    assert tab.locator("iframe, img, object, embed").count() == 0
    assert tab.locator(".node").count() == len(make(hostile()).data["items"])
    shown = tab.locator("#input-list button span:first-child").all_text_contents()
    assert shown[0] == HOSTILE[0] and HOSTILE[4] in shown
    for i in range(len(HOSTILE)):
        tab.locator("#input-list button").nth(i).click()
        assert text(tab, "#details-title")
    tab.fill("#query", "alert(1)")
    assert text(tab, "#found").startswith("1 of ")


def test_groups_and_facts_with_markup_are_text(show):
    name = "<img src=x onerror=alert(4)>"
    with scope(name):
        y = np.sin(Tensor(0.5, name="x")) * 3.0
    html = explore(y).html
    value = '["value","0.5"]'
    assert value in html
    tab = show(html.replace(value, r'["value","\u003cimg src=x onerror=alert(5)\u003e"]'))
    tab.select_option("#level", label="all")
    tab.hover(node(tab, "x"))
    assert "value <img src=x onerror=alert(5)>" in text(tab, "#details")
    tab.click(".cluster text")
    assert name in tab.text_content(".cover") and name in text(tab, "#live")
    tab.hover(".cover")
    assert text(tab, "#details-title") == name
    assert tab.locator("img").count() == 0


def test_values_that_are_no_numbers(show):
    with np.errstate(all="ignore"):
        x = Tensor(np.array([np.nan, np.inf, 0.0]), name="x")
        tab = show(explore(np.sum(np.exp(x) / x)))
    tab.click("#input-list button")
    assert "nan" in text(tab, "#details")


def test_without_scripts_the_graph_is_there(show, pages):
    tab = show(pages["stepper"], java_script_enabled=False)
    assert tab.locator("#stage svg .node").count() == 7
    assert tab.locator("#stage svg").is_visible()
    assert not tab.locator("#side").is_visible()
    assert not tab.locator("#timeline").is_visible()
    assert not tab.locator("#query").is_visible()


def test_paths_too_many_to_list_are_counted(show):
    x = Tensor(1.0, name="x")
    y = x
    for _ in range(40):
        y = y * 0.5 + y * 0.5
    tab = show(explore(y))
    tab.click("#input-list button")
    assert f"about {2.0**40:.1e}".replace("+", "") in text(tab, "#paths-text")


def test_inputs_too_many_to_follow_are_counted(show):
    xs = [Tensor(float(i)) for i in range(400)]
    page = explore(np.sum(np.stack([np.sin(x) for x in xs])))
    tab = show(page)
    listed = tab.locator("#input-list button").count()
    assert 0 < listed < 400
    assert text(tab, "#input-list p") == f"and {400 - listed} more, which are not followed"


def test_in_a_notebooks_frame(show, pages):
    """A sandboxed frame without an origin of its own; nothing is clipped at 900 × 600."""
    frame = pages["stepper"]._repr_mimebundle_()["text/html"]
    tab = show(f"<!doctype html><body style='margin:0;width:900px'>{frame}")
    inner = tab.frame_locator("iframe")
    inner.locator("#forward").click()
    assert "step 2 of" in inner.locator("#where").inner_text()
    outer = tab.locator("iframe").bounding_box()
    for part in ("header", "#stage", "#side", "#timeline", "#say", ".program >> nth=1"):
        found = inner.locator(part).bounding_box()
        assert found["width"] > 100 and found["height"] > 15
        assert found["x"] + found["width"] <= outer["x"] + outer["width"] + 1
        assert found["y"] + found["height"] <= outer["y"] + outer["height"] + 1


def test_a_frame_that_gets_its_size_late_shows_the_first_step(show, pages):
    """As in a notebook, where outputs are laid out after they have been loaded."""
    frame = pages["stepper"]._repr_mimebundle_()["text/html"]
    tab = show(f"<!doctype html><body><div style='width:40px; height:90px'>{frame}</div>")
    inner = tab.frame_locator("iframe")
    inner.locator("#stage .active").wait_for(state="attached")
    tab.evaluate("document.querySelector('div').style = 'width: 860px'")
    tab.wait_for_function("document.querySelector('iframe').clientWidth > 800")
    tab.wait_for_timeout(500)
    stage, first = (inner.locator(part).bounding_box() for part in ("#stage", "#stage .active"))
    for side, size in (("x", "width"), ("y", "height")):
        assert stage[side] - 1 <= first[side]
        assert first[side] + first[size] <= stage[side] + stage[size] + 1


@pytest.mark.parametrize("size", [(900, 600), (1400, 900), (480, 700)])
@pytest.mark.parametrize("name", ["stepper", "network"])
def test_nothing_overflows(show, pages, name, size):
    tab = show(pages[name], viewport=dict(zip(("width", "height"), size, strict=True)))
    width, height = tab.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert (width, height) == size
    left, top, right, bottom = box(tab, "#stage")
    assert right - left > 150 and bottom - top > 120
    for button in tab.locator("header button, #controls button").all():
        found = button.bounding_box()
        if found is None:
            continue  # the stepper's, or hidden
        assert 0 <= found["x"] and found["x"] + found["width"] <= size[0]


def test_contrast_of_text_in_both_schemes(show, pages):
    """The text of the panels stands out 4.5 : 1 and more, as WCAG 2 reckons."""
    script = """() => {
      const rgb = c => c.match(/[\\d.]+/g).map(Number);
      const light = c => rgb(c).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const back = el => { for (; el; el = el.parentElement) {
        const c = getComputedStyle(el).backgroundColor; if (rgb(c)[3] !== 0) return c; } };
      const found = [];
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const el = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || el.closest('script') || el.disabled) continue;
        if (!el.checkVisibility({ opacityProperty: true })) continue;
        const drawn = el.closest('svg') && getComputedStyle(el).fill;
        const box = el.closest('.node, .cover')?.querySelector('path, polygon');
        const behind = box ? getComputedStyle(box).fill : back(el);
        const front = drawn || getComputedStyle(el).color;
        const [a, b] = [light(front), light(behind)].sort((p, q) => q - p);
        found.push([el.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)]);
      }
      return found;
    }"""
    for scheme in ("light", "dark"):
        tab = show(pages["stepper"], color_scheme=scheme)
        tab.keyboard.press("End")
        found = tab.evaluate(script)
        assert len(found) > 60 and ["∂ 4", pytest.approx(7, abs=2.5)] in found
        tab.click("#input-list button")
        found += tab.evaluate(script)
        assert [pair for pair in found if pair[1] < 4.5] == []


def test_printing_prints_the_final_state_and_the_programs(show, pages):
    tab = show(pages["stepper"])
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("text.gradient").first.is_visible()
    assert "Back through" in text(tab, "#say")
    for mode in ("forward", "reverse"):
        pane = f".mode.sweep-{mode} .program"
        assert inside(tab, f"{pane} li >> nth=-1", pane)
        assert tab.locator(pane).evaluate("el => el.scrollHeight <= el.clientHeight + 1")
    assert inside(tab, "#stage svg", "#stage")
    assert not tab.locator("#controls").is_visible()
    assert tab.locator("#step-list li").first.is_visible()
    tab.emulate_media(media="screen")
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert text(tab, "#where").startswith("step 1 of")


def test_the_picture_on_the_page_is_the_drawing(show):
    """A reader sees the same boxes, lines and arrows as in `draw`'s picture."""
    y = neuron()
    tab = show(explore(y))
    wanted = re.findall(r"<text[^>]*>([^<]*)</text>", draw(y).render("svg").decode())
    found = tab.locator("#stage svg text").all_text_contents()
    assert sorted(found) == sorted(t.replace("&#45;", "-") for t in wanted)
