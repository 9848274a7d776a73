"""What the tests share: shape checking, tolerances, real images where they lie beside the checkout."""

import gc
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Shapes in signatures are checked here and only here; before padim is imported for the first time.
install_import_hook("padim", "tests.typecheck")

ASSETS = Path(__file__).parents[2] / "shared" / "assets"


@pytest.fixture(scope="session")
def weights() -> Path:
    """ResNet18 trained on ImageNet, up to layer3."""
    return _asset("weights/resnet18_imagenet_trunk.safetensors")


@pytest.fixture(scope="session")
def mvtec() -> Path:
    """A folder with MVTec AD's category bottle, at 256 pixels."""
    return _asset("mvtec")


def _asset(name: str) -> Path:
    if not ASSETS.is_dir():
        pytest.skip(f"the real images and weights are not there: {ASSETS.name} lies beside some checkouts only")
    return ASSETS / name


def pytest_collection_finish() -> None:
    """Take the tests and the libraries out of the garbage collection that ends each run: they are no garbage."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """At the end of the process libraries look for what has not been collected."""
    gc.unfreeze()
