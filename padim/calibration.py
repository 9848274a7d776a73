"""Thresholds from normal images alone: split conformal prediction.

Where the n calibration images and a new normal image are exchangeable, the new score is above the threshold with a
probability of at most alpha, on average over the draw of the calibration images, whatever their distribution (Vovk,
Gammerman & Shafer 2005, *Algorithmic Learning in a Random World*; Bates et al. 2023, *Testing for Outliers with
Conformal p-values*).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

SOURCES = ("held_out", "leave_one_out")


@dataclass(frozen=True)
class Calibration:
    """Scores of normal images, and the threshold that they give.

    Attributes:
        scores: of the calibration images.
        alpha: false-alarm rate that is aimed at.
        source: ``held_out``: of images that were not fitted, with the guarantee above. ``leave_one_out``: of the
            fitted images, each scored by the model of the others; these scores depend on one another, so that nothing
            is guaranteed.
        fitted: how many images the model was fitted to. Of another number it is another model's.

    Raises:
        ValueError: alpha is no rate, or asks for more images than there are, or a score is no number.
    """

    scores: Sequence[float]
    alpha: float
    source: str
    fitted: int

    def __post_init__(self) -> None:
        needed, found = images_needed(self.source, self.alpha), len(self.scores)
        if found < needed:
            possible = math.ceil(1000 / (found + 1)) / 1000
            raise ValueError(
                f"a false-alarm rate of alpha={self.alpha} needs {needed} calibration images, found {found}, "
                f"{needed - found} too few: add normal images"
                + (f", or set alpha={possible:g} or more" if found else "")
            )
        if odd := [score for score in self.scores if not math.isfinite(score)]:
            raise ValueError(
                f"{len(odd)} of {found} calibration scores are not finite, such as {odd[0]}: the model or its weights "
                "are broken"
            )

    @property
    def threshold(self) -> float:
        """The k-th smallest score, n + 1 - k = floor((n + 1) alpha); an image above it raises an alarm."""
        n = len(self.scores)
        return sorted(self.scores)[n - _most(n + 1, self.alpha)]

    def p_value(self, score: float) -> float:
        """(1 + #{s_i >= score}) / (n + 1): at most alpha exactly where the score is above the threshold."""
        return (1 + sum(one >= score for one in self.scores)) / (len(self.scores) + 1)


def images_needed(source: str, alpha: float) -> int:
    """The fewest calibration images for a false-alarm rate: 1 / alpha - 1, 19 for 0.05."""
    if source not in SOURCES:
        raise ValueError(f"unknown calibration.source={source}; known are {', '.join(SOURCES)}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha}; a false-alarm rate must be above 0 and below 1")
    most = math.floor(1 / Fraction(alpha))
    return most - 1 if _most(most, alpha) else most


def _most(count: int, alpha: float) -> int:
    """The highest j for which j / count, as a float, is at most alpha: of 20 at 0.05 it is 1, as it is written."""
    j = math.floor(count * Fraction(alpha))
    return j + 1 if (j + 1) / count <= alpha else j
