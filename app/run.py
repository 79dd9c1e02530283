"""The main job, top to bottom: data → supernet → reference sample → search → report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from optuna.study import Study
from optuna.trial import TrialState
from rich.console import Console
from sqlalchemy.engine import make_url

import spaces
from app import scores
from app.data import ImageData, load
from app.device import device_name, pick_device
from app.errors import InputError, one_of
from app.interrupt import stop_between_steps
from app.progress import progress_bar
from app.report.front import completed_rows, front_table, pareto_front, write_front
from app.report.markdown import write_report
from app.report.picture import write_picture
from app.scores.composite import Composite
from app.scores.observation import Anchors
from app.scores.reference import Reference, score_reference
from app.scores.scorer import Scorer
from app.search.loop import Search
from app.search.samplers import check_sampler, create_sampler
from app.search.storage import open_storage
from app.search.study import check_definition, discard_study, open_study, with_sampler
from app.settings import StudySettings
from app.supernet.checkpoint import load_checkpoint
from app.supernet.training import SupernetTraining, train_supernet
from spaces import Placement, Space

out = Console(highlight=False)


@dataclass(frozen=True)
class Files:
    """Where everything of a study lies, except its trials."""

    folder: Path

    @property
    def supernet(self) -> Path:
        """The checkpoint of the supernet."""
        return self.folder / "supernet.pt"

    @property
    def reference(self) -> Path:
        """The scored reference sample."""
        return self.folder / "reference.json"

    @property
    def front(self) -> Path:
        """The Pareto front as a table."""
        return self.folder / "front.csv"

    @property
    def picture(self) -> Path:
        """The Pareto front as a picture."""
        return self.folder / "front.png"

    @property
    def report(self) -> Path:
        """The report."""
        return self.folder / "report.md"

    @property
    def lock(self) -> Path:
        """Held by the process that works on the study."""
        return self.folder / "lock"


def run(settings: StudySettings, fresh: bool = False) -> None:
    """Run a study, or resume it; every stage that is finished is left as it is."""
    check_sampler(settings.search.sampler)
    if settings.space not in spaces.names():
        raise one_of(settings.space, "space", spaces.names())
    device = pick_device(settings.device)
    files = Files(settings.folder)
    with lock_study(files):
        storage = open_storage(settings.storage_url)
        if fresh:
            discard_study(storage, settings.name)
            for path in (files.supernet, files.reference, files.front, files.picture, files.report):
                path.unlink(missing_ok=True)

        data = load(
            settings.dataset,
            image_size=settings.image_size,
            data_dir=settings.data_dir,
            device=device,
            cache_dir=files.folder,
            seed=settings.seed,
        )
        space = create_space(settings, data)
        definition = study_definition(settings, data)
        study = open_study(storage, settings.name, definition)
        out.print(
            f"Study [bold]{settings.name}[/bold]: space {settings.space}, data {settings.dataset} "
            f"({len(data.train.labels)} training images, {len(data.classes)} classes, "
            f"{data.image_size} px), {device_name(device)}, seed {settings.seed}"
        )

        training = trained_supernet(settings, space, data, device, files)
        anchors = Anchors.draw(data, settings.score.images, settings.seed, device)
        scorer = Scorer(space, training.supernet, anchors)
        reference = scored_reference(settings, space, scorer, files, definition)

        sampler = create_sampler(settings.search, settings.seed, len(study.trials))
        study = with_sampler(study, storage, sampler)
        search = Search(
            study,
            storage,
            space,
            scorer,
            Composite(list(reference.scores.values())),
            reference.scores,
            settings.search.max_flops,
        )
        total = settings.search.trials
        with (
            progress_bar("Search", total, min(search.completed, total)) as advance,
            stop_between_steps() as check,
        ):
            search.run_to(total, check, lambda note: advance(note=note))

        seconds = {
            "supernet": training.seconds,
            "reference sample": reference.seconds,
            "search": search_seconds(study),
        }
        report(settings, files, study, definition, device, seconds)


def lock_study(files: Files) -> FileLock:
    """The lock of a study, held; the system frees it when its process ends, however it ends.

    Raises InputError if another process works on the study or the folder cannot be written.
    """
    lock = FileLock(files.lock, timeout=0)
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another process is working on this study (it holds '{files.lock}'): "
            "wait for it, or give --study-name NAME"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot write to '{files.folder}' ({error.strerror}): give --runs DIR"
        ) from None
    return lock


def create_space(settings: StudySettings, data: ImageData) -> Space:
    """The space of the study, sized for its data. Raises InputError for a bad option."""
    try:
        return spaces.create(
            settings.space, len(data.classes), data.image_size, settings.space_options
        )
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from None


def supernet_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides how a supernet comes out."""
    return {
        "space": settings.space,
        **{f"space_options.{key}": value for key, value in settings.space_options.items()},
        "dataset fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "batchnorm": settings.batchnorm,
        "seed": settings.seed,
        **{f"supernet.{key}": value for key, value in settings.supernet},
    }


