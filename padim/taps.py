"""Where a timm network is tapped, and its cut after the last tap."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from timm.layers import get_notrace_functions, get_notrace_modules
from torch import nn
from torch.fx import GraphModule, Node, Tracer

UNTRACEABLE = (AssertionError, RuntimeError, TypeError, ValueError)
"""What tracing raises where a network decides by its values."""


def tap_names(model: Any, stages: Sequence[int | str], taps: Sequence[str] | None) -> list[str]:
    """Names of what is tapped, in the order of the stages."""
    offered = _offered(model)
    of_stage: dict[int | str, str] = dict(enumerate(taps or [], 1))
    for info, name in zip(model.feature_info, offered, strict=True):
        if taps is None and info["reduction"] > 2 and info["reduction"].bit_count() == 1:  # a power of 2
            of_stage[info["reduction"].bit_length() - 2] = name
    names = [of_stage.get(stage, stage) for stage in stages]
    known = list(dict.fromkeys([*offered, *(name for name, _ in model.named_modules() if name)]))
    if any(isinstance(name, str) and name not in known for name in names):
        known += _operations(model)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        numbers = ", ".join(f"{stage} ({name})" for stage, name in of_stage.items()) or "none by number"
        close = get_close_matches(str([*unknown, ""][0]), known, n=8) or offered[:12]
        raise ValueError(
            f"layers {list(stages)} are not in the network{f': no {unknown[0]!r}' if unknown else ''}; "
            f"it has {numbers}; by name, among others, {', '.join(close)}"
        )
    return [str(name) for name in names]


def cut(model: Any, taps: list[str]) -> tuple[nn.Module, list[int] | None]:
    """The network up to its last tap, and which of its feature maps it hands out; None of a traced graph.

    timm's networks hand out the ends of their stages or blocks as (B, C, h, w), whatever the layout inside them.
    """
    offered = _offered(model)
    if set(taps) <= set(offered) and hasattr(model, "prune_intermediate_layers"):
        _check_order(taps, [name for name in offered if name in taps])
        return model, model.prune_intermediate_layers([offered.index(tap) for tap in taps], prune_norm=True)
    try:
        held = {name for name, _ in [*model.named_parameters(), *model.named_buffers()]}
        maps = _last_nodes(model, taps)
        nodes = list(next(iter(maps)).graph.nodes)
        needed = nodes[: max(map(nodes.index, maps))]
        if any(node.op == "get_attr" and node.target not in held for node in needed):
            raise ValueError("tracing freezes numbers that it computes from the image")
    except UNTRACEABLE as error:
        raise ValueError(
            f"{type(model).__name__} cannot be cut at {', '.join(taps)} ({error}); "
            f"it can be at {', '.join(offered[:12])}"
        ) from error
    _check_order(taps, [maps[node] for node in nodes if node in maps])
    return _graph_up_to(model, maps), None


def _offered(model: Any) -> list[str]:
    """Names of the feature maps that the network hands out itself; timm may list several of one module."""
    if not getattr(model, "feature_info", None):
        raise ValueError(
            f"timm's {type(model).__name__} gives no feature maps; such as resnet18, efficientnet_b0, convnext_tiny, "
            "swin_tiny_patch4_window7_224 and vit_small_patch14_dinov2 do, and timm.list_models() names all others"
        )
    names = [info["module"] for info in model.feature_info]
    return [f"{name}:{names[:i].count(name)}" if name in names[:i] else name for i, name in enumerate(names)]


def _check_order(taps: list[str], computed: list[str]) -> None:
    if taps != computed:
        raise ValueError(f"layers {taps} are not ascending, each once; give [{', '.join(computed)}]")


class _Tracer(Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, tuple(get_notrace_modules())) or super().is_leaf_module(m, module_qualified_name)


def _trace(model: nn.Module) -> dict[str, Node]:
    """Operations in their order, by name: of the module, then, within timm's modules, of the operation.

    The names are those of torchvision's feature extraction, which traces the training as well and takes twice as long.
    """
    graph = _Tracer(autowrap_functions=tuple(get_notrace_functions())).trace(model)
    repeats: Counter[str] = Counter()
    nodes = {}
    for node in graph.nodes:
        if node.op in ("get_attr", "output"):
            continue
        modules = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        operation = [] if node.op == "call_module" else [re.sub(r"_\d+$", "", node.name)]
        name = ".".join([*modules[-1:], *operation])
        nodes[f"{name}_{repeats[name]}" if repeats[name] else name] = node
        repeats[name] += 1
    return nodes


def _operations(model: nn.Module) -> list[str]:
    """Names of what can be tapped besides modules; none where a network cannot be traced."""
    try:
        return list(_trace(model))
    except UNTRACEABLE:
        return []


def _last_nodes(model: nn.Module, taps: list[str]) -> dict[Node, str]:
    """The last operation of each tap, whose result is its feature map."""
    nodes = _trace(model)
    maps: dict[Node, str] = {}
    for tap in taps:
        inside = [node for name, node in nodes.items() if f"{name}.".startswith(f"{tap}.")]
        if not inside:
            raise ValueError(f"{tap} is not used")
        maps[inside[-1]] = tap
    return maps


def _graph_up_to(model: nn.Module, maps: dict[Node, str]) -> GraphModule:
    """The network as a graph that gives the maps by name, and computes nothing else."""
    graph = next(iter(maps)).graph
    *_, output = graph.nodes
    copies = {}
    for node, tap in maps.items():  # what follows may be an activation that works in place
        with graph.inserting_after(node):
            copies[tap] = graph.call_method("clone", (node,))
    output.args = (copies,)
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)
    return GraphModule(model, graph)
