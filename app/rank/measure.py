"""Measures scores of architectures, each at its own time, as far as they are not known."""

import time
from collections.abc import Callable, Sequence

from app.console import progress_bar
from app.device import device_name
from app.rank.choice import measured_parts
from app.rank.store import Store
from app.scores import BASELINES, SCORES
from app.scores.scorer import Scores, finite
from app.scores.trace import Trace
from app.workbench import EvaluationContext

Measurement = Callable[[str], Scores]
"""One or several scores of an architecture."""


def measure(
    context: EvaluationContext,
    archs: Sequence[str],
    chosen: Sequence[str],
    store: Store,
    check: Callable[[], None],
) -> None:
    """Measure what `store` lacks for the `chosen` scores of `archs`, and add it there.

    `check` is called between measurements and may raise KeyboardInterrupt.
    """
    hardware = device_name(context.device)
    measurements = _measurements(context, chosen)

    def lacking(arch: str) -> list[Measurement]:
        return [
            measurement
            for names, measurement in measurements.items()
            if not all(store.has(arch, name) for name in names)
        ]

    todo = {arch: found for arch in archs if (found := lacking(arch))}
    if not todo:
        return
    with progress_bar("Scores", len(archs), len(archs) - len(todo)) as advance:
        for arch, found in todo.items():
            for measurement in found:
                check()
                start = time.perf_counter()
                scores = measurement(arch)
                store.add(arch, scores, time.perf_counter() - start, hardware)
            advance()


def _measurements(
    context: EvaluationContext, chosen: Sequence[str]
) -> dict[tuple[str, ...], Measurement]:
    """By the names of the scores that each yields: ours share one trace, as in a search."""
    parts = dict.fromkeys(part for name in chosen for part in measured_parts(name))
    measurements: dict[tuple[str, ...], Measurement] = {}
    if any(part in SCORES for part in parts):
        measurements[tuple(SCORES)] = context.scorer.or_none
    for part in parts:
        if part in BASELINES:
            measurements[(part,)] = _baseline(context, part)
    return measurements


def _baseline(context: EvaluationContext, name: str) -> Measurement:
    """A baseline with an trace of its own, so that no score saves time at another's cost."""
    scorer = context.scorer

    def measurement(arch: str) -> Scores:
        trace = Trace(scorer.space, scorer.supernet, arch, scorer.probe)
        return {name: finite(BASELINES[name](trace))}

    return measurement
