"""Trials a second of several workers on one PostgreSQL server, and what limits them.

A trial has the 21 choices and the attributes of the MobileNet space. Its score takes 50 ms, of one
of two kinds: *compute* runs a convolution network on one thread so many times as took 50 ms at
the start, as a worker without an accelerator does; *wait* sleeps, as one that waits for a device
or has a machine of its own: it shows what the database allows when cores do not limit.

Workers are processes, each with a connection, a random stream and a search loop of its own, as
`main.py worker` has. They begin together and end after `--seconds`. The counts of workers take
turns within a run, so that a machine that others use slows all of them; figures are medians over
runs, ratios are taken within a run.

Then times of single commits and readings, alone on the server, feed `scaling_model.py`, whose
predictions are printed beside what was measured.

    python benchmarks/workers.py --json workers.json
"""

import json as json_format
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import optuna
import typer
from delay import delayed
from one_worker import SCORE, Convolutions
from results import write_results
from scaling_model import Costs, at_distance, predict, seconds_of
from search_speed import free_objective
from sqlalchemy import create_engine, make_url, text

import spaces
from app.cli import run_command
from app.search.commit import GroupCommit
from app.search.loop import Search
from app.search.outcome import TrialResult
from app.search.proposals import create_proposals
from app.search.storage import open_engine, open_storage
from app.search.study import DIRECTIONS
from app.search.tables import read_tables
from app.settings import SearchSettings
from spaces import Space

app = typer.Typer(add_completion=False)

COUNTS = (1, 2, 4)
KINDS = ("compute", "wait")


def together(url: str, workers: int, kind: str, passes: int, seconds: float, seed: int) -> Any:
    """Workers on a new study; their rate, and what else is known of the run."""
    name = f"{kind} {workers} {seed} {time.time()}"
    study = optuna.create_study(storage=open_storage(url), study_name=name, directions=DIRECTIONS)
    arguments = [url, name, kind, str(passes), str(seconds), str(1000 * seed)]
    command = [sys.executable, str(Path(__file__).with_name("one_worker.py")), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(workers)
    ]
    for process in processes:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("a worker did not start")
    time.sleep(1.2)  # until the server has counted
    before = transactions(url)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json_format.loads(process.communicate()[0]) for process in processes]
    time.sleep(1.2)
    trials = study.get_trials(deepcopy=False)
    archs = {trial.user_attrs["arch"] for trial in trials}
    return {
        "rate": len(trials) / max(worker["elapsed"] for worker in found),
        "repeated": 1 - len(archs) / len(trials),
        "commit": median(t for worker in found for t in worker["commits"]),
        "lock": median(t for worker in found for t in worker["lock"]),
        "batches_per_trial": sum(len(worker["commits"]) for worker in found) / len(trials),
        "transactions_per_trial": (transactions(url) - before) / len(trials),
    }


def transactions(url: str) -> int:
    """Committed ones of the database, as the server counts them, readings among them."""
    engine = create_engine(url)
    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    with engine.connect() as connection:
        count = connection.scalar(text(query))
    engine.dispose()
    return int(count or 0)


def finished(space: Space, count: int) -> list[optuna.trial.FrozenTrial]:
    """Trials as the loop commits them."""
    assess, proposals = (
        free_objective(space),
        create_proposals(SearchSettings(), space, DIRECTIONS, 0, 0),
    )
    return [Search._finish(_Loop(assess, space), proposals) for _ in range(count)]  # type: ignore[arg-type]


class _Loop:
    """As much of a search as makes a trial."""

    def __init__(self, assess: Callable[[dict[str, Any]], TrialResult], space: Space) -> None:
        self.assess, self.choices = assess, space.choices


