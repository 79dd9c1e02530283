"""Bulk insert of finished trials into Optuna's own tables, a batch in one transaction.

`study.add_trial` takes some hundred statements a trial. Here a batch takes one insert per table,
through Optuna's declared models, and is in the database whole or not at all. Everything that
reads Optuna's tables reads these trials as Optuna's own.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages._rdb.models import (
    StudyModel,
    StudyUserAttributeModel,
    TrialModel,
    TrialParamModel,
    TrialSystemAttributeModel,
    TrialUserAttributeModel,
    TrialValueModel,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from app.database import is_sqlite, open_write_engine, wait_for_server

FINGERPRINT = "fingerprint"
"""The attribute of a trial that says which supernet and reference sample scored it."""


@dataclass(frozen=True)
class Committed:
    """What became of a batch."""

    numbers: list[int]
    """Given to the trials that were added; fewer than the batch once the total is reached."""
    complete: int
    """COMPLETE trials of the study with this fingerprint, after the batch."""
    count: int
    """All trials of the study, after the batch."""


class StudyWriter:
    """Transactions on one study, each of which holds the study's row against other processes."""

    def __init__(self, url: URL, study: Study) -> None:
        self.study_id = study._study_id
        self._engine = open_write_engine(url)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def add_trials(self, trials: Sequence[FrozenTrial], fingerprint: str, total: int) -> Committed:
        """Insert finished `trials` until `total` are COMPLETE under `fingerprint`.

        A trial with an id finishes the queued one of that id, unless somebody else has. Others
        get the next numbers. Raises StorageInternalError if the study is gone or was started
        again, and SQLAlchemyError if the database cannot be written; then nothing is inserted.
        A server that is lost is waited for, and a commit whose answer was lost is looked up.
        """
        return wait_for_server(lambda again: self._add(trials, fingerprint, total, again))

    def _add(
        self, trials: Sequence[FrozenTrial], fingerprint: str, total: int, again: bool
    ) -> Committed:
        with self._transaction() as session:
            bound = self._attribute(session, FINGERPRINT)
            if bound is None or json.loads(bound.value_json) != fingerprint:
                raise StorageInternalError("the study was started again by another process")
            complete = self._count_complete(session, fingerprint)
            in_study = TrialModel.study_id == self.study_id
            rows: list[tuple[Any, FrozenTrial]] = []  # SQLAlchemy types columns, not values
            number = session.scalar(select(func.count()).where(in_study)) or 0
            if again and (numbers := self._added(session, trials)):
                return Committed(numbers, complete, number)
            for trial in trials:
                if complete >= total:
                    break
                row: Any
                if trial._trial_id < 0:
                    row = TrialModel(study_id=self.study_id, number=number)
                    session.add(row)
                    number += 1
                else:
                    row = session.get(TrialModel, trial._trial_id)
                    if row is None or row.state is not TrialState.WAITING:
                        continue
                row.state = trial.state
                row.datetime_start = trial.datetime_start
                row.datetime_complete = trial.datetime_complete
                rows.append((row, trial))
                complete += trial.state is TrialState.COMPLETE
            session.flush()
            _insert_rows(session, rows)
            return Committed([row.number for row, _ in rows], complete, number)

    def count_complete(self, fingerprint: str) -> int:
        """Count the COMPLETE trials with this fingerprint."""
        with self._transaction() as session:
            return self._count_complete(session, fingerprint)

    def next_seed_offset(self) -> int:
        """Count the searches of this study, whose random numbers must all differ: 0, 1, 2, …"""
        with self._transaction() as session:
            row = self._attribute(session, "searches")
            if row is None:
                row = StudyUserAttributeModel(study_id=self.study_id, key="searches")
                row.value_json = "0"
                session.add(row)
            offset = int(row.value_json)
            row.value_json = str(offset + 1)
            return offset

    def replace(self, successor: Study, old_name: str, queue: Iterable[dict[str, Any]]) -> None:
        """Give the study's name to an empty `successor`, with these choices queued there."""
        with self._transaction() as session:
            old = StudyModel.find_or_raise_by_id(self.study_id, session)
            name, old.study_name = old.study_name, old_name
            session.flush()  # no two studies have one name
            new = StudyModel.find_or_raise_by_id(successor._study_id, session)
            new.study_name = name
            rows: list[tuple[Any, FrozenTrial]] = []
            for number, choices in enumerate(queue):
                attrs = {"fixed_params": choices}
                trial = create_trial(state=TrialState.WAITING, system_attrs=attrs)
                row = TrialModel(study_id=new.study_id, number=number, state=trial.state)
                rows.append((row, trial))
            session.add_all(row for row, _ in rows)
            session.flush()
            _insert_rows(session, rows)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        url = self._engine.url
        if is_sqlite(url) and not Path(url.database or "").exists():
            # SQLite goes on writing to a deleted file, and all of it would be lost
            raise StorageInternalError(f"its file '{url.database}' was removed")
        with Session(self._engine) as session, session.begin():
            try:
                StudyModel.find_or_raise_by_id(self.study_id, session, for_update=True)
            except KeyError:
                raise StorageInternalError("the study was deleted by another process") from None
            log = Path(f"{Path(url.database or '').resolve()}-wal")
            mode = text("PRAGMA journal_mode")  # other than "wal" on a network drive
            if is_sqlite(url) and not log.exists() and session.scalar(mode) == "wal":
                # a kill would lose all that is in it; when all processes end, it is in the file
                raise StorageInternalError(f"its log '{log}' was removed; rerun to resume")
            yield session

    def _count_complete(self, session: Session, fingerprint: str) -> int:
        query = (
            select(func.count())
            .select_from(TrialModel)
            .join(TrialUserAttributeModel, TrialUserAttributeModel.trial_id == TrialModel.trial_id)
            .where(
                TrialModel.study_id == self.study_id,
                TrialModel.state == TrialState.COMPLETE,
                TrialUserAttributeModel.key == FINGERPRINT,
                TrialUserAttributeModel.value_json == json.dumps(fingerprint),
            )
        )
        return session.scalar(query) or 0

    def _added(self, session: Session, trials: Sequence[FrozenTrial]) -> list[int]:
        """The numbers of those that are in the database already."""
        ours = {(trial.datetime_start, trial.datetime_complete) for trial in trials}
        query = select(TrialModel).where(TrialModel.study_id == self.study_id)
        rows: Iterable[Any] = session.scalars(query)
        # to the microsecond: no other process has the same pair
        return [r.number for r in rows if (r.datetime_start, r.datetime_complete) in ours]

    def _attribute(self, session: Session, key: str) -> Any:
        query = select(StudyUserAttributeModel).where(
            StudyUserAttributeModel.study_id == self.study_id, StudyUserAttributeModel.key == key
        )
        return session.scalar(query)


