"""How large the activations of a network are, and how many images a CPU takes through it together."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

LARGEST_REUSED = 2**25
"""Bytes. Larger pieces of memory glibc returns to the system as soon as they are freed, and the next comes as empty
pages, one by one: of batches of 32 that was a seventh of ResNet18's time and more than half of EfficientNet-B4's."""


@contextmanager
def output_bytes(network: nn.Module) -> Iterator[list[int]]:
    """Sizes of the outputs of a network's modules, in the order in which they run meanwhile."""
    sizes: list[int] = []

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.nbytes)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()


def images_at_once(sizes: list[int]) -> int:
    """As many images as have activations that are reused, 1 at least.

    Args:
        sizes: see :func:`output_bytes`, of one image.
    """
    return max(1, (LARGEST_REUSED - 1) // max(sizes))
