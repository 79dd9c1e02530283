"""Optuna's tables, as SQLAlchemy Core sees them, where they are the ones that we know."""

import optuna
from sqlalchemy import Engine, MetaData, Table, inspect, select

OPTUNA = "5"
"""The major version whose meaning of the columns we know: 4 kept local times, 5 keeps UTC."""

REVISION = "v3.2.0.a"
"""The revision of the tables in Optuna 5, as it notes it in `alembic_version`."""

COLUMNS = {
    "studies": {"study_id", "study_name"},
    "trials": {
        "trial_id",
        "number",
        "study_id",
        "state",
        "datetime_start",
        "datetime_complete",
    },
    "trial_params": {"param_id", "trial_id", "param_name", "param_value", "distribution_json"},
    "trial_values": {"trial_value_id", "trial_id", "objective", "value", "value_type"},
    "trial_user_attributes": {"trial_user_attribute_id", "trial_id", "key", "value_json"},
    "trial_system_attributes": {"trial_system_attribute_id", "trial_id", "key", "value_json"},
    "trial_intermediate_values": {
        "trial_intermediate_value_id",
        "trial_id",
        "step",
        "intermediate_value",
        "intermediate_value_type",
    },
    "alembic_version": {"version_num"},
}

Tables = dict[str, Table]


class UnknownTablesError(Exception):
    """The tables are not those that we know; the message says in what."""


def read_tables(engine: Engine) -> Tables:
    """The tables of COLUMNS, by name. Raises UnknownTablesError if any differs."""
    if optuna.__version__.partition(".")[0] != OPTUNA:
        raise UnknownTablesError(f"Optuna is {optuna.__version__}, not {OPTUNA}")
    if missing := COLUMNS.keys() - set(inspect(engine).get_table_names()):
        raise UnknownTablesError(f"table '{min(missing)}' is missing")
    metadata = MetaData()
    metadata.reflect(engine, only=list(COLUMNS))
    for name, columns in COLUMNS.items():
        if different := columns ^ set(metadata.tables[name].columns.keys()):
            raise UnknownTablesError(f"table '{name}' differs in column '{min(different)}'")
    with engine.connect() as connection:
        revision = connection.scalar(select(metadata.tables["alembic_version"].c.version_num))
    if revision != REVISION:
        raise UnknownTablesError(f"their revision is {revision}, not {REVISION}")
    return dict(metadata.tables)
