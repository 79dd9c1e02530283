"""How many trials on NAS-Bench-101 each sampler wastes: choices that make no cell, or a known one.

    python benchmarks/infeasible_share.py

Uniform draws seldom break the limit of nine edges, but a sampler that learns may be led to where
they do. Asked and told as in `app/search/loop.py`, with the preset's settings, except that trials
live in memory, that infeasible ones count, and that no reference sample is known beforehand.
Here `nsga2` is Optuna's: our own, which the program searches with, makes no trial of such choices.

The score is a stand-in that needs no training, so that thousands of trials take minutes: the sum
of a random weight for each choice that the architecture's own encoding makes. Like a real score it
is a function of the architecture, not of the way it was spelled, and can be learned from earlier
trials, so the samplers converge; and as its weights change with the seed, nothing depends on one
landscape. What it cannot show is where a real score would lead them.
"""

import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated

import optuna
import torch
import typer
from optuna.trial import TrialState

sys.path.insert(0, str(Path(__file__).parents[1]))  # Python puts only this script's folder there

from app.cli import run_command
from app.console import progress_bar
from app.device import device_name
from app.search.samplers import SAMPLERS, check_sampler, create_sampler
from app.search.study import DIRECTIONS
from app.settings import SearchSettings, load_settings
from spaces import InfeasibleError, Space
from spaces.nasbench101 import NASBench101

STUDY = "nasbench101"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def infeasible_share(
    samplers: Annotated[str, typer.Option(help="Names with commas between.")] = ",".join(SAMPLERS),
    trials: Annotated[int, typer.Option(min=1, help="Trials of each search.")] = 1000,
    gp_trials: Annotated[int, typer.Option(min=1, help="Of gp, which is slow.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each sampler.")] = 3,
) -> None:
    """Print the shares of trials that are infeasible, and that repeat an architecture."""
    names = list(dict.fromkeys(name.strip() for name in samplers.split(",")))
    for name in names:
        check_sampler(name)
    space = NASBench101()
    lines = ["| sampler | trials | infeasible | repeated |", "| --- | ---: | ---: | ---: |"]
    for name in names:
        settings = load_settings(STUDY, {"search.sampler": name}).search
        total = min(trials, gp_trials) if name == "gp" else trials
        with progress_bar(name, total * seeds) as advance:
            found = [shares(space, settings, total, seed, advance) for seed in range(seeds)]
        infeasible, repeated = (_shown(values) for values in zip(*found, strict=True))
        lines.append(f"| {name} | {seeds} × {total} | {infeasible} | {repeated} |")
    print(*lines, sep="\n")
    print("\nMean of the seeds [least, greatest], in % of all trials.")
    print(f"NSGA with a population of {settings.population}.")
    hardware = f"{platform.system()} {platform.machine()}, {device_name(torch.device('cpu'))}"
    print(f"{hardware}; Python {platform.python_version()}, Optuna {version('optuna')}.")


def shares(
    space: Space, settings: SearchSettings, total: int, seed: int, advance: Callable[[], None]
) -> tuple[float, float]:
    """Which parts of `total` trials are infeasible, and propose an architecture seen before."""
    sampler = create_sampler(settings, seed, trials_so_far=0)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    choices = space.distributions()
    score = stand_in_score(space, seed)
    seen: set[str] = set()
    infeasible = 0
    for _ in range(total):
        trial = study.ask(dict(choices))
        try:
            arch = space.decode(trial.params)
        except InfeasibleError:
            infeasible += 1
            study.tell(trial, state=TrialState.FAIL)
        else:
            seen.add(arch)
            study.tell(trial, [score(arch), space.cost(arch).macs])
        advance()
    return infeasible / total, (total - infeasible - len(seen)) / total


def stand_in_score(space: Space, seed: int) -> Callable[[str], float]:
    """A random linear function of an architecture's choices, one-hot."""
    rng = Random(f"stand-in score {seed}")
    weights = {
        (name, choice): rng.gauss(0, 1)
        for name, distribution in space.distributions().items()
        for choice in distribution.choices
    }
    return lambda arch: sum(weights[item] for item in space.encode(arch).items())


def _shown(values: tuple[float, ...]) -> str:
    mean, least, greatest = (100 * value for value in (fmean(values), min(values), max(values)))
    return f"{mean:.2f} [{least:.1f}, {greatest:.1f}]"


if __name__ == "__main__":
    sys.exit(run_command(app))
