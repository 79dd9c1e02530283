"""Which weights an architecture is exported with: its own, or what the supernet has for it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from app.data import ImageData
from app.paths import StudyPaths
from app.retrain.candidate import load_best
from app.retrain.result import Result, best_of, read_results
from app.retrain.training import accuracy
from app.search.study import check_definition
from app.settings import StudySettings
from app.supernet.checkpoint import load_or_refuse
from app.workbench import create_space, study_definition, supernet_definition
from spaces import BatchNormMode, Cost, Space

CALIBRATION = 2000
BATCH = 250


@dataclass(frozen=True)
class Weighted:
    """A network with weights, on the CPU in evaluation mode, and where they are from."""

    network: nn.Module
    cost: Cost
    test_accuracy: float
    weights_from: str
    retrained: Result | None
    supernet_steps: int | None = None
    """That the supernet was trained for so far, if it is its weights."""


def weighted_network(
    settings: StudySettings, paths: StudyPaths, data: ImageData, space: Space, arch: str
) -> Weighted | None:
    """`arch` with the best weights there are; None if there is neither a training nor a supernet.

    Of several trainings the one with the highest validation accuracy is taken.
    """
    results = read_results(paths.retrained, study_definition(settings, data))
    result = best_of(results, arch)
    if result is not None:
        network = space.network(arch)
        network.load_state_dict(load_best(result.folder))
        cost = Cost(result.flops, result.params)
        return Weighted(network.eval(), cost, result.test_accuracy, "retraining", result)
    if not paths.supernet.exists():
        return None
    small = create_space(settings, data, settings.supernet_space_options)
    network, steps = _from_supernet(settings, paths, data, small, arch)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    right = accuracy(network, data, data.test.pixels, data.test.labels)
    cost = Cost(small.cost(arch).macs, parameters)
    return Weighted(network, cost, right, "supernet", None, steps)


def _from_supernet(
    settings: StudySettings, paths: StudyPaths, data: ImageData, space: Space, arch: str
) -> tuple[nn.Module, int]:
    """The sub-network of the supernet, its BatchNorm given statistics of training images.

    With how many steps the supernet was trained for.
    """
    bn_mode = BatchNormMode(settings.batchnorm)
    supernet = space.supernet(bn_mode)
    state = load_or_refuse(paths.supernet)
    definition = supernet_definition(settings, data)
    check_definition(state["definition"], definition, f"the supernet '{paths.supernet}'")
    supernet.load_state_dict(state["supernet"])
    network = space.network(arch, bn_mode)
    network.load_state_dict(supernet.subnet_state_dict(arch))
    pixels = data.train.pixels
    step = max(1, len(pixels) // CALIBRATION)  # a folder's pictures are sorted by class
    spread = pixels[::step]
    order = torch.randperm(len(spread), generator=torch.Generator().manual_seed(settings.seed))
    # equal batches, as each weighs alike: the rest of a division may be a single image
    chunks = torch.tensor_split(order, math.ceil(len(order) / BATCH))
    batches = (data.normalise(spread[chunk]) for chunk in chunks)
    set_statistics(network, batches)
    return network.eval(), state["step"]


@torch.no_grad()
def set_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give BatchNorm that always used its batch's statistics the mean of those of `batches`.

    Evaluated one image at a time, the network then computes about what it did on batches.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats, norm.momentum = True, None  # None averages equally
        norm.register_buffer("running_mean", torch.zeros(norm.num_features))
        norm.register_buffer("running_var", torch.ones(norm.num_features))
        norm.register_buffer("num_batches_tracked", torch.tensor(0))
    network.train()
    for images in batches:
        network(images)
