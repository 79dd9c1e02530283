"""Does an accelerator compute what the CPU computes, and how much faster?

    python benchmarks/accelerator.py --dataset FOLDER

On both devices, from the same weights and batches: the scores of random architectures, some steps
of the supernet and some of a stand-alone network. Scores differ by rounding, which is told in
standard deviations of the measure over the architectures, and by Kendall tau of the composites.
"""

import sys
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean, median, pstdev
from typing import Annotated

import torch
import typer
from common import environment, seconds
from ground_truth import EVERYWHERE, Dataset, markdown_row, network_sizes
from scipy.stats import kendalltau

from app.config import StudyConfig
from app.context import create_space
from app.data import ImageData, load
from app.device import device_name, pick_device
from app.exit_status import run_command
from app.retraining.training import NetworkTraining
from app.scores import MEASURES
from app.scores.composite import Composite
from app.scores.probe import ProbeBatch
from app.scores.scorer import Scorer, Scores
from app.study_file import load_config
from app.supernet.training import SupernetTraining
from app.trained import Recipe
from spaces import BatchNormMode

SPACES = "mobilenet,mnasnet,nasbench201,nasbench101,darts,nasbenchmacro"
IMAGE_SIZE, DATA_DIR = 32, Path("data")
TIMES = ("scoring", "step", "training")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Place:
    """A device, and what it computed of a study."""

    def __init__(self, config: StudyConfig, data: ImageData, archs: int, steps: int) -> None:
        device = data.device
        space = create_space(config, data, config.space_options)
        small = create_space(config, data, config.supernet_space_options)
        mode = BatchNormMode(config.batchnorm)
        training = SupernetTraining(small, mode, data, config.supernet, config.seed, device)
        probe = ProbeBatch.draw(data, config.score.images, config.seed, device)
        rng = Random(config.seed)
        sample = [space.sample(rng) for _ in range(archs)]

        scorer = Scorer(space, training.supernet, probe)
        scorer.or_none(sample[0])  # warms up
        self.scores: list[Scores] = []
        self.scoring = median(
            seconds(lambda arch=arch: self.scores.append(scorer.or_none(arch)), device)  # type: ignore[misc]
            for arch in sample
        )
        losses: list[torch.Tensor] = []
        self.step = median(
            seconds(lambda: losses.append(training.step()), device) for _ in range(steps)
        )
        self.losses = [loss.item() for loss in losses]

        recipe = Recipe(epochs=1, batch_size=config.supernet.batch_size)
        build = partial(space.network, sample[0])
        network = NetworkTraining(build, data, recipe, config.seed, device)
        self.training = median(seconds(network.step, device) for _ in range(steps))


def score_differences(here: list[Scores], there: list[Scores]) -> tuple[float, float]:
    """The greatest difference of a measure, in standard deviations, and τ of the composites."""
    worst = 0.0
    for name in MEASURES:
        pairs = [(a[name], b[name]) for a, b in zip(here, there, strict=True)]
        if any((a is None) != (b is None) for a, b in pairs):
            return float("nan"), float("nan")
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        deviation = pstdev(a for a, _ in known)
        worst = max(worst, *(abs(a - b) / deviation for a, b in known))
    composite = Composite(here)
    tau = kendalltau([composite(s) for s in here], [composite(s) for s in there]).statistic
    return worst, tau


@app.command()
def main(
    dataset: Dataset,
    runs: Annotated[Path, typer.Option(help="Folder of decoded images.")] = Path("runs/device"),
    spaces: Annotated[str, typer.Option(help="Names with commas between.")] = SPACES,
    device: str = "auto",
    archs: Annotated[int, typer.Option(min=2, help="Random architectures to score.")] = 30,
    steps: Annotated[int, typer.Option(min=2, help="Of supernet and network.")] = 30,
    batch_size: Annotated[int, typer.Option(min=2)] = 64,
) -> None:
    """Compute on both, and print a row for each space."""
    place, cpu = pick_device(device), torch.device("cpu")
    images = [
        load(dataset, image_size=IMAGE_SIZE, data_dir=DATA_DIR, device=each, cache_dir=runs)
        for each in (place, cpu)
    ]
    header = ["space", "score differs by (SD)", "τ of composites", "loss differs by"]
    header += ["ms a score", "ms a supernet step", "ms a network's step", "peak MB"]
    print(markdown_row(header))
    print(markdown_row(["---"] + ["--:"] * (len(header) - 1)))
    for name in spaces.split(","):
        options = {"image_size": IMAGE_SIZE, "supernet.batch_size": batch_size}
        config = load_config(name, EVERYWHERE | network_sizes(name) | options)
        if place.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        there, here = (Place(config, each, archs, steps) for each in images)
        peak = torch.cuda.max_memory_allocated() / 1e6 if place.type == "cuda" else float("nan")
        worst, tau = score_differences(here.scores, there.scores)
        apart = fmean(abs(a - b) for a, b in zip(here.losses, there.losses, strict=True))
        times = [(1e3 * getattr(there, what), 1e3 * getattr(here, what)) for what in TIMES]
        cells = [name, f"{worst:.2g}", f"{tau:.4f}", f"{apart:.2g}"]
        cells += ["{:.3g} : {:.3g}".format(*pair) for pair in times]
        print(markdown_row([*cells, f"{peak:.0f}"]), flush=True)
    print(
        f"\n{device_name(place)} : {device_name(cpu)}, batch {batch_size}, seed 0; {environment()}"
    )


if __name__ == "__main__":
    sys.exit(run_command(app))
