"""The search: ask a sampler, evaluate the architecture, tell the result, commit in batches.

The sampler works on a study in memory that mirrors the one in the database, so that asking it
reads nothing from disk. Trials reach the database a batch at a time, finished: none of ours is
ever RUNNING, and a kill loses the batch under way at most.
"""

import time
from collections.abc import Callable, Sequence
from copy import copy

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from app.commit import StudyWriter
from app.console import notice, progress_bar
from app.context import EvaluationContext
from app.database import wait_for_server
from app.interrupt import TimeIsUpError, stop_between_steps
from app.objective import Objective
from app.samplers import SpaceExhaustedError, SpaceSampler, create_sampler, with_log_costs
from app.sampling import Repair
from app.study import check_choices
from app.trials import (
    completed_trials,
    failure_reason,
    foreign_trials,
    own_trials,
    queued_choices,
)

SECONDS_PER_BATCH = 2.0
"""A batch is committed after this time even if it is not full."""

MAX_FAILURES_IN_A_ROW = 100
"""So many failed trials in a row end the search."""

SEEDS_APART = 7_919
"""Between the searches of a study, which would otherwise propose the same architectures."""


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
        self.memory = optuna.create_study(
            storage=InMemoryStorage(), sampler=sampler, directions=study.directions
        )
        self.queue: list[FrozenTrial] = []
        self.failures = 0
        self._seen: set[int] = set()
        self._unfinished = 0
        self.refresh()
        self.complete = writer.count_complete(objective.fingerprint)

    def run(
        self, total: int, check: Callable[[], None], advance: Callable[[int, str], None]
    ) -> None:
        """Search until `total` trials are COMPLETE.

        `check` is called between trials and may raise KeyboardInterrupt; `advance` is told how
        many trials a batch has added, and a short text on the last of them. However the search
        ends, finished trials are committed first.

        Raises:
            SpaceExhaustedError: Nothing new is left to propose.
            SearchFailedError: Every trial fails.
        """
        while self.complete < total:
            batch: list[FrozenTrial] = []
            before = self.complete
            deadline = time.monotonic() + SECONDS_PER_BATCH
            try:
                while len(batch) < min(self.batch_size, total - before) and (
                    not batch or time.monotonic() < deadline
                ):
                    check()
                    batch.append(self.evaluate_next())
            finally:
                if batch:
                    self._commit(batch, total)
                    values = batch[-1].values
                    advance(self.complete - before, f"score {values[0]:.2f}" if values else "")
            if self.failures >= MAX_FAILURES_IN_A_ROW:
                raise SearchFailedError(
                    f"{self.failures} trials in a row failed, the last one: "
                    f"{failure_reason(batch[-1]) or 'unknown'}"
                )

    def evaluate_next(self) -> FrozenTrial:
        """Ask, evaluate, tell. Trials that others have queued come first."""
        queued = self.queue.pop(0) if self.queue else None
        if queued is not None:
            fixed = queued_choices(queued)
            if reason := self._invalid(fixed):
                failed = create_trial(state=TrialState.FAIL, user_attrs={"invalid": reason})
                failed._trial_id = queued._trial_id
                return failed
            self.memory.enqueue_trial(fixed)
        trial = self.memory.ask(dict(self.sampler.choices))
        result = self.objective(trial.params)
        for key, value in result.system_attrs.items():
            self.memory._storage.set_trial_system_attr(trial._trial_id, key, value)
        seen = with_log_costs(result.values) if result.values else None
        finished = copy(self.memory.tell(trial, seen, result.state))
        finished.values = result.values
        finished.user_attrs = result.user_attrs
        attrs = finished.system_attrs.items()  # the database has the fixed ones already
        finished.system_attrs = {k: v for k, v in attrs if k != "fixed_params"}
        finished._trial_id = -1 if queued is None else queued._trial_id
        self.sampler.known.add(result.user_attrs.get("arch", ""))
        return finished

    def _invalid(self, fixed: dict[str, object]) -> str | None:
        """Say which of these choices the space has not."""
        for name, value in fixed.items():
            choice = self.sampler.choices.get(name)
            if choice is None or value not in choice.choices:
                return f"the space has no choice {name} = {value!r}"
        return None

    def _commit(self, batch: Sequence[FrozenTrial], total: int) -> None:
        committed = self.writer.add_trials(batch, self.objective.fingerprint, total)
        self.complete = committed.complete
        self._seen.update(committed.numbers)
        self._unfinished -= sum(trial._trial_id >= 0 for trial in batch)
        if committed.count > len(self._seen) + self._unfinished:
            self.refresh()
        for trial in batch:
            self.failures = 0 if trial.state is TrialState.COMPLETE else self.failures + 1

    def refresh(self) -> None:
        """Read what earlier runs or other processes have added to the study."""
        trials = wait_for_server(lambda again: self.study.get_trials(deepcopy=False))
        new = [t for t in trials if t.number not in self._seen and t.state.is_finished()]
        self._seen.update(t.number for t in new)
        self._unfinished = len(trials) - len(self._seen)
        self.queue = [t for t in trials if t.state is TrialState.WAITING]
        ours = own_trials(new, self.objective.fingerprint)
        self.objective.add_trials(ours)
        self.sampler.add_trials(self.memory, ours)


def search(context: EvaluationContext, study: Study, writer: StudyWriter) -> str | None:
    """Search until the study has its trials; returns why the search ended earlier, if it did.

    Raises InputError if the space no longer offers the choices of the study's trials.
    """
    config = context.config.search
    check_choices(completed_trials(study), context.space)
    if foreign := foreign_trials(study):
        notice(f"{foreign} trials of other origin in this study are left out.")
    seed = context.config.seed + writer.next_seed_offset() * SEEDS_APART
    sampler = create_sampler(config, Repair(context.space, config), seed)
    going = Search(study, writer, Objective(context), sampler, config.population)
    with (
        progress_bar("Search", config.trials, min(going.complete, config.trials)) as advance,
        stop_between_steps() as check,
    ):
        try:
            going.run(config.trials, check, advance)
        except SpaceExhaustedError as reason:
            return f"The search ended after {going.complete} of {config.trials} trials: {reason}."
        except TimeIsUpError:
            return (
                f"The --timeout ended the search after {going.complete} of {config.trials} trials; "
                "the same command goes on."
            )
    return None
