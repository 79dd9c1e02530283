"""What comes of choices: an architecture with its scores and cost, or a reason for none."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from app.errors import is_out_of_memory
from app.scores import SCORES
from app.scores.scorer import NoScoreError, Scores
from app.search.study import METRICS
from app.workbench import EvaluationContext
from spaces import InfeasibleError

FULL_IN_A_ROW = 8
"""So many trials in a row that the memory is too small for end the run."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial is told."""

    state: TrialState
    values: list[float] | None = None
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)


class Objective:
    """Turns choices into an outcome.

    An architecture that was scored before, in a trial or in the reference sample, is not scored
    again, and none is timed again.
    """

    def __init__(self, context: EvaluationContext, trials: Iterable[FrozenTrial]) -> None:
        """`trials` are those of earlier runs."""
        self.space = context.space
        self.scorer = context.scorer
        self.composite = context.composite
        self.max_flops = context.settings.search.max_flops
        self.objectives = context.settings.search.objectives
        self.latency = context.latency
        self.latencies: dict[str, float] = {}
        self.known = dict(context.reference.scores)
        self.learn(trials)
        self.full = 0
        """Trials in a row that the memory was too small for."""

    def __call__(self, params: dict[str, Any]) -> TrialResult:
        """COMPLETE with values; FAIL, with the reason, for choices without architecture or score.

        A single measure that is not finite, as that of a layer without variance, fails no trial:
        it counts as the lowest value there is (see `app.scores.composite`).

        Raises what PyTorch does when the memory is full, but not at the first few times.
        """
        try:
            arch = self.space.decode(params)
        except InfeasibleError as reason:
            return TrialResult(TrialState.FAIL, user_attrs={"infeasible": str(reason)})
        source = "memoised" if arch in self.known else "measured"
        try:
            if source == "measured":
                self.known[arch] = self.scorer(arch)
                self.full = 0
            if self.latency is not None and arch not in self.latencies:
                self.latencies[arch] = self.latency(arch)
        except NoScoreError as reason:
            return _failed(arch, str(reason))
        except (RuntimeError, MemoryError) as error:
            self.full += 1
            if not is_out_of_memory(error) or self.full == FULL_IN_A_ROW:
                raise
            return _failed(arch, "the memory is too small for this network")
        scores = self.known[arch]
        cost = self.space.cost(arch)
        user_attrs: dict[str, Any] = {
            "arch": arch,
            **self.composite.parts(scores),
            **scores,
            "flops": cost.macs,
            "params": cost.params,
            "source": source,
        }
        # the older of Optuna's two forms: samplers read both, optuna-dashboard only this one
        limit = self.max_flops
        system_attrs = {} if limit is None else {"constraints": [cost.macs - limit]}
        if self.latency is not None:
            user_attrs["latency_ms"] = self.latencies[arch]
        costs = (float(user_attrs[METRICS[name]]) for name in self.objectives)
        values = [self.composite(scores), *costs]
        if not all(map(math.isfinite, values)):
            return _failed(arch, f"the values are {values}")
        return TrialResult(TrialState.COMPLETE, values, user_attrs, system_attrs)

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take in the scores and latencies of trials that another process or run has added."""
        trials = list(trials)
        self.known.update(known_scores(trials))
        for trial in trials:
            if "arch" in trial.user_attrs and "latency_ms" in trial.user_attrs:
                self.latencies[trial.user_attrs["arch"]] = trial.user_attrs["latency_ms"]


def _failed(arch: str, reason: str) -> TrialResult:
    return TrialResult(TrialState.FAIL, user_attrs={"arch": arch, "failed": f"no score: {reason}"})


def known_scores(trials: Iterable[FrozenTrial]) -> dict[str, Scores]:
    """Scores by architecture, as completed trials carry them; those of others may have none."""
    return {
        trial.user_attrs["arch"]: {name: trial.user_attrs.get(name) for name in SCORES}
        for trial in trials
        if trial.state is TrialState.COMPLETE and "arch" in trial.user_attrs
    }
