"""What `retrain` and `select` share: networks of a study, trained on the same terms, reported."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from optuna.study import Study
from torch import nn

from app import locks
from app.config import StudyConfig
from app.console import notice, out, plural, printable
from app.context import check_names, open_data
from app.dashboard import publish
from app.data import describe_split
from app.definition import FINGERPRINT, study_definition
from app.device import device_name, pick_device
from app.errors import InputError
from app.pareto import completed_rows
from app.paths import StudyPaths
from app.report.data import ReportData
from app.report.files import write_reports
from app.retraining.baselines import build_baseline
from app.retraining.candidate import (
    TORCHVISION,
    Candidate,
    training_folder,
    training_terms,
)
from app.retraining.choice import SelectedArch
from app.retraining.comparison import comparison_table, write_comparison
from app.retraining.training import validation_split
from app.retraining.trials import TrainingTrials
from app.storage import open_existing
from app.study import find_study
from app.trained import Recipe, full_recipe, read_results


class Trainer:
    """A study, and the terms on which its networks are trained; `seed` is that of the trainings.

    Raises InputError for bad input; nothing is written.
    """

    def __init__(self, config: StudyConfig, recipe: Recipe, seed: int) -> None:
        check_names(config)
        self.config, self.recipe, self.seed = config, recipe, seed
        self.device = pick_device(config.device)
        self.paths = StudyPaths(config.folder)
        self.data, self.space = open_data(config, self.paths, self.device, search=False)
        self.terms = self.data, recipe, seed, self.device
        """What all trainings share: the arguments of NetworkTraining after the network."""
        self.training_definition = training_terms(self.data, recipe, seed)
        self.split = validation_split(self.data, recipe)
        self.storage = open_existing(config.storage_url, write=True)
        self.definition = study_definition(config, self.data)
        study = self.storage and find_study(self.storage, config.name, self.definition)
        self.rows = completed_rows(study) if study else []

    def candidates(
        self, chosen: Sequence[SelectedArch], baselines: Sequence[str] = ()
    ) -> list[Candidate]:
        """The networks to train. Raises InputError for a bad baseline."""

        def make(label: str, build: Callable[[], nn.Module], **own: Any) -> Candidate:
            definition = own | self.training_definition
            folder = training_folder(self.paths.retrained, definition)
            return Candidate(label, build, definition, folder)

        names = ("space", "space_options", FINGERPRINT)
        origin = {name: self.definition[name] for name in names}
        candidates = [
            make(one.label, partial(self.space.network, one.arch), network=one.arch, **origin)
            for one in chosen
        ]
        for name in dict.fromkeys(baselines):
            build = partial(build_baseline, name, len(self.data.classes), self.data.image_size)
            with torch.random.fork_rng(devices=[]):
                build()  # refuses what cannot be built before anything is trained
            candidates.append(make(name, build, network=name, space=TORCHVISION))
        return candidates

    def begin(
        self, command: str, candidates: Sequence[Candidate], selection: str = ""
    ) -> TrainingTrials:
        """Say what is trained, and make or find its trials in the study `NAME COMMAND`."""
        kept, source, validation = self.split
        trained, validated = self.data.train.labels[kept], source.labels[validation]
        held_out = self.data.val is None
        split = describe_split(trained.tolist(), validated.tolist(), is_held_out=held_out)
        out.print(
            f"Training {plural(len(candidates), 'network')} from "
            f"{self.recipe.init or 'scratch'} on {printable(self.config.dataset)}: "
            f"{plural(self.recipe.epochs, 'epoch')} of batches of {self.recipe.batch_size}, "
            f"{split}, {len(self.data.test)} test images, {device_name(self.device)}"
        )
        name = f"{self.config.name} {command}"
        with locks.preparing(self.config.storage_url, name):
            return TrainingTrials(self.storage, name, candidates, self.recipe.criterion, selection)

    def report(self) -> None:
        """Compare all results of this recipe, and write the report again."""
        with locks.writing(self.paths.retrained):
            results = read_results(self.paths.retrained, self.definition)
            recipe = full_recipe(self.recipe, self.training_definition)
            if alike := [result for result in results if result.full_recipe == recipe]:
                write_comparison(self.paths.comparison, results, self.rows)
                out.print(comparison_table(alike, self.rows), soft_wrap=False)
                out.print(f"{'table':<10}{self.paths.comparison}")
            # the study may be deleted by now
            study = self.storage and find_study(self.storage, self.config.name)
            if study and self.paths.supernet.exists() and self.paths.reference.exists():
                self._report(study)
        if self.paths.report.exists():
            out.print(f"{'report':<10}{self.paths.report}")

    def _report(self, study: Study) -> None:
        terms = self.definition, self.space, device_name(self.device)
        try:
            report = ReportData.gather(self.config, self.paths, study, *terms)
        except InputError as error:  # a supernet or a sample that is damaged
            notice(f"The report stays as it was: {error}")
            return
        write_reports(self.paths, report)
        publish(study, report)
