"""Measure trials a second of several workers on one PostgreSQL server, and check the exact total.

    python benchmarks/workers.py --json workers.json

A trial has the 21 choices and the attributes of the MobileNet space. Its score sleeps 50 ms, as if
it waited for a device or had a machine to itself, so the figures show what the database allows and
not how many cores there are. A worker is a process with a search of its own, as `main.py worker`
has. Numbers of workers take turns within a run; figures are medians over the runs, ratios are taken
within a run. Needs the packages of requirements-dev.txt, or an empty database given by --storage.
"""

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Annotated

import optuna
import typer
from common import environment, print_medians, write_results
from optuna.trial import TrialState
from search_speed import DIRECTIONS, FreeObjective, create_search

import spaces
from app.config import SearchConfig
from app.database import parse_url
from app.exit_status import run_command
from app.storage import open_storage

app = typer.Typer(add_completion=False)


def work(storage: str, name: str, total: int, score_seconds: float, barrier: Barrier) -> None:
    """Search the study until it has `total` trials; all workers begin together."""
    url = parse_url(storage)
    study = optuna.load_study(study_name=name, storage=open_storage(url))
    objective = FreeObjective(spaces.create("mobilenet", 10, 32, {}), score_seconds)
    search = create_search(url, study, objective, SearchConfig(trials=total), seed=0)
    barrier.wait()
    search.run(total, lambda: None, lambda count, note: None)


def measure(storage: str, name: str, workers: int, total: int, seconds: float) -> dict[str, float]:
    """Run `workers` on a new study; returns trials a second and the share of repeated networks."""
    study = optuna.create_study(
        storage=open_storage(parse_url(storage)), study_name=name, directions=DIRECTIONS
    )
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers + 1)
    processes = [
        context.Process(target=work, args=(storage, name, total, seconds, barrier), daemon=True)
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    barrier.wait(timeout=300)
    begun = time.perf_counter()
    for process in processes:
        process.join()
    elapsed = time.perf_counter() - begun
    trials = study.get_trials(deepcopy=False)
    numbers = [trial.number for trial in trials if trial.state is TrialState.COMPLETE]
    if numbers != [*range(total)] or any(process.exitcode for process in processes):
        raise RuntimeError(f"{workers} workers made {len(numbers)} trials of {len(trials)}")
    archs = {trial.user_attrs["arch"] for trial in trials}
    return {"trials_per_second": total / elapsed, "repeated": 1 - len(archs) / total}


@contextmanager
def database(storage: str | None) -> Iterator[str]:
    """The URL of a server: the one given, or one that is started here."""
    if storage is not None:
        yield storage
        return
    from tests.postgresql import server

    with server() as url:
        yield url


@app.command()
def main(
    storage: Annotated[str | None, typer.Option(help="An empty PostgreSQL database.")] = None,
    counts: Annotated[str, typer.Option(help="Numbers of workers, commas between.")] = "1,2,4",
    trials: Annotated[int, typer.Option(min=1, help="Trials per worker.")] = 200,
    score_ms: Annotated[float, typer.Option(min=0, help="Milliseconds a score takes.")] = 50,
    runs: Annotated[int, typer.Option(min=1)] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure and print trials a second."""
    found: dict[str, list[float]] = {}
    with database(storage) as url:
        for run in range(runs):
            rates: list[float] = []
            for workers in map(int, counts.split(",")):
                name = f"{workers} workers {run} {time.time()}"
                figures = measure(url, name, workers, workers * trials, score_ms / 1e3)
                rates.append(figures["trials_per_second"])
                figures["ratio_to_first"] = rates[-1] / rates[0]
                for key, value in figures.items():
                    found.setdefault(f"{workers} workers: {key}", []).append(value)
                print(f"run {run + 1}, {workers} workers: {rates[-1]:.1f} trials/s", flush=True)
    print(f"\nMedians of {runs} runs, seed 0 (least to most):")
    print_medians(found)
    print(f"{environment()}; {trials} trials per worker, {score_ms:g} ms a score; totals exact")
    write_results({"runs": found, "score_ms": score_ms, "environment": environment()}, json)


if __name__ == "__main__":
    sys.exit(run_command(app))
