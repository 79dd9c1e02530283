"""The objective: from choices to an architecture, its scores and its costs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from app.commit import FINGERPRINT
from app.context import EvaluationContext
from app.costs import COSTS, counted
from app.errors import is_out_of_memory
from app.scores import SCORES
from app.scores.scorer import NoScoreError, Scores
from spaces import InfeasibleError

MAX_OUT_OF_MEMORY_IN_A_ROW = 8
"""So many trials in a row that the memory is too small for end the search."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial is told."""

    state: TrialState
    values: list[float] | None = None
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)


class Objective:
    """Scores architectures and counts their costs; no architecture is scored or timed twice."""

    def __init__(self, context: EvaluationContext) -> None:
        self.context = context
        self.fingerprint = context.prepared.fingerprint
        self.config = context.config.search
        self.scores: dict[str, Scores] = dict(context.reference.scores)
        self.latencies: dict[str, float] = {}
        self._out_of_memory = 0

    def __call__(self, params: dict[str, Any]) -> TrialResult:
        """Evaluate choices: COMPLETE with values, or FAIL with the reason.

        A single measure that is not finite, such as that of a layer without variance, counts as
        the lowest value there is (see `app.scores.composite`).

        Raises what PyTorch does when the memory is full for many trials in a row.
        """
        try:
            arch = self.context.space.decode(params)
        except InfeasibleError as reason:
            return TrialResult(TrialState.FAIL, user_attrs=self._attrs(infeasible=str(reason)))
        source = "memoised" if arch in self.scores else "measured"
        try:
            if arch not in self.scores:
                self.scores[arch] = self.context.scorer(arch)
            if self.context.latency is not None and arch not in self.latencies:
                self.latencies[arch] = self.context.latency(arch)
        except NoScoreError as reason:
            return self._failed(arch, str(reason))
        except (RuntimeError, MemoryError) as error:
            self._out_of_memory += 1
            if not is_out_of_memory(error) or self._out_of_memory == MAX_OUT_OF_MEMORY_IN_A_ROW:
                raise
            return self._failed(arch, "the memory is too small for this network")
        self._out_of_memory = 0
        return self._result(arch, source)

    def add_trials(self, trials: Iterable[FrozenTrial]) -> None:
        """Memoise the scores and latencies of completed trials of earlier runs or of others."""
        for trial in trials:
            if trial.state is not TrialState.COMPLETE:
                continue
            attrs = trial.user_attrs
            self.scores[attrs["arch"]] = {name: attrs.get(name) for name in SCORES}
            if "latency_ms" in attrs:
                self.latencies[attrs["arch"]] = attrs["latency_ms"]

    def _result(self, arch: str, source: str) -> TrialResult:
        scores, composite = self.scores[arch], self.context.composite
        attrs = self._attrs(
            arch=arch,
            **composite.parts(scores),
            **scores,
            **counted(self.context.space, arch, self.config),
            source=source,
        )
        if self.context.latency is not None:
            attrs["latency_ms"] = self.latencies[arch]
        values = [
            composite(scores),
            *(float(attrs[COSTS[name].attribute]) for name in self.config.objectives),
        ]
        if not all(map(math.isfinite, values)):
            return self._failed(arch, f"the values are {values}")
        # samplers read both of Optuna's forms of constraints, optuna-dashboard only this one
        over = [attrs[COSTS[n].attribute] - limit for n, limit in self.config.limits.items()]
        constraints = {"constraints": over} if over else {}
        return TrialResult(TrialState.COMPLETE, values, attrs, constraints)

    def _failed(self, arch: str, reason: str) -> TrialResult:
        attrs = self._attrs(arch=arch, failed=f"no score: {reason}")
        return TrialResult(TrialState.FAIL, user_attrs=attrs)

    def _attrs(self, **attrs: Any) -> dict[str, Any]:
        return attrs | {FINGERPRINT: self.fingerprint}
