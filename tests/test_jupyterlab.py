"""A notebook in JupyterLab, in a browser, as a person opens it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture
def lab(tmp_path):
    """Address of a JupyterLab with one notebook; it stops with the test."""
    root, own = tmp_path / "notebooks", tmp_path / "settings"
    root.mkdir()
    shutil.copy(NOTEBOOKS / "first_graph.ipynb", root)
    settings = {f"JUPYTER_{what}_DIR": str(own / what) for what in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        "--port=0", "--IdentityProvider.token=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={root}",
    ]  # fmt: skip
    environment = os.environ | settings | {"OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, cwd=root
    ) as server:
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                found = re.search(r"http://127\.0\.0\.1:\d+/", line)
                if found:
                    break
            else:
                pytest.fail(f"JupyterLab did not start: {''.join(said)}")
            yield found[0]
        finally:
            server.terminate()
            server.communicate(timeout=20)


def test_first_graph_runs_and_shows_its_pictures(lab, page):
    page.goto(f"{lab}lab/tree/first_graph.ipynb")
    expect(page.get_by_role("heading", name="One neuron")).to_be_visible(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    pictures = page.locator(".jp-OutputArea-output.jp-RenderedSVG img")
    expect(pictures.first).to_be_visible(timeout=90_000)
    size = pictures.first.bounding_box()
    assert size["width"] > 300 and size["height"] > 100
    assert "multiply" in page.evaluate(
        "decodeURIComponent(document.querySelector('.jp-RenderedSVG img').src)"
    )
    frame = page.frame_locator(".jp-OutputArea-output iframe").first
    page.locator(".jp-OutputArea-output iframe").first.scroll_into_view_if_needed(timeout=60_000)
    expect(frame.get_by_text("y = add").first).to_be_visible(timeout=60_000)
    assert not page.locator(".jp-OutputArea-output.jp-mod-error, [data-mime-type*=error]").count()
