"""Scores of an architecture by name. Every module of this package is imported.

A score is a function of a `Trace`; higher is better. To add one, put a file here with a function
decorated with `@SCORES.register("name")`. It is then measured, stored with every trial and shown
beside the others. The composite uses only the scores in `PARTS`.
"""

import importlib
import pkgutil
from collections.abc import Callable

from app.registry import Registry
from app.scores.trace import Trace

Score = Callable[[Trace], float]

PARTS = {
    "expressivity": ("channel_volume", "effective_rank", "pattern_volume", "effective_depth"),
    "trainability": ("gradient_volume",),
    "uncertainty": ("activation_certainty",),
}
"""The three parts of the composite, and the scores in each."""

MEASURES = tuple(name for names in PARTS.values() for name in names)
"""The scores in the composite."""

VERSION = 5
"""Raise it when a definition changes: scores of different versions must not meet in one study."""

BASELINE_VERSION = 2
"""The same for the baselines of the rank benchmark."""

SCORES: Registry[Score] = Registry("score")
"""Scores measured for every trial."""

BASELINES: Registry[Score] = Registry("baseline")
"""Scores measured by the rank benchmark only."""

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
