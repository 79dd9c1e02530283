"""Group commit: many finished trials in one transaction, in Optuna's own tables.

`study.optimize` commits every choice, attribute and state of a trial by itself, some 34 times a
trial. Here a trial is told when it is finished, together with others: it is in the database
whole or not at all, and everything that reads Optuna's tables reads it as one of Optuna's own.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, func, insert, select

from app.search.tables import Tables


class GroupCommit:
    """Writes finished trials of one study."""

    def __init__(self, engine: Engine, tables: Tables, study_id: int) -> None:
        """`engine` is one of `storage.open_engine`, which sees to SQLite's locking."""
        self.engine = engine
        self.tables = tables
        self.study_id = study_id
        self._json: dict[str, tuple[BaseDistribution, str]] = {}

    def __call__(
        self, trials: Sequence[FrozenTrial], most_complete: int | None = None
    ) -> list[int]:
        """Commit `trials`, which must be finished; returns the number that each has been given.

        With `most_complete`, those of the end are left out that would make more complete trials
        of the study than that: others may have added some meanwhile.

        Their own `number` is not looked at. Intermediate values are not written, as a trial
        of ours has none. Raises StorageInternalError if the study is no longer there, and
        SQLAlchemyError if the database cannot be written; then none of them is.
        """
        if not trials:
            return []
        with self._locked() as connection:
            self._check_file()
            if most_complete is not None:
                trials = _up_to(trials, most_complete - self._count_complete(connection))
                if not trials:
                    return []
            first = self._count(connection)
            last_id = connection.scalar(select(func.max(self.tables["trials"].c.trial_id))) or 0
            numbers = list(range(first, first + len(trials)))
            connection.execute(
                insert(self.tables["trials"]),
                [self._trial(t, number) for t, number in zip(trials, numbers, strict=True)],
            )
            rows = {
                "trial_params": self._params,
                "trial_user_attributes": lambda trial: _attributes(trial.user_attrs),
                "trial_system_attributes": lambda trial: _attributes(trial.system_attrs),
                "trial_values": _values,
            }
            ids = self._ids(connection, last_id)
            for name, rows_of in rows.items():
                table = [
                    {"trial_id": trial_id, **row}
                    for trial_id, trial in zip(ids, trials, strict=True)
                    for row in rows_of(trial)
                ]
                if table:
                    connection.execute(insert(self.tables[name]), table)
        return numbers

    def _check_file(self) -> None:
        """SQLite goes on writing to a file that was deleted, and all of it would be lost."""
        url = self.engine.url
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            raise StorageInternalError(
                f"its file '{url.database}' has been removed while the study was running"
            )

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        """A transaction in which nobody else can add trials to the study.

        Trials are numbered by counting, which is safe under a lock only. Optuna locks the
        study's row too, on databases that can; SQLite locks the whole database as soon as the
        transaction begins (BEGIN IMMEDIATE, of `open_engine`).
        """
        studies = self.tables["studies"]
        row = select(studies.c.study_id).where(studies.c.study_id == self.study_id)
        with self.engine.begin() as connection:
            if connection.scalar(row.with_for_update()) is None:
                raise StorageInternalError("the study was deleted while it was running")
            yield connection

    def _count(self, connection: Connection) -> int:
        table = self.tables["trials"]
        count = select(func.count()).select_from(table).where(table.c.study_id == self.study_id)
        return connection.execute(count).scalar_one()

    def _count_complete(self, connection: Connection) -> int:
        table = self.tables["trials"]
        count = select(func.count()).select_from(table)
        mine = count.where(table.c.study_id == self.study_id, table.c.state == "COMPLETE")
        return connection.execute(mine).scalar_one()

    def _ids(self, connection: Connection, after: int) -> Sequence[int]:
        """Of the trials just inserted, by number; not by RETURNING, which MySQL lacks."""
        table = self.tables["trials"]
        return connection.scalars(
            select(table.c.trial_id)
            .where(table.c.trial_id > after, table.c.study_id == self.study_id)
            .order_by(table.c.number)
        ).all()

    def _trial(self, trial: FrozenTrial, number: int) -> dict[str, Any]:
        return {
            "number": number,
            "study_id": self.study_id,
            "state": trial.state.name,
            "datetime_start": _utc(trial.datetime_start),
            "datetime_complete": _utc(trial.datetime_complete),
        }

    def _params(self, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            known, text = self._json.get(name, (None, ""))
            if known is not distribution:
                text = distribution_to_json(distribution)
                self._json[name] = distribution, text
            yield {
                "param_name": name,
                "param_value": distribution.to_internal_repr(value),
                "distribution_json": text,
            }


def _up_to(trials: Sequence[FrozenTrial], complete: int) -> Sequence[FrozenTrial]:
    """The first of `trials`, until so many of them are complete; none if that is 0 or less."""
    for i, trial in enumerate(trials):
        if complete <= 0:
            return trials[:i]
        complete -= trial.state is TrialState.COMPLETE
    return trials


def _attributes(attributes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in attributes.items():
        yield {"key": key, "value_json": json.dumps(value)}


def _values(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    """One row an objective; infinities have a type of their own and no value."""
    for objective, value in enumerate(trial.values or ()):
        kind = "FINITE" if math.isfinite(value) else "INF_POS" if value > 0 else "INF_NEG"
        stored = value if kind == "FINITE" else None
        yield {"objective": objective, "value": stored, "value_type": kind}


def _utc(local: datetime | None) -> datetime | None:
    """Optuna's trials carry naive local time, its tables naive UTC."""
    return local and local.astimezone(UTC).replace(tzinfo=None)
