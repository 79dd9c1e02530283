"""A table of trained MobileNets, to see how well scores rank in the space of the main job.

    python benchmarks/mobilenet_truth.py --dataset FOLDER

Random networks, networks evenly spaced in their multiply–adds, and networks of the front of the
study `truth` in `--runs`, once there is one (the command below makes it), train from scratch with
one recipe; ten of them with three seeds. Trainings resume and finished ones are read, so kill it
and run it again at will; two processes with the same command share the work.

    python main.py --study mobilenet --study-name truth --dataset FOLDER --runs runs/truth \
        --image-size 16 --set space_options.width=0.35 --set score.images=64 --trials 300
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import torch
import typer
from common import environment
from filelock import FileLock, Timeout
from ground_truth import Dataset

from app.atomic import csv_text, write_text
from app.config import StudyConfig
from app.context import open_data
from app.data import ImageData
from app.data.dataset import Split
from app.device import pick_device
from app.exit_status import run_command
from app.interrupt import stop_between_steps
from app.pareto import completed_rows, pareto_front
from app.paths import StudyPaths
from app.retraining.candidate import Candidate, train_candidate, training_folder
from app.sampling import Repair, draw, stratified
from app.storage import open_existing
from app.study import find_study
from app.study_file import load_config
from app.trained import Recipe, Result, read_result
from spaces import Space

RECIPE = Recipe(epochs=6, batch_size=64)
WIDTH, IMAGE_SIZE, IMAGES_PER_CLASS = 0.35, 16, 1000
RANDOM, STRATIFIED, FRONT = 30, 15, 15
NOISE_NETWORKS, NOISE_SEEDS = 10, (1, 2)
TABLE = Path(__file__).parent / "data" / "mobilenet-truth.csv"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Job(NamedTuple):
    """A network to train, where it is from, and the seed of its training."""

    group: str
    arch: str
    seed: int = 0


@app.command()
def main(
    dataset: Dataset,
    runs: Annotated[Path, typer.Option(help="Folder of study and trainings.")] = Path("runs/truth"),
    device: str = "auto",
) -> None:
    """Train each network that has no result yet, and write the table after each."""
    config = load_config(
        "mobilenet",
        {
            "name": "truth",
            "runs": runs,
            "dataset": dataset,
            "image_size": IMAGE_SIZE,
            "space_options.width": WIDTH,
            "device": device,
        },
    )
    chip = pick_device(config.device)
    data, space = open_data(config, StudyPaths(config.folder), chip)
    data = fewer_images(data)
    todo = [(job, candidate(job, space, data, config.folder)) for job in jobs(config, space)]
    with stop_between_steps() as check:
        for number, (job, one) in enumerate(todo, 1):
            one.folder.mkdir(parents=True, exist_ok=True)
            try:
                with FileLock(one.folder / "lock", blocking=False):
                    if read_result(one.folder) is None:
                        print(f"{number}/{len(todo)} {job.group} {job.arch}", flush=True)
                        train_candidate(one, data, RECIPE, job.seed, chip, check)
                        write_text(TABLE, table(todo))
            except Timeout:  # another process has it
                continue


def jobs(config: StudyConfig, space: Space) -> list[Job]:
    """The networks, the groups in turn, so that a part of the table is a fair one."""
    rng = Random("truth")
    groups = {
        "random": [draw(space, rng)[1] for _ in range(RANDOM)],
        "stratified": [arch for _, arch in stratified(Repair(space), STRATIFIED, rng)],
        "front": front(config),
    }
    places = [
        ((place + 0.5) / len(archs), Job(group, arch))
        for group, archs in groups.items()
        for place, arch in enumerate(archs)
    ]
    once = [job for _, job in sorted(places)]
    again = [
        Job("random", arch, seed)
        for seed in NOISE_SEEDS
        for arch in groups["random"][:NOISE_NETWORKS]
    ]
    return once + again


def front(config: StudyConfig) -> list[str]:
    """Networks of the study's front, evenly over their order of costs; none without a study."""
    storage = open_existing(config.storage_url, write=False)
    study = find_study(storage, config.name) if storage else None
    found = pareto_front(completed_rows(study)) if study else []
    count = min(FRONT, len(found))
    return [found[round(i * (len(found) - 1) / max(count - 1, 1))].arch for i in range(count)]


def fewer_images(data: ImageData) -> ImageData:
    """The first training images of each class, as many for all."""
    chosen = [torch.where(data.train.labels == c)[0] for c in range(len(data.classes))]
    kept = torch.cat([places[:IMAGES_PER_CLASS] for places in chosen])
    return replace(data, train=Split(data.train.pixels[kept], data.train.labels[kept]))


def candidate(job: Job, space: Space, data: ImageData, folder: Path) -> Candidate:
    """The training of a job, in a folder of its own."""
    definition = {
        "network": job.arch,
        "space": space.name,
        "space_options": {"width": WIDTH},
        "dataset fingerprint": data.fingerprint,
        "images per class": IMAGES_PER_CLASS,
        "image_size": data.image_size,
        "seed": job.seed,
        **RECIPE.model_dump(),
    }
    place = training_folder(folder / "truth", definition)
    return Candidate(job.group, partial(space.network, job.arch), definition, place)


def table(todo: list[tuple[Job, Candidate]]) -> str:
    """The finished trainings as CSV, each row with its recipe and hardware."""
    rows = [row(job, result) for job, one in todo if (result := read_result(one.folder))]
    return csv_text(rows[0], rows)


def row(job: Job, result: Result) -> dict[str, object]:
    """A finished training."""
    return {
        "arch": job.arch,
        "group": job.group,
        "seed": job.seed,
        "test_accuracy": f"{100 * result.test_accuracy:.2f}",
        "validation_accuracy": f"{100 * result.validation_accuracy:.2f}",
        "flops": result.flops,
        "params": result.params,
        "seconds": round(result.seconds),
        "width": WIDTH,
        "image_size": IMAGE_SIZE,
        "training_images": IMAGES_PER_CLASS * len(result.class_accuracy or {}),
        "recipe": " ".join(RECIPE.arguments()),
        "hardware": f"{result.hardware}; {environment()}",
    }


if __name__ == "__main__":
    sys.exit(run_command(app))
