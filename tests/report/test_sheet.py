"""The three forms of a table."""

import csv
import re

import pytest

from padim.report.sheet import Column, Percent, Sheet, comma_separated, markdown, tex

COLUMNS = [Column("name", "name", number=False), Column("PRO", "pro", spread=True), Column("seeds", "seeds")]
SHEET = Sheet(
    "some",
    "50 % of a_b & {c}",
    COLUMNS,
    [
        ["a|b_c", Percent(97.04, 0.25), 3],
        ["d\\e^f~g#h$", Percent(None, otherwise="missing"), ""],
        ["[x]", Percent(1.0), 1],
    ],
    ["Of 100 % ± 1."],
)


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        (Percent(97.06), "97.1"),
        (Percent(97), "97"),
        (Percent(97.06, 0.04), "97.1 ± 0.0"),
        (Percent(97.0, mark="2"), "97.0 [2]"),
        (Percent(0.44, signed=True), "+0.4"),
        (Percent(-0.44, signed=True), "-0.4"),
        (Percent(-0.04, signed=True), "+0.0"),
        (Percent(None, signed=True), ""),
        (Percent(None, otherwise="missing"), "missing"),
    ],
)
def test_one_decimal_as_the_paper(percent: Percent, text: str) -> None:
    assert str(percent) == text


def test_markdown() -> None:
    assert markdown(SHEET) == (
        "| name       |        PRO | seeds |\n"
        "| ---------- | ---------: | ----: |\n"
        "| a\\|b_c     | 97.0 ± 0.2 |     3 |\n"
        "| d\\e^f~g#h$ |    missing |       |\n"
        "| [x]        |        1.0 |     1 |\n"
    )


def test_csv_has_numbers_only_and_all_digits() -> None:
    rows = list(csv.DictReader(comma_separated(SHEET).splitlines()))
    assert rows[0] == {"name": "a|b_c", "pro": "97.04", "pro_std": "0.25", "seeds": "3"}
    assert rows[1] == {"name": "d\\e^f~g#h$", "pro": "", "pro_std": "", "seeds": ""}


def test_tex_is_escaped() -> None:
    content = tex(SHEET)
    assert r"\caption{50 \% of a\_b \& \{c\}}" in content
    assert r"    d\textbackslash{}e\textasciicircum{}f\textasciitilde{}g\#h\$ & missing &  \\" in content
    assert r"a$|$b\_c & 97.0 $\pm$ 0.2 & 3 \\" in content
    assert r"    {[}x] & 1.0 & 1 \\" in content  # else the option of the \\ before it
    assert r"Of 100 \% $\pm$ 1." in content


def test_tex_minus() -> None:
    sheet = Sheet("some", "", [Column("diff.", "d")], [[Percent(-1.0, signed=True)]])
    assert "$-$1.0" in tex(sheet)


def assert_balanced(content: str) -> None:
    """Braces, environments, dollars and columns."""
    bare = re.sub(r"\\[{}$&%#_\\]", "", content.replace(r"\\" + "\n", "\n"))
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    begun, ended = re.findall(r"\\begin{(\w+)}", content), re.findall(r"\\end{(\w+)}", content)
    assert begun == ended[::-1] == ["table", "tabular"]
    (alignment,) = re.findall(r"\\begin{tabular}{(\w+)}", content)
    lines = [line for line in content.splitlines() if line.endswith(r"\\")]
    assert lines
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(alignment) - 1}
    assert not re.findall(r"(?<!\\)[%#]", content.partition("\n")[2])  # the first line is a comment
    assert content.isascii()


def test_tex_is_balanced() -> None:
    assert_balanced(tex(SHEET))
