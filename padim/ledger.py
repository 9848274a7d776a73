"""The ledger of a model: which images are in its statistics."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """One image, or one view of it.

    Attributes:
        name: path from the root of its data set, see :meth:`padim.data.samples.Sample.view_name`.
        content: hash of the file.
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
    counts: dict[str, int] = {}
    for entry in ours:
        content = entry.content.partition("#")[0]
        counts[content] = counts.get(content, 0) + 1
    for entry in theirs:
        found = counts.pop(entry.content, 0)
        if found != 1:
            several = f"is in the model {found} times, as other views or copies" if found else "is not in the model"
            raise ValueError(f"cannot take out {entry.name}: its content {several}")
