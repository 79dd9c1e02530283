"""The scores that the benchmark compares: their names, their measurement, their columns.

Baselines read the stand-alone network, so they stay valid when the supernet or our definitions
change, and have a file of their own; all but those in ON_SUPERNET.
"""

import time
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from app.console import progress_bar
from app.device import device_name
from app.errors import one_of
from app.rank.statistics import ranks
from app.rank.store import Measured, ScoreFile
from app.scores import BASELINES, MEASURES, PARTS, SCORES
from app.scores.composite import Composite
from app.scores.scorer import Scorer, finite
from app.scores.trace import Trace

COMPOSITE = "composite"
ABLATIONS = {f"without_{part}": part for part in PARTS}
"""The composite without one of its parts, which shows what the part is worth."""
COMPOSITES = (COMPOSITE, *PARTS, *ABLATIONS)

RANK_SUMS: dict[str, tuple[str, ...]] = {
    "te_nas": ("te_nas_ntk", "te_nas_regions"),
    "az_nas": ("az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "flops"),
    "vkdnw_agg": ("vkdnw", "jacob_cov", "az_nas_expressivity", "az_nas_trainability", "flops"),
}
"""Baselines that exist only in a population: the sums of the ranks of these parts."""
LOGARITHMIC = ("az_nas", "vkdnw_agg")
"""Sums of log(rank / n) (AZ-NAS, arXiv 2403.19232; VKDNW, arXiv 2502.04975); TE-NAS (arXiv
2102.11535) adds ranks."""

ON_SUPERNET = ("swap_supernet",)
"""Baselines that read the supernet, so that they are kept with our own scores."""

Column = Sequence[float | None]
"""One value per row of the table; None for one that is not finite."""


def choose_scores(names: str | None, baselines: bool) -> list[str]:
    """The scores in a comma-separated list, or all: composites, their measures, baselines.

    Raises InputError for an unknown name, or for a baseline without `baselines`.
    """
    known = [*COMPOSITES, *SCORES, *((*BASELINES, *RANK_SUMS) if baselines else ())]
    chosen = [name.strip() for name in names.split(",")] if names is not None else known
    for name in chosen:
        if name not in known:
            raise one_of(name, "score", known)
    return list(dict.fromkeys(chosen))


def measured_parts(name: str) -> tuple[str, ...]:
    """The measurements that a score needs; one gives all of `SCORES`, which share a trace."""
    return MEASURES[:1] if name in COMPOSITES or name in SCORES else RANK_SUMS.get(name, (name,))


class Measurements:
    """The measured scores of a study, in two files."""

    def __init__(self, ours: ScoreFile, baselines: ScoreFile) -> None:
        self._files = dict.fromkeys(BASELINES, baselines)
        self._files |= dict.fromkeys((*SCORES, *ON_SUPERNET), ours)

    def __call__(self, arch: str, name: str) -> Measured:
        """A score that has been measured."""
        return self._files[name].measured[arch][name]

    def measure(
        self,
        scorer: Scorer,
        archs: Sequence[str],
        chosen: Sequence[str],
        check: Callable[[], None],
    ) -> None:
        """Measure what is missing for the `chosen` scores of `archs`, each with its own time.

        `check` is called between measurements and may raise KeyboardInterrupt.
        """
        parts = dict.fromkeys(part for name in chosen for part in measured_parts(name))
        missing = {
            arch: found
            for arch in archs
            if (found := [part for part in parts if not self._has(arch, part)])
        }
        if not missing:
            return
        hardware = device_name(scorer.probe.images.device)
        with progress_bar("Scores", len(archs), len(archs) - len(missing)) as advance:
            for arch, names in missing.items():
                for name in names:
                    check()
                    start = time.perf_counter()
                    if name in SCORES:
                        scores = scorer.or_none(arch)
                    else:  # with a trace of its own, so that no score saves time at another's cost
                        trace = Trace(scorer.space, scorer.supernet, arch, scorer.probe)
                        scores = {name: finite(BASELINES[name](trace))}
                    seconds = time.perf_counter() - start
                    self._files[name].add(arch, scores, seconds, hardware)
                advance()

    def _has(self, arch: str, part: str) -> bool:
        names = SCORES if part in SCORES else (part,)
        return all(self._files[name].has(arch, name) for name in names)

    def columns(
        self, archs: Sequence[str], chosen: Sequence[str], composite: Composite
    ) -> dict[str, Column]:
        """The chosen scores of each architecture; rank sums are over these architectures."""
        rows: list[dict[str, float]] = []
        if any(name in COMPOSITES for name in chosen):
            rows = [composite.parts({m: self(a, m).value for m in MEASURES}) for a in archs]

        def column(name: str) -> Column:
            if name in RANK_SUMS:
                return rank_sum([column(part) for part in RANK_SUMS[name]], name in LOGARITHMIC)
            if name in PARTS:
                return [row[name] for row in rows]
            if name == COMPOSITE:
                return [sum(row.values()) for row in rows]
            if name in ABLATIONS:
                return [sum(row.values()) - row[ABLATIONS[name]] for row in rows]
            return [self(arch, name).value for arch in archs]

        return {name: column(name) for name in chosen}

    def seconds(self, archs: Sequence[str], chosen: Sequence[str]) -> dict[str, float]:
        """Mean time per architecture of each score, if it is measured without the others."""
        return {
            name: sum(fmean(self(arch, p).seconds for arch in archs) for p in measured_parts(name))
            for name in chosen
        }

    def hardware(self, archs: Sequence[str], chosen: Sequence[str]) -> str:
        """The devices that the chosen scores were measured on."""
        parts = {part for name in chosen for part in measured_parts(name)}
        return " and ".join(sorted({self(arch, p).hardware for arch in archs for p in parts}))


def rank_sum(parts: Sequence[Column], logarithmic: bool) -> list[float]:
    """Sum of the ranks of the parts, or of log(rank / n), for each of n architectures."""
    table = np.stack([ranks(part) for part in parts])
    terms = np.log(table / table.shape[1]) if logarithmic else table
    return [float(total) for total in terms.sum(0)]
