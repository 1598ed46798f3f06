"""The page in a real browser: headless Chromium, offline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nrbench
from nrbench import Options, load_registry, load_suite
from tests.conftest import TINY

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ASLEEP = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a small suite with claims and two treatments of BatchNorm."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "suite.yaml").write_text(TINY + CLAIM)
    suite = load_suite(folder / "suite.yaml", load_registry())
    nrbench.run(suite, options=Options(out=folder / "out"))
    return (folder / "out" / "tiny" / "leaderboard.html").as_uri()


CLAIM = """\
claims:
  C1:
    name: better
    text: RWP is better under noise.
    pairs: [{a: {method: RWP}, b: {method: SGD}, under: {noise: "Gaussian *"}}]
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ASLEEP)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.troubles = []
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.on("console", lambda said: opened.troubles.append(said.text) if said.type == "error" else None)
    opened.requests = []
    opened.on("request", lambda request: opened.requests.append(request.url))
    yield opened
    assert opened.troubles == []
    opened.close()


def column(page: Any, table: str, index: int) -> list[str]:
    return page.eval_on_selector_all(
        f"#{table} tbody tr", f"rows => rows.map(r => r.cells[{index}].innerText.split(/\\s/)[0])"
    )


MAIN = "mlp-on-synthetic-chosen-table"
"""The table of accuracies."""


def test_nothing_is_asked_for(page: Any, address: str) -> None:
    """Opened from a file, the page makes no request beside itself and its own data, and no script fails."""
    page.goto(address)
    others = [url for url in page.requests if not url.startswith("data:")]
    assert others == [address]


def test_sorting_by_a_click_and_by_a_link(page: Any, browser: Any, address: str) -> None:
    """A click on a heading sorts by number, the address remembers it, and a fresh page at that address shows the same."""
    page.goto(address)
    for _ in range(2):
        page.click(f"#{MAIN} thead tr:last-child th:nth-child(3)")
    shown = column(page, MAIN, 2)
    assert [float(each) for each in shown] in (sorted(map(float, shown)), sorted(map(float, shown), reverse=True))
    assert f"sort-{MAIN}" in page.url
    again = browser.new_page()
    again.goto(page.url)
    assert column(again, MAIN, 2) == shown
    again.close()


def test_filter_and_search(page: Any, address: str) -> None:
    """The filter leaves lines of one method in every table of methods, the search lines with a word; both are in the address."""
    page.goto(address)
    page.fill("#only", "RWP")
    assert column(page, MAIN, 0) == ["RWP"]
    assert "only=RWP" in page.url
    page.fill("#only", "")
    page.click("#every-row > summary")
    page.fill("#every-row input[type=search]", "Gaussian 0.3")
    rows = column(page, "every-row-table", 1)
    assert 0 < len(rows) < 12
    assert "find-every-row-table=Gaussian" in page.url


def test_details_and_contents(page: Any, address: str) -> None:
    """A row opens its draws and the command that computes it, and each entry of the contents leads to its heading."""
    page.goto(address)
    page.click("#every-row > summary")
    page.click("#every-row-table tbody tr:first-child summary")
    assert "--only SGD" in page.inner_text("#every-row-table tbody tr:first-child td details")
    links = page.eval_on_selector_all("nav a", "links => links.map(link => link.getAttribute('href'))")
    assert len(links) > 8
    assert all(page.query_selector(f"[id='{link[1:]}']") for link in links)


def test_files_for_download(page: Any, address: str) -> None:
    """The page holds the very files that were written beside it."""
    page.goto(address)
    folder = Path(address.removeprefix("file://")).parent
    for name in ("leaderboard.csv", "leaderboard-wide.csv", "leaderboard.json", "leaderboard.md", "leaderboard.tex"):
        with page.expect_download() as caught:
            page.click(f'a[download="{name}"]')
        assert Path(caught.value.path()).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(page: Any, address: str, scheme: str) -> None:
    """axe-core finds no violation, with everything open, in light and in dark, which the button turns over."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_does_not_run_over(page: Any, address: str, width: int) -> None:
    """At the width of a telephone and of a desk nothing makes the page wider than the window; tables scroll inside."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_whole_without_scripts(browser: Any, address: str) -> None:
    """With JavaScript off every row is there, and no control that would do nothing."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#every-row-table tbody tr").count() == 12
    assert not page.locator("#only").is_visible()
    context.close()


def test_the_head_stays(page: Any, address: str) -> None:
    """In a table that scrolls, its head and its first column stay in sight."""
    page.set_viewport_size({"width": 700, "height": 400})
    page.goto(address)
    page.click("#every-row > summary")
    page.evaluate("document.querySelector('#every-row .scroll').scrollTo(300, 200)")
    box = "e => e.getBoundingClientRect()"
    frame = page.eval_on_selector("#every-row .scroll", box)
    head = page.eval_on_selector("#every-row-table thead tr:last-child th:nth-child(4)", box)
    first = page.eval_on_selector("#every-row-table tbody tr:nth-child(6) th", box)
    assert abs(head["top"] - frame["top"]) < 3
    assert abs(first["left"] - frame["left"]) < 3


# -- a site -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def public(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of that board."""
    from urllib.parse import unquote, urlparse

    from nrbench.share import opened, write_site

    target = tmp_path_factory.mktemp("public")
    with opened(Path(unquote(urlparse(address).path)).parent, load_registry()) as study:
        write_site([study], target, load_registry(), licence="CC0-1.0", weights=False)
    return target


@pytest.mark.parametrize("name", ["index.html", "tiny/rows.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out_of_a_site(page: Any, public: Path, name: str, scheme: str) -> None:
    """axe finds nothing on either page of a site, in both colour schemes, and neither runs over at 360 pixels."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.goto((public / name).as_uri())
    assert Axe().run(page).violations_count == 0
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert all(url.startswith(("file:", "data:")) for url in page.requests)


def test_from_the_index_to_a_bundle(page: Any, public: Path) -> None:
    """Links lead from the index to the board and to its rows, and a row's bundle is downloaded whole."""
    page.goto((public / "index.html").as_uri())
    page.click("text=its rows as bundles")
    assert page.title() == "tiny: rows"
    with page.expect_download() as download:
        page.click("tbody tr:first-child a[download]")
    name = download.value.suggested_filename
    assert Path(download.value.path()).read_bytes() == (public / "tiny" / "bundles" / name).read_bytes()
    page.click("h1 a")
    assert page.title() == "tiny – nrbench leaderboard"
