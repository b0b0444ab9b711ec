"""A browser for the tests that look at pages as people do."""

import shutil

import pytest


@pytest.fixture(scope="module")  # no longer: while it runs, other tests find an event loop
def browser():
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright  # where first used: most tests need no browser

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("the tests of pages need Chromium: apt-get install chromium")
    options = [
        "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
        "--disable-component-update", "--no-first-run",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=options)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """An empty page of the browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()
