"""Measure how many trials a second reach SQLite, against plain Optuna in the same run.

    python benchmarks/search_speed.py --json search_speed.json

The objectives cost nothing: the sum of the chosen candidates' numbers, maximised, and the
multiply–adds of the MobileNet space with its 21 choices, minimised. So this measures all the rest:
proposals, look-ups and commits.

*Plain* is `study.optimize` with Optuna's NSGA-II on SQLite as it comes; *plain_wal* adds a
write-ahead log with fewer flushes (`synchronous = NORMAL`). Ours is the program's search loop,
which flushes each commit. Every run uses new databases; figures are medians over the runs.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import optuna
import typer
from common import environment, print_medians, write_results
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL

import spaces
from app.ask_tell import SEEDS_APART, Search
from app.commit import FINGERPRINT, StudyWriter
from app.config import SearchConfig, database_url
from app.database import text_of
from app.exit_status import run_command
from app.objective import TrialResult
from app.samplers import create_sampler
from app.sampling import Repair
from app.storage import open_storage
from app.study import directions
from spaces import Space

RATE_TRIALS = 1000
"""A rate at a number of trials is that of so many trials up to it."""

DIRECTIONS = directions(["flops"])

app = typer.Typer(add_completion=False)


class FreeObjective:
    """Values from look-ups alone, with as many attributes as a scored trial has."""

    fingerprint = "free"

    def __init__(self, space: Space, seconds: float = 0) -> None:
        """`seconds` is how long to sleep for each trial."""
        self.space = space
        self.seconds = seconds

    def __call__(self, params: dict[str, Any]) -> TrialResult:
        """Evaluate choices."""
        if self.seconds:  # sleeping for 0 s would let other processes go first
            time.sleep(self.seconds)
        arch = self.space.decode(params)
        cost = self.space.cost(arch)
        choices = self.space.choices
        score = float(sum(choices[name].choices.index(value) for name, value in params.items()))
        attrs = {"arch": arch, FINGERPRINT: self.fingerprint}
        attrs |= {"flops": cost.macs, "params": cost.params}
        attrs |= {f"score {i}": score / (1 + i) for i in range(9)}
        return TrialResult(TrialState.COMPLETE, [score, float(cost.macs)], attrs)

    def add_trials(self, trials: Iterable[FrozenTrial]) -> None:
        """Memoise nothing: a look-up is as quick."""


def create_search(
    url: URL, study: optuna.Study, objective: FreeObjective, config: SearchConfig, seed: int
) -> Search:
    """Put a search together as `main.py` does, around a free objective."""
    study.set_user_attr(FINGERPRINT, objective.fingerprint)
    writer = StudyWriter(url, study)
    seed += writer.next_seed_offset() * SEEDS_APART
    sampler = create_sampler(config, Repair(objective.space, config), seed)
    return Search(study, writer, objective, sampler, config.population)  # type: ignore[arg-type]


def plain_rate(storage: str | BaseStorage, space: Space, trials: int, seed: int) -> float:
    """Trials a second of `study.optimize`."""
    evaluate = FreeObjective(space)

    def objective(trial: Trial) -> list[float]:
        for name, choice in space.choices.items():
            trial.suggest_categorical(name, choice.choices)
        result = evaluate(trial.params)
        for key, value in result.user_attrs.items():
            trial.set_user_attr(key, value)
        return result.values or []

    sampler = optuna.samplers.NSGAIISampler(population_size=SearchConfig().population, seed=seed)
    study = optuna.create_study(storage=storage, directions=DIRECTIONS, sampler=sampler)
    begun = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return trials / (time.perf_counter() - begun)


def our_times(url: URL, space: Space, config: SearchConfig, seed: int) -> list[float]:
    """Seconds from the start to the commit of each trial."""
    study = optuna.create_study(storage=open_storage(url), directions=DIRECTIONS)
    search = create_search(url, study, FreeObjective(space), config, seed)
    times: list[float] = []
    begun = time.perf_counter()
    search.run(
        config.trials,
        lambda: None,
        lambda count, note: times.extend(count * [time.perf_counter() - begun]),
    )
    search.writer.close()
    archs = {trial.user_attrs["arch"] for trial in study.get_trials(deepcopy=False)}
    if len(archs) < config.trials and config.sampler == "nsga2":
        raise RuntimeError(f"{len(archs)} architectures in {config.trials} trials")
    return times


@app.command()
def main(
    trials: Annotated[int, typer.Option(min=100, help="Trials of a short run of ours.")] = 2000,
    plain_trials: Annotated[int, typer.Option(min=10, help="Trials of plain Optuna.")] = 100,
    long: Annotated[int, typer.Option(min=2000, help="Trials of a long run of ours.")] = 20_000,
    runs: Annotated[int, typer.Option(min=1)] = 5,
    sampler: Annotated[str, typer.Option(help="Ours; plain Optuna takes nsga2.")] = "nsga2",
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure and print trials a second."""
    space = spaces.create("mobilenet", 10, 32, {})
    space.cost(space.decode({n: d.choices[0] for n, d in space.choices.items()}))  # fills tables
    found: dict[str, list[float]] = {}
    for seed in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            urls = [database_url(Path(folder, name)) for name in ("plain", "wal", "short", "long")]
            for url in urls:
                Path(url.database or "").parent.mkdir()
            rate = plain_rate(text_of(urls[0]), space, plain_trials, seed)
            wal_rate = plain_rate(open_storage(urls[1]), space, plain_trials, seed)
            config = SearchConfig(trials=trials, sampler=sampler)
            short = our_times(urls[2], space, config, seed)
            times = our_times(urls[3], space, config.model_copy(update={"trials": long}), seed)
        first, last = times[RATE_TRIALS - 1], times[-1] - times[-1 - RATE_TRIALS]
        figures = {
            "plain_trials_per_second": rate,
            "plain_wal_trials_per_second": wal_rate,
            "trials_per_second": trials / short[-1],
            "ratio_to_plain": trials / short[-1] / rate,
            "ratio_to_plain_wal": trials / short[-1] / wal_rate,
            f"trials_per_second_at_{long}": RATE_TRIALS / last,
            "slowdown": last / first,
        }
        print(f"run {seed + 1}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    print(f"\nMedians of {runs} runs, seeds from 0 (least to most):")
    print_medians(found)
    print(environment())
    write_results({"runs": found, "sampler": sampler, "environment": environment()}, json)


if __name__ == "__main__":
    sys.exit(run_command(app))