def single_costs(url: str, space: Space, repeats: int) -> dict[str, float]:
    """Seconds of a commit and of a reading, alone: by their size, and by what is stored."""
    storage, engine = open_storage(url), open_engine(url)
    study = optuna.create_study(storage=storage, directions=DIRECTIONS)
    commit = GroupCommit(engine, read_tables(engine), study._study_id)
    trials = finished(space, 32)

    def seconds(action: Callable[[], object]) -> float:
        times = []
        for _ in range(repeats):
            begun = time.perf_counter()
            action()
            times.append(time.perf_counter() - begun)
        return median(times)

    def read_seconds(count: int) -> tuple[float, float]:
        """Of reading `count` new trials: all, and what this process computed of it."""
        wall, own = [], []
        for _ in range(max(3, repeats // 4)):
            for _ in range(count // 32):
                commit(trials)
            begun, computed = time.perf_counter(), time.process_time()
            study.get_trials(deepcopy=False)
            own.append(time.process_time() - computed)
            wall.append(time.perf_counter() - begun)
        return median(wall), median(own)

    with engine.connect() as connection:
        trip = seconds(lambda: connection.execute(text("SELECT 1")))
    found = {"trip": trip, "commit 1": seconds(lambda: commit(trials[:1]))}
    found["commit 32"] = seconds(lambda: commit(trials))
    study.get_trials(deepcopy=False)
    found["read 32"], _ = read_seconds(32)
    found["read 512"], own = read_seconds(512)
    found["read 512 server"] = found["read 512"] - own
    stored = len(study.get_trials(deepcopy=False))
    while len_of(study) < stored + 10_000:
        for _ in range(100):
            commit(trials)
    found["commit 32 after 10000"] = seconds(lambda: commit(trials))
    engine.dispose()
    return found


def len_of(study: optuna.Study) -> int:
    """How many trials it has."""
    return len(study.get_trials(deepcopy=False))


def costs_of(times: dict[str, float], score: float) -> Costs:
    """The model's figures."""
    commit_trial = (times["commit 32"] - times["commit 1"]) / 31
    read_trial = (times["read 512"] - times["read 32"]) / 480
    return Costs(
        score=score,
        commit=times["commit 1"] - commit_trial,
        commit_trial=commit_trial,
        commit_stored=max(0.0, times["commit 32 after 10000"] - times["commit 32"]) / 10_000,
        read=max(0.0, times["read 32"] - 32 * read_trial),
        read_trial=read_trial,
        read_trial_server=times["read 512 server"] / 512,
    )


@contextmanager
def database(storage: str | None) -> Iterator[str]:
    """The URL of a server: the given one, or one that is started."""
    if storage is not None:
        yield storage
        return
    from tests.postgresql import server

    with server() as url:
        yield url


@app.command()
def main(
    storage: Annotated[str | None, typer.Option(help="An empty PostgreSQL database.")] = None,
    seconds: Annotated[float, typer.Option(min=2, help="Of a search.")] = 10,
    runs: Annotated[int, typer.Option(min=1)] = 3,
    delay: Annotated[float, typer.Option(help="Round trip of a slower network, ms.")] = 2.0,
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure and print trials a second."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = spaces.create("mobilenet", 10, 32, {})
    results: dict[str, Any] = {kind: {n: [] for n in COUNTS} for kind in KINDS}
    with database(storage) as url:
        passes = Convolutions().passes_in(SCORE)
        for seed in range(runs):
            for kind in KINDS:
                for workers in COUNTS:
                    found = together(url, workers, kind, passes, seconds, seed)
                    results[kind][workers].append(found)
                    shown = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
                    print(f"run {seed + 1}, {kind}, {workers} workers: {shown}", flush=True)
        times = single_costs(url, space, repeats=20)
        slow = None
        socket = make_url(url).query.get("host")
        if isinstance(socket, str):
            with delayed(f"{socket}/.s.PGSQL.5432", delay / 1e3) as port:
                bare = make_url(url).set(host="127.0.0.1", port=port, query={})
                slow = single_costs(bare.render_as_string(hide_password=False), space, repeats=8)
    print_figures(results, times, slow, delay / 1e3)
    hardware = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(
        f"{hardware}; Python {platform.python_version()}, Optuna {optuna.__version__}, {runs} runs"
    )
    if json is not None:
        summary = {"runs": results, "times": times, "times_delayed": slow, "delay_ms": delay}
        write_results(summary | {"hardware": hardware, "seeds": list(range(runs))}, json)


def print_figures(
    results: dict[str, Any], times: dict[str, float], slow: dict[str, float] | None, delay: float
) -> None:
    """Rates beside the model's, then what it says of many workers."""
    print("\nSingle times in ms: " + ", ".join(f"{n} {1e3 * t:.3g}" for n, t in times.items()))
    costs = costs_of(times, SCORE)
    if slow is not None:
        trips = slow["trip"] - times["trip"] or delay
        costs = replace(
            costs,
            round_trips_commit=max(0.0, slow["commit 32"] - times["commit 32"]) / trips,
            round_trips_read=max(0.0, slow["read 32"] - times["read 32"]) / trips,
        )
        print(f"With a round trip of {1e3 * trips:.3g} ms more: ", end="")
        print(", ".join(f"{n} {1e3 * t:.3g}" for n, t in slow.items()))
    print(f"Model: {asdict(costs)}")
    for kind in KINDS:
        print(f"\n{kind}: workers, trials/s (least to most), against 1 worker, model")
        one = [found["rate"] for found in results[kind][1]]
        # a trial of one worker, less its share of the commit, is what the model begins with
        alone = 1 / median(one) - (costs.commit / 32 + costs.commit_trial)
        here = replace(costs, score=alone)
        for workers in COUNTS:
            rates = [found["rate"] for found in results[kind][workers]]
            ratio = median(b / a for a, b in zip(one, rates, strict=True))
            model = predict(here, workers).trials_per_second
            if kind == "compute":
                model = min(model, (os.cpu_count() or 1) * median(one))
            print(
                f"  {workers}  {median(rates):7.1f} ({min(rates):.1f} to {max(rates):.1f})"
                f"  {ratio:.2f}x  {model:7.1f}"
            )
    for score in (0.05, 0.5):
        for trip in (0.0, 0.5e-3, 2e-3):
            print(f"\nscore {score} s, round trip {1e3 * trip:g} ms: workers, trials/s, row, limit")
            there = at_distance(replace(costs, score=score), trip)
            for workers in (1, 2, 4, 10, 30, 100, 300, 1000):
                p = predict(there, workers, stored=10_000)
                hours = seconds_of(there, workers, 20_000)
                print(
                    f"  {workers:5}{p.trials_per_second:9.1f}{p.row_busy:7.0%}  {p.limit}; "
                    f"20,000 trials in {hours:.0f} s"
                )


if __name__ == "__main__":
    sys.exit(run_command(app))
