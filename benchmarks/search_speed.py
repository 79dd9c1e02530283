"""How many trials a second reach SQLite, against plain Optuna in the same run.

Objectives cost nothing here: the sum of the chosen candidates' numbers, to be maximised, and the
multiply–adds of the MobileNet space with its 21 choices, to be minimised. What is measured is all
else: proposals, look-ups, and commits.

*Plain* is `study.optimize` with Optuna's NSGA-II on SQLite as SQLite comes; *plain_wal* the same
with a write-ahead log and fewer flushes (`synchronous = NORMAL`). Ours is the search loop as the
program runs it, each commit flushed. A run makes a new database for each; the figures are the
medians over the runs.

    python benchmarks/search_speed.py --json search_speed.json
"""

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import optuna
import typer
from optuna.storages import BaseStorage
from optuna.trial import Trial, TrialState
from results import write_results

import spaces
from app.cli import run_command
from app.search.commit import GroupCommit
from app.search.loop import Batches, Search
from app.search.outcome import TrialResult
from app.search.proposals import create_proposals
from app.search.storage import open_engine, open_storage
from app.search.study import DIRECTIONS
from app.search.tables import read_tables
from app.settings import SearchSettings, database_url
from spaces import Space

app = typer.Typer(add_completion=False)

WINDOW = 1000
"""Rates at a number of trials are those of so many trials up to it."""


def free_objective(space: Space) -> Callable[[dict[str, Any]], TrialResult]:
    """Values of choices from look-ups alone, with as many attributes as a scored trial has."""
    numbers = {
        name: {choice: i for i, choice in enumerate(d.choices)}
        for name, d in space.distributions().items()
    }

    def assess(params: dict[str, Any]) -> TrialResult:
        arch = space.decode(params)
        cost = space.cost(arch)
        score = float(sum(numbers[name][choice] for name, choice in params.items()))
        scores = {f"score {i}": score / (1 + i) for i in range(9)}
        user_attrs = {"arch": arch, **scores, "flops": cost.macs, "params": cost.params}
        return TrialResult(TrialState.COMPLETE, [score, float(cost.macs)], user_attrs)

    return assess


def plain_rate(
    storage: str | BaseStorage, space: Space, settings: SearchSettings, seed: int
) -> float:
    """Trials a second of `study.optimize`."""
    assess = free_objective(space)
    choices = space.distributions()

    def objective(trial: Trial) -> list[float]:
        for name, choice in choices.items():
            trial.suggest_categorical(name, choice.choices)
        outcome = assess(trial.params)
        for key, value in outcome.user_attrs.items():
            trial.set_user_attr(key, value)
        return outcome.values or []

    study = optuna.create_study(
        storage=storage,
        directions=DIRECTIONS,
        sampler=optuna.samplers.NSGAIISampler(population_size=settings.population, seed=seed),
    )
    begun = time.perf_counter()
    study.optimize(objective, n_trials=settings.trials)
    return settings.trials / (time.perf_counter() - begun)


def our_times(
    folder: Path, space: Space, settings: SearchSettings, seed: int
) -> tuple[list[float], float]:
    """Seconds from the beginning to each committed trial, and the share of repeated ones."""
    storage = open_storage(database_url(folder))
    study = optuna.create_study(storage=storage, directions=DIRECTIONS)
    engine = open_engine(database_url(folder))
    commit = GroupCommit(engine, read_tables(engine), study._study_id)
    proposals = create_proposals(settings, space, DIRECTIONS, seed, 0)
    batches = Batches(proposals, commit, settings.population)
    search = Search(study, storage, space, free_objective(space), batches)
    times: list[float] = []
    begun = time.perf_counter()
    search.run_to(
        settings.trials,
        lambda: None,
        lambda steps, note: times.extend(steps * [time.perf_counter() - begun]),
    )
    archs = [t.user_attrs["arch"] for t in study.get_trials(deepcopy=False)]
    if len(archs) != settings.trials:
        raise RuntimeError(f"{len(archs)} trials are in the database, not {settings.trials}")
    return times, 1 - len(set(archs)) / len(archs)


@app.command()
def main(
    trials: Annotated[int, typer.Option(min=100, help="Of a short run of ours.")] = 2000,
    plain_trials: Annotated[int, typer.Option(min=10, help="Of a run of plain Optuna.")] = 100,
    long: Annotated[int, typer.Option(min=2000, help="Trials of a long run.")] = 20_000,
    runs: Annotated[int, typer.Option(min=1)] = 5,
    sampler: Annotated[str, typer.Option(help="Of ours; plain Optuna's is nsga2.")] = "nsga2",
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure and print trials a second."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = spaces.create("mobilenet", 10, 32, {})
    space.cost(space.decode({n: d.choices[0] for n, d in space.distributions().items()}))
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)
        print(f"  {name:<34}{value:10.4g}", flush=True)

    for seed in range(runs):
        print(f"run {seed + 1} of {runs}, seed {seed}")
        plain = SearchSettings(trials=plain_trials, sampler="nsga2")
        with tempfile.TemporaryDirectory() as name:
            rate = plain_rate(database_url(Path(name)), space, plain, seed)
            add("plain_trials_per_second", rate)
        with tempfile.TemporaryDirectory() as name:
            wal_rate = plain_rate(open_storage(database_url(Path(name))), space, plain, seed)
            add("plain_wal_trials_per_second", wal_rate)
        with tempfile.TemporaryDirectory() as name:
            short = SearchSettings(trials=trials, sampler=sampler)
            times, _ = our_times(Path(name), space, short, seed)
            add("trials_per_second", trials / times[-1])
            add("ratio_to_plain", trials / times[-1] / rate)
            add("ratio_to_plain_wal", trials / times[-1] / wal_rate)
        with tempfile.TemporaryDirectory() as name:
            times, duplicates = our_times(
                Path(name), space, SearchSettings(trials=long, sampler=sampler), seed
            )
            first = times[WINDOW - 1]
            last = times[-1] - times[-1 - WINDOW]
            add(f"trials_per_second_at_{long}", WINDOW / last)
            add(f"ratio_to_plain_wal_at_{long}", WINDOW / last / wal_rate)
            add("slowdown", last / first)
            add("duplicate_share", duplicates)
    print(f"\nMedians of {runs} runs (least to most):")
    for name, values in found.items():
        print(f"  {name:<34}{median(values):10.4g}  ({min(values):.4g} to {max(values):.4g})")
    hardware = f"{platform.processor() or platform.machine()}, {platform.platform()}"
    print(f"{hardware}; Python {platform.python_version()}, Optuna {optuna.__version__}")
    if json is not None:
        summary: dict[str, Any] = {name: median(values) for name, values in found.items()}
        summary |= {"runs": found, "seeds": list(range(runs)), "sampler": sampler}
        summary |= {"hardware": hardware, "optuna": optuna.__version__}
        write_results(summary, json)


if __name__ == "__main__":
    sys.exit(run_command(app))
