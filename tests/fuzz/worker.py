"""Reads files whose paths come on standard input, one a line, and says as JSON what became of each.

python -m tests.fuzz.worker GIBIBYTES
"""

import gc
import json
import math
import os
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

import padim
from padim.backbone import Backbone
from padim.checkpoint import read_checkpoint
from padim.commands.evaluate import offer_data
from padim.commands.run import peak_memory_mb
from padim.data.folder import Folder
from padim.export.predictor import load_predictor
from padim.report.page import page
from padim.report.results import ReportError
from padim.report.runs import find_runs
from padim.report.sections import sections_of
from tests.fuzz.seeds import NETWORK

REFUSALS = (ValueError, FileNotFoundError)
LONGEST = 4000
"""Characters of a message."""
CALLS = "exec fork forkpty posix_spawn system mkdir remove rename rmdir symlink link"
HARMFUL = {"ctypes.dlopen", "shutil.rmtree", "socket.connect", "socket.getaddrinfo", "subprocess.Popen"}
HARMFUL |= {f"os.{name}" for name in CALLS.split()}
"""What Python audits and no reading of a file does."""


class Watch:
    """Notes what a file makes Python do."""

    def __init__(self) -> None:
        self.own: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.own is None:
            return
        if event in HARMFUL:
            self.seen.append(f"{event} {str(arguments)[:100]}")
        elif event == "open" and self._is_foreign(arguments):
            self.seen.append(f"open {arguments[0]} {arguments[1]}")

    def _is_foreign(self, arguments: tuple[Any, ...]) -> bool:
        name, mode, flags = arguments
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(c in (mode or "r") for c in "wax+")
        if not isinstance(name, str | bytes | os.PathLike):
            return False  # a descriptor that is open already
        name = os.fsdecode(name)
        known = (str(self.own), str(Path(padim.__file__).parent), "/proc/", "/sys/", sys.prefix, sys.base_prefix)
        return writes or not (name.startswith(known) or name == os.devnull or name.endswith((".py", ".pyc")))


def attempt(path: Path) -> dict[str, Any]:
    """What becomes of a file."""
    try:
        return {"outcome": "loaded", "finite": finite(path)}
    except (*REFUSALS, ReportError) as error:
        message = str(error)
        fit = "long" if len(message) > LONGEST else "named" if path.name in message else "without its name"
        return {"outcome": "refused", "message": fit, "said": message[:300], "where": where(error)}
    except Exception as error:
        if str(error).startswith("the model is not fitted"):  # a whole file, of a fit that is not over
            return {"outcome": "refused", "message": "named", "said": str(error), "where": where(error)}
        return {"outcome": "broken", "said": f"{type(error).__name__}: {str(error)[:300]}", "where": where(error)}


def finite(path: Path) -> bool:
    """Read a file and use it; whether what comes out is a number."""
    match path.name.split("."):
        case ["list", _]:
            reader = Folder(".", manifest=path)
            return bool(reader.train()) or reader.test() is not None
        case ["weights", _]:
            features = Backbone(*NETWORK, weights=str(path))(torch.zeros(1, 3, *NETWORK[2]))
            return bool(features[0].isfinite().all())
        case ["config" | "hydra" | "metrics", _]:
            return reported(path)
        case [_, "ckpt"]:
            offer_data(read_checkpoint(path))
    predictor = load_predictor(path)
    height, width = predictor.facts.image_size
    scored = predictor.predict(torch.zeros(1, 3, height, width, dtype=torch.uint8))
    return math.isfinite(float(scored.score[0]))


def run_of(path: Path) -> Path:
    """The folder of the run that a file of a run lies in."""
    return path.parents[1] if path.suffix == ".yaml" else path.parent


def reported(path: Path) -> bool:
    """What a report says of the run; a run that it cannot read is told of in it, in a line."""
    found = find_runs([run_of(path)])
    text = page(found, sections_of(found.results), pictures={})
    if found.results:
        return len(text) < 10**5
    raise ValueError(f"{path.name}: {' '.join([*found.unreadable, *found.foreign, *found.failed])}")


def where(error: Exception) -> str:
    """The last line of padim's own that it passed."""
    own = [f for f in traceback.extract_tb(error.__traceback__) if "/padim/" in f.filename]
    return f"{Path(own[-1].filename).name}:{own[-1].name}" if own else "?"


def main() -> None:
    watch = Watch()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where libraries print
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with Path("/proc/self/statm").open() as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    limit = used + int(float(sys.argv[1]) * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        is_of_run = path.stem in ("config", "hydra", "metrics")
        watch.seen, watch.own = [], str(run_of(path) if is_of_run else path)
        result = attempt(path)
        watch.own = None
        if result["outcome"] == "loaded":
            gc.collect()  # a LightningModule is a cycle
            gc.freeze()  # what is left stays, and need not be looked at again
        print(json.dumps(result | {"harm": watch.seen, "peak_mb": int(peak_memory_mb())}), file=answers, flush=True)


if __name__ == "__main__":
    main()
