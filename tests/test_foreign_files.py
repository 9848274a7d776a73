"""Files that anybody may have written: what is asked of them, and each way to break one that was ever found."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

from padim.backbone import Backbone
from padim.checkpoint import load_method, load_module, read_checkpoint, save_changed
from padim.commands.evaluate import offer_data
from padim.export.predictor import load_predictor
from padim.module import PaDiMModule
from padim.untrusted import reason, require_plain
from padim.untrusted_tensors import read_tensors, require_dense, require_tensors
from tests.export.models import SMALL, fitted, save


def saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def with_pickle(content: bytes, change: Callable[[bytes], bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A file of torch.save with another pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(file, "w", method) as changed:
        for name in given.namelist():
            data = given.read(name)
            changed.writestr(name, change(data) if name.endswith("data.pkl") else data)
    return file.getvalue()


WHOLE = saved({"a": torch.arange(6.0)})
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "other pickle": pickle.dumps({"a": 1}, 4),
    "cut": WHOLE[:-30],
    "no memo": with_pickle(WHOLE, lambda data: data[:2] + b"h\xff" + data[2:]),  # KeyError
    "empty stack": with_pickle(WHOLE, lambda data: data[:2] + b"0" + data[2:]),  # IndexError
    "unhashable": with_pickle(WHOLE, lambda data: data[:2] + b"(}Kads" + data[2:]),  # TypeError
    "vast": with_pickle(WHOLE, lambda data: data[:2] + b"cbuiltins\nbytearray\n(\x8a\x06\0\0\0\0\0\x10tR" + data[2:]),
    "compressed": with_pickle(WHOLE, lambda data: data + bytes(10**7), zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_for_whatever_torch_raises(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(ValueError, match=r"it is compressed" if kind == "compressed" else r"."):
        read_tensors(path, mmap=True)
    with pytest.raises(ValueError, match=r"cannot read the weights .*weights\.pth"):
        Backbone("resnet18", (1,), (64, 64), weights=str(path))
    with pytest.raises(ValueError, match=r"weights\.pth is not a checkpoint of padim"):
        read_checkpoint(path)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(WHOLE)
    for mmap in (False, True):
        assert torch.equal(read_tensors(tmp_path / "a.pth", mmap)["a"], torch.arange(6.0))


OWN = {"a": torch.zeros(4, 3), "rows": torch.zeros(0, 3)}
HOLLOW: dict[str, Tensor | None] = {
    "meta": torch.zeros(4, 3, device="meta"),
    "sparse": torch.eye(4, 3).to_sparse(),
    "parameter": torch.nn.Parameter(torch.zeros(4, 3)),
    "repeated": torch.zeros(1).expand(4, 3),
    "terabytes": torch.zeros(1).expand(10**9, 10**4),
    "none": None,
}


@pytest.mark.parametrize("kind", HOLLOW)
def test_a_tensor_holds_all_its_numbers(kind: str) -> None:
    message = "a claims" if kind in ("repeated", "terabytes") else "a is no dense tensor"
    for check in (require_dense, lambda found: require_tensors(found, OWN)):
        with pytest.raises(ValueError, match=message):
            check({"a": HOLLOW[kind], "rows": torch.zeros(7, 3)})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "its state is list, not tensors by name"),
        ({"a": OWN["a"]}, "1 tensors are missing or unknown, such as rows"),
        (OWN | {"b": OWN["a"]}, "1 tensors are missing or unknown, such as b"),
        (OWN | {"a": torch.zeros(3, 4)}, r"a is torch.float32 of shape \(3, 4\), not torch.float32 of \(4, 3\)"),
        (OWN | {"a": torch.zeros(4, 3).double()}, "a is torch.float64 of shape"),
        (OWN | {"rows": torch.zeros(7, 4)}, r"rows is torch.float32 of shape \(7, 4\)"),
        (OWN | {"rows": torch.tensor(1.0)}, r"rows is torch.float32 of shape \(\)"),
    ],
)
def test_tensors_of_another_model_are_named(found: Any, message: str) -> None:
    require_tensors(OWN | {"rows": torch.zeros(7, 3)}, OWN)  # as many rows as there are
    with pytest.raises(ValueError, match=message):
        require_tensors(found, OWN)


def test_values_that_hold_one_another_are_refused() -> None:
    cycle: list[Any] = [1]
    cycle.append({"a": cycle})
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    bomb: Any = 1
    for _ in range(12):  # 10^12 in a kilobyte
        bomb = (bomb,) * 10
    for value in (cycle, deep, bomb, {"a": bomb}):
        with pytest.raises(ValueError, match="its values hold one another"):
            require_plain(value)
    require_plain({"a": [(), (), {}, {}, [1, 1], [1, 1], {"b": "x" * 10**5}], "c": None})


def test_a_reason_is_short() -> None:
    assert reason(ValueError("a\nb")) == "a"
    assert reason(IndexError()) == "IndexError"
    assert len(reason(ValueError("x" * 10**6))) < 300


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_another_precision_become_the_networks(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    save_file = torch.save if suffix == ".pth" else safetensors.torch.save_file
    state = timm.create_model("test_efficientnet").state_dict()
    for dtype in (torch.float64, torch.float16):
        save_file({key: x.to(dtype) if x.is_floating_point() else x for key, x in state.items()}, path)
        network = Backbone("test_efficientnet", (1,), (64, 64), weights=str(path))
        assert network(torch.zeros(1, 3, 64, 64))[0].dtype == torch.float32
    save_file({key: x.long() for key, x in state.items()}, path)
    with pytest.raises(ValueError, match=r"conv_stem.weight is torch.int64, not torch.float32"):
        Backbone("test_efficientnet", (1,), (64, 64), weights=str(path))


def test_the_network_of_broken_weights_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Swin computes what no file holds, and for that it is really built; a file may name the largest network."""
    build, built_on = timm.create_model, []

    def spy(*args: object, **kwargs: object) -> torch.nn.Module:
        built_on.append(torch.get_default_device().type)
        return build(*args, **kwargs)

    monkeypatch.setattr(timm, "create_model", spy)
    torch.save({"patch_embed.proj.weight": torch.zeros(1)}, tmp_path / "swin.pth")
    with pytest.raises(ValueError, match="belongs to another network"):
        Backbone("swin_tiny_patch4_window7_224", (1, 2), (64, 96), weights=str(tmp_path / "swin.pth"))
    assert built_on == ["meta"]


