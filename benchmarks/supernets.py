"""Makes the supernet of a study for the benchmarks of speed. Nothing to run."""

from pathlib import Path

import results  # noqa: F401  (makes the program's packages importable)
import torch

import spaces
from app.data import load
from app.settings import StudySettings
from app.supernet.training import SupernetTraining
from spaces import BatchNormMode


def supernet_training(settings: StudySettings, device: torch.device) -> SupernetTraining:
    """The unbiased supernet of a study, seed 0."""
    data = load(
        settings.dataset,
        image_size=settings.image_size,
        data_dir=settings.data_dir,
        device=device,
        cache_dir=Path("runs"),
    )
    options = settings.supernet_space_options
    space = spaces.create(settings.space, len(data.classes), data.image_size, options)
    supernet = settings.supernet
    return SupernetTraining(space, BatchNormMode.UNBIASED, data, supernet, 0, device)
