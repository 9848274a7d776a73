"""What is asked of files that anybody may have written, before anything is done with what is in them."""

from typing import Any

DEEPEST = 50
"""Lists in lists, at most."""
LARGEST = 8192
"""Pixels along a side that a file may ask for."""


def reason(error: BaseException) -> str:
    """What went wrong, on a line, however much of the file is in the message."""
    first = (str(error).splitlines() or [""])[0]
    return f"{first[:200]}..." if len(first) > 200 else first or type(error).__name__


def require_size(size: Any, name: str) -> None:
    """Raise where this is no height and width of an image."""
    if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= LARGEST for side in size):
        raise ValueError(f"{name}={size}; it must be a height and a width, 1 to {LARGEST} pixels")


def require_plain(value: Any) -> None:
    """Raise where values lie deep in one another or are met twice: a kilobyte may hold itself, or 10^12 lists.

    Args:
        value: as JSON, YAML or a pickle gives it, of which the last two can refer to what they hold already.
    """
    nodes, met = [(value, 0)], set()
    while nodes:
        node, depth = nodes.pop()
        if isinstance(node, dict | list | tuple) and node:
            if id(node) in met or depth > DEEPEST:
                raise ValueError("its values hold one another")
            met.add(id(node))
            nodes += [(below, depth + 1) for below in (node.values() if isinstance(node, dict) else node)]


def plain_copy(value: Any) -> Any:
    """A copy of plain values in which each list and dictionary stands once, as :func:`require_plain` wants it."""
    if isinstance(value, dict):
        return {key: plain_copy(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([plain_copy(below) for below in value])
    return value
