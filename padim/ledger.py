"""The ledger of a model: which images are in its statistics."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """One image, or one view of it.

    Attributes:
        name: path from the root of its data set, see :meth:`padim.data.samples.Sample.view_name`.
        content: hash of the file and, after ``#``, which view of it, see :meth:`padim.data.samples.Sample.content`.
    """

    name: str
    content: str


def require_different(entries: Sequence[Entry]) -> None:
    """Raise where two have the same content."""
    last = {entry.content: entry for entry in entries}
    require_disjoint([entry for entry in entries if entry is not last[entry.content]], last.values())


def require_disjoint(ours: Iterable[Entry], theirs: Iterable[Entry]) -> None:
    """Raise where the same content is in both, under whatever name."""
    known = {entry.content: entry.name for entry in ours}
    twice = [entry for entry in theirs if entry.content in known]
    if twice:
        raise ValueError(
            f"{len(twice)} images would count twice, such as {known[twice[0].content]} and {twice[0].name}, whose "
            "content is the same; leave them out"
        )


def require_inside(ours: Sequence[Entry], theirs: Sequence[Entry]) -> None:
    """Raise where some content is not in ours, or is there in more views or copies than it is here."""
    inside: dict[str, list[str]] = {}
    for entry in ours:
        inside.setdefault(of_file(entry).content, []).append(entry.content)
    for entry in theirs:
        found = inside.pop(entry.content, [])
        if found != [entry.content]:
            why = f"in the model as {len(found)} other views or copies" if found else "not in the model"
            raise ValueError(f"cannot take out {entry.name}: its content is {why}")


def of_file(entry: Entry) -> Entry:
    """Whatever view of it that is."""
    return entry._replace(content=entry.content.partition("#")[0])
