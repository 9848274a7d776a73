"""Ways to break bytes, and values as JSON and checkpoints hold them. Each takes a generator and gives other content."""

import json
import math
import struct
from collections.abc import Callable
from copy import copy
from random import Random
from typing import Any

CANARY = "canary"
"""What a payload would make in the working directory."""
NUMBERS = [
    -1, 0, 1, 2, 7, 255, 8192, 8193, 65536, 10**6, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62, 2**63, 10**30, 1e300,
]  # fmt: skip
ODD: list[Any] = [*NUMBERS, math.nan, math.inf, -math.inf, 0.5, True, None, "", "x" * 5000, "\ud800", "a\0b", [], {}]
NAMES = [
    "../evil", "/etc/passwd", "..", "", "a" * 300, "con\0", "imagenet", "hf-hub:timm/resnet18", "resnet50", "os.system",
]  # fmt: skip
TARGETS = [
    "os.system", "subprocess.run", "padim.commands.train.main", "builtins.eval", "padim.module.os", "padim..x", "sys",
]  # fmt: skip


def flip(random: Random, content: bytes) -> bytes:
    broken = bytearray(content)
    for _ in range(random.choice([1, 1, 3, 30])):
        if broken:
            broken[random.randrange(len(broken))] ^= 1 << random.randrange(8)
    return bytes(broken)


def truncate(random: Random, content: bytes) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def splice(random: Random, content: bytes) -> bytes:
    """Move, repeat or leave out a piece."""
    start, stop, at = sorted(random.randrange(len(content) + 1) for _ in range(3))
    return random.choice(
        [content[:start] + content[stop:], content[:at] + content[start:stop] + content[at:], content[stop:] + content]
    )


def overwrite(random: Random, content: bytes) -> bytes:
    """Whole numbers where there may be lengths, offsets and sizes."""
    at = random.choice([0, random.randrange(len(content) + 1), random.randrange(min(len(content), 200) + 1)])
    number = random.choice([0, 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1])
    piece = struct.pack(random.choice("<>") + "Q", number)[: random.choice([4, 8])]
    return content[:at] + piece + content[at + len(piece) :]


BYTES = [flip, truncate, splice, overwrite]


def nested(random: Random) -> Any:
    value: Any = 1
    for _ in range(random.choice([5, 500, 900])):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


def odd(random: Random) -> Any:
    draws: list[Callable[[], Any]] = [
        lambda: copy(random.choice(ODD)),
        lambda: random.choice(NAMES),
        lambda: random.choice(TARGETS),
        lambda: nested(random),
        lambda: [copy(random.choice(ODD)) for _ in range(random.choice([1, 2, 3, 2000]))],
        lambda: {"_target_": random.choice(TARGETS)},
    ]
    return random.choice(draws)()


def places(value: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every container in there, with a key of it."""
    if depth > 50:
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, below in items for place in [(value, key), *places(below, depth + 1)]]


def change(random: Random, tree: Any) -> Any:
    """Some values are replaced, left out, renamed or added."""
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        found = places(tree)
        if not found:
            return odd(random)
        container, key = random.choice(found)
        action = random.random()
        if action < 0.7:
            container[key] = scaled(random, container[key]) if random.random() < 0.5 else odd(random)
        elif isinstance(container, dict) and action < 0.8:
            container[random.choice(["weights", "target", "_target_", "extra", "seed"])] = odd(random)
        elif isinstance(container, dict) and action < 0.9:
            container[str(key) + "x"] = container.pop(key)
        else:
            del container[key]
    return tree


def scaled(random: Random, value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return random.choice([value + 1, value * 2, value * 1000, -value, value // 2, random.choice(NUMBERS)])
        case str():
            return random.choice([value[::-1], value * 2, value[:-1], random.choice(NAMES)])
        case list():
            return random.choice([value[::-1], value * 2, value[1:], value * 300])
    return odd(random)


def any_json(random: Random, text: str) -> str:
    changed = json.dumps(change(random, json.loads(text)))
    return random.choice([changed, changed, changed, "[" * 10**5, changed.replace("1", "9" * 5000, 1), changed[:-3]])
