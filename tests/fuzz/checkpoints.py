"""Ways to break a file of torch.save: the values, the pickle, the archive."""

import io
import math
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import torch

from tests.fuzz.values import BYTES, CANARY, change, odd


class Payload:
    """Would run, were it unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({CANARY!r}, 'w').close()",)


def changed_tensor(random: Random, tensor: Any) -> Any:
    """Another type, another shape, sizes without numbers behind them, layouts of another kind."""
    other = {
        "half": lambda: tensor.half(),
        "double": lambda: tensor.double(),
        "whole": lambda: tensor.to(torch.int64),
        "complex": lambda: tensor.to(torch.complex64),
        "flat": lambda: tensor.flatten(),
        "wide": lambda: tensor[None],
        "none": lambda: tensor[:0] if tensor.ndim else tensor,
        "repeated": lambda: tensor.flatten()[:1].expand(random.choice([7, 10**6, 10**11])),
        "grown": lambda: tensor.flatten()[:1].as_strided(
            [10**4 * n for n in (tensor.shape or [1])], [0] * max(1, tensor.ndim)
        ),
        "same size": lambda: (
            tensor.flatten()[:1].expand(tensor.numel()).view(1, -1)[0].as_strided(tensor.shape, [0] * tensor.ndim)
        ),
        "meta": lambda: tensor.to("meta"),
        "sparse": lambda: tensor.to_sparse(),
        "nan": lambda: torch.full_like(tensor, math.nan) if tensor.is_floating_point() else -tensor,
        "huge": lambda: tensor * 1e38 if tensor.is_floating_point() else tensor + 2**40,
        "negative": lambda: -tensor,
        "module": lambda: torch.nn.Parameter(tensor.float()),
        "payload": Payload,
        "other": lambda: odd(random),
    }
    return other[random.choice(list(other))]()


def values_of_checkpoint(random: Random, content: bytes) -> bytes:
    """Of a model, or of weights alone."""
    tree = torch.load(io.BytesIO(content), weights_only=True)
    if "state_dict" not in tree or random.random() < 0.5:
        state = tree.get("state_dict", tree)
        name = random.choice(list(state))
        state[random.choice([name, name, name, name + "x"])] = changed_tensor(random, state[name])
    else:
        without = change(random, {name: value for name, value in tree.items() if name != "state_dict"})
        tree = {**without, "state_dict": tree["state_dict"]} if isinstance(without, dict) else without
        if isinstance(tree, dict) and random.random() < 0.1:
            tree["config"] = cycle = {"dataset": {}}
            cycle["dataset"] = cycle
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


Members = list[tuple[str, bytes]]
"""Name and content of the files in an archive."""


def rezipped(content: bytes, members: Callable[[Members], Members], method: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        given = [(name, whole.read(name)) for name in whole.namelist()]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as changed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, data in members(given):
            changed.writestr(name, data)
    return file.getvalue()


def members_of_checkpoint(random: Random, content: bytes) -> bytes:
    """Names that leave the archive, two of a name, none, one broken."""

    def broken(members: Members) -> Members:
        at = random.randrange(len(members))
        name, data = members[at]
        folder, _, last = name.partition("/")
        others = ["../../" + CANARY, "/" + name, name + "x", f"{folder}/data.pkl", f"{folder}/../{last}"]
        members[at] = random.choice(
            [(random.choice(others), data), (name, random.choice(BYTES)(random, data)), (name, b"")]
        )
        return members + random.choice([[], [(name, data)], [("constants.pkl", data), ("code/x.py", b"import os")]])

    return rezipped(content, broken, random.choice([zipfile.ZIP_STORED] * 4 + [zipfile.ZIP_DEFLATED]))


def opcodes_of_checkpoint(random: Random, content: bytes) -> bytes:
    """The pickle itself: opcodes put in, numbers replaced."""

    def broken(members: Members) -> Members:
        return [(name, opcodes(random, data) if name.endswith("data.pkl") else data) for name, data in members]

    return rezipped(content, broken)


def opcodes(random: Random, data: bytes) -> bytes:
    starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    at = random.choice(starts)
    if random.random() < 0.3:  # numbers are sizes, strides and offsets
        code = b"\x8a\x08" + struct.pack("<q", random.choice([-1, 0, 1, 10**6, 10**10, 2**40, 2**62]))
        numbers = [
            (start, stop)
            for (opcode, _, start), stop in zip(pickletools.genops(data), [*starts[1:], len(data)], strict=True)
            if opcode.name in ("BININT1", "BININT2", "BININT")
        ]
        start, stop = random.choice(numbers)
        return data[:start] + code + data[stop:]
    calls = [
        b"cos\nsystem\n(X\x0c\x00\x00\x00touch canarytR",
        b"c__builtin__\neval\n(X\x17\x00\x00\x00open('canary','w').closetR",
        b"cbuiltins\nbytearray\n(\x8a\x06\x00\x00\x00\x00\x00\x10tR",
        b"ctorch._utils\n_rebuild_parameter\n(NNNtR",
        b"ccollections\nOrderedDict\n)R",
        b"cpadim.checkpoint\nwhole\n(X\x06\x00\x00\x00canarytR",
        b"ctorch\nload\n(X\x06\x00\x00\x00canarytR",
        b"ctorch.hub\nload\n(X\x03\x00\x00\x00a/btR",
        b"h\xff",
        b"X\xff\xff\xff\x7f",
        *(bytes([code]) for code in b"012(tRbuseaQ.\x81"),
    ]
    return data[:at] + random.choice(calls) + data[at:]


def whole_pickle(random: Random, content: bytes) -> bytes:
    return random.choice([pickle.dumps(Payload()), pickle.dumps({"config": Payload()}, 0), b"\x80\x02" + content])
