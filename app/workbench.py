"""Everything that scoring an architecture of a study needs, made or read in order.

The main job and the rank benchmark both start here: data → supernet → reference sample.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

import spaces
from app import scores
from app.atomic import DamagedError, set_aside
from app.console import console
from app.data import ImageData, load
from app.data.stream import check_batch_size
from app.errors import InputError, is_out_of_memory, one_of
from app.interrupt import stop_between_steps
from app.latency import LatencyMeter
from app.paths import StudyPaths
from app.scores.composite import Composite
from app.scores.reference import Reference, sample_architectures, score_reference
from app.scores.scorer import Scorer
from app.scores.trace import ProbeBatch
from app.search.study import check_definition
from app.settings import StudySettings
from app.supernet import distributed
from app.supernet.checkpoint import load_checkpoint
from app.supernet.training import SupernetTraining, check_groups, train_supernet
from spaces import BatchNormMode, Space

Content = TypeVar("Content")


@dataclass(frozen=True)
class EvaluationContext:
    """A study's space and data, its trained supernet, and its scored reference sample."""

    settings: StudySettings
    paths: StudyPaths
    device: torch.device
    data: ImageData
    space: Space
    """Of the networks that are searched for and costed; the supernet's may be smaller."""
    training: SupernetTraining
    scorer: Scorer
    reference: Reference
    composite: Composite
    latency: LatencyMeter | None
    """Only where latency is an objective."""


class ScoringMemoryError(MemoryError):
    """The memory is too small to score architectures on so many images."""


def check_space(name: str) -> None:
    """Raises InputError unless there is such a space."""
    if name not in spaces.names():
        raise one_of(name, "space", spaces.names())


def open_data(
    settings: StudySettings, paths: StudyPaths, device: torch.device
) -> tuple[ImageData, Space]:
    """The study's images, and its space sized for them. Raises InputError for a bad option."""
    check_groups(settings.supernet)
    with distributed.local_main_process_first():  # it downloads, the others find the files
        data = load(
            settings.dataset,
            image_size=settings.image_size,
            data_dir=settings.data_dir,
            device=device,
            cache_dir=paths.folder,
            seed=settings.seed,
        )
    # all of this is refused now, not when something has been written
    create_space(settings, data, settings.supernet_space_options)
    check_batch_size(len(data.train), settings.supernet.batch_size)
    ProbeBatch.draw(data, settings.score.images, settings.seed, device)
    space = create_space(settings, data, settings.space_options)
    sample_architectures(space, 1, settings.seed, settings.search.max_flops)
    return data, space


def create_space(settings: StudySettings, data: ImageData, options: dict[str, Any]) -> Space:
    """The study's space with these options. Raises InputError for a bad one."""
    try:
        return spaces.create(settings.space, len(data.classes), data.image_size, options)
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from None


def set_up(
    settings: StudySettings, paths: StudyPaths, device: torch.device, data: ImageData, space: Space
) -> EvaluationContext:
    """Train the supernet and score the reference sample, as far as they are not done.

    Raises ScoringMemoryError if the memory is too small for the second.
    """
    probe = ProbeBatch.draw(data, settings.score.images, settings.seed, device)
    training = _trained_supernet(settings, paths, device, data)
    scorer = Scorer(space, training.supernet, probe)
    try:
        reference = _scored_reference(settings, paths, data, space, scorer)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ScoringMemoryError(str(error)) from None
        raise
    try:
        composite = Composite(list(reference.scores.values()))
    except ValueError as error:
        raise InputError(f"{error}; raise score.reference, with --fresh") from None
    latency = latency_meter(settings, paths, device, space, list(reference.scores))
    return EvaluationContext(
        settings, paths, device, data, space, training, scorer, reference, composite, latency
    )


def latency_meter(
    settings: StudySettings, paths: StudyPaths, device: torch.device, space: Space, archs: list[str]
) -> LatencyMeter | None:
    """What measures the latency of networks, if it is an objective; a table is made of `archs`."""
    if "latency" not in settings.search.objectives:
        return None
    meter = LatencyMeter(space, settings.latency, device, paths.latency)
    if settings.latency.source == "table":
        _read(paths.latency, meter.table.load)
    with stop_between_steps() as check:
        meter.prepare(archs, check)
    return meter


