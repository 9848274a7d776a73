"""Ways to break a file of safetensors or ONNX."""

import json
import math
import struct
from random import Random
from typing import Any

import onnx
import torch
from google.protobuf.message import DecodeError

from tests.fuzz.values import NAMES, any_json, change


def header_of_safetensors(random: Random, content: bytes) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    action = random.random()
    if action < 0.6 and "__metadata__" in header:
        header["__metadata__"]["padim"] = any_json(random, header["__metadata__"]["padim"])
    elif action < 0.9:
        tensors = {name: value for name, value in header.items() if name != "__metadata__"}
        header = {name: value for name, value in header.items() if name not in tensors} | change(random, tensors)
    else:
        header = change(random, header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", random.choice([len(text)] * 9 + [2**62])) + text + numbers


def parts_of_onnx(random: Random, content: bytes) -> bytes:
    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        return content
    graph = model.graph
    node, tensor = random.choice(graph.node), random.choice(graph.initializer)
    action = random.randrange(9)
    if action <= 2:
        (entry,) = (entry for entry in model.metadata_props if entry.key == "padim")
        entry.value = any_json(random, entry.value)
    elif action == 3 and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice([-1, 0, 10**6, 2**40, 2**62])
    elif action == 4:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        onnx.external_data_helper.set_external_data(tensor, random.choice(NAMES[:3]))
    elif action == 5:
        node.op_type = random.choice(
            ["Loop", "If", "Scan", "ConstantOfShape", "Tile", "Expand", "Range", "Evil", "Mul"]
        )
        node.domain = random.choice(["", "", "com.evil"])
    elif action == 6:
        huge(random, graph)
    elif action == 7 and node.attribute:
        attribute = random.choice(node.attribute)
        attribute.i, attribute.f = random.choice([-1, 0, 2**40]), random.choice([math.nan, 1e30])
        attribute.ints.extend([random.choice([-1, 0, 2**40])])
    else:
        random.choice([graph.node, graph.initializer, graph.input, graph.output]).pop()
    return model.SerializeToString()


def huge(random: Random, graph: Any) -> None:
    """A sum of more numbers than there is memory for, or that never ends, added to the score."""
    count = onnx.numpy_helper.from_array(torch.tensor([random.choice([10**9, 2**36, 2**50])]).numpy(), "fuzz_shape")
    graph.initializer.append(count)
    make = onnx.helper.make_node
    if random.random() < 0.5:
        added = [
            make("ConstantOfShape", ["fuzz_shape"], ["fuzz"]),
            make("ReduceSum", ["fuzz"], ["fuzz_sum"], keepdims=0),
        ]
    else:
        body = onnx.helper.make_graph(
            [make("Identity", ["c"], ["d"]), make("Identity", ["v"], ["w"])],
            "body",
            [onnx.helper.make_tensor_value_info(n, t, []) for n, t in (("i", 7), ("c", 9), ("v", 1))],
            [onnx.helper.make_tensor_value_info(n, t, []) for n, t in (("d", 9), ("w", 1))],
        )
        graph.initializer.append(onnx.numpy_helper.from_array(torch.tensor(2**50).numpy(), "fuzz_trips"))
        graph.initializer.append(onnx.numpy_helper.from_array(torch.tensor(0.0).numpy(), "fuzz_start"))
        added = [make("Loop", ["fuzz_trips", "", "fuzz_start"], ["fuzz_sum"], body=body)]
    last = next(node for node in graph.node if "score" in node.output)
    last.output[list(last.output).index("score")] = "fuzz_score"
    graph.node.extend([*added, make("Add", ["fuzz_score", "fuzz_sum"], ["score"])])
