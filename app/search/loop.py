"""The search: ask Optuna for choices, score the architecture they make, tell Optuna."""

from collections.abc import Callable, Iterable
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from app.scores import SCORES
from app.scores.scorer import Scores
from app.workbench import Workbench
from spaces import InfeasibleError


class Search:
    """Trials of one study, each an architecture with its scores and cost.

    A trial that a killed process left running is taken up again, so that none is lost and the
    numbers have no gap. An architecture that was scored before, in a trial or in the reference
    sample, is not scored again.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        bench: Workbench,
    ) -> None:
        self.study = study
        self.storage = storage
        self.space = bench.space
        self.scorer = bench.scorer
        self.composite = bench.composite
        self.max_flops = bench.settings.search.max_flops
        self.choices = bench.space.distributions()
        self.known = bench.reference.scores | known_scores(self._trials(TrialState.COMPLETE))

    @property
    def completed(self) -> int:
        """How many trials are complete."""
        return len(self._trials(TrialState.COMPLETE))

    def run_to(self, total: int, check: Callable[[], None], advance: Callable[[str], None]) -> None:
        """Go on until `total` trials are complete.

        `check` is called between trials and may raise KeyboardInterrupt; `advance` after each
        completed trial with a short text on it.
        """
        left_running = self._trials(TrialState.RUNNING)
        completed = self.completed
        while left_running or completed < total:
            check()
            trial = self._resume(left_running.pop(0)) if left_running else self._ask()
            if (score := self._finish(trial)) is not None:
                completed += 1
                advance(f"score {score:.2f}")

    def _ask(self) -> Trial:
        return self.study.ask(dict(self.choices))

    def _resume(self, left: FrozenTrial) -> Trial:
        """A trial of a dead process: keep the choices it had made, sample the others."""
        trial = Trial(self.study, left._trial_id)
        for name, choice in self.choices.items():
            trial.suggest_categorical(name, choice.choices)
        return trial

    def _finish(self, trial: Trial) -> float | None:
        """Score and tell; None for choices that make no valid architecture."""
        try:
            arch = self.space.decode(trial.params)
        except InfeasibleError as reason:
            trial.set_user_attr("infeasible", str(reason))
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        source = "memoised" if arch in self.known else "measured"
        if source == "measured":
            self.known[arch] = self.scorer(arch)
        scores = self.known[arch]
        cost = self.space.cost(arch)
        attributes: dict[str, Any] = {
            "arch": arch,
            **self.composite.parts(scores),
            **scores,
            "flops": cost.macs,
            "params": cost.params,
            "source": source,
        }
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        if self.max_flops is not None:
            # the older of Optuna's two forms: samplers read both, optuna-dashboard only this one
            excess = (cost.macs - self.max_flops,)
            self.storage.set_trial_system_attr(trial._trial_id, "constraints", excess)
        score = self.composite(scores)
        self.study.tell(trial, [score, cost.macs])
        return score

    def _trials(self, state: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(state,))


def known_scores(trials: Iterable[FrozenTrial]) -> dict[str, Scores]:
    """Scores by architecture, as completed trials carry them."""
    return {
        trial.user_attrs["arch"]: {name: trial.user_attrs.get(name) for name in SCORES}
        for trial in trials
    }
