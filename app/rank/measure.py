"""Measures scores of architectures, each at its own time, as far as they are not known."""

import time
from collections.abc import Callable, Sequence

from app.device import device_name
from app.progress import progress_bar
from app.rank.choice import measured_parts
from app.rank.store import Store
from app.scores import BASELINES, SCORES
from app.scores.observation import Observation
from app.scores.scorer import Scores, finite
from app.workbench import Workbench

Measurement = Callable[[str], Scores]
"""One or several scores of an architecture."""


def measure(
    bench: Workbench,
    archs: Sequence[str],
    chosen: Sequence[str],
    store: Store,
    check: Callable[[], None],
) -> None:
    """Measure what `store` lacks for the `chosen` scores of `archs`, and add it there.

    `check` is called between measurements and may raise KeyboardInterrupt.
    """
    hardware = device_name(bench.device)
    measurements = _measurements(bench, chosen)

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


def _measurements(bench: Workbench, chosen: Sequence[str]) -> dict[tuple[str, ...], Measurement]:
    """By the names of the scores that each yields: ours share one observation, as in a search."""
    parts = dict.fromkeys(part for name in chosen for part in measured_parts(name))
    measurements: dict[tuple[str, ...], Measurement] = {}
    if any(part in SCORES for part in parts):
        measurements[tuple(SCORES)] = bench.scorer.or_none
    for part in parts:
        if part in BASELINES:
            measurements[(part,)] = _baseline(bench, part)
    return measurements


def _baseline(bench: Workbench, name: str) -> Measurement:
    """A baseline with an observation of its own, so that no score saves time at another's cost."""
    scorer = bench.scorer

    def measurement(arch: str) -> Scores:
        observation = Observation(scorer.space, scorer.supernet, arch, scorer.anchors)
        return {name: finite(BASELINES[name](observation))}

    return measurement