# --- checkpoints


@pytest.fixture(scope="module")
def module() -> PaDiMModule:
    return fitted(size=(32, 32), **SMALL, reduction={"name": "random", "dim": 6})


Change = Callable[[dict[str, Any]], Any]


def put(*keys: str, value: Any) -> Change:
    """Another value at a place of a checkpoint."""

    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


ROWS = "model.head.levels.0.whitening"
CHANGES: dict[str, Change] = {
    "a file of weights": put("hyper_parameters", "backbone", "name", value="resnet50"),
    "no parameters": put("hyper_parameters", value=7),
    "sides": put("hyper_parameters", "image_size", value=[32]),
    "stages": put("hyper_parameters", "layers", "stages", value=[]),
    "reduction": put("hyper_parameters", "reduction", "name", value="a" * 10**6),
    "eps": put("hyper_parameters", "covariance", "eps", value="x"),
    "sigma": put("hyper_parameters", "anomaly_map", "sigma", value=1e9),
    "calibration": put("calibration", "scores", value=[1.0]),
    "score": put("calibration", "scores", 3, value=10**400),
    "threshold": put("calibration", value={"alpha": {}}),
    "images": put("images", value=7),
    "size": put("config", "dataset", "resize", value=[10**9, 32]),
    "crop": put("config", "dataset", "resize", value=[8, 8]),
    "method": put("target", value=["os"] * 10**5),
    "tensors": put("state_dict", value=[]),
    "an unknown tensor": put("state_dict", "x" * 10**6, value=torch.zeros(1)),
    "a hollow tensor": put("state_dict", ROWS, value=torch.zeros(1).expand(64, 6, 6)),
    "fewer than no images": put("state_dict", "model.head.statistics.count", value=torch.tensor(-12)),
    "another type": put("state_dict", ROWS, value=torch.zeros(64, 6, 6).half()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_that_does_not_fit_is_named(module: PaDiMModule, change: str, tmp_path: Path) -> None:
    content = torch.load(save(module, tmp_path / "model.ckpt"), weights_only=True)
    CHANGES[change](content)
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=r"model\.ckpt") as caught:
        load_predictor(tmp_path / "model.ckpt")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("weights", ["imagenet", "nowhere.pth"])
def test_a_checkpoint_asks_for_no_other_file(module: PaDiMModule, weights: str, tmp_path: Path) -> None:
    content = torch.load(save(module, tmp_path / "model.ckpt"), weights_only=True)
    content["hyper_parameters"]["backbone"]["weights"] = weights
    torch.save(content, tmp_path / "model.ckpt")
    assert load_method(tmp_path / "model.ckpt").fitted == module.fitted


@pytest.mark.parametrize("config", [7, [], {}, {"dataset": 7}, {"dataset": {"_target_": ["os.system"]}}])
def test_a_configuration_that_is_none_offers_no_data(module: PaDiMModule, config: Any, tmp_path: Path) -> None:
    content = torch.load(save(module, tmp_path / "model.ckpt"), weights_only=True)
    torch.save(content | {"config": config}, tmp_path / "model.ckpt")
    offer_data(read_checkpoint(tmp_path / "model.ckpt"))


def test_a_configuration_that_shares_its_values_is_not(module: PaDiMModule, tmp_path: Path) -> None:
    """As that of a module which holds the values that it was made of."""
    sizes = [64, 64]
    module.config = {"dataset": {"image_size": sizes, "resize": sizes}}
    save_changed(module, tmp_path / "model.ckpt")
    assert load_module(tmp_path / "model.ckpt").config == module.config


def test_a_configuration_that_holds_itself_is_refused(module: PaDiMModule, tmp_path: Path) -> None:
    content = torch.load(save(module, tmp_path / "model.ckpt"), weights_only=True)
    content["config"]["dataset"]["itself"] = content["config"]
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=r"model\.ckpt is not a checkpoint of padim \(its values hold one another\)"):
        read_checkpoint(tmp_path / "model.ckpt")
