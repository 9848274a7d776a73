"""padim and anomalib's Padim behind one interface: the same network, channels, eps and images.

What anomalib's users get is its defaults; here both add eps = 0.01 and anomalib's own 1e-5 to each variance.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from padim.backbone import Backbone
from padim.covariance import Covariance
from padim.head import Head
from padim.model import PaDiM
from padim.reduction import Reduction, make_reduction

SIZE = (224, 224)
EPS = 0.01 + 1e-5  # anomalib's, which adds the two one after the other


class Model(NamedTuple):
    """A model of the paper: its name, its network, and how many channels are drawn."""

    name: str
    network: str
    dim: int


MODELS = {"R18-Rd100": Model("R18-Rd100", "resnet18", 100), "WR50-Rd550": Model("WR50-Rd550", "wide_resnet50_2", 550)}


class Contender(Protocol):
    """An implementation of PaDiM. Images are uint8, (B, 3, 224, 224)."""

    def update(self, images: Tensor) -> None: ...

    def finalise(self) -> None: ...

    def score(self, images: Tensor) -> Tensor:
        """Of each image, (B,)."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the three layers."""

    def embedded(self, features: list[Tensor]) -> Callable[[], object]:
        """The Mahalanobis stage: from what the contender calls its embedding to the anomaly map."""

    def mapped(self, features: list[Tensor]) -> object:
        """From feature maps to the anomaly map."""

    def distances(self, images: Tensor) -> Tensor:
        """Mahalanobis distances, (B, 56, 56)."""

    def save(self, path: Path) -> None: ...

    def load(self, path: Path) -> None: ...


def drawn(model: Model) -> tuple[Backbone, Reduction]:
    """What both sides get: the network, with random weights, and the draw of channels."""
    backbone = Backbone(model.network, stages=(1, 2, 3), image_size=SIZE)
    return backbone, make_reduction("random", backbone.channels, dim=model.dim, seed=0)


class Ours:
    """padim, with its defaults but for eps."""

    def __init__(self, model: Model) -> None:
        backbone, reduction = drawn(model)
        head = Head(backbone.channels, backbone.grids, SIZE, reduction=reduction, covariance=Covariance(eps=EPS))
        self.model = PaDiM(backbone, head)
        self.update, self.finalise, self.features = self.model.update, self.model.finalise, self.model.features
        self.mapped = head

    def score(self, images: Tensor) -> Tensor:
        return self.model(images).score

    def embedded(self, features: list[Tensor]) -> Callable[[], object]:
        return lambda: self.mapped(features)  # which selects the channels as well: nothing is replicated

    def distances(self, images: Tensor) -> Tensor:
        return torch.stack(self.model(images).level_distances).sum(0)

    def save(self, path: Path) -> None:
        torch.save(self.model.head.state_dict(), path)

    def load(self, path: Path) -> None:
        self.model.head.load_state_dict(torch.load(path, mmap=True), assign=True)


class Theirs:
    """anomalib's torch model, without its engine: normalisation is done here, as its pre-processor does it."""

    def __init__(self, model: Model) -> None:
        from anomalib.models.image.padim.torch_model import PadimModel  # only .venv-peers has it

        backbone, reduction = drawn(model)
        layers = ["layer1", "layer2", "layer3"]
        self.model = PadimModel(model.network, layers, pre_trained=False, n_features=model.dim)
        self.model.feature_extractor.feature_extractor.load_state_dict(backbone.network.state_dict())
        self.model.idx = kept_channels(reduction)
        self.mean, self.std = (torch.tensor(x)[:, None, None] for x in (backbone.mean, backbone.std))
        self.finalise = self.model.fit

    def normalised(self, images: Tensor) -> Tensor:
        return (images / 255 - self.mean) / self.std

    def update(self, images: Tensor) -> None:
        self.model.train()(self.normalised(images))

    def score(self, images: Tensor) -> Tensor:
        return self.model.eval()(self.normalised(images)).pred_score

    def features(self, images: Tensor) -> list[Tensor]:
        return list(self.model.feature_extractor(self.normalised(images)).values())

    def embedding(self, features: list[Tensor]) -> Tensor:
        return self.model.generate_embedding(dict(zip(self.model.layers, features, strict=True)))

    def embedded(self, features: list[Tensor]) -> Callable[[], object]:
        embedding = self.embedding(features)
        return lambda: self._map(embedding)

    def mapped(self, features: list[Tensor]) -> object:
        return self._map(self.embedding(features))

    def _map(self, embedding: Tensor) -> Tensor:
        mean, inverse = self.model.gaussian.mean, self.model.gaussian.inv_covariance
        generator = self.model.anomaly_map_generator
        return generator(embedding=embedding, mean=mean, inv_covariance=inverse, image_size=SIZE)

    def distances(self, images: Tensor) -> Tensor:
        statistics = [self.model.gaussian.mean, self.model.gaussian.inv_covariance]
        embedding = self.embedding(self.features(images))
        return self.model.anomaly_map_generator.compute_distance(embedding, statistics)[:, 0]

    def save(self, path: Path) -> None:
        torch.save(self.model.gaussian.state_dict(), path)

    def load(self, path: Path) -> None:
        state = torch.load(path, mmap=True)
        self.model.gaussian.mean, self.model.gaussian.inv_covariance = state["mean"], state["inv_covariance"]


CONTENDERS: dict[str, Callable[[Model], Contender]] = {"padim": Ours, "anomalib": Theirs}


def kept_channels(reduction: Reduction) -> Tensor:
    """Indices of the drawn channels among those of all feature maps."""
    return torch.cat([matrix.any(1) for matrix in reduction.matrices]).nonzero()[:, 0]


def fit(contender: Contender, batches: Iterable[Tensor]) -> None:
    """A whole fit."""
    for images in batches:
        contender.update(images)
    contender.finalise()
