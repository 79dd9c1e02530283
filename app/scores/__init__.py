"""Scores of an architecture, by name. Every module of this folder is imported.

A score is a function of an `Trace`; higher is better. A new one is one file here with
`@register("name")` before its function. It is then measured, stored with every trial and shown
beside the others; the composite is made of those in `PARTS` alone.
"""

import importlib
import pkgutil
from collections.abc import Callable

from app.scores.trace import Trace

Score = Callable[[Trace], float]

PARTS = {
    "expressivity": ("channel_volume", "activation_volume"),
    "trainability": ("signal_strength", "gradient_entropy"),
    "uncertainty": ("feature_certainty", "activation_certainty"),
}
"""The three parts of the composite, and the scores that each is made of."""

MEASURES = tuple(name for names in PARTS.values() for name in names)
"""The scores that make up the composite."""

VERSION = 3
"""Raise when a definition changes: scores of different versions must not meet in one study."""

BASELINE_VERSION = 1
"""The same for the baselines, in the rank benchmark."""

SCORES: dict[str, Score] = {}
"""Measured for every trial."""

BASELINES: dict[str, Score] = {}
"""Measured by the rank benchmark only."""


def register(name: str, baseline: bool = False) -> Callable[[Score], Score]:
    """Decorator: make a score known under `name`."""

    def add(score: Score) -> Score:
        if name in SCORES or name in BASELINES:
            raise ValueError(f"two scores are called '{name}'")
        (BASELINES if baseline else SCORES)[name] = score
        return score

    return add


for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
