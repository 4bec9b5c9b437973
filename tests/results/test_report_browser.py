"""The report in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.report import build
from tests.results.records import study, write

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = write(tmp_path_factory.mktemp("sets") / "demo", study(), images=True)
    return build([made.path]).html.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, report: str) -> Iterator[Page]:
    """The report, opened; at the end nothing but the file was asked for and nothing was complained of."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(report)
    yield opened
    assert {url for url in requests if not url.startswith("data:")} == {report}
    assert complaints == []
    context.close()


def column(page: Page, table: str, number: int) -> list[str]:
    cells = page.locator(f"#table-{table} tbody tr:not([hidden]) td:nth-child({number})")
    return [text.split("\n")[0] for text in cells.all_inner_texts()]


def test_tables_sort_both_ways_with_the_absent_last(page: Page) -> None:
    headings = page.locator("#table-runs th").all_inner_texts()
    place = next(i for i, text in enumerate(headings, start=1) if text.startswith("Accuracy"))
    heading = page.locator(f"#table-runs th:nth-child({place})")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    figures = column(page, "runs", place)
    assert figures[-2:] == ["–", "–"]
    assert [float(f) for f in figures[:-2]] == sorted(float(f) for f in figures[:-2])
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    again = column(page, "runs", place)
    assert again[-2:] == ["–", "–"]
    assert [float(f) for f in again[:-2]] == sorted((float(f) for f in again[:-2]), reverse=True)

    page.locator("#table-runs th:nth-child(1) [role=button]").press("Enter")
    assert heading.get_attribute("aria-sort") is None, "one column at a time"
    names = column(page, "runs", 1)
    assert names == sorted(names)


def test_tables_filter(page: Page) -> None:
    box = page.locator('input[data-for="table-runs"]')
    shown = page.locator('output[data-of="table-runs"]')
    assert shown.inner_text() == "24 / 24 rows"
    box.fill("KERAS lenet5")
    assert len(column(page, "runs", 1)) == 3
    assert all(name.startswith("keras-lenet5") for name in column(page, "runs", 1))
    assert shown.inner_text() == "3 / 24 rows"
    box.fill("crashed")
    assert column(page, "runs", 1) == ["mindspore-lenet5-mnist-s0-r1"]
    box.fill("")
    assert len(column(page, "runs", 1)) == 24


def test_themes(page: Page) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    button = page.locator("#theme")
    page.emulate_media(color_scheme="dark")
    assert paper() == "rgb(20, 23, 27)", "automatic follows the system"
    assert "automatic" in button.inner_text()
    button.click()
    assert paper() == "rgb(255, 255, 255)"
    assert "light" in button.inner_text()
    page.emulate_media(color_scheme="light")
    button.click()
    assert paper() == "rgb(20, 23, 27)"
    label = "#plot-throughput svg [id$=text_1] g"
    ink = page.evaluate(f"getComputedStyle(document.querySelector('{label}')).fill")
    assert ink == "rgb(228, 232, 236)", "plots follow the theme"
    page.reload()
    assert "dark" in button.inner_text(), "the choice is remembered"
    page.emulate_media(media="print")
    assert paper() == "rgb(255, 255, 255)", "paper is white"
    assert not button.is_visible()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_overflows_on_a_phone(browser: Browser, tmp_path: Path, lang: str) -> None:
    made = write(tmp_path / "set", study(("mindspore", "paddle"), rounds=2), images=True)
    context = browser.new_context(viewport={"width": 375, "height": 700})
    opened = context.new_page()
    opened.goto(build([made.path], lang=lang).html.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") == 375
    wide = opened.evaluate(
        """[...document.querySelectorAll('body *')]
          .filter((e) => !e.closest('.scroll, pre, svg') && e.getBoundingClientRect().right > 375.5)
          .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    context.close()


def test_it_says_as_much_without_script(browser: Browser, report: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(report)
    assert not opened.locator("#theme").is_visible()
    assert not opened.locator('input[data-for="table-runs"]').is_visible()
    assert len(column(opened, "runs", 1)) == 24
    context.close()
