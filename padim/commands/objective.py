"""The number that a search, such as Optuna's, maximises."""

import json
from pathlib import Path

from padim.evaluation import METRICS


def require_known(objective: str | None) -> None:
    """Raise where there is no such metric, before any work."""
    if objective is not None and objective not in METRICS:
        raise ValueError(f"objective={objective} is no metric; choose {', '.join(METRICS)}, or null for none")


def achieved(objective: str | None, output_dir: Path) -> float | None:
    """The metric that a run has reached, which may have ended long ago; None where none is asked for.

    Raises:
        ValueError: it could not be measured.
    """
    if objective is None:
        return None
    metrics = json.loads((output_dir / "metrics.json").read_text())
    measured = {name: metrics[name] for name in METRICS if metrics.get(name) is not None}
    if objective not in measured:
        raise ValueError(
            f"objective={objective} cannot be measured on these test images, as the run has said; it measured "
            f"{', '.join(measured) or 'nothing'}"
        )
    return measured[objective]
