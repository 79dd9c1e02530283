"""The search: ask a sampler, evaluate the architecture, tell the result, commit in batches.

The sampler works on a study in memory that mirrors the one in the database, so that asking it
reads nothing from disk. Trials reach the database a batch at a time, finished: none of ours is
ever RUNNING, and a kill loses the batch under way at most.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from random import Random
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from app.commit import StudyWriter
from app.objective import Objective, TrialResult
from app.samplers import SpaceSampler, with_log_costs
from app.trials import own_trials

SECONDS_PER_BATCH = 2.0
"""A batch is committed after this time even if it is not full."""

MAX_FAILURES_IN_A_ROW = 100
"""So many failed trials in a row end the search."""

Check = Callable[[], None]
"""Called between trials; may raise KeyboardInterrupt."""

Advance = Callable[[int, str], None]
"""Called with how many more trials are COMPLETE, and a short text on the last of them."""


class SearchFailedError(RuntimeError):
    """Every trial fails."""


class Search:
    """A search of one study, by one of any number of processes."""

    def __init__(
        self,
        study: Study,
        writer: StudyWriter,
        objective: Objective,
        sampler: SpaceSampler,
        batch_size: int,
    ) -> None:
        self.study = study
        self.writer = writer
        self.objective = objective
        self.sampler = sampler
        self.batch_size = batch_size
        self.fingerprint = objective.fingerprint
        self.choices = sampler.choices
        self.memory = optuna.create_study(
            storage=InMemoryStorage(), sampler=sampler, directions=study.directions
        )
        self.rng = Random(sampler.seed)
        self.queue: list[FrozenTrial] = []
        self.failures = 0
        self._seen: set[int] = set()
        self._unfinished = 0
        self.refresh()
        self.complete = writer.count_complete(self.fingerprint)

    def run(self, total: int, check: Check, advance: Advance) -> None:
        """Search until `total` trials are COMPLETE.

        However it ends, finished trials are committed first. Raises SpaceExhaustedError when
        nothing new is left to propose, and SearchFailedError when every trial fails.
        """
        while self.complete < total:
            batch: list[FrozenTrial] = []
            before = self.complete
            try:
                self._fill(batch, total - self.complete, check)
            finally:
                if batch:
                    self._commit(batch, total)
                    advance(self.complete - before, _note(batch))
            if self.failures >= MAX_FAILURES_IN_A_ROW:
                raise SearchFailedError(
                    f"{self.failures} trials in a row failed, the last one: {_reason(batch[-1])}"
                )

    def _fill(self, batch: list[FrozenTrial], missing: int, check: Check) -> None:
        """Evaluate architectures until the batch is full, is due, or makes up for `missing`."""
        deadline = time.monotonic() + SECONDS_PER_BATCH
        while len(batch) < min(self.batch_size, missing) and (
            not batch or time.monotonic() < deadline
        ):
            check()
            batch.append(self.evaluate_next())

    def evaluate_next(self) -> FrozenTrial:
        """Evaluate a queued trial if there is one, else ask the sampler for choices."""
        started = datetime.now()
        if self.queue:
            return self._evaluate_queued(self.queue.pop(0), started)
        trial = self.memory.ask(dict(self.choices))
        result = self.objective(trial.params)
        for key, value in result.system_attrs.items():
            self.memory._storage.set_trial_system_attr(trial._trial_id, key, value)
        values = with_log_costs(result.values) if result.values else None
        told = self.memory.tell(trial, values, result.state)
        # the sampler notes there what it needs after a resume, such as the generation
        attrs = self.memory._storage.get_trial_system_attrs(told._trial_id)
        return self._finish(result, trial.params, attrs, started)

    def _evaluate_queued(self, queued: FrozenTrial, started: datetime) -> FrozenTrial:
        """Evaluate what `study.enqueue_trial` or the dashboard has queued; draw what it leaves."""
        fixed = dict(queued.system_attrs.get("fixed_params", {}))
        for name, value in fixed.items():
            if name not in self.choices or value not in self.choices[name].choices:
                reason = f"the space has no choice {name} = {value!r}"
                result = TrialResult(TrialState.FAIL, user_attrs={"invalid": reason})
                return self._finish(result, {}, {}, started, queued._trial_id)
        drawn = {name: self.rng.choice(d.choices) for name, d in self.choices.items()}
        params = drawn | fixed
        result = self.objective(params)
        finished = self._finish(result, params, result.system_attrs, started, queued._trial_id)
        self.add_trials([finished])
        return finished

    def _finish(
        self,
        result: TrialResult,
        params: dict[str, Any],
        system_attrs: dict[str, Any],
        started: datetime,
        trial_id: int = -1,
    ) -> FrozenTrial:
        return FrozenTrial(
            number=-1,  # given when it is committed
            trial_id=trial_id,
            state=result.state,
            value=None,
            values=result.values,
            datetime_start=started,
            datetime_complete=datetime.now(),
            params=params,
            distributions={name: self.choices[name] for name in params},
            user_attrs=result.user_attrs,
            system_attrs=system_attrs,
            intermediate_values={},
        )

    def _commit(self, batch: Sequence[FrozenTrial], total: int) -> None:
        committed = self.writer.add_trials(batch, self.fingerprint, total)
        self.complete = committed.complete
        self._seen.update(committed.numbers)
        if committed.count > len(self._seen) + self._unfinished:
            self.refresh()
        for trial in batch:
            self.failures = 0 if trial.state is TrialState.COMPLETE else self.failures + 1

    def refresh(self) -> None:
        """Read what earlier runs or other processes have added to the study."""
        trials = self.study.get_trials(deepcopy=False)
        new = [t for t in trials if t.number not in self._seen and t.state.is_finished()]
        self._seen.update(t.number for t in new)
        self._unfinished = len(trials) - len(self._seen)
        self.queue = [t for t in trials if t.state is TrialState.WAITING]
        self.add_trials(own_trials(new, self.fingerprint))

    def add_trials(self, trials: Iterable[FrozenTrial]) -> None:
        """Let the memo and the sampler know of finished trials that were not asked here."""
        trials = list(trials)
        self.objective.add_trials(trials)
        self.sampler.add_trials(self.memory, trials)


def _note(batch: Sequence[FrozenTrial]) -> str:
    values = batch[-1].values if batch else None
    return f"score {values[0]:.2f}" if values else ""


def _reason(trial: FrozenTrial) -> str:
    keys = ("failed", "infeasible", "invalid")
    return next((str(trial.user_attrs[k]) for k in keys if k in trial.user_attrs), "unknown")
