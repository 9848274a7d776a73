"""Splits of data sets that come without one: a function of names, not of the order or number of files."""

from hashlib import sha256


def uniform(seed: int, name: str) -> float:
    """A number in [0, 1), the same in every process and with every version of every library."""
    return int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:6]) / 2**48  # float64 holds 48 bits exactly
