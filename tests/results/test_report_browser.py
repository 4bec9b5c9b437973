"""The report in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def test_sentences_lead_to_their_rows_and_plots(page: Page) -> None:
    links = page.locator("#summary .jump a")
    targets = [link.get_attribute("href") or "" for link in links.all()]
    assert any(target.startswith("#speed-") for target in targets)
    assert "#plot-throughput" in targets
    for target in set(targets):
        assert page.locator(target).count() == 1, target
    first = page.locator('#summary .jump a[href^="#speed-"]').first
    first.click()
    row = page.locator(str(first.get_attribute("href")))
    assert row.locator("td").first.inner_text().split("\n") == ["torch", "mlp on mnist"]
    in_view = "(id) => { const y = document.querySelector(id).getBoundingClientRect().y; return y >= 0 && y < 900; }"
    page.wait_for_function(in_view, arg=first.get_attribute("href"), timeout=10_000)


@pytest.mark.parametrize("width", [390, 1000])
def test_the_backend_stays_while_a_table_scrolls_and_what_matters_comes_first(
    browser: Browser, report: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    opened = context.new_page()
    opened.goto(report)
    scrolled = opened.locator("#speed .scroll")
    view = scrolled.bounding_box()
    assert view is not None
    headings = opened.locator("#table-speed th")
    assert [text.split("\n")[0] for text in headings.all_inner_texts()[:3]] == ["Backend", "Ratio", "Verdict"]
    verdict = headings.nth(2).bounding_box()
    assert verdict is not None
    assert verdict["x"] + verdict["width"] <= view["x"] + view["width"], "seen without scrolling"
    assert scrolled.evaluate("e => e.scrollWidth > e.clientWidth")
    assert scrolled.evaluate("e => getComputedStyle(e).backgroundImage.split('linear-gradient').length - 1") == 4
    scrolled.evaluate("e => { e.scrollLeft = 1e6; }")
    cell = opened.locator("#table-speed tbody td").first
    box = cell.bounding_box()
    assert box is not None
    assert abs(box["x"] - view["x"]) < 1.5
    opaque = cell.evaluate("e => getComputedStyle(e).backgroundColor")
    assert opaque == "rgb(255, 255, 255)", "nothing shows through it"
    context.close()


def test_print_repeats_headings_that_are_text(page: Page, tmp_path: Path) -> None:
    page.emulate_media(media="print")
    for table in page.locator("table").all():
        assert table.evaluate("e => getComputedStyle(e.tHead).display") == "table-header-group"
        assert table.locator("th button").count() == 0, "buttons are not painted in repeated headings"
    assert not page.locator("#summary .jump").first.is_visible()
    if (reader := shutil.which("pdftotext")) is None:
        pytest.skip("there is no pdftotext here")
    file = tmp_path / "report.pdf"
    page.pdf(path=str(file), width="200mm", height="120mm")
    text = subprocess.run([reader, "-layout", str(file), "-"], capture_output=True, text=True, check=True).stdout
    runs = text[text.rindex("All runs") :].split("\f")
    pages = [one for one in runs if "mnist-s0-r" in one]
    assert len(pages) >= 2
    for one in pages:
        assert {"Run", "Backend", "Status"} <= set(one.split("mnist-s0-r")[0].split()), one


def test_pictures_are_dark_on_a_dark_page(page: Page) -> None:
    """Confusion matrices let the page show through; grey images are inverted; nothing else is white."""
    page.emulate_media(color_scheme="dark")
    page.locator('figure[id^="plot-confusion"]').first.scroll_into_view_if_needed()
    for plot in ('figure[id^="plot-confusion"]', "#plot-throughput", "#plot-gallery-mnist"):
        shot = page.locator(f"{plot} svg").first.screenshot()
        grey = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
        assert np.median(grey) < 60, plot
        assert (grey > 235).mean() < 0.1, plot


def test_it_says_as_much_without_script(browser: Browser, report: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(report)
    assert not opened.locator("#theme").is_visible()
    assert not opened.locator('input[data-for="table-runs"]').is_visible()
    assert len(column(opened, "runs", 1)) == 24
    context.close()
