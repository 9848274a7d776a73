"""Model files of unknown origin are read or refused by name, and run nothing."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

import padim.export
from padim.export.facts import Facts, facts_of
from padim.export.graph import trace
from padim.export.onnx_file import save_onnx
from padim.export.predictor import load_predictor
from padim.export.program import save_program
from padim.export.state import save_safetensors, without_statistics
from tests.export.models import FITTED, SMALL, fitted, save


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model in every format."""
    folder = tmp_path_factory.mktemp("files")
    module = fitted(**SMALL)
    facts = facts_of(module)
    graph = trace(without_statistics(module).model, facts)
    save(module, folder / "model.ckpt")
    save_safetensors(module, folder / "model.safetensors")
    save_onnx(graph, facts, folder / "model.onnx", 18)
    save_program(graph, facts, folder / "model.pt2")
    return folder


class Payload:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".onnx", ".pt2", ".pt", ".pth", ".pkl"])
@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_a_pickle_runs_nothing(kind: str, suffix: str, tmp_path: Path) -> None:
    path, payload = tmp_path / f"model{suffix}", Payload(tmp_path / "executed")
    content = {"config": payload, "state_dict": payload, "hyper_parameters": payload}
    if kind == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="model"):
        load_predictor(path)
    assert not payload.witness.exists()


def test_a_program_is_not_read_for_it_may_hold_a_pickle(files: Path, tmp_path: Path) -> None:
    path, witness = tmp_path / "model.pt2", tmp_path / "executed"
    with zipfile.ZipFile(files / "model.pt2") as whole, zipfile.ZipFile(path, "w") as changed:
        for name in whole.namelist():
            if name.endswith("sample_inputs/model.pt"):
                torch.save((Payload(witness),), tmp_path / "inputs.pt")
                changed.write(tmp_path / "inputs.pt", name)
            else:
                changed.writestr(name, whole.read(name))
    assert (tmp_path / "inputs.pt").exists()  # the payload is in
    with pytest.raises(ValueError, match=r"torch\.export\.load would run whatever code is pickled in it"):
        load_predictor(path)
    assert not witness.exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".onnx"])
@pytest.mark.parametrize("kept", [0, 7, 300, 0.5, 0.99])
def test_a_truncated_file_is_named(files: Path, suffix: str, kept: float, tmp_path: Path) -> None:
    content = (files / f"model{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(ValueError, match=f"cut{suffix}"):
        load_predictor(path)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".onnx"])
def test_a_missing_file_is_named(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"none{suffix} is no file"):
        load_predictor(tmp_path / f"none{suffix}")


def test_a_file_of_another_kind_is_named(files: Path, tmp_path: Path) -> None:
    for suffix in (".ckpt", ".safetensors", ".onnx"):
        path = tmp_path / f"disguised{suffix}"
        for other in {".ckpt", ".safetensors", ".onnx"} - {suffix}:
            path.write_bytes((files / f"model{other}").read_bytes())
            with pytest.raises(ValueError, match=f"disguised{suffix}"):
                load_predictor(path)
    with pytest.raises(ValueError, match=r"ends in '\.h5'; padim reads \.ckpt, \.safetensors and \.onnx"):
        load_predictor(tmp_path / "model.h5")


def test_without_onnxruntime_it_says_what_to_install(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # an import of it fails
    monkeypatch.delitem(sys.modules, "padim.export.onnx_file")
    monkeypatch.delattr(padim.export, "onnx_file")
    with pytest.raises(ImportError, match=r"onnxruntime, which is not installed: pip install padim\[onnx\]"):
        load_predictor(files / "model.onnx")


def test_foreign_weights_and_networks_are_named(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="holds no model of padim"):
        load_predictor(tmp_path / "weights.safetensors")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g", [value("x", 1, [1])], [value("y", 1, [1])]
    )
    onnx.save(helper.make_model(graph, ir_version=10), tmp_path / "network.onnx")
    with pytest.raises(ValueError, match="holds no model of padim"):
        load_predictor(tmp_path / "network.onnx")


def described(files: Path, path: Path, text: str) -> Path:
    """The model of the ONNX file with other words in its metadata."""
    model = onnx.load(files / "model.onnx")
    helper.set_model_props(model, {"padim": text})
    onnx.save(model, path)
    return path


