"""onnxruntime, torch.export, safetensors and the checkpoint: the same scores and maps of the same images."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from padim.export.comparison import compare, compare_raw, drawn_images
from padim.export.facts import Facts, facts_of
from padim.export.graph import halve, trace
from padim.export.onnx_file import load_onnx, save_onnx
from padim.export.predictor import GraphPredictor, ModulePredictor, Predictor, load_predictor
from padim.export.program import load_program, save_program
from padim.export.state import save_safetensors, without_statistics
from padim.module import PaDiMModule
from tests.export.models import B5, PCA, R18, SIZE, SMALL, SUM, fitted

RTOL = 1e-4


@pytest.fixture(scope="module", params=[R18, pytest.param(B5, marks=pytest.mark.slow)], ids=["R18-Rd100", "B5"])
def module(request: pytest.FixtureRequest) -> PaDiMModule:
    return fitted(**request.param)


@pytest.fixture(scope="module")
def small() -> PaDiMModule:
    return fitted(**SMALL)


@pytest.fixture(scope="module", params=[False, True], ids=["stretched", "padded"])
def resized(request: pytest.FixtureRequest) -> PaDiMModule:
    return fitted(keep_aspect=request.param, **SMALL)


@cache
def graph(module: PaDiMModule, takes_raw: bool) -> tuple[ExportedProgram, Facts]:
    facts = replace(facts_of(module), takes_raw=takes_raw)
    return trace(without_statistics(module).model, facts), facts


def onnx(module: PaDiMModule, folder: Path, takes_raw: bool = False, opset: int = 18) -> GraphPredictor:
    save_onnx(*graph(module, takes_raw), folder / "model.onnx", opset)
    return load_onnx(folder / "model.onnx")


def program(module: PaDiMModule, folder: Path, takes_raw: bool = False) -> GraphPredictor:
    save_program(*graph(module, takes_raw), folder / "model.pt2")
    return load_program(folder / "model.pt2")


def safetensors(module: PaDiMModule, folder: Path) -> Predictor:
    save_safetensors(module, folder / "model.safetensors")
    return load_predictor(folder / "model.safetensors")


@pytest.mark.parametrize("export", [onnx, program, safetensors])
def test_scores_and_maps_are_the_checkpoints(
    module: PaDiMModule, export: Callable[..., Predictor], tmp_path: Path
) -> None:
    original, exported = ModulePredictor(module), export(module, tmp_path)
    assert exported.facts == original.facts
    for count in (1, 7):
        images = drawn_images(count, SIZE, seed=count)
        found, expected = exported.predict(images), original.predict(images)
        torch.testing.assert_close(found.score, expected.score, rtol=RTOL, atol=0)
        torch.testing.assert_close(found.anomaly_map, expected.anomaly_map, rtol=RTOL, atol=0)
        torch.testing.assert_close(found.level_maps.sum(1), expected.anomaly_map, rtol=RTOL, atol=0)
    for wrong in (images[..., 1:], images.mT, images[:, :1], images.float(), images[0]):
        with pytest.raises(ValueError, match=r"allowed is uint8 of shape \(B, 3, 64, 96\)"):
            exported.predict(wrong)


@pytest.mark.parametrize(("export", "refusal"), [(onnx, ValueError), (program, (AssertionError, RuntimeError))])
def test_the_file_itself_refuses_other_images(
    small: PaDiMModule, export: Callable[..., GraphPredictor], refusal: Any, tmp_path: Path
) -> None:
    exported, images = export(small, tmp_path), drawn_images(2, SIZE)
    for wrong in (images[..., 1:], images.mT, images[:, :1], images.float(), images[0]):
        with pytest.raises(refusal):
            exported.run(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [SUM, PCA], ids=["sum123", "pca"])
def test_other_heads(changes: dict[str, Any], tmp_path: Path) -> None:
    module = fitted(**changes)
    assert compare(onnx(module, tmp_path), ModulePredictor(module)).within(RTOL)
    assert compare(safetensors(module, tmp_path), ModulePredictor(module)) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("export", [onnx, program])
def test_raw_images(resized: PaDiMModule, export: Callable[..., GraphPredictor], tmp_path: Path) -> None:
    original, exported = ModulePredictor(resized), export(resized, tmp_path, takes_raw=True)
    assert exported.facts == replace(original.facts, takes_raw=True)
    assert compare_raw(exported, original).within(RTOL)
    assert compare(exported, original).within(RTOL)  # images that are prepared already


@pytest.mark.slow
def test_half(tmp_path: Path) -> None:
    module = fitted(**SMALL)
    facts, rounded = facts_of(module), without_statistics(module)
    halve(rounded.model)
    save_onnx(trace(rounded.model, facts), facts, tmp_path / "model.onnx", 18)
    save_safetensors(module, tmp_path / "model.safetensors", half=True)
    loss = compare(ModulePredictor(rounded), ModulePredictor(module))
    assert 0 < loss.score < 1e-3
    for name in ("model.onnx", "model.safetensors"):
        assert compare(load_predictor(tmp_path / name), ModulePredictor(rounded)).within(1e-6)
    rows = sum(level.whitening.nbytes for level in module.model.head.levels)
    save_safetensors(module, tmp_path / "whole.safetensors")
    saved = (tmp_path / "whole.safetensors").stat().st_size - (tmp_path / "model.safetensors").stat().st_size
    assert abs(saved - rows / 2) < 1000


def test_rows_beyond_float16_are_refused(tmp_path: Path) -> None:
    module = fitted(**SMALL)
    module.model.head.levels[0].whitening[0, 0, 0] = 1e5
    with pytest.raises(ValueError, match="rows reach 1e\\+05, and float16 65504"):
        save_safetensors(module, tmp_path / "model.safetensors", half=True)


@pytest.mark.slow
def test_opsets(small: PaDiMModule, tmp_path: Path) -> None:
    assert compare(onnx(small, tmp_path, opset=20), ModulePredictor(small)).within(RTOL)
    with pytest.raises(ValueError, match="cannot write opset 12, it gave 18"):
        onnx(small, tmp_path, opset=12)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(small: PaDiMModule, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for export in (onnx, program, safetensors):
            export(small, tmp_path / name)
        graph.cache_clear()
    for file in ("model.onnx", "model.pt2", "model.safetensors"):
        content = (tmp_path / "a" / file).read_bytes()
        assert content == (tmp_path / "b" / file).read_bytes()
        assert str(Path(__file__).parents[2]).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("convnext_tiny", (64, 96)),
        ("vit_small_patch14_dinov2", (70, 98)),
        ("swin_tiny_patch4_window7_224", (224, 224)),
        ("tf_efficientnetv2_m", (64, 96)),
        ("wide_resnet50_2", (64, 96)),
    ],
)
def test_other_networks(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    stages = ["blocks.3", "blocks.7"] if name.startswith("vit") else [1, 2, 3]
    module = fitted(size, backbone={"name": name}, layers={"stages": stages, "combine": "concat"}, **R18)
    for export in (onnx, program, safetensors):
        assert compare(export(module, tmp_path), ModulePredictor(module)).within(RTOL)
    assert compare_raw(onnx(module, tmp_path, takes_raw=True), ModulePredictor(module)).within(RTOL)
