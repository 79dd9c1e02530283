"""The retrain command, top to bottom: which networks → train each → compare → record."""

from collections.abc import Sequence

import torch
from rich.console import Console
from torch import nn

from app.dashboard import publish
from app.data import ImageData
from app.device import device_name, pick_device
from app.errors import InputError
from app.interrupt import stop_between_steps
from app.latency import measure_latency
from app.pareto import completed_rows
from app.paths import StudyPaths
from app.report.data import ReportData
from app.report.files import write_reports
from app.retrain.baselines import baseline_cost, build_baseline
from app.retrain.candidate import Candidate, train_candidate, training_folder
from app.retrain.choice import SelectedArch, Selection, choose
from app.retrain.comparison import comparison_table, write_comparison
from app.retrain.recipe import Recipe
from app.retrain.record import record
from app.retrain.result import best_of, read_results
from app.search.storage import open_storage
from app.search.study import find_study, own_study
from app.settings import StudySettings
from app.workbench import check_space, open_data, study_definition
from app.workers import preparing
from spaces import Space

VERSION = 1
"""Raised when the same recipe comes out otherwise: earlier trainings are then kept apart."""

out = Console(highlight=False)


def retrain(
    settings: StudySettings, selection: Selection, baselines: Sequence[str], recipe: Recipe
) -> None:
    """Train the selected networks and the baselines on the study's data, and compare them.

    Raises InputError for anything that was given and is wrong, before any training.
    """
    if not (selection.trials or selection.archs or selection.picks or baselines):
        raise InputError(
            "say which networks: --trial N, --pick knee, best-score or max-flops=300M, "
            "--arch STRING, or --baseline NAME; each can be given several times"
        )
    check_space(settings.space)
    device = pick_device(settings.device)
    paths = StudyPaths(settings.folder)
    with preparing(paths.retrained, wait=False):
        storage = open_storage(settings.storage_url)
        data, space = open_data(settings, paths, device)
        definition = study_definition(settings, data)
        study = find_study(storage, settings.name, definition)
        rows = completed_rows(study) if study else []
        chosen = choose(space, rows, selection, settings.search.objectives)
        maker = CandidateMaker(settings, data, space, recipe)
        candidates = [maker.of_space(one) for one in chosen]
        candidates += [maker.of_baseline(name) for name in dict.fromkeys(baselines)]
        out.print(
            f"Training {len(candidates)} network{'s' if len(candidates) > 1 else ''} from scratch "
            f"on {settings.dataset}: {recipe.epochs} epochs of batches of {recipe.batch_size}, "
            f"{100 * recipe.validation:g} % of {len(data.train)} training images held out to "
            f"choose the best epoch by, {len(data.test)} test images, {device_name(device)}",
            soft_wrap=True,
            markup=False,
        )
        with stop_between_steps() as check:
            results = []
            for candidate in candidates:
                result = train_candidate(candidate, data, recipe, settings.seed, device, check)
                results.append(result)
                study = study and own_study(storage, settings.name)  # it may have been deleted
                if study is not None and not result.is_baseline:
                    # the best of all its trainings, as reports and export have it
                    best = best_of(read_results(paths.retrained, definition), result.network)
                    record(study, storage, candidate.trials, best or result)
        shape = (1, 3, data.image_size, data.image_size)
        latencies = [measure_latency(c.build(), shape, device) for c in candidates]
        compared = list(zip(candidates, results, latencies, strict=True))
        write_comparison(paths.comparison, compared)
        out.print(comparison_table(compared))
        out.print(
            "epoch: the best by validation accuracy, the only one that was tested, of all; "
            "ms: one image, one thread, median.",
            soft_wrap=True,
        )
        out.print(f"{'table':<10}{paths.comparison}", soft_wrap=True, markup=False)
        study = study and own_study(storage, settings.name)
        if study is not None and paths.supernet.exists() and paths.reference.exists():
            name = device_name(device)
            report = ReportData.gather(settings, paths, study, definition, space, name)
            write_reports(paths, report)
            publish(study, report)
    if paths.report.exists():
        out.print(f"{'report':<10}{paths.report}", soft_wrap=True, markup=False)
    for candidate in candidates:
        out.print(f"{'weights':<10}{candidate.folder / 'best.pt'}", soft_wrap=True, markup=False)


class CandidateMaker:
    """Makes candidates that are trained on the same terms."""

    def __init__(
        self, settings: StudySettings, data: ImageData, space: Space, recipe: Recipe
    ) -> None:
        self.settings, self.data, self.space, self.recipe = settings, data, space, recipe
        self.folder = StudyPaths(settings.folder).retrained

    def of_space(self, chosen: SelectedArch) -> Candidate:
        """An architecture of the study's space."""
        definition = {
            "network": chosen.arch,
            "space": self.settings.space,
            "space_options": self.settings.space_options,
            **self._terms(),
        }
        return Candidate(
            label=chosen.label,
            network=chosen.arch,
            is_baseline=False,
            build=lambda: self.space.network(chosen.arch),
            cost=self.space.cost(chosen.arch),
            definition=definition,
            folder=training_folder(self.folder, "network", definition),
            trials=chosen.trials,
            score=chosen.score,
        )

    def of_baseline(self, name: str) -> Candidate:
        """A network of torchvision. Raises InputError."""
        classes, size = len(self.data.classes), self.data.image_size
        definition = {"network": name, "space": "torchvision", **self._terms()}

        def build() -> nn.Module:
            return build_baseline(name, classes, size)

        with torch.random.fork_rng(devices=[]):
            cost = baseline_cost(build(), size)
        folder = training_folder(self.folder, name, definition)
        return Candidate(name, name, True, build, cost, definition, folder)

    def _terms(self) -> dict[str, object]:
        return {
            "dataset fingerprint": self.data.fingerprint,
            "image_size": self.data.image_size,
            "seed": self.settings.seed,
            **self.recipe.model_dump(),
            "version": VERSION,
        }
