"""The search: choices are proposed, assessed, and told to the database a batch at a time."""

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from app.search.commit import GroupCommit
from app.search.outcome import TrialResult
from app.search.proposals import Proposals
from spaces import Space

SECONDS_A_BATCH = 2.0
"""A batch is committed after so long even if it is not full: what a kill may lose."""

Check = Callable[[], None]
"""Called between trials; may raise KeyboardInterrupt."""

Advance = Callable[[int, str], None]
"""Called with how many more trials are complete, and a short text on the last of them."""


@dataclass(frozen=True)
class Batches:
    """Where trials come from and go to when they are not asked of Optuna one by one."""

    proposals: Proposals
    commit: GroupCommit
    size: int


class Search:
    """Trials of one study, new ones in batches if `batches` are given.

    A trial that a killed process left running, or that somebody has queued, is taken up, so that
    none is lost and the numbers have no gap. It is told step by step, as Optuna does it; and so
    is every trial if there are no batches. Of several processes on the study, only the one that
    `leads` does so; the next one if it dies.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        space: Space,
        assess: Callable[[dict[str, Any]], TrialResult],
        batches: Batches | None,
        leads: Callable[[], bool] = lambda: True,
        learn: Callable[[Sequence[FrozenTrial]], None] = lambda trials: None,
    ) -> None:
        """`learn` is given the trials of others that have been added since."""
        self.study = study
        self.storage = storage
        self.choices = space.choices
        self.assess = assess
        self.batches = batches
        self.leads = leads
        self._leading = False
        self.learn = learn
        self.completed = 0
        self.seen = 0
        """The proposals know of finished trials with a smaller number."""
        self.added: set[int] = set()
        """And of these, which may be greater: others go on while we commit and read."""
        self._catch_up()

    def run_to(self, total: int, check: Check, advance: Advance) -> None:
        """Go on until `total` trials are complete.

        Raises SpaceExhaustedError when there is nothing left to propose. However it ends, what
        was finished is committed first.
        """
        self._take_up_left(check, advance)
        while self.completed < total:
            if self.batches is None:
                check()
                self._take_up(self.study.ask(), advance)
            else:
                self._run_batch(self.batches, total, check, advance)
        self._take_up_left(check, advance)  # of a leader that has died at the end

    def _run_batch(self, batches: Batches, total: int, check: Check, advance: Advance) -> None:
        missing = total - self.completed
        finished: list[FrozenTrial] = []
        complete = 0
        ends = time.monotonic() + SECONDS_A_BATCH
        try:
            while not finished or (
                complete < missing and len(finished) < batches.size and time.monotonic() < ends
            ):
                check()
                finished.append(self._finish(batches.proposals))
                complete += finished[-1].state is TrialState.COMPLETE
        finally:
            numbers = batches.commit(finished, total)
            self.completed += complete
            if complete:
                advance(complete, _note(finished[-1].values))
        if len(numbers) < len(finished) or numbers[0] > self.seen:  # others have added trials
            self._take_up_left(check, advance)
            before = self.completed
            self._catch_up(numbers)
            advance(self.completed - before, "")
        self.seen = max(self.seen, numbers[-1] + 1) if numbers else self.seen

    def _finish(self, proposals: Proposals) -> FrozenTrial:
        """A new trial, as it is to be committed."""
        started = datetime.now()
        params = proposals.propose()
        outcome = self.assess(params)
        trial = FrozenTrial(
            number=-1,  # it is given one, and an id, when it is committed
            trial_id=-1,
            state=outcome.state,
            value=None,
            values=outcome.values,
            datetime_start=started,
            datetime_complete=datetime.now(),
            params=params,
            distributions=dict(self.choices),
            user_attrs=outcome.user_attrs,
            system_attrs=outcome.system_attrs,
            intermediate_values={},
        )
        proposals.learn(trial)
        return trial

    def _catch_up(self, ours: Container[int] = ()) -> None:
        """Count anew, and let the proposals know of what earlier runs or others have added."""
        trials = self.study.get_trials(deepcopy=False)
        self.completed = sum(t.state is TrialState.COMPLETE for t in trials)
        new = [t for t in trials[self.seen :] if t.number not in ours and t.state.is_finished()]
        self.learn(new)
        self._add(new)
        self.seen = len(trials)

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        """Let the proposals know of trials that are not of a batch, each once."""
        new = [trial for trial in trials if trial.number not in self.added]
        self.added.update(trial.number for trial in new)
        if self.batches is not None:
            self.batches.proposals.add(new)

    def _take_up_left(self, check: Check, advance: Advance) -> None:
        """What was queued with `study.enqueue_trial` or in the dashboard, and once, what runs.

        That is of a leader before us, which is dead: ours we tell before we ask the next one.
        """
        if not self.leads():
            return
        if not self._leading:
            self._leading = True
            for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                check()
                self._take_up(Trial(self.study, left._trial_id), advance)
        for _ in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            check()
            self._take_up(self.study.ask(), advance)

    def _take_up(self, trial: Trial, advance: Advance) -> None:
        """Assess a trial that is in the database, and tell it.

        Choices that a dead process has made, or that were queued, are kept, the others sampled;
        if the space does not offer them, the trial has failed.
        """
        try:
            for name, choice in self.choices.items():
                trial.suggest_categorical(name, choice.choices)
        except ValueError as reason:
            outcome = TrialResult(TrialState.FAIL, user_attrs={"invalid": str(reason)})
        else:
            outcome = self.assess(trial.params)
        for name, value in outcome.user_attrs.items():
            trial.set_user_attr(name, value)
        for name, value in outcome.system_attrs.items():
            self.storage.set_trial_system_attr(trial._trial_id, name, value)
        told = self.study.tell(trial, outcome.values, outcome.state)
        if told.number < self.seen:
            self._add([told])
        if outcome.state is TrialState.COMPLETE:
            self.completed += 1
            advance(1, _note(outcome.values))


def _note(values: list[float] | None) -> str:
    return f"score {values[0]:.2f}" if values else ""
