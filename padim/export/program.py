"""torch.export: a program for PyTorch without padim. Only to be read where it was written: see :func:`load_program`."""

from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from padim.export.facts import Facts, read_facts
from padim.export.predictor import GraphPredictor

FACTS = "padim.json"
"""Of the facts, an extra file in the archive."""


def save_program(program: ExportedProgram, facts: Facts, path: Path) -> None:
    """Write a traced model."""
    with path.open("wb") as file:  # not the path, whose name would go into the file
        torch.export.save(program, file, extra_files={FACTS: facts.to_json()})


def load_program(path: Path) -> GraphPredictor:
    """A model of a file that one has written oneself: ``torch.export.load`` unpickles, which can run any code."""
    extra: dict[str, Any] = {FACTS: ""}
    program = torch.export.load(path, extra_files=extra).module()
    return GraphPredictor(read_facts(extra[FACTS], path), torch.no_grad()(program))