def facts(files: Path) -> Facts:
    return load_predictor(files / "model.onnx").facts


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": [0, 96]},
        {"image_size": [64.0, 96.0]},
        {"image_size": [10**9, 96], "resize": [10**9, 96]},
        {"resize": [8, 8]},
        {"interpolation": "nearest"},
        {"keep_aspect": 1},
        {"levels": []},
        {"levels": [1]},
        {"levels": None},
        {"calibration": 5},
        {"calibration": {"scores": ["x"] * 19, "alpha": 0.05, "source": "held_out", "fitted": 12}},
        {"calibration": {"scores": [], "alpha": 0.05, "source": "held_out", "fitted": 12}},
        {"threshold": 1, "more": 1},
    ],
)
def test_other_metadata_are_refused(files: Path, change: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(json.loads(facts(files).to_json()) | change)
    with pytest.raises(ValueError, match=r"what .* says of its model does not fit"):
        load_predictor(described(files, tmp_path / "model.onnx", text))


def test_an_onnx_file_describes_itself(files: Path) -> None:
    (text,) = (entry.value for entry in onnx.load(files / "model.onnx").metadata_props if entry.key == "padim")
    said = json.loads(text)
    assert said["threshold"] == 18
    assert said["levels"] == ["layer1"]
    assert (said["backbone"], said["images"], said["image_size"]) == ("resnet18", FITTED, [64, 96])


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 10**5])
def test_what_is_no_metadata_is_refused(files: Path, text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"what .* says of its model does not fit"):
        load_predictor(described(files, tmp_path / "model.onnx", text))


def test_metadata_of_another_graph_are_refused(files: Path, tmp_path: Path) -> None:
    own = facts(files)
    for other in (
        replace(own, image_size=own.resize),
        replace(own, levels=("a", "b", "c", "d")),
        replace(own, takes_raw=True),
    ):
        with pytest.raises(ValueError, match="a model of padim of its metadata"):
            load_predictor(described(files, tmp_path / "model.onnx", other.to_json()))


def test_an_onnx_file_reads_no_other(files: Path, tmp_path: Path) -> None:
    model = onnx.load(files / "model.onnx")
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "../secret")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="reads other files"):
        load_predictor(path)


def added(files: Path, path: Path, *nodes: onnx.NodeProto, **constants: Any) -> Path:
    """The model of the ONNX file with ``fuzz`` of these nodes added to its score."""
    model = onnx.load(files / "model.onnx")
    last = next(node for node in model.graph.node if "score" in node.output)
    last.output[list(last.output).index("score")] = "before"
    values = [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in constants.items()]
    model.graph.initializer.extend(values)
    model.graph.node.extend([*nodes, helper.make_node("Add", ["before", "fuzz"], ["score"])])
    onnx.save(model, path)
    return path


def test_a_graph_that_could_go_on_for_ever_is_refused(files: Path, tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), value("v", TensorProto.FLOAT, [])],
        [value("d", TensorProto.BOOL, []), value("w", TensorProto.FLOAT, [])],
    )
    loop = helper.make_node("Loop", ["trips", "", "start"], ["fuzz"], body=body)
    path = added(files, tmp_path / "loop.onnx", loop, trips=torch.tensor(2**50), start=torch.tensor(0.0))
    with pytest.raises(ValueError, match=r"loop\.onnx has loops or functions; a model of padim has none"):
        load_predictor(path)


def test_a_graph_that_fails_is_named(files: Path, tmp_path: Path) -> None:
    """More numbers than any memory holds, asked for when it scores."""
    nodes = [
        helper.make_node("Cast", ["before"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Mul", ["whole", "zero"], ["none"]),
        helper.make_node("Add", ["none", "vast"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["fuzz"], keepdims=0),
    ]
    path = added(files, tmp_path / "vast.onnx", *nodes, zero=torch.tensor(0), vast=torch.tensor([2**50]))
    predictor = load_predictor(path)
    with pytest.raises(ValueError, match=r"the graph of .*vast\.onnx fails"):
        predictor.predict(torch.zeros(1, 3, *predictor.facts.image_size, dtype=torch.uint8))


@pytest.mark.slow
def test_onnxruntime_reports_nothing_about_a_model(files: Path, tmp_path: Path) -> None:
    """It sends from the files that it keeps for it in the home folder: there are none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "ORT_", "XDG_", "GITHUB_"))}
    code = f"from padim.export.predictor import load_predictor; load_predictor({str(files / 'model.onnx')!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env=kept | {"HOME": str(tmp_path)})
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name or "Microsoft" in path.name]
