"""The retrain command, top to bottom: which networks → train each → compare → report."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from app import locks
from app.config import StudyConfig
from app.console import out, printable
from app.context import check_names, open_data
from app.dashboard import publish
from app.data import ImageData, describe_split
from app.data.dataset import fingerprint
from app.definition import study_definition
from app.device import device_name, pick_device
from app.errors import InputError
from app.interrupt import stop_between_steps
from app.pareto import completed_rows
from app.paths import StudyPaths
from app.report.data import ReportData
from app.report.files import write_reports
from app.retrain.baselines import build_baseline
from app.retrain.candidate import TORCHVISION, Candidate, train_candidate, training_folder
from app.retrain.choice import SelectedArch, Selection, choose
from app.retrain.comparison import comparison_table, write_comparison
from app.retrain.training import validation_split
from app.storage import open_existing
from app.study import find_study
from app.trained import Recipe, read_results
from spaces import Space

VERSION = 2
"""Raised when the same recipe comes out differently: earlier trainings are then kept apart."""


def retrain(
    config: StudyConfig,
    selection: Selection,
    baselines: Sequence[str],
    recipe: Recipe,
    seed: int,
) -> None:
    """Train the selected networks and the baselines on the study's data, and compare them.

    `seed` is that of the trainings. Raises InputError for any bad input before training starts.
    """
    if not (selection.trials or selection.archs or selection.picks or baselines):
        raise InputError(
            "say which networks: --trial N, --pick knee, best-score or max-flops=300M, "
            "--arch STRING, or --baseline NAME; each can be given several times"
        )
    check_names(config)
    device = pick_device(config.device)
    paths = StudyPaths(config.folder)
    data, space = open_data(config, paths, device, search=False)
    kept, split, validation = validation_split(data, recipe)
    storage = open_existing(config.storage_url, write=True)
    definition = study_definition(config, data)
    study = find_study(storage, config.name, definition) if storage else None
    rows = completed_rows(study) if study else []
    chosen = choose(space, rows, selection, config.search.objectives)
    candidates = make_candidates(config, data, space, recipe, seed, chosen, baselines)
    trained, validated = data.train.labels[kept].tolist(), split.labels[validation].tolist()
    with locks.writing(paths.retrained, wait=False):
        out.print(
            f"Training {len(candidates)} network{'s' if len(candidates) > 1 else ''} from scratch "
            f"on {printable(config.dataset)}: "
            f"{recipe.epochs} epochs of batches of {recipe.batch_size}, "
            f"{describe_split(trained, validated, is_held_out=data.val is None)}, "
            f"{len(data.test)} test images, {device_name(device)}"
        )
        with stop_between_steps() as check:
            done = [train_candidate(c, data, recipe, seed, device, check) for c in candidates]
        results = read_results(paths.retrained, definition)
        write_comparison(paths.comparison, results, rows)
        alike = [result for result in results if result.full_recipe == done[0].full_recipe]
        out.print(comparison_table(alike, rows), soft_wrap=False)
        out.print(f"{'table':<10}{paths.comparison}")
        study = find_study(storage, config.name) if storage else None  # it may be deleted
        if study is not None and paths.supernet.exists() and paths.reference.exists():
            name = device_name(device)
            report = ReportData.gather(config, paths, study, definition, space, name)
            write_reports(paths, report)
            publish(study, report)
    if paths.report.exists():
        out.print(f"{'report':<10}{paths.report}")
    for candidate in candidates:
        out.print(f"{'weights':<10}{candidate.folder / 'best.pt'}")


def make_candidates(
    config: StudyConfig,
    data: ImageData,
    space: Space,
    recipe: Recipe,
    seed: int,
    chosen: Sequence[SelectedArch],
    baselines: Sequence[str],
) -> list[Candidate]:
    """The networks, all to be trained on the same terms. Raises InputError for a bad baseline."""
    terms = {
        "dataset fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "seed": seed,
        **recipe.model_dump(),
        "version": VERSION,
    }
    if data.val is not None:
        terms["validation fingerprint"] = fingerprint(
            data.classes, data.val.to(torch.device("cpu"))
        )

    def make(label: str, build: Callable[[], nn.Module], **own: Any) -> Candidate:
        parent, definition = StudyPaths(config.folder).retrained, own | terms
        earlier = {k: v for k, v in definition.items() if k != "balanced"} | {"version": 1}
        old = training_folder(parent, earlier)
        if (old / "last.pt").exists() and not (old / "result.json").exists():
            out.print(f"'{old}' is an unfinished training of an earlier version: it starts again.")
        return Candidate(label, build, definition, training_folder(parent, definition))

    origin = {"space": config.space, "space_options": config.space_options}
    candidates = [
        make(one.label, partial(space.network, one.arch), network=one.arch, **origin)
        for one in chosen
    ]
    for name in dict.fromkeys(baselines):
        build = partial(build_baseline, name, len(data.classes), data.image_size)
        with torch.random.fork_rng(devices=[]):
            build()  # refuses what cannot be built before anything is trained
        candidates.append(make(name, build, network=name, space=TORCHVISION))
    return candidates
