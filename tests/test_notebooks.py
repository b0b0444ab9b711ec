"""Every notebook runs from top to bottom, and is made as they all are."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

# BLAS's threads wait for each other where other work is going on: small products take 25 times
ONE_THREAD = os.environ | {"OPENBLAS_NUM_THREADS": "1"}

# What a machine says of the fonts it has is no fault of a notebook.
FONTS = re.compile(r"(findfont|Fontconfig|Matplotlib is building the font cache).*\n?")


def each(notebooks=NOTEBOOKS):
    return pytest.mark.parametrize("path", notebooks, ids=[path.stem for path in notebooks])


def test_there_are_notebooks_and_the_list_names_them_all():
    assert NOTEBOOKS
    listed = (NOTEBOOKS[0].parent / "README.md").read_text(encoding="utf-8")
    assert {*re.findall(r"\((\w+\.ipynb)\)", listed)} == {path.name for path in NOTEBOOKS}


# The kernel is another process, whose libraries warn of what is no concern of ours.
@pytest.mark.filterwarnings("ignore")
@each()
def test_it_runs(path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute(env=ONE_THREAD)
    for cell in notebook.cells:
        outputs = cell.get("outputs", ())
        assert all(output.output_type != "error" for output in outputs)
        # not even a warning: readers would stop there; one may arrive in pieces
        told = "".join(output.text for output in outputs if output.get("name") == "stderr")
        assert not FONTS.sub("", told).strip()


@each()
def test_it_opens_with_a_question_and_ends_at_the_source(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    title, _, rest = cells[0].source.partition("\n")
    assert title.startswith("# ")
    assert re.match(r"\s*\*\*[^*]+\?\*\*", rest), "the question comes first, in bold"
    links = re.findall(r"\]\((\.\./[^)]+\.py)\)", cells[-1].source)
    assert links
    for link in links:
        assert (path.parent / link).is_file(), link
