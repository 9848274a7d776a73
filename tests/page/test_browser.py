"""report.html in a real browser, opened from disk."""

import re
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from tests.page.chromium import Chromium
from tests.page.conftest import NAMES, Page

pytestmark = pytest.mark.browser

WIDTHS = (320, 400, 800, 1280)


@pytest.fixture(params=NAMES)
def page(request: pytest.FixtureRequest, pages: dict[str, Page]) -> Page:
    return pages[request.param]


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_from_disk_and_asks_for_nothing_else(page: Page, width: int, browser: Chromium) -> None:
    path = page.folder / "report.html"
    browser.open(path, width)
    assert [address for address in browser.requested if not address.startswith("data:")] == [path.as_uri()]
    assert browser.complaints == []
    count = browser.evaluate("document.images.length")
    assert count == page.text.count("<img")
    assert browser.evaluate("[...document.images].filter(one => one.complete && one.naturalWidth > 0).length") == count


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(page: Page, width: int, browser: Chromium) -> None:
    """But for tables, which scroll by themselves."""
    browser.open(page.folder / "report.html", width)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    outside = "[...document.querySelectorAll('body *')].filter(one => !one.closest('.wide > *') && "
    assert browser.evaluate(f"{outside} one.getBoundingClientRect().right > innerWidth + 0.5).length") == 0


@pytest.mark.parametrize(("scheme", "paper"), [("light", range(240, 256)), ("dark", range(40))])
def test_it_is_light_in_the_light_and_dark_in_the_dark(
    scheme: str, paper: range, pages: dict[str, Page], browser: Chromium, tmp_path: Path
) -> None:
    """What is drawn, and that text is of the other end; charts too, which else would be black in both."""
    browser.open(pages["whole"].folder / "report.html", 400, scheme)
    browser.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert ImageStat.Stat(picture.convert("L")).median[0] in paper
    for selector, of in (("p", "color"), ("svg text", "fill"), ("svg .line", "stroke"), ("figcaption", "color")):
        shown = browser.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{of}")
        brightness = sum(map(int, re.findall(r"\d+", shown)[:3])) / 3
        assert (brightness > 100) == (scheme == "dark"), (selector, shown)


def test_its_metrics_are_seen_at_once(pages: dict[str, Page], browser: Chromium) -> None:
    browser.open(pages["whole"].folder / "report.html", 1280)
    seen = browser.evaluate(
        "[...document.querySelectorAll('.card strong')].filter(one => one.checkVisibility() && "
        "one.getBoundingClientRect().bottom < innerHeight).map(one => one.innerText)"
    )
    assert len(seen) == 6
    assert all(re.fullmatch(r"[01]\.\d{4}", one) for one in seen[:3])


def test_names_run_nothing(pages: dict[str, Page], browser: Chromium) -> None:
    """A dialogue of one would stop the page from loading."""
    browser.open(pages["whole"].folder / "report.html", 1280)
    assert browser.evaluate("document.scripts.length") == 0
    assert browser.evaluate("document.body.innerText.includes('<img src=x onerror=alert(1)>')")


def test_the_policy_forbids_what_an_injection_would_need(
    pages: dict[str, Page], browser: Chromium, tmp_path: Path
) -> None:
    """So that the other tests can fail: a picture, a script and a style put into a copy are noticed, and stopped."""
    copy = tmp_path / "copy.html"
    injected = "<img src='http://127.0.0.1:9/x.png'><script>document.title = 'run'</script>"
    injected += "<style>main { display: none }</style><p style='display: none'></p></body>"
    copy.write_text(pages["whole"].text.replace("</body>", injected))
    browser.open(copy, 1280)
    assert browser.evaluate("document.title") != "run"
    assert browser.evaluate("getComputedStyle(document.querySelector('main')).display") == "block"
    assert len(browser.complaints) == 4
    assert all("Content Security Policy" in one for one in browser.complaints)


def test_on_paper_every_case_is_whole(pages: dict[str, Page], browser: Chromium) -> None:
    browser.open(pages["whole"].folder / "report.html", 700, media="print")
    assert browser.evaluate("[...document.querySelectorAll('.wide')].every(one => one.scrollWidth <= one.clientWidth)")
    assert browser.evaluate("getComputedStyle(document.querySelector('.case')).breakInside") == "avoid"
    assert browser.evaluate("getComputedStyle(document.querySelector('.case')).backgroundColor") == "rgba(0, 0, 0, 0)"
