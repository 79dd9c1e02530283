"""Reading many trials with a few plain queries.

Optuna makes an object of every row and parses every distribution twice: 20,000 trials with 21
choices take it half a minute, and this a few seconds.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Select, select

from app.search.tables import Tables

INFINITE = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}


def read_trials(connection: Connection, tables: Tables, chosen: Select[Any]) -> list[FrozenTrial]:
    """The trials whose `trial_id` the query `chosen` selects, by their ids.

    The trials themselves are read first: one that is finished by then has all its rows.
    """

    def rows(name: str, order: str, *columns: str) -> dict[int, list[Any]]:
        """Rows of a table by trial."""
        table = tables[name]
        query = select(table.c.trial_id, *(table.c[c] for c in columns))
        found = connection.execute(
            query.where(table.c.trial_id.in_(chosen)).order_by(table.c[order])
        )
        grouped: dict[int, list[Any]] = defaultdict(list)
        for row in found:
            grouped[row[0]].append(row)
        return grouped

    table = tables["trials"]
    names = ("trial_id", "number", "state", "datetime_start", "datetime_complete")
    query = select(*(table.c[name] for name in names)).where(table.c.trial_id.in_(chosen))
    trials: Sequence[Any] = connection.execute(query.order_by(table.c.trial_id)).all()
    params = rows("trial_params", "param_id", "param_name", "param_value", "distribution_json")
    values = rows("trial_values", "objective", "value", "value_type")
    user = rows("trial_user_attributes", "trial_user_attribute_id", "key", "value_json")
    system = rows("trial_system_attributes", "trial_system_attribute_id", "key", "value_json")
    steps = rows(
        "trial_intermediate_values",
        "trial_intermediate_value_id",
        "step",
        "intermediate_value",
        "intermediate_value_type",
    )
    distribution = cache(json_to_distribution)  # few different ones, of many trials

    @cache
    def choice(text: str, value: float) -> Any:
        return distribution(text).to_external_repr(value)

    return [
        FrozenTrial(
            number=number,
            state=TrialState[state],
            value=None,
            values=[_number(v, kind) for _, v, kind in values[trial_id]] or None,
            datetime_start=_local(start),
            datetime_complete=_local(complete),
            params={name: choice(text, value) for _, name, value, text in params[trial_id]},
            distributions={name: distribution(text) for _, name, _, text in params[trial_id]},
            user_attrs=_attributes(user[trial_id]),
            system_attrs=_attributes(system[trial_id]),
            intermediate_values={step: _number(v, kind) for _, step, v, kind in steps[trial_id]},
            trial_id=trial_id,
        )
        for trial_id, number, state, start, complete in trials
    ]


def _attributes(rows: Iterable[tuple[int, str, str]]) -> dict[str, Any]:
    return {key: json.loads(text) for _, key, text in rows}


def _number(value: float | None, kind: str) -> float:
    return INFINITE[kind] if value is None else value


def _local(utc: datetime | None) -> datetime | None:
    """Optuna's tables keep naive UTC, its trials naive local time."""
    return utc and utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
