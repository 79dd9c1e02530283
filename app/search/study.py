"""The Optuna study of a run, and the definition that keeps its trials comparable."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from app.errors import InputError
from app.settings import CostName
from spaces import Space

METRICS = {"flops": "flops", "latency": "latency_ms"}
"""What Optuna shows the objectives as, which is also the attribute of a trial."""
DEFINITION = "definition"
MACHINE = "latency machine"
UNSAID: dict[str, Any] = {"search.objectives": ["flops"], "supernet.bn_groups": 1}
"""What a definition that does not name it has: studies of before there was a choice."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def directions(objectives: Sequence[CostName]) -> list[StudyDirection]:
    """The score up, all others down."""
    return [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in objectives)]


DIRECTIONS = directions(("flops",))
"""Of score and one cost."""


def open_study(
    storage: BaseStorage,
    name: str,
    definition: dict[str, Any],
    objectives: Sequence[CostName] = ("flops",),
) -> Study:
    """The study `name`: made if new, else checked against `definition`.

    Raises InputError if the stored study is another program's or defined otherwise.
    """
    study = _create(storage, name, objectives)
    _check_own(study)
    if not study.get_trials(deepcopy=False):  # it may still be defined anew
        if study.directions != directions(objectives):
            kept = study.user_attrs
            optuna.delete_study(study_name=name, storage=storage)
            study = _create(storage, name, objectives)
            for key, value in kept.items():
                study.set_user_attr(key, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(["score", *(METRICS[name] for name in objectives)])
        study.set_user_attr(DEFINITION, definition)
    else:
        check_definition(study.user_attrs[DEFINITION], definition, f"study '{name}'")
    return study


def set_machine(study: Study, machine: str) -> None:
    """Keep what latencies are measured on, where there are none yet.

    Only a search has to go on there: networks may be retrained and exported elsewhere.
    """
    if not study.get_trials(deepcopy=False):
        study.set_user_attr(MACHINE, machine)


def check_machine(study: Study, machine: str) -> None:
    """Raises InputError if the study's latencies are measured on another machine."""
    stored = study.user_attrs.get(MACHINE)
    if stored != machine:
        raise InputError(
            f"the latencies of study '{study.study_name}' were measured on '{stored}', this is "
            f"'{machine}': go on there, or give --study-name NAME for a study beside it"
        )


def _create(storage: BaseStorage, name: str, objectives: Sequence[CostName]) -> Study:
    return optuna.create_study(
        storage=storage,
        study_name=name,
        directions=directions(objectives),
        load_if_exists=True,
    )


def find_study(storage: BaseStorage, name: str, definition: dict[str, Any]) -> Study | None:
    """The study `name` if it is stored and defined, checked against `definition`.

    Nothing is made or changed, so that it needs no lock. Raises InputError as `open_study`.
    """
    study = own_study(storage, name)
    stored = study.user_attrs.get(DEFINITION) if study else None
    if stored is None:
        return None
    check_definition(stored, definition, f"study '{name}'")
    return study


def own_study(storage: BaseStorage, name: str) -> Study | None:
    """The study `name` if it is stored. Raises InputError if it is another program's."""
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage)
    _check_own(study)
    return study


def with_sampler(study: Study, storage: BaseStorage, sampler: BaseSampler) -> Study:
    """The same study, sampled by `sampler`."""
    return optuna.load_study(study_name=study.study_name, storage=storage, sampler=sampler)


def check_choices(trials: Sequence[FrozenTrial], space: Space) -> None:
    """Raises InputError if the last trial chose among other things than the space offers."""
    offered = space.distributions()
    last = next((t for t in reversed(trials) if t.distributions), None)
    for name, distribution in last.distributions.items() if last else ():
        if offered.get(name) != distribution:
            raise InputError(
                f"the trials of the study have other choices for '{name}' than the space now: "
                "give --study-name NAME for a study beside it, "
                "or --fresh to delete it and start again"
            )


WAYS_OUT = (
    "give the former value again, --study-name NAME for a study beside it, "
    "or run the study with --fresh to delete it and start again"
)


def check_definition(
    stored: dict[str, Any], given: dict[str, Any], what: str, ways_out: str = WAYS_OUT
) -> None:
    """Raises InputError naming the first difference and the ways out."""
    stored, given = UNSAID | stored, UNSAID | given
    for key in sorted(stored.keys() | given.keys()):
        if stored.get(key) != given.get(key):
            raise InputError(
                f"{what} was made with {key} = {stored.get(key)!r}, not {given.get(key)!r}: "
                f"{ways_out}"
            )


def discard_study(storage: BaseStorage, name: str) -> None:
    """Delete the study and its trials, if it exists. Raises InputError if it is not ours."""
    if own_study(storage, name) is not None:
        optuna.delete_study(study_name=name, storage=storage)


def _check_own(study: Study) -> None:
    """One without a definition is ours, just made, if it is empty and looks as ours do."""
    if DEFINITION in study.user_attrs:
        return
    ours = directions(("flops",)), directions(("flops", "latency"))
    if study.directions not in ours or study.get_trials(deepcopy=False):
        raise InputError(
            f"the database holds a study '{study.study_name}' of another program; "
            "give --study-name NAME"
        )
