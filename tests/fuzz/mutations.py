"""Ways to break a file that know its format: a generator and the content in, other content out."""

from collections.abc import Callable
from random import Random

from tests.fuzz.checkpoints import members_of_checkpoint, opcodes_of_checkpoint, values_of_checkpoint, whole_pickle
from tests.fuzz.exports import header_of_safetensors, parts_of_onnx
from tests.fuzz.lists import fields_of_csv, lines_of_json, values_of_json, values_of_yaml
from tests.fuzz.values import BYTES

Mutation = Callable[[Random, bytes], bytes]
PICKLE = [*BYTES, *[values_of_checkpoint] * 6, *[members_of_checkpoint] * 2, *[opcodes_of_checkpoint] * 4, whole_pickle]
MUTATIONS: dict[str, list[Mutation]] = {
    "model.ckpt": PICKLE,
    "gallery.ckpt": PICKLE,
    "model.safetensors": [*BYTES, *[header_of_safetensors] * 6],
    "model.onnx": [*BYTES, *[parts_of_onnx] * 6],
    "weights.pth": PICKLE,
    "weights.safetensors": [*BYTES, *[header_of_safetensors] * 4],
    "list.csv": [*BYTES, *[fields_of_csv] * 4],
    "list.jsonl": [*BYTES, *[lines_of_json] * 4],
    "config.yaml": [*BYTES, *[values_of_yaml] * 4],
    "hydra.yaml": [*BYTES, *[values_of_yaml] * 4],
    "metrics.json": [*BYTES, *[values_of_json] * 4],
}
"""By the name of the file, see :mod:`tests.fuzz.seeds`."""


def mutate(random: Random, kind: str, content: bytes) -> tuple[str, bytes]:
    """The name of a way to break a file, and what is left of it."""
    while True:
        mutation = random.choice(MUTATIONS[kind])
        try:
            return mutation.__name__, mutation(random, content)
        except (RuntimeError, TypeError, ValueError, OverflowError, AttributeError):
            continue  # such a change does not exist, say of a shape of so many numbers