def _basis(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What everything that is measured depends on."""
    return {
        "space": settings.space,
        "dataset fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "seed": settings.seed,
    }


def supernet_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides how a supernet comes out; the number of processes does not."""
    supernet = dict(settings.supernet)
    if supernet["bn_groups"] == 1:
        del supernet["bn_groups"]  # definitions of earlier versions, which had one group, lack it
    return {
        **_basis(settings, data),
        "batchnorm": settings.batchnorm,
        **{f"supernet.{key}": value for key, value in supernet.items()},
        "supernet.space_options": settings.supernet_space_options,
    }


def score_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides which scores an architecture gets."""
    return {
        **supernet_definition(settings, data),
        "space_options": settings.space_options,
        **{f"score.{key}": value for key, value in settings.score},
        "score version": scores.VERSION,
    }


def reference_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides what the reference sample holds: where networks are limited, so is it."""
    limit = settings.search.max_flops
    limited = {} if limit is None else {"search.max_flops": limit}
    return {**score_definition(settings, data), **limited}


def _without_limit(definition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in definition.items() if key != "search.max_flops"}


def baseline_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides which baselines an architecture gets: they do not look at the supernet."""
    return {
        **_basis(settings, data),
        "space_options": settings.space_options,
        "score.images": settings.score.images,
        "baseline version": scores.BASELINE_VERSION,
    }


def study_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides what a trial's values mean: trials under another definition do not compare."""
    definition = score_definition(settings, data)
    definition["search.max_flops"] = settings.search.max_flops
    if settings.search.objectives != ("flops",):  # studies of before there was a choice lack it
        definition["search.objectives"] = list(settings.search.objectives)
    if "latency" in settings.search.objectives:
        definition |= {f"latency.{key}": value for key, value in settings.latency}
    return definition


def _read(path: Path, load: Callable[[Path], Content]) -> Content | None:
    """What `load` reads; None where there is no file, or a damaged one, which is set aside."""
    if not path.exists():
        return None
    try:
        return load(path)
    except DamagedError as reason:
        set_aside(path, reason)
        return None


def _trained_supernet(
    settings: StudySettings, paths: StudyPaths, device: torch.device, data: ImageData
) -> SupernetTraining:
    definition = supernet_definition(settings, data)
    training = _new_training(settings, device, data)
    if (state := _read(paths.supernet, load_checkpoint)) is not None:
        check_definition(state["definition"], definition, f"the supernet '{paths.supernet}'")
        training.load_state_dict(state)
    _train(training, paths.supernet, definition)
    return training


def take_part(settings: StudySettings, device: torch.device) -> None:
    """Train the supernet along with rank 0, which does everything else."""
    # pixels that exceed the memory are mapped from there: the study's folder belongs to rank 0
    data, _ = open_data(settings, StudyPaths(Path(tempfile.gettempdir())), device)
    training = _new_training(settings, device, data)
    _train(training, StudyPaths(settings.folder).supernet, supernet_definition(settings, data))


def _new_training(
    settings: StudySettings, device: torch.device, data: ImageData
) -> SupernetTraining:
    space = create_space(settings, data, settings.supernet_space_options)
    bn_mode = BatchNormMode(settings.batchnorm)
    return SupernetTraining(space, bn_mode, data, settings.supernet, settings.seed, device)


def _train(training: SupernetTraining, path: Path, definition: dict[str, Any]) -> None:
    """Train to the end, together with the other processes if there are any."""
    expected = distributed.all_gather(definition)[0]
    hint = "run the same command with the same data on every machine"
    check_definition(expected, definition, "the supernet of rank 0", hint)
    distributed.all_gather(None)  # rank 0 hears of a difference here
    with stop_between_steps() as check:
        if (count := distributed.world_size()) > 1:
            training.join()
            if not training.finished:
                console.print(f"Training in {count} processes, each on its part of every batch.")
        train_supernet(training, path, definition, check)
    distributed.leave()


def _scored_reference(
    settings: StudySettings, paths: StudyPaths, data: ImageData, space: Space, scorer: Scorer
) -> Reference:
    definition = reference_definition(settings, data)
    reference = _read(paths.reference, Reference.load) or Reference(definition, {})
    if reference.definition != definition and (
        _without_limit(reference.definition) == _without_limit(definition)
    ):
        reference = Reference(definition, {})  # trials of another limit are refused before
    check_definition(reference.definition, definition, f"the sample '{paths.reference}'")
    search, count = settings.search, settings.score.reference
    if len(reference.scores) == count:  # costs are counted for nothing else
        return reference
    archs = sample_architectures(space, count, settings.seed, search.max_flops)
    with stop_between_steps() as check:
        score_reference(reference, scorer, archs, paths.reference, check)
    return reference
