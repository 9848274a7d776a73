"""A small synthetic data set where its reader looks for it."""

from pathlib import Path

from padim.data.synthetic import Synthetic, generate


def draw(root: Path, category: str, train: int, test_good: int, seed: int = 0) -> Path:
    """One image of each defect, and so many normal ones. Returns the category's folder, in MVTec AD's layout."""
    folder = Synthetic(root, category, seed).root / category
    generate(folder, category, seed, train=train, test_good=test_good, per_kind=1)
    return folder
