"""The stored table of what can be differentiated is what the registry says."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd
from autograd import support

STORED = Path(autograd.__file__).with_name("SUPPORT.md")


def run(*args):
    # in a process of its own: other tests register operations, too
    return subprocess.run(
        [sys.executable, "-m", "autograd.support", *args],
        cwd=STORED.parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_stored_table_is_the_registrys():
    """If this fails: ``python -m autograd.support > autograd/SUPPORT.md``."""
    answer = run("--check", str(STORED))
    assert answer.returncode == 0, answer.stdout


def test_check_finds_a_change(tmp_path):
    table = run().stdout
    changed = tmp_path / "SUPPORT.md"
    changed.write_text(table.replace("| `np.tanh` ", "| `np.tan_h` "))
    answer = run("--check", str(changed))
    assert answer.returncode == 1
    assert "-| `np.tan_h` " in answer.stdout and "+| `np.tanh` " in answer.stdout
    assert run("--check", str(tmp_path / "absent")).returncode == 1
    changed.write_text(table)
    assert run("--check", str(changed)).returncode == 0


def test_another_numpy_may_have_other_functions():
    table = support.markdown()
    older = table.replace(support.numpy_version(), "NumPy 1.99")
    tanh = next(line for line in older.splitlines() if line.startswith("| `np.tanh` |"))
    assert not support.difference(older.replace(tanh, tanh.replace("tanh", "gone")), table)
    assert not support.difference(
        older.replace(tanh, tanh.replace("|  |", "| `np.th` |", 1)), table
    )
    changed = older.replace(tanh, tanh.replace("forward |  |", "forward | 0: one |"))
    now = support.difference(changed, table)[-1]
    assert now.startswith("+| `np.tanh` | reverse, forward |  |")


def test_two_hundred_functions_of_numpy_are_differentiable():
    assert support.differentiable(support.rows()) >= 200
    count = int(re.search(r"(\d+) functions of NumPy", STORED.read_text())[1])
    assert count >= 200


@pytest.mark.parametrize(
    ("function", "name"),
    [(np.tanh, "np.tanh"), (np.abs, "np.absolute"), (np.linalg.inv, "np.linalg.inv")],
)
def test_functions_have_numpys_names(function, name):
    assert support.numpy_names(function, support.public_names())[0] == name


def test_rows_say_kind_modes_and_kinks():
    table = {row[1]: row for row in support.rows()}
    assert table["np.tanh"][::3] == ("elementwise", "reverse, forward")
    assert table["np.argsort"][::3] == ("constant", "")
    assert table["np.sort"][0] == "composition" and "equal" in table["np.sort"][4]
    assert table["np.put"][0] == "refused"
    assert "x[index]" in table and "autograd.relu" in table
    assert all(row[0] in support.KINDS for row in table.values())


def test_columns_say_on_which_arrays():
    table = support.markdown()
    header = "| function | also | modes | at kinks | NumPy | duck array | Dask | CuPy-ready |"
    assert table.count(header) == len(re.findall(r"\n## (?!refused)", table))
    names = {row[1] for row in support.rows()}
    for column, excepted in support.ARRAYS.items():
        assert set(excepted or ()) <= names, column
    assert support.runs_on("CuPy-ready", "np.sum") == "no initial, where"
    assert support.runs_on("CuPy-ready", "np.tanh") == "yes"
    assert support.runs_on("duck array", "np.sum") == "yes"


def test_a_kind_of_array_that_nobody_tried(monkeypatch):
    monkeypatch.setitem(support.ARRAYS, "Dask", None)
    assert support.runs_on("Dask", "np.tanh") == "untried"
    monkeypatch.setitem(support.ARRAYS, "Dask", {"np.sort": "one chunk"})
    rows = [line for line in support.markdown().splitlines() if "one chunk" in line]
    assert len(rows) == 1 and rows[0].startswith("| `np.sort` |")
    assert support.runs_on("Dask", "np.tanh") == "yes"
