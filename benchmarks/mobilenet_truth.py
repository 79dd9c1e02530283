"""A table of trained MobileNets, to see how well scores rank in the space of the main job.

    python benchmarks/mobilenet_truth.py --dataset FOLDER

Random networks, networks evenly spaced in their multiply–adds, and networks of the front of a
study, which is searched first, train from scratch with one recipe. With three seeds train ten of
the random ones, the smallest of the front, and random ones of the same cost: is a small network
with a high score better than chance? Kill it and run it again at will; two processes with the same
command share the work. Then:

    python main.py rank --study small --runs runs/truth --column test_accuracy \
        --table benchmarks/data/mobilenet-truth.csv
"""

import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from statistics import fmean, variance
from typing import Annotated, NamedTuple

import typer
from ground_truth import Dataset
from scipy.stats import kendalltau
from small_mobilenets import RECIPE, Runs, Trainings, columns, searched_study, write_table

from app.exit_status import run_command
from app.interrupt import stop_between_steps
from app.pareto import pareto_front
from app.retraining.trainer import Trainer
from app.sampling import Repair, draw, steer, stratified
from app.trained import Result, read_results
from spaces import Space

RANDOM, STRATIFIED, FRONT = 30, 15, 15
SMALLEST, TOLERANCE = 3, 1.05
NOISE_NETWORKS, NOISE_SEEDS = 10, (1, 2)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Job(NamedTuple):
    """A network to train, where it is from, and the seed of its training."""

    group: str
    arch: str
    seed: int = 0


@app.command()
def main(
    dataset: Dataset,
    runs: Runs = Path("runs/truth"),
    device: str = "auto",
    show: Annotated[bool, typer.Option("--show", help="Train nothing.")] = False,
) -> None:
    """Train each network that has no result yet, and write the table after each."""
    trainings = Trainings(searched_study(dataset, runs, device))
    trainer = trainings.trainer(0)
    front = [row.arch for row in pareto_front(trainer.rows)]
    listed = smallest(trainer.space, front) + jobs(trainer.space, front)
    groups: dict[tuple[str, int], str] = {}
    for job in listed:
        groups.setdefault((job.arch, job.seed), job.group)  # a network is in one group
    with stop_between_steps() as check:
        for number, (arch, seed) in enumerate([] if show else groups, 1):
            print(f"{number}/{len(groups)} {arch}", flush=True)
            trainings.train(trainings.candidate(arch, seed), check)
            table(trainer, groups)
    print(summary(table(trainer, groups)))


def table(trainer: Trainer, groups: dict[tuple[str, int], str]) -> list[tuple[str, Result]]:
    """Write all trainings of the study's networks, those of the acid test too; returns them."""
    found = read_results(trainer.paths.retrained, trainer.definition)
    results = [
        (groups.get((result.network, result.seed), "acid test"), result)
        for result in found
        if not result.is_baseline and result.recipe == RECIPE
    ]
    rows = [
        {"group": group} | columns(result, trainer.config) | {"curve": curve(result)}
        for group, result in results
    ]
    write_table("mobilenet-truth.csv", rows)
    return results


def curve(result: Result) -> str:
    """Validation accuracy after each epoch, in percent."""
    return " ".join(f"{100 * epoch['validation_accuracy']:.2f}" for epoch in result.history)


def summary(results: list[tuple[str, Result]]) -> str:
    """The groups, the noise between seeds, and how early an epoch ranks as the end does."""
    lines, groups = [], defaultdict(list)
    by_network: dict[str, list[float]] = defaultdict(list)
    for group, result in results:
        groups[group].append(result)
        by_network[result.network].append(100 * result.test_accuracy)
    for group, found in groups.items():
        accuracy = fmean(100 * result.test_accuracy for result in found)
        flops = fmean(result.flops / 1e6 for result in found)
        lines.append(f"{group:<12}{len(found):>4} trainings  {flops:6.2f} M  {accuracy:6.2f} %")
    variances = [variance(values) for values in by_network.values() if len(values) > 1]
    if variances:
        lines.append(f"standard deviation between seeds: {fmean(variances) ** 0.5:.2f} points")
    by_seed = sorted(results, key=lambda pair: -pair[1].seed)
    first = list({result.network: result for _, result in by_seed}.values())
    final = [result.test_accuracy for result in first]
    for epoch in range(RECIPE.epochs):
        early = [result.history[epoch]["validation_accuracy"] for result in first]
        tau = kendalltau(early, final).statistic
        lines.append(f"epoch {epoch + 1}: Kendall tau of validation and final test {tau:.3f}")
    return "\n".join(lines)


def smallest(space: Space, front: list[str]) -> list[Job]:
    """The cheapest of the front, and a random network at the cost of each."""
    repair, rng, found = Repair(space), Random("smallest"), []
    for arch in front[:SMALLEST]:
        cost = space.cost(arch).macs
        _, other = steer(repair, draw(space, rng), rng, cost / TOLERANCE, cost * TOLERANCE)
        found += [("smallest", arch), ("as small", other)]
    return [Job(*each, seed) for seed in (0, *NOISE_SEEDS) for each in found]


def jobs(space: Space, front: list[str]) -> list[Job]:
    """The networks, the groups in turn, so that a part of the table is a fair one."""
    rng = Random("truth")
    places = [round(i * (len(front) - 1) / (FRONT - 1)) for i in range(FRONT)]
    groups = {
        "random": [draw(space, rng)[1] for _ in range(RANDOM)],
        "stratified": [arch for _, arch in stratified(Repair(space), STRATIFIED, rng)],
        "front": [front[place] for place in dict.fromkeys(places)],
    }
    ordered = [
        ((place + 0.5) / len(archs), Job(group, arch))
        for group, archs in groups.items()
        for place, arch in enumerate(archs)
    ]
    noise = [
        Job("random", arch, seed)
        for seed in NOISE_SEEDS
        for arch in groups["random"][:NOISE_NETWORKS]
    ]
    return [job for _, job in sorted(ordered)] + noise


if __name__ == "__main__":
    sys.exit(run_command(app))
