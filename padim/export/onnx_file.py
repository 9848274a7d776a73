"""ONNX: one file for onnxruntime and its like, written and read."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Unless this is set before, onnxruntime from 1.29 on numbers the machine and tells Microsoft of models that it runs.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from onnxruntime.capi import onnxruntime_pybind11_state as errors  # type: ignore[import-untyped]
from torch import Tensor
from torch.export import ExportedProgram

from padim.export.facts import Facts, read_facts
from padim.export.graph import free_axes
from padim.export.predictor import GraphPredictor, Scored
from padim.export.state import KEY, require_file
from padim.untrusted import reason

LARGEST = 2 * 10**9
"""Bytes in one file, which is one message of protobuf."""
LOOPS = ("Loop", "Scan", "SequenceMap")
"""Operations that may go on for ever."""
UNREADABLE = (
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NotImplemented,
    errors.RuntimeException,
    RuntimeError,
)
"""What onnxruntime raises at a file that it cannot take or run; they have no name in common."""


def save_onnx(program: ExportedProgram, facts: Facts, path: Path, opset: int) -> None:
    """Write a traced model, the facts in its metadata.

    Raises:
        ValueError: it does not fit into one file, or torch does not know the opset.
    """
    size = sum(tensor.nbytes for tensor in (*program.state_dict.values(), *program.constants.values()))
    if size > LARGEST:
        raise ValueError(
            f"the model has {size / 1e9:.1f} GB, and an ONNX file at most 2; give --half, or --format safetensors"
        )
    with _quiet():
        exported: Any = torch.onnx.export(
            program,
            input_names=["images"],
            output_names=Scored._fields,
            dynamic_shapes=(free_axes(facts),),  # of the program already; this gives them their names
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    given = exported.model.opset_imports[""]
    if given != opset:  # of which torch says so in its log alone
        raise ValueError(f"torch cannot write opset {opset}, it gave {given}: leave --opset out, or try another")
    exported.model.metadata_props[KEY] = facts.to_json()
    exported.save(path, external_data=False)


def load_onnx(path: Path) -> GraphPredictor:
    """A model on the CPU, from a file that anybody may have written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model of padim; or, when it scores, its graph fails.

    The graph cannot loop, but it can ask for any memory: where it may be hostile, limit the process.
    """
    require_file(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what is wrong is raised
    try:
        _require_closed(onnx.load(path, load_external_data=False), path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
    except (DecodeError, UnicodeDecodeError, *UNREADABLE) as error:
        raise ValueError(f"{path} is no ONNX file, or not all of it ({reason(error)})") from error
    if text is None:
        raise ValueError(f"{path} holds no model of padim, which says so in its metadata; see padim-export")
    facts = read_facts(text, path)
    _check(session, facts, path)

    def run(images: Tensor) -> list[Tensor]:
        try:
            return [torch.from_numpy(part) for part in session.run(Scored._fields, {"images": images.numpy()})]
        except UNREADABLE as error:
            raise ValueError(f"the graph of {path} fails ({reason(error)})") from error

    return GraphPredictor(facts, run)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what onnx_ir remarks on graphs of torch's making, which nobody here can change."""
    logger = logging.getLogger("onnx_ir")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _require_closed(model: Any, path: Path) -> None:
    """Raise where a tensor lies in another file, or where the graph could go on for ever."""
    parts = list(_parts(model))
    if any(isinstance(one, onnx.TensorProto) and one.data_location == onnx.TensorProto.EXTERNAL for one in parts):
        raise ValueError(f"{path} reads other files; a model of padim is one file")
    if model.functions or any(isinstance(one, onnx.NodeProto) and one.op_type in LOOPS for one in parts):
        raise ValueError(f"{path} has loops or functions; a model of padim has none")


def _parts(message: Message) -> Iterator[Message]:
    """The message and all in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in [value] if isinstance(value, Message) else value:
                if isinstance(one, Message):
                    yield from _parts(one)


def _check(session: Any, facts: Facts, path: Path) -> None:
    """Raise where the graph is not what the metadata say."""
    (height, width), found = facts.image_size, {}
    for one in (*session.get_inputs(), *session.get_outputs()):
        found[one.name] = (one.type, [side for side in one.shape if isinstance(side, int)])
    expected = {
        "images": ("tensor(uint8)", [3] if facts.takes_raw else [3, height, width]),
        "score": ("tensor(float)", []),
        "anomaly_map": ("tensor(float)", [height, width]),
        "level_maps": ("tensor(float)", [len(facts.levels), height, width]),
    }
    if found != expected:
        raise ValueError(f"{path} computes {found}; a model of padim of its metadata {expected}")
