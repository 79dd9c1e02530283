"""`--rescore`: the networks of a study whose scores are outdated are scored anew.

A study with all of them queued takes the name of the old one, in one transaction, so that a kill
leaves one of the two whole. An ordinary search then scores what is queued.
"""

import time
from contextlib import closing, suppress

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from app.atomic import DamagedError, set_aside
from app.commit import StudyWriter
from app.config import StudyConfig
from app.data import ImageData
from app.definition import (
    Definition,
    check_definition,
    difference,
    of_networks,
    study_definition,
    supernet_definition,
)
from app.paths import StudyPaths
from app.study import DEFINITION, check_choices, check_not_searched, find_study, has_trials
from app.supernet.checkpoint import load_checkpoint
from app.trials import completed_trials, queued_choices
from spaces import Space


def rescore(
    config: StudyConfig,
    paths: StudyPaths,
    storage: BaseStorage,
    data: ImageData,
    space: Space,
    searched: bool,
) -> StudyConfig:
    """Replace the study if its scores are outdated, under `locks.preparing`.

    Returns the configuration with trials enough for all networks. Raises InputError if not only
    the scores have changed, or if the study is being searched.
    """
    definition, study = study_definition(config, data), find_study(storage, config.name)
    if study and has_trials(study) and difference(study.user_attrs[DEFINITION], definition):
        stored = of_networks(study.user_attrs[DEFINITION])
        check_definition(stored, of_networks(definition), f"study '{config.name}'")
        check_choices(completed_trials(study), space)
        check_not_searched(config.name, searched)
        with suppress(FileNotFoundError, DamagedError):  # made again where it is read
            supernet = load_checkpoint(paths.supernet)
            if key := difference(supernet["definition"], supernet_definition(config, data)):
                set_aside(paths.supernet, f"it was made with another {key}", "outdated")
        with suppress(FileNotFoundError):
            set_aside(paths.reference, "it belongs to the former scores", "outdated")
        _replace(study, storage, config, definition)
        study = find_study(storage, config.name)
    known = len(completed_trials(study)) + len(_waiting(study)) if study else 0
    trials = max(config.search.trials, known)
    return config.model_copy(update={"search": config.search.model_copy(update={"trials": trials})})


def _replace(
    study: Study, storage: BaseStorage, config: StudyConfig, definition: Definition
) -> None:
    """Queue all networks of the study in a new one of its name; the old one stays beside it."""
    choices = {trial.user_attrs["arch"]: trial.params for trial in completed_trials(study)}
    others = [queued_choices(trial) for trial in _waiting(study)]
    version = study.user_attrs[DEFINITION].get("score version")
    old_name = f"{config.name} (score version {version})"
    if old_name in optuna.get_all_study_names(storage):
        old_name += time.strftime(" until %Y-%m-%d %H:%M:%S")
    successor = optuna.create_study(
        storage=storage,
        study_name=f"{config.name} (being rescored)",
        directions=study.directions,
        load_if_exists=True,  # a process that was killed has made it
    )
    successor.set_user_attr(DEFINITION, definition)
    with closing(StudyWriter(config.storage_url, study)) as writer:
        writer.replace(successor, old_name, [*choices.values(), *others])


def _waiting(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
