"""The Optuna study of a run: made or checked, and bound to the supernet that scores its trials."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import torch
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError
from torch import Tensor

from app.commit import FINGERPRINT
from app.config import CostName, StudyConfig
from app.costs import COSTS
from app.definition import (
    RESCORE,
    WAYS_OUT,
    Definition,
    check_definition,
    difference,
    of_networks,
)
from app.errors import InputError
from app.scores.reference import Reference
from spaces import Space

DEFINITION = "definition"
MACHINE = "latency machine"
SHARED = "shared"
"""Attributes of a study."""

OF_A_MACHINE = {"runs", "data_dir", "storage", "device"}
"""Settings that each machine has its own of."""


def directions(objectives: Sequence[CostName]) -> list[StudyDirection]:
    """Maximise the score, minimise all costs."""
    return [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in objectives)]


def find_study(
    storage: BaseStorage, name: str, definition: Definition | None = None
) -> Study | None:
    """Load the study `name` if there is one; nothing is made or changed.

    Raises InputError if it is another program's, or is defined otherwise than by `definition`.
    """
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage)
    stored = study.user_attrs.get(DEFINITION)
    if stored is None and study.get_trials(deepcopy=False):
        raise InputError(
            f"the database holds a study '{name}' of another program: give --study-name NAME"
        )
    if definition is not None and stored is not None:
        check_definition(stored, definition, f"study '{name}'")
    return study


def open_study(
    storage: BaseStorage, name: str, definition: Definition, objectives: Sequence[CostName]
) -> Study:
    """Make the study `name`, or check it against `definition`.

    Raises InputError if the stored study is another program's or is defined otherwise.
    """
    study = find_study(storage, name)
    if study is not None and has_trials(study):
        stored = study.user_attrs[DEFINITION]
        only_scores = difference(of_networks(stored), of_networks(definition)) is None
        ways_out = RESCORE + WAYS_OUT if only_scores else WAYS_OUT
        check_definition(stored, definition, f"study '{name}'", ways_out)
        return study
    wanted = directions(objectives)
    if study is not None and study.directions != wanted:
        optuna.delete_study(study_name=name, storage=storage)  # it may still be defined anew
        study = None
    study = study or optuna.create_study(storage=storage, study_name=name, directions=wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(["score", *(COSTS[name].attribute for name in objectives)])
    study.set_user_attr(DEFINITION, definition)
    return study


def check_not_searched(name: str, searched: bool) -> None:
    """Raises InputError if the study that is to be replaced is being searched."""
    if searched:
        raise InputError(
            f"another process is searching study '{name}': wait for it, or "
            "give --study-name NAME for a study beside it"
        )


def has_trials(study: Study) -> bool:
    """Whether the study has finished trials of ours, which bind it to its definition."""
    states = (TrialState.COMPLETE, TrialState.FAIL)
    return any("arch" in t.user_attrs for t in study.get_trials(deepcopy=False, states=states))


def check_choices(trials: Sequence[FrozenTrial], space: Space) -> None:
    """Raises InputError unless our completed `trials` chose among what the space offers."""
    if trials and not any(t.distributions == space.choices for t in trials):
        raise InputError(
            "the space offers other choices now than the trials of the study were drawn from: "
            "give --study-name NAME for a study beside it, or --fresh to start it again"
        )


def check_machine(study: Study, machine: str) -> None:
    """Keep what latencies are measured on. Raises InputError if that is another machine."""
    stored = study.user_attrs.get(MACHINE)
    if stored is None or not has_trials(study):
        study.set_user_attr(MACHINE, machine)
    elif stored != machine:
        raise InputError(
            f"the latencies of study '{study.study_name}' were measured on '{stored}', this is "
            f"'{machine}': go on there, or give --study-name NAME for a study beside it"
        )


@dataclass(frozen=True)
class Prepared:
    """What a prepared study tells every process that searches it."""

    settings: dict[str, Any]
    """JSON values, less those of a machine."""
    supernet: str
    """SHA-256 of the supernet's tensors, hexadecimal."""
    reference: str
    """SHA-256 of the reference sample's scores."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that say which supernet and sample a trial was scored with."""
        return hashlib.sha256(f"{self.supernet} {self.reference}".encode()).hexdigest()[:16]

    def config_here(self, own: dict[str, Any]) -> StudyConfig:
        """The study's settings with this machine's `own`. Raises InputError if unreadable."""
        try:
            return StudyConfig.model_validate(self.settings | own)
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise InputError(
                f"this program cannot read the study's setting '{field}' "
                f"({error.errors()[0]['msg']}): use the version that runs the main command"
            ) from None


def describe(config: StudyConfig, supernet: Mapping[str, Tensor], reference: Reference) -> Prepared:
    """Describe what a study was prepared with."""
    values = {key: value for key, value in config.to_save().items() if key not in OF_A_MACHINE}
    scores = json.dumps(reference.scores, sort_keys=True)
    return Prepared(values, supernet_hash(supernet), hashlib.sha256(scores.encode()).hexdigest())


def read_prepared(study: Study) -> Prepared | None:
    """What the study was prepared with; None before the main command has prepared it."""
    values = study.user_attrs.get(SHARED)
    if values is None:
        return None
    values["settings"].get("latency", {}).pop("source", None)  # of earlier versions
    return Prepared(**values)


def bind(study: Study, here: Prepared, searched: bool) -> None:
    """Bind the study to its supernet and sample, under `locks.preparing`.

    A study without trials that nobody is searching may be bound anew. Raises InputError if the
    study is bound to others.
    """
    bound = read_prepared(study)
    if bound is not None and (searched or has_trials(study)):
        if bound.supernet != here.supernet:
            raise not_here("supernet.pt", study.study_name)
        if bound.reference != here.reference:
            raise not_here("reference.json", study.study_name)
    study.set_user_attr(SHARED, here.__dict__)
    study.set_user_attr(FINGERPRINT, here.fingerprint)


def not_here(file: str, name: str) -> InputError:
    """The error for a supernet or sample other than the one that scored the study's trials."""
    return InputError(
        f"the {file} that scored the trials of study '{name}' is missing: copy it "
        "from where the study was prepared, give --study-name NAME for a study beside it, "
        "or --fresh to start it again"
    )


def supernet_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a supernet's tensors, wherever they lie and in whatever layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