def study_definition(settings: StudySettings, data: ImageData) -> dict[str, Any]:
    """What decides what a trial's values mean: trials under another definition do not compare."""
    return {
        **supernet_definition(settings, data),
        **{f"score.{key}": value for key, value in settings.score},
        "score version": scores.VERSION,
        "search.max_flops": settings.search.max_flops,
    }


def trained_supernet(
    settings: StudySettings, space: Space, data: ImageData, device: torch.device, files: Files
) -> SupernetTraining:
    """The supernet of the study: trained, or trained on, or read, as need be."""
    definition = supernet_definition(settings, data)
    training = SupernetTraining(
        space, Placement(settings.batchnorm), data, settings.supernet, settings.seed, device
    )
    if files.supernet.exists():
        state = load_checkpoint(files.supernet)
        check_definition(state["definition"], definition, f"the supernet '{files.supernet}'")
        training.load_state_dict(state)
    with stop_between_steps() as check:
        train_supernet(training, files.supernet, definition, check)
    return training


def scored_reference(
    settings: StudySettings,
    space: Space,
    scorer: Scorer,
    files: Files,
    definition: dict[str, Any],
) -> Reference:
    """The reference sample of the study, complete."""
    needed = {k: v for k, v in definition.items() if not k.startswith("search.")}
    with stop_between_steps() as check:
        reference = score_reference(
            space,
            scorer,
            settings.score.reference,
            settings.seed,
            files.reference,
            needed,
            check,
        )
    check_definition(reference.definition, needed, f"the sample '{files.reference}'")
    return reference


def search_seconds(study: Study) -> float:
    """Time spent in completed trials."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sum(t.duration.total_seconds() for t in trials if t.duration)


def report(
    settings: StudySettings,
    files: Files,
    study: Study,
    definition: dict[str, Any],
    device: torch.device,
    seconds: dict[str, float],
) -> None:
    """Write the report files, print the front and say where everything lies."""
    rows = completed_rows(study)
    front = pareto_front(rows)
    title = f"{settings.name}: {settings.space} on {settings.dataset}, {len(rows)} trials"
    write_front(files.front, front)
    write_picture(files.picture, rows, front, settings.search.max_flops, title)
    write_report(
        files.report,
        settings.name,
        {"dataset": settings.dataset, **definition},
        device_name(device),
        seconds,
        rows,
        front,
        settings.search.sampler,
    )
    out.print(front_table(front))
    for what, path in (
        ("front", files.front),
        ("picture", files.picture),
        ("report", files.report),
        ("supernet", files.supernet),
    ):
        out.print(f"{what:<10}{path}", soft_wrap=True)
    out.print(f"{'trials':<10}{open_storage_name(settings)}", soft_wrap=True)
    out.print(f"{'dashboard':<10}python main.py dashboard --runs {settings.runs}", soft_wrap=True)


def open_storage_name(settings: StudySettings) -> str:
    """How to show the database: its file, or its URL without the password."""
    url = make_url(settings.storage_url)
    return url.database or "" if url.drivername == "sqlite" else url.render_as_string()
