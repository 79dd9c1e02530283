"""The scores that the benchmark compares: their names, their measurement, their columns."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from app.console import progress_bar
from app.errors import InputError, one_of
from app.rank.statistics import Column, ranks
from app.rank.store import Measured, ScoreFile
from app.scores import BASELINES, MEASURES, PARTS, SCORES
from app.scores.composite import Composite
from app.scores.scorer import Scorer, Scores, finite
from app.scores.trace import Trace

COMPOSITES = ("composite", *PARTS, *(f"without_{part}" for part in PARTS))
"""Sums over the composite's parts; the last ones show what each part is worth."""
COSTS = ("flops", "params")
"""Baselines that any other score should beat, so they are always shown."""
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
"""Baselines that read the supernet."""


def choose_scores(names: str | None, baselines: bool) -> list[str]:
    """The scores in a comma-separated list, or all; FLOPs and parameters in either case.

    Raises InputError for an unknown name, or for a baseline without `baselines`.
    """
    ours = [*COMPOSITES, *SCORES, *COSTS]
    known = list(dict.fromkeys([*ours, *BASELINES, *RANK_SUMS]))
    allowed = known if baselines else ours
    chosen = allowed if names is None else [name.strip() for name in names.split(",")]
    for name in chosen:
        if name in known and name not in allowed:
            raise InputError(f"'{name}' is a baseline, and --no-baselines leaves those out")
        if name not in known:
            raise one_of(name, "score", allowed)
    return list(dict.fromkeys([*chosen, *COSTS]))


def parts_of(name: str) -> tuple[str, ...]:
    """What has to be measured for a score; one of `SCORES` gives all, which share a trace."""
    return MEASURES[:1] if name in COMPOSITES or name in SCORES else RANK_SUMS.get(name, (name,))


def measure(
    scorer: Scorer,
    archs: Sequence[str],
    chosen: Sequence[str],
    ours: ScoreFile,
    baselines: ScoreFile,
) -> dict[tuple[str, str], Measured]:
    """Measure what the two files lack for the `chosen` scores of `archs`, each with its own time.

    Baselines read the stand-alone network, so their file outlives the supernet; all but those in
    ON_SUPERNET, which are kept with our own scores.
    """
    parts = dict.fromkeys(part for name in chosen for part in parts_of(name))

    def baseline(name: str, arch: str) -> Scores:
        # with a trace of its own, so that no score saves time at another's cost
        trace = Trace(scorer.space, scorer.supernet, arch, scorer.probe)
        return {name: finite(BASELINES[name](trace))}

    with progress_bar("Scores", len(archs)) as advance:
        for arch in archs:
            for part in parts:
                if part in SCORES:
                    ours.fill(arch, SCORES, scorer.or_none)
                else:
                    kept = ours if part in ON_SUPERNET else baselines
                    kept.fill(arch, [part], partial(baseline, part))
            advance()
    return {**ours, **baselines}


def score_columns(
    measured: Mapping[tuple[str, str], Measured],
    archs: Sequence[str],
    chosen: Sequence[str],
    composite: Composite,
) -> dict[str, Column]:
    """The chosen scores of each architecture; rank sums are over these architectures."""

    def sums(arch: str) -> dict[str, float]:
        parts = composite.parts({name: measured[arch, name].value for name in MEASURES})
        total = sum(parts.values())
        without = {f"without_{part}": total - value for part, value in parts.items()}
        return {"composite": total, **parts, **without}

    def column(name: str) -> Column:
        if name in RANK_SUMS:
            return rank_sum([column(part) for part in RANK_SUMS[name]], name in LOGARITHMIC)
        if name in COMPOSITES:
            return [row[name] for row in composites]
        return [measured[arch, name].value for arch in archs]

    composites = [sums(arch) for arch in archs] if set(chosen) & set(COMPOSITES) else []
    return {name: column(name) for name in chosen}


def rank_sum(parts: Sequence[Column], logarithmic: bool) -> Column:
    """Sum of the ranks of the parts, or of log(rank / n); None if a part is finite for none."""
    if any(set(part) == {None} for part in parts):
        return [None] * len(parts[0])
    table = np.stack([ranks(part) for part in parts])
    terms = np.log(table / table.shape[1]) if logarithmic else table
    return [float(total) for total in terms.sum(0)]