def _insert_rows(session: Session, rows: Sequence[tuple[Any, FrozenTrial]]) -> None:
    """Insert what belongs to trials whose own rows are flushed, so that they have ids."""
    trials = [(row.trial_id, trial) for row, trial in rows]
    tables: dict[Any, list[dict[str, Any]]] = {
        TrialValueModel: [
            {"trial_id": i, "objective": objective, "value": stored, "value_type": kind}
            for i, trial in trials
            for objective, value in enumerate(trial.values or ())
            for stored, kind in [TrialValueModel.value_to_stored_repr(value)]
        ],
        TrialParamModel: [
            {
                "trial_id": i,
                "param_name": name,
                "param_value": trial.distributions[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(trial.distributions[name]),
            }
            for i, trial in trials
            for name, value in trial.params.items()
        ],
        TrialUserAttributeModel: _attribute_rows([(i, t.user_attrs) for i, t in trials]),
        TrialSystemAttributeModel: _attribute_rows([(i, t.system_attrs) for i, t in trials]),
    }
    queued = [i for i, trial in trials if trial._trial_id >= 0]
    for model, table in tables.items():
        if table and queued and model is not TrialValueModel:
            # whoever queued a trial may have given it params and attributes already
            key = "param_name" if model is TrialParamModel else "key"
            given = getattr(model, key).in_({row[key] for row in table})
            session.execute(delete(model).where(model.trial_id.in_(queued), given))
        if table:
            session.execute(insert(model), table)


def _attribute_rows(attributes: Iterable[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"trial_id": i, "key": key, "value_json": json.dumps(value)}
        for i, values in attributes
        for key, value in values.items()
    ]
