"""Ways to break a list of images, or what a run says of itself."""

from random import Random

from tests.fuzz.values import any_json

FIELDS = [
    "", "../../../../etc/passwd", "/dev/zero", "/dev/stdin", ".", "a\0b", "x" * 300, "x" * 2**17, "a/" * 3000, '"',
    "\n", "train", "test", "good", "0", "1", "2", "NaN", "=cmd|' /C calc'!A0", "\ud7ff", "\ufeff", "\r",
]  # fmt: skip
YAML = [
    "!!python/object/apply:os.system ['touch canary']",
    "!!python/name:os.system",
    "!!binary aGVsbG8",
    "&a [*a]",
    "&a {b: *a}",
    "{<<: [{a: 1}, {b: 2}], c: 3}",
    "? [1, 2]\n: 3",
    "2001-12-14t21:59:43.10-05:00",
    "99:99:99",
    ".nan",
    "-.inf",
    "0o777",
    "0x" + "f" * 5000,
    "1" * 5000,
    "!x 1",
    "\t1",
    "${seed}",
    "${oc.env:HOME}",
    "[" * 2000 + "]" * 2000,
    ", ".join(["[&a0 [1, 1]", *(f"&a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(12))]) + "]",
]
"""Values: code, cycles, numbers that are none, and 10^12 ones in a kilobyte."""


def fields_of_csv(random: Random, content: bytes) -> bytes:
    rows = [line.split(",") for line in content.decode().split("\n")]
    for _ in range(random.choice([1, 1, 2, 4])):
        row = random.choice(rows)
        row[random.randrange(len(row))] = random.choice(FIELDS)
    repeats = random.choice([1, 1, 1, 200]) if len(content) < 10**4 else 1
    return "\n".join(",".join(row) for row in rows * repeats).encode()


def lines_of_json(random: Random, content: bytes) -> bytes:
    lines = content.decode().split("\n")
    at = random.randrange(len(lines))
    lines[at] = any_json(random, lines[at]) if random.random() < 0.6 else lines[at].replace("a/", random.choice(FIELDS))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def values_of_json(random: Random, content: bytes) -> bytes:
    """YAML, too, if it is written as JSON."""
    return any_json(random, content.decode()).encode("utf-8", "surrogatepass")


def values_of_yaml(random: Random, content: bytes) -> bytes:
    lines = content.decode().split("\n")
    at = random.randrange(len(lines))
    key, colon, _ = lines[at].partition(":")
    lines[at] = f"{key}{colon} {random.choice(YAML)}"
    return "\n".join(lines).encode()
