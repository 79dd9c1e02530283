"""Everything that scoring an architecture of a study needs: data → supernet → reference sample."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

import spaces
from app.atomic import DamagedError, set_aside
from app.config import StudyConfig
from app.console import console
from app.data import ImageData, load
from app.data.stream import check_batch_size
from app.definition import check_definition, reference_definition, supernet_definition
from app.errors import InputError, one_of
from app.interrupt import stop_between_steps
from app.latency import measure_arch
from app.paths import StudyPaths
from app.samplers import SAMPLERS
from app.scores.composite import Composite
from app.scores.probe import ProbeBatch
from app.scores.reference import Reference, sample_architectures, score_reference
from app.scores.scorer import Scorer
from app.study import Prepared, describe, not_here, supernet_hash
from app.supernet import distributed
from app.supernet.checkpoint import load_checkpoint
from app.supernet.training import SupernetTraining, check_groups, train_supernet
from spaces import BatchNormMode, Space, Supernet

Content = TypeVar("Content")


@dataclass(frozen=True)
class EvaluationContext:
    """A study's space and data, its trained supernet, and its scored reference sample."""

    config: StudyConfig
    paths: StudyPaths
    device: torch.device
    data: ImageData
    space: Space
    """The space of the networks that are searched and costed; the supernet's may be smaller."""
    scorer: Scorer
    reference: Reference
    composite: Composite
    prepared: Prepared
    """Describes the supernet and the reference sample."""
    latency: Callable[[str], float] | None
    """Milliseconds of an architecture's network; only where latency is used."""


def check_names(config: StudyConfig) -> None:
    """Raises InputError for an unknown space, space option or sampler."""
    if config.space not in spaces.names():
        raise one_of(config.space, "space", spaces.names())
    for options in (config.space_options, config.supernet_space_options):
        create_space(config, None, options)
    SAMPLERS[config.search.sampler]


def open_data(
    config: StudyConfig, paths: StudyPaths, device: torch.device, search: bool = True
) -> tuple[ImageData, Space]:
    """Load the study's images, and size its space for them; writes nothing.

    Raises InputError for whatever the later stages would refuse; those of a search with `search`.
    """
    if search:
        check_groups(config.supernet)
    with distributed.local_main_process_first():  # it downloads, the others find the files
        data = load(
            config.dataset,
            image_size=config.image_size,
            data_dir=config.data_dir,
            device=device,
            cache_dir=paths.folder,
        )
    space = create_space(config, data, config.space_options)
    if search:
        create_space(config, data, config.supernet_space_options)
        check_batch_size(len(data.train), config.supernet.batch_size)
        ProbeBatch.draw(data, config.score.images, config.seed, device)
        sample_architectures(space, 1, config.seed, config.search)
    return data, space


def create_space(config: StudyConfig, data: ImageData | None, options: dict[str, Any]) -> Space:
    """Create the study's space with these options, for 10 classes where images are not loaded yet.

    Raises InputError for a bad option.
    """
    classes = 10 if data is None else len(data.classes)
    try:
        return spaces.create(config.space, classes, config.image_size, options)
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from None


def prepare(
    config: StudyConfig,
    paths: StudyPaths,
    device: torch.device,
    data: ImageData,
    space: Space,
    bound: Prepared | None = None,
) -> EvaluationContext:
    """Train the supernet and score the reference sample, as far as they are not done.

    Raises InputError, before anything is trained, if the supernet here is not that of `bound`.
    """
    supernet = trained_supernet(config, paths, device, data, bound)
    probe = ProbeBatch.draw(data, config.score.images, config.seed, device)
    scorer = Scorer(space, supernet, probe)
    reference = _scored_reference(config, paths, data, space, scorer)
    try:
        composite = Composite(list(reference.scores.values()))
    except ValueError as error:
        raise InputError(f"{error}: raise score.reference, with --fresh") from None
    latency = None
    if config.search.uses("latency"):
        latency = partial(measure_arch, space, config=config.latency, device=device)
    prepared = describe(config, supernet.state_dict(), reference)
    return EvaluationContext(
        config, paths, device, data, space, scorer, reference, composite, prepared, latency
    )


def is_prepared(config: StudyConfig, paths: StudyPaths, data: ImageData) -> bool:
    """Whether a finished supernet and reference sample of these settings are in a folder."""
    try:
        state, reference = load_checkpoint(paths.supernet), Reference.load(paths.reference)
        check_definition(state["definition"], supernet_definition(config, data), "the supernet")
        check_definition(reference.definition, reference_definition(config, data), "the sample")
    except (OSError, DamagedError, InputError):
        return False
    return state["step"] >= config.supernet.steps and (
        len(reference.scores) == config.score.reference
    )


def _read(path: Path, load: Callable[[Path], Content], needed: bool = False) -> Content | None:
    """Read a file; None if it is missing, or damaged: then it is set aside unless `needed`."""
    try:
        return load(path)
    except FileNotFoundError:
        return None
    except DamagedError as reason:
        if not needed:
            set_aside(path, reason)
        return None


def trained_supernet(
    config: StudyConfig,
    paths: StudyPaths,
    device: torch.device,
    data: ImageData,
    bound: Prepared | None = None,
) -> Supernet:
    """Train the study's supernet to the end, with the other processes of torchrun if any."""
    definition = supernet_definition(config, data)
    space = create_space(config, data, config.supernet_space_options)
    mode = BatchNormMode(config.batchnorm)
    training = SupernetTraining(space, mode, data, config.supernet, config.seed, device)
    state = _read(paths.supernet, load_checkpoint, needed=bound is not None)
    if state is not None:
        check_definition(state["definition"], definition, f"the supernet '{paths.supernet}'")
        training.load_state_dict(state)
    if bound is not None and (
        not training.finished or supernet_hash(training.supernet.state_dict()) != bound.supernet
    ):
        raise not_here("supernet.pt", config.name)
    expected = distributed.all_gather(definition)[0]
    hint = "run the same command with the same data on every machine"
    check_definition(expected, definition, "the supernet of rank 0", hint)
    distributed.all_gather(None)  # rank 0 hears of a difference here
    with stop_between_steps() as check:
        if (count := distributed.world_size()) > 1:
            training.join()
            if not training.finished:
                console.print(f"Training in {count} processes, each on its part of every batch.")
        train_supernet(training, paths.supernet, definition, check)
    distributed.leave()
    return training.supernet


def take_part(config: StudyConfig, device: torch.device) -> None:
    """Train the supernet along with rank 0, which does everything else."""
    with tempfile.TemporaryDirectory() as folder:  # the study's own belongs to rank 0
        paths = StudyPaths(Path(folder))
        data, _ = open_data(config, paths, device)
        trained_supernet(config, paths, device, data)


def _scored_reference(
    config: StudyConfig, paths: StudyPaths, data: ImageData, space: Space, scorer: Scorer
) -> Reference:
    definition = reference_definition(config, data)
    reference = _read(paths.reference, Reference.load) or Reference(definition, {})
    check_definition(reference.definition, definition, f"the sample '{paths.reference}'")
    count = config.score.reference
    if len(reference.scores) < count:
        archs = sample_architectures(space, count, config.seed, config.search)
        with stop_between_steps() as check:
            score_reference(reference, scorer, archs, paths.reference, check)
    return reference
