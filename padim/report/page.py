"""The page of a report, in Markdown."""

from collections.abc import Mapping, Sequence

from padim.report.runs import Found
from padim.report.sections import Picture, Section
from padim.report.sheet import Sheet, markdown

INTRODUCTION = """\
# Report

{summary}.

Values are in %: averaged over classes, which all count the same; then mean ± standard deviation over seeds. The columns
diff. are ours less the paper's.
"""

REMAINDERS = {
    "failed": "failed, or still running",
    "unreadable": "unreadable",
    "repeated": "left out for newer ones of the same configuration",
    "foreign": "of other commands",
}


def page(found: Found, sections: Sequence[Section], pictures: Mapping[str, Sequence[Picture]]) -> str:
    """Everything found.

    Args:
        pictures: of each section, by its key.
    """
    blocks = [INTRODUCTION.format(summary=_summary(found))]
    for section in sections:
        blocks += [_table(sheet) for sheet in section.sheets]
        blocks += [f"![{one.caption}]({one.name})\n\n*{one.caption}*\n" for one in pictures.get(section.key, ())]
    for name, title in REMAINDERS.items():
        lines = getattr(found, name)
        if lines:
            blocks.append(f"## {title.capitalize()}\n\n" + "".join(f"- {line}\n" for line in lines))
    return "\n".join(blocks)


def _summary(found: Found) -> str:
    others = [f"{len(lines)} {title}" for name, title in REMAINDERS.items() if (lines := getattr(found, name))]
    return "; ".join([f"{found.finished} finished runs, {len(found.results)} results", *others])


def _table(sheet: Sheet) -> str:
    notes = "".join(f"- {note}\n" for note in sheet.notes)
    return f"## {sheet.title}\n\n{markdown(sheet)}" + (f"\n{notes}" if notes else "")
