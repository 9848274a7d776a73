"""A table, and its three forms: Markdown, CSV and LaTeX."""

import csv
import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "[": "{[}",  # not the option of a \\ before it
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)

TEX_TABLE = r"""% \usepackage{{booktabs}}
\begin{{table}}
  \centering
  \caption{{{caption}}}
  \label{{tab:{key}}}
  \small
  \begin{{tabular}}{{{alignment}}}
    \toprule
    {head} \\
    \midrule
{body}
    \bottomrule
  \end{{tabular}}
{notes}\end{{table}}
"""


@dataclass(frozen=True)
class Percent:
    """A number in %, with one decimal as the paper prints it, or none where it prints a whole number.

    Attributes:
        value: None leaves the cell to ``otherwise``.
        signed: a difference.
        mark: of a note on it.
    """

    value: float | None
    std: float | None = None
    signed: bool = False
    mark: str = ""
    otherwise: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return self.otherwise
        value = round(self.value, 1) + 0.0  # no -0.0
        sign, digits = "+" if self.signed else "", 0 if isinstance(self.value, int) else 1
        text = f"{value:{sign}.{digits}f}"
        return text + ("" if self.std is None else f" ± {self.std:.1f}") + (f" [{self.mark}]" if self.mark else "")


@dataclass(frozen=True)
class Quantity:
    """A measured number, with so many decimals.

    Attributes:
        value: None leaves the cell empty.
    """

    value: float | None
    digits: int
    std: None = None

    def __str__(self) -> str:
        return "" if self.value is None else f"{self.value:.{self.digits}f}"


Entry = Percent | Quantity | str | int


@dataclass(frozen=True)
class Column:
    """Attributes:
    key: in the CSV, where a deviation has a column of its own.
    spread: whether it has deviations.
    """

    title: str
    key: str
    number: bool = True
    spread: bool = False


@dataclass(frozen=True)
class Sheet:
    """Attributes:
    key: the name of its files.
    """

    key: str
    title: str
    columns: list[Column]
    rows: list[list[Entry]]
    notes: list[str] = field(default_factory=list)


def repetition_column(versions: Iterable[str]) -> Column:
    """How many seeds, or seeds of versions or folds of a data set, went into a row."""
    kinds = sorted({f" x {version.split()[0]}s" for version in versions if version})
    return Column("".join(["seeds", *kinds]), "repetitions")


def markdown(sheet: Sheet) -> str:
    """Padded, so that it reads well on a terminal too. Without title and notes."""
    head = [column.title for column in sheet.columns]
    body = [[str(entry).replace("|", "\\|") for entry in row] for row in sheet.rows]
    widths = [max(map(len, cells)) for cells in zip(head, *body, strict=True)]
    rule = ["-" * (width - 1) for width in widths]
    rule = [dashes + (":" if column.number else "-") for dashes, column in zip(rule, sheet.columns, strict=True)]
    lines = []
    for cells in (head, rule, *body):
        pads = (str.rjust if column.number else str.ljust for column in sheet.columns)
        padded = (pad(cell, width) for pad, cell, width in zip(pads, cells, widths, strict=True))
        lines.append(f"| {' | '.join(padded)} |\n")
    return "".join(lines)


def comma_separated(sheet: Sheet) -> str:
    """Numbers unrounded, so that a program can take it from here."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    keys = ([column.key, f"{column.key}_std"][: 1 + column.spread] for column in sheet.columns)
    writer.writerow(itertools.chain(*keys))
    for row in sheet.rows:
        pairs = ((entry.value, entry.std) if isinstance(entry, Percent | Quantity) else (entry, None) for entry in row)
        cells = (pair[: 1 + column.spread] for pair, column in zip(pairs, sheet.columns, strict=True))
        writer.writerow(round(cell, 6) + 0.0 if isinstance(cell, float) else cell for cell in itertools.chain(*cells))
    return file.getvalue()


def tex(sheet: Sheet) -> str:
    """A table for the package booktabs."""
    lines = []
    for number, row in enumerate(sheet.rows):
        if number and row[0] != sheet.rows[number - 1][0]:
            lines.append(r"    \addlinespace")
        lines.append(f"    {' & '.join(map(_tex, row))} \\\\")
    return TEX_TABLE.format(
        key=sheet.key,
        caption=_tex(sheet.title),
        alignment="".join("r" if column.number else "l" for column in sheet.columns),
        head=" & ".join(_tex(column.title) for column in sheet.columns),
        body="\n".join(lines),
        notes="".join(f"  \\par\\smallskip\\footnotesize {_tex(note)}\n" for note in sheet.notes),
    )


def _tex(entry: Entry) -> str:
    text = str(entry).translate(TEX)
    return text.replace("-", "$-$") if isinstance(entry, Percent) else text
