"""Measure how much of the best front our NSGA-II finds in so many trials, against Optuna's.

    python benchmarks/search_quality.py --table nasbench201-dev.csv

Accuracy ↑ against multiply–adds ↓ on NAS-Bench-201. The table holds some of the 15,625 cells; the
others get the accuracy that a forest of regression trees, fitted to the table, predicts from their
six operations. The figure is the hypervolume of the front found, up to the largest network and the
median accuracy, as a share of the hypervolume of the front of all cells: mean and standard error
over seeds. *New* is the share of trials that repeat no architecture. Both samplers ask and tell in
memory, with the same population; ours repairs what exceeds --max-flops, Optuna's is told of it.
"""

import csv
import sys
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

import numpy as np
import optuna
import typer
from common import environment
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, NSGAIISampler
from sklearn.ensemble import ExtraTreesRegressor

import spaces
from app.cli import run_command
from app.config import SearchConfig
from app.errors import InputError
from app.samplers import create_sampler
from app.sampling import Repair
from app.study import directions

app = typer.Typer(add_completion=False)


def all_cells(table: Path, column: str) -> dict[str, tuple[float, float]]:
    """Accuracy and multiply–adds of every cell, as in the table or as predicted from it."""
    space = spaces.create("nasbench201", 10, 32, {})
    try:
        with table.open(encoding="utf-8", newline="") as file:
            known = {row["arch"]: float(row[column]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"cannot read '{column}' of '{table}': {error}") from None
    names, choices = list(space.choices), [d.choices for d in space.choices.values()]
    archs = [space.decode(dict(zip(names, c, strict=True))) for c in product(*choices)]

    def features(arch: str) -> list[bool]:
        chosen = space.encode(arch)
        return [chosen[n] == c for n, cs in zip(names, choices, strict=True) for c in cs]

    forest = ExtraTreesRegressor(300, random_state=0)
    forest.fit([features(arch) for arch in known], list(known.values()))
    predicted = dict(zip(archs, forest.predict([features(a) for a in archs]), strict=True))
    accuracies = predicted | known
    return {arch: (accuracies[arch], float(space.cost(arch).macs)) for arch in archs}


def hypervolume(points: NDArray[Any], worst: NDArray[Any]) -> float:
    """Area between the front of points (accuracy, cost) and the worst of both."""
    area, best = 0.0, worst[0]
    for accuracy, cost in points[np.lexsort((-points[:, 0], points[:, 1]))]:
        if accuracy > best and cost < worst[1]:
            area += (accuracy - best) * (worst[1] - cost)
            best = accuracy
    return float(area)


@app.command()
def main(
    table: Annotated[Path, typer.Option(help="CSV file with a column 'arch'.")],
    column: str = "cifar10_test",
    trials: Annotated[str, typer.Option(help="Numbers with commas between.")] = "100,200,500,1000",
    population: Annotated[int, typer.Option(min=4)] = 32,
    max_flops: Annotated[float | None, typer.Option(help="A limit for both samplers.")] = None,
    seeds: Annotated[int, typer.Option(min=2)] = 10,
) -> None:
    """Measure and print shares of the best hypervolume."""
    space = spaces.create("nasbench201", 10, 32, {})
    cells = all_cells(table, column)
    limit = np.inf if max_flops is None else max_flops
    allowed = np.array([point for point in cells.values() if point[1] <= limit])
    worst = np.array([np.median(allowed[:, 0]), allowed[:, 1].max()])
    whole = hypervolume(allowed, worst)
    counts = sorted(int(count) for count in trials.split(","))
    config = SearchConfig(population=population, max_flops=max_flops)

    def shares(sampler: BaseSampler) -> list[float]:
        study = optuna.create_study(directions=directions(["flops"]), sampler=sampler)
        archs: list[str] = []
        for _ in range(counts[-1]):
            trial = study.ask(dict(space.choices))
            archs.append(space.decode(trial.params))
            accuracy, cost = cells[archs[-1]]
            if max_flops is not None:
                trial.set_constraint("flops", cost - limit)
            study.tell(trial, [accuracy, cost])
        found = np.array([cells[arch] for arch in archs])
        found[found[:, 1] > limit] = worst
        volumes = [hypervolume(found[:count], worst) / whole for count in counts]
        return [*volumes, len(set(archs)) / len(archs)]

    def plain(seed: int) -> BaseSampler:
        return NSGAIISampler(population_size=population, seed=seed)

    def ours(seed: int) -> BaseSampler:
        return create_sampler(config, Repair(space, config), seed)

    header = [*(f"{count} trials" for count in counts), "new"]
    print(f"{'hypervolume found, of all':<28}{''.join(f'{title:>18}' for title in header)}")
    for name, make in (("plain NSGA-II", plain), ("ours", ours)):
        results = [shares(make(seed)) for seed in range(seeds)]
        cols = [
            f"{fmean(column):.4f} ± {stdev(column) / seeds**0.5:.4f}"
            for column in zip(*results, strict=True)
        ]
        print(f"{name:<28}{''.join(f'{cell:>18}' for cell in cols)}", flush=True)
    print(f"{seeds} seeds from 0, population {population}; {table.name}, {column}; {environment()}")


if __name__ == "__main__":
    sys.exit(run_command(app))
