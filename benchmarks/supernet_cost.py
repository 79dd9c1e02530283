"""Compare the training that our supernet and a conventional one need to rank equally well.

    python benchmarks/supernet_cost.py --tables DIR --dataset FOLDER

The conventional supernet trains all parameters by single-path uniform sampling and ranks by
one-shot accuracy on held-out images (arXiv 1904.00420). Ours trains BatchNorm only, for a few
steps or none, and ranks by the composite. Both rank the same random rows of NAS-Bench-201 on
supernets of the same size.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated, Any

import torch
import typer
from common import environment, write_results
from ground_truth import BENCHMARKS, EVERYWHERE, table_path
from one_shot import one_shot
from torch import nn
from torch.nn import functional as F

from app.config import StudyConfig
from app.console import progress_bar
from app.context import create_space, open_data
from app.data import BatchStream, ImageData
from app.device import device_name, memory_format, pick_device
from app.exit_status import run_command
from app.paths import StudyPaths
from app.rank.statistics import Ranker
from app.rank.table import canonical, read_table
from app.rank.table import sample as random_rows
from app.scores.composite import Composite
from app.scores.probe import ProbeBatch
from app.scores.reference import sample_architectures
from app.scores.scorer import Scorer
from app.study_file import load_config
from app.supernet.training import SupernetTraining
from spaces import BatchNormMode, Space

SPACE = "nasbench201"
HELD_OUT = 500
"""Images for one-shot accuracy, in batches of the training's size."""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    tables: Annotated[Path, typer.Option(help="Folder of nasbench201-dev.csv.")],
    dataset: Annotated[str, typer.Option(help="CIFAR-10: a name or an image folder.")],
    sample: Annotated[int, typer.Option(min=20, help="Number of random rows of the table.")] = 150,
    steps: Annotated[int, typer.Option(min=4, help="Steps of the conventional supernet.")] = 2000,
    our_steps: Annotated[str, typer.Option(help="Steps of ours, with commas between.")] = "0,200",
    seed: int = 0,
    runs: Annotated[Path, typer.Option(help="Folder of decoded images.")] = Path("runs/cost"),
    json: Annotated[Path | None, typer.Option(help="Write the figures there.")] = None,
) -> None:
    """Rank by both after several lengths of training."""
    options = EVERYWHERE | BENCHMARKS[SPACE].options
    place = {"dataset": dataset, "runs": runs, "seed": seed}
    config = load_config(SPACE, options | place)
    device = pick_device(config.device)
    paths = StudyPaths(config.folder)
    paths.folder.mkdir(parents=True, exist_ok=True)
    data, space = open_data(config, paths, device)
    rows = read_table(table_path(tables, SPACE), BENCHMARKS[SPACE].column)
    rows = random_rows(canonical(rows, space), sample, seed)
    archs = [row.arch for row in rows]
    macs = [space.cost(arch).macs for arch in archs]
    ranker = Ranker([row.accuracy for row in rows], macs, seed)

    found: list[dict[str, Any]] = []

    def report(who: str, count: int, spent: float, values: list[float | None]) -> None:
        ranking = ranker(values)
        line = {"ranks by": who, "steps": count, "seconds of training": spent}
        line |= {name: ranking[name] for name in ("tau", "tau_within_flops")}
        found.append(line)
        print(
            "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{v}" for k, v in line.items())
        )

    for count in map(int, our_steps.split(",")):
        spent, scores = ours(config, data, space, archs, count, device)
        report("composite", count, spent, scores)
    for count, spent, correct in conventional(config, data, archs, steps, device):
        report("one-shot accuracy", count, spent, correct)
    print(f"{len(archs)} rows, seed {seed}, {device_name(device)}; {environment()}")
    write_results(found, json)


def ours(
    config: StudyConfig,
    data: ImageData,
    space: Space,
    archs: list[str],
    steps: int,
    device: torch.device,
) -> tuple[float, list[float | None]]:
    """Train ours; return the seconds it took and the composite of each architecture."""
    small = create_space(config, data, config.supernet_space_options)
    recipe = config.supernet.model_copy(update={"steps": steps})
    training = SupernetTraining(small, BatchNormMode.UNBIASED, data, recipe, config.seed, device)
    begun = time.monotonic()
    with progress_bar("BatchNorm only", steps) as advance:
        while not training.finished:
            training.step()
            advance()
    spent = time.monotonic() - begun
    probe = ProbeBatch.draw(data, config.score.images, config.seed, device)
    scorer = Scorer(space, training.supernet, probe)
    sample = sample_architectures(space, config.score.reference, config.seed)
    composite = Composite([scorer.or_none(arch) for arch in sample])
    with progress_bar("Scores", len(archs)) as advance:
        values: list[float | None] = []
        for arch in archs:
            values.append(composite(scorer.or_none(arch)))
            advance()
    return spent, values


def conventional(
    config: StudyConfig,
    data: ImageData,
    archs: list[str],
    steps: int,
    device: torch.device,
) -> Iterator[tuple[int, float, list[float | None]]]:
    """Yield steps, seconds and one-shot accuracies after each quarter of the training."""
    space = create_space(config, data, config.supernet_space_options)
    torch.manual_seed(config.seed)
    supernet = (
        space.supernet(BatchNormMode.BIASED).to(device).to(memory_format=memory_format(device))
    )
    supernet.requires_grad_(True)
    # as in arXiv 1904.00420, with a learning rate for batches of 64
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.05, momentum=0.9, weight_decay=4e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    stream = BatchStream(data, config.supernet.batch_size, config.seed, True, device)
    paths = Random(config.seed)
    spent = 0.0
    with progress_bar("All parameters", steps) as advance:
        for step in range(1, steps + 1):
            begun = time.monotonic()
            images, labels = stream.next_batch()
            loss = F.cross_entropy(supernet(images, space.sample(paths)), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(supernet.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            spent += time.monotonic() - begun
            advance()
            if step % (steps // 4) == 0:
                found = one_shot(supernet, data, archs, config.supernet.batch_size, HELD_OUT)
                yield step, spent, [accuracy for accuracy, _ in found]


if __name__ == "__main__":
    sys.exit(run_command(app))
