"""report.html of whole runs: one file, which says what the run's other files say, and what there is not."""

import base64
import getpass
import io
import itertools
import json
import re
import socket
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_run import rows
from tests.page.conftest import KIND, NAME, NAMES, Page
from tests.page.test_charts import points

LEVELS = ("layer3", "layer2", "layer1")
VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Elements and what is written in them; raises where they are not nested.

    Attributes:
        elements: name and attributes of each.
        written: what is written in elements of a name.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.written: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self.written.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.written[tag][-1] += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.written["body"][0].split())


@pytest.fixture(params=NAMES)
def page(request: pytest.FixtureRequest, pages: dict[str, Page]) -> Page:
    return pages[request.param]


def test_it_is_one_file_that_reaches_for_nothing(page: Page) -> None:
    read = Reader(page.text)
    names = {name for name, _ in read.elements}
    assert not names & {"script", "iframe", "object", "embed", "form", "base", "video"}
    for _, attributes in read.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "action"):
            assert str(attributes.get(name, "data:")).startswith("data:")
    assert "url(" not in page.text
    assert "@import" not in page.text
    (policy,) = (one["content"] for one in read.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    assert len(page.text) < 2e6


def test_it_can_be_read_aloud(page: Page) -> None:
    read = Reader(page.text)
    assert read.all("html") == [{"lang": "en"}]
    headings = [int(name[1]) for name, _ in read.elements if re.fullmatch("h[1-6]", name)]
    assert headings[0] == 1
    assert 1 not in headings[1:]
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) == 7
    assert all(one["aria-labelledby"] in ids for one in read.all("section"))
    assert all(one["alt"] for one in read.all("img"))
    assert all(one["aria-label"] for one in read.all("svg"))


def test_it_does_not_say_whose_machine_it_was(page: Page) -> None:
    """But for what was typed, which may hold paths."""
    said = Reader(re.sub("<pre.*?</pre>", "", page.text, flags=re.DOTALL)).text
    assert not {socket.gethostname(), getpass.getuser()} & set(re.findall(r"[\w.-]+", said))
    assert not re.search(r"(^|\s)/\w", said)


def test_its_numbers_are_those_of_the_other_files(page: Page) -> None:
    text, metrics = Reader(page.text).text, json.loads((page.folder / "metrics.json").read_text())
    for name, title in (("image_auroc", "image AUROC"), ("pixel_auroc", "pixel AUROC"), ("pro", "PRO")):
        said = f"{metrics[name]:.4f}" if name in metrics else "not measured"
        assert f" {title} {said}" in text
    assert all(str(value) in text for value in metrics.values())
    for kind in rows(page.folder / "kinds.csv"):
        assert f"{kind['kind']} {kind['images']} {float(kind['mean_score']):.4g}" in text


def test_the_curves_enclose_the_metrics(pages: dict[str, Page]) -> None:
    metrics = json.loads((pages["whole"].folder / "metrics.json").read_text())
    charts = re.findall("<svg.*?</svg>", pages["whole"].text, re.DOTALL)
    assert len(charts) == 5
    for name, chart, limit in zip(("image_auroc", "pixel_auroc", "pro"), charts[:3], (1, 1, 0.3), strict=True):
        x, y = points(chart, "curve").T
        counted = x < limit + 0.002
        assert np.trapezoid(y[counted], x[counted]) / limit == pytest.approx(metrics[name], abs=0.01)


def test_the_worst_come_first_with_the_scores_of_predictions(page: Page) -> None:
    expected = []
    predictions = rows(page.folder / "predictions.csv")
    for label, sign in (("1", 1), ("0", -1)):
        own = [row for row in predictions if row["label"] == label]
        expected += sorted(own, key=lambda row: sign * float(row["score"]))[:4]
    cases = Reader(page.text).written.get("article", [])
    assert len(cases) == len(expected)
    for case, row in zip(cases, expected, strict=True):
        case = " ".join(case.split())
        assert row["path"].endswith(case.partition(" no ")[0].partition(" ALARM ")[0])
        assert f"score {float(row['score']):.4g}" in case
        if "alarm" in row:
            assert ("ALARM" in case) == (row["alarm"] == "1")
            assert f"p = {float(row['p_value']):.3g}" in case
        shares = [int(share) for share in re.findall(r"layer\d: (\d+) % of the peak", case)]
        assert shares == [pytest.approx(100 * float(row[f"share {name}"]), abs=0.51) for name in LEVELS]
        assert f"highest share: {row['level']}" in case


def test_padding_is_cut_off_the_pictures(pages: dict[str, Page]) -> None:
    """151 by 97 pixels, scaled to a width of 128."""
    pictures = Reader(pages["whole"].text).all("img")
    assert len(pictures) == 8 * 5
    assert {(one["width"], one["height"]) for one in pictures} == {("128", "82")}
    content = str(pictures[0]["src"]).removeprefix("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (128, 82)


def test_names_are_text_whatever_is_in_them(pages: dict[str, Page]) -> None:
    read = Reader(pages["whole"].text)
    written = f"{KIND}/{NAME} ".encode(errors="backslashreplace").decode()
    assert any(name.endswith(written) for name in read.written["h3"])
    assert f"{KIND} " in read.written["th"]
    assert all(set(one) == {"src", "width", "height", "alt"} for one in read.all("img"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("whole", ["of 5 normal and at", "of 6 anomalous images", "9 calibration", "held-out normal images"]),
        ("whole", ["N = 21 images and D = 20 channels it is Hotelling's", "of 5 normal test images"]),
        ("sum", ["not calibrated: fit with", "depends on a threshold", "N = 60 images and D ="]),
        ("sum", ["fitted in 2 views", "could not be read and were left out: 1, listed in skipped.csv"]),
        ("without_masks", ["the anomalous pixels of 6 of 6 anomalous test images are unknown", "is unknown"]),
        ("without_anomalous", ["no anomalous test images", "There are no anomalous test images."]),
        ("untested", ["Nothing was tested", "No scores: there are no test images", "threshold none not calibrated"]),
        ("untested", ["There are no normal test images", "There are no normal images that were not fitted"]),
    ],
)
def test_it_says_what_there_is_and_what_is_missing(name: str, said: list[str], pages: dict[str, Page]) -> None:
    text = Reader(pages[name].text).text
    for words in said:
        assert words in text


def test_it_says_what_was_typed(pages: dict[str, Page]) -> None:
    command, model_of = Reader(pages["without_masks"].text).written["pre"][0], Reader(pages["whole"].text)
    assert command.startswith("padim-evaluate checkpoint=")
    assert "calibration_fraction: 0.3" in model_of.text
    assert "calibration.alpha=0.1" in model_of.text
