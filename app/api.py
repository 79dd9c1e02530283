"""The Python API: a thin layer over what the command line runs.

What is made is kept in the `folder` that is given, and found there again; without one, it is kept
until Python ends. Bad input raises InputError, ValueError or pydantic's ValidationError, which is
one. The README shows how the parts fit together.
"""

import hashlib
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from optuna import Study
from torch import nn

import spaces
from app import locks
from app.atomic import write_bytes
from app.config import ScoreConfig, StudyConfig
from app.context import EvaluationContext, check_names, prepare, trained_supernet
from app.data import ImageData, load
from app.definition import FINGERPRINT, digest, reference_definition, supernet_definition
from app.device import pick_device
from app.exported import load_network as load_network
from app.interrupt import stop_between_steps
from app.pareto import completed_rows, pareto_front, pick_from
from app.paths import StudyPaths
from app.retraining import candidate as training
from app.run import search_study
from app.study import DEFINITION
from app.trained import Recipe
from spaces import Space, Supernet
from spaces.fingerprint import fingerprint

Place = str | Path | None
_temporary = cache(partial(TemporaryDirectory, prefix="bnnas-"))


def _folder(given: Place) -> Path:
    return Path(_temporary().name if given is None else given)


def load_dataset(
    name: str | Path, *, image_size: int = 32, device: str = "auto", data_dir: str | Path = "data"
) -> ImageData:
    """Load a built-in data set or a folder of images; all that follows computes on `device`."""
    places = {"data_dir": Path(data_dir), "cache_dir": _folder(None)}
    return load(str(name), image_size=image_size, device=pick_device(device), **places)


def create_space(name: str, *, num_classes: int, image_size: int = 32, **options: Any) -> Space:
    """Create a space by name. Raises ValueError for an unknown name or option."""
    return spaces.create(name, num_classes, image_size, options)


@dataclass(frozen=True)
class TrainedSupernet:
    """A supernet, the space of the networks that it scores, and how it was trained."""

    network: Supernet
    space: Space
    config: StudyConfig
    paths: StudyPaths


def train_supernet(
    space: Space, data: ImageData, *, folder: Place = None, seed: int = 0, **supernet: Any
) -> TrainedSupernet:
    """Train BatchNorm and classifier of a supernet, resume that, or read what is in `folder`.

    `supernet` are fields of `app.config.SupernetConfig`, such as `steps` and `batch_size`.
    """
    values: dict[str, Any] = {"name": "python", "space": space.name, "space_options": space.options}
    values |= {"dataset": data.name, "image_size": data.image_size, "device": str(data.device)}
    values |= {"seed": seed, "runs": _folder(folder), "supernet": supernet}
    config = StudyConfig.model_validate(values)
    paths = StudyPaths(config.runs)
    paths.supernet = config.runs / f"supernet-{digest(supernet_definition(config, data))}.pt"
    with locks.writing(paths.folder):
        network = trained_supernet(config, paths, data.device, data)
    return TrainedSupernet(network, space, config, paths)


class Scorer:
    """Scores architectures without training them: `scorer(arch)`, at most 0, higher is better."""

    def __init__(self, supernet: TrainedSupernet, data: ImageData, **score: Any) -> None:
        """`score` are fields of `app.config.ScoreConfig`: `images` and `reference`."""
        self.supernet, self.data = supernet, data
        self.config = supernet.config.model_copy(update={"score": ScoreConfig(**score)})

    @cached_property
    def context(self) -> EvaluationContext:
        """The supernet with a reference sample of any cost, which is scored at the first use."""
        config, paths = self.config, deepcopy(self.supernet.paths)
        paths.reference = self.reference_path(config)
        with locks.writing(paths.folder):
            return prepare(config, paths, self.data.device, self.data, self.supernet.space)

    def reference_path(self, config: StudyConfig) -> Path:
        """Where a reference sample within the limits of `config` is kept."""
        definition = reference_definition(config, self.data)
        return self.supernet.paths.folder / f"reference-{digest(definition)}.json"

    def __call__(self, arch: str) -> float:
        """Score an architecture. Raises ArchitectureError."""
        context = self.context
        return context.composite(context.scorer.or_none(context.space.canonical(arch)))


def search(
    scorer: Scorer,
    *,
    n_trials: int = 200,
    storage: str | None = None,
    study_name: str | None = None,
    **options: Any,
) -> Study:
    """Search until the study has `n_trials`: the score is maximised, multiply–adds minimised.

    A study of the same name goes on. Its files lie in `<folder>/<study_name>`, where the command
    line finds them with `--runs <folder>`, and its trials in `<folder>/studies.db` unless `storage`
    is given. Further `options` are those of `app.config.SearchConfig`, such as `max_flops`.
    """
    name = study_name or f"no-name-{uuid4()}"
    values = {"name": name, "storage": storage, "search": {"trials": n_trials, **options}}
    config = StudyConfig.model_validate(scorer.config.model_dump() | values)
    check_names(config)
    paths, data, supernet = StudyPaths(config.folder), scorer.data, scorer.supernet
    if not paths.supernet.exists():
        write_bytes(paths.supernet, supernet.paths.supernet.read_bytes())
        scored = scorer.reference_path(config)
        if scored.exists() and not paths.reference.exists():
            write_bytes(paths.reference, scored.read_bytes())
    return search_study(config, paths, data, supernet.space, data.device).study


def pick(study: Study, which: str = "knee") -> str:
    """An architecture of the Pareto front: `knee`, `best-score` or `max-flops=300M`."""
    objectives = study.user_attrs[DEFINITION].get("search.objectives", ["flops"])
    return pick_from(pareto_front(completed_rows(study), objectives), which, objectives).arch


def retrain(
    network: nn.Module, data: ImageData, *, folder: Place = None, seed: int = 0, **recipe: Any
) -> nn.Module:
    """Train all weights of a copy of `network`; returns it as after its best epoch.

    `network` comes from `Space.build` or elsewhere, and training starts from its weights. `recipe`
    are fields of `app.trained.Recipe`, such as `epochs`. The same training in `folder` is read, or
    goes on, whatever weights it had started from.
    """
    terms, name = Recipe(**recipe), type(network).__name__
    if origin := getattr(network, "origin", None):
        space, arch = origin
        own = {"space_options": space.options, FINGERPRINT: fingerprint(space)}
        own |= {"network": arch, "space": space.name}
    else:
        structure = hashlib.sha256(str(network).encode()).hexdigest()[:10]
        own = {"network": f"{name}-{structure}", "space": training.TORCHVISION}
    definition = {**own, "weights": "given", **training.training_terms(data, terms, seed)}
    place = training.training_folder(_folder(folder), definition)
    build = partial(deepcopy, network)
    candidate = training.go_on(training.Candidate(name, build, definition, place))
    with locks.writing(candidate.folder), stop_between_steps() as check:
        training.train_candidate(candidate, data, terms, seed, data.device, check)
    trained = deepcopy(network)
    trained.load_state_dict(training.load_best(candidate.folder))
    return trained.to(data.device).eval()
