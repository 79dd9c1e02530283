"""Trials and commits a second of workers on several hosts, by the distance to the database."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import optuna
from hosts_job import Job, check_trials, print_row
from search_speed import FreeObjective, create_search
from test_bed import PORT, TestBed

import spaces
from app.ask_tell import Search
from app.config import SearchConfig
from app.database import parse_url
from app.sampling import cost_range
from app.storage import open_storage
from app.study import directions

DISTANCES = (0, 2, 20)
"""Milliseconds to the server, each way."""


def stand_in(url: str, total: int, score_seconds: float, barrier: Barrier | None = None) -> Search:
    """Search as a worker does, with scores that wait; returns the search, which has ended.

    `seconds_in_database` of it is what batches have taken: commits, and reading others' trials.
    """
    parsed = parse_url(url)
    study = optuna.create_study(
        storage=open_storage(parsed),
        study_name="study",
        directions=directions(["flops"]),
        load_if_exists=True,
    )
    objective = FreeObjective(spaces.create("mobilenet", 10, 32, {}), score_seconds)
    search = create_search(parsed, study, objective, SearchConfig(trials=total), seed=0)
    commit: Callable[..., None] = search._commit
    spent = 0.0

    def timed(*batch: Any) -> None:
        nonlocal spent
        begun = time.monotonic()
        commit(*batch)
        spent += time.monotonic() - begun

    search._commit = timed  # type: ignore[method-assign]
    cost_range(objective.space)  # once a process, and not what is measured
    if barrier is not None:
        barrier.wait()
    begun = time.monotonic()
    search.run(total, lambda: None, lambda count, note: None)
    print(f"{begun} {time.monotonic()} {spent}", flush=True)
    return search


def speed(bed: TestBed) -> None:
    """1, 2 and 4 workers at every distance, 300 trials each, where a score waits 50 ms."""
    hosts = [*bed.workers, bed.main, bed.workers[0]]
    for distance in DISTANCES:
        port = bed.database.delayed(distance) if distance else PORT
        first = 0.0
        for workers in (1, 2, 4):
            total = 300 * workers
            job = Job(bed, f"speed_{distance}_{workers}", total, port)
            barrier = multiprocessing.get_context("fork").Barrier(workers)

            def work(url: str = job.url, total: int = total, barrier: Barrier = barrier) -> None:
                stand_in(url, total, 0.05, barrier)

            commands = [host.call(work) for host in hosts[:workers]]
            for command in commands:
                command.wait(300)
            times = [[float(n) for n in c.text.split()[-3:]] for c in commands]
            seconds = max(end for _, end, _ in times) - min(begin for begin, *_ in times)
            share = sum(spent for *_, spent in times) / sum(end - begin for begin, end, _ in times)
            first = first or total / seconds
            faults = check_trials(job.rows(), total)
            Job.faults += len(faults)
            outcome = "; ".join(faults) or (
                f"{total / seconds:.1f} trials/s, {total / seconds / first:.2f} times one, "
                f"{share:.1%} in the database"
            )
            print_row(f"{workers} workers at {distance} ms", outcome, seconds)


def commits(bed: TestBed) -> None:
    """How many batches of 40 trials a second four hosts commit that do nothing else."""
    for distance in DISTANCES:
        port = bed.database.delayed(distance) if distance else PORT
        job = Job(bed, f"commits_{distance}", 0, port)
        barrier = multiprocessing.get_context("fork").Barrier(4)

        def work(url: str = job.url, barrier: Barrier = barrier) -> None:
            search = stand_in(url, 1, 0)
            batch = [search.evaluate_next() for _ in range(40)]
            barrier.wait()
            begun = time.monotonic()
            for _ in range(10):
                search.writer.add_trials(batch, "free", 10**6)
            print(f"{begun} {time.monotonic()}", flush=True)

        commands = [host.call(work) for host in (*bed.hosts, bed.main)]
        for command in commands:
            command.wait(300)
        times = [[float(n) for n in c.text.split()[-2:]] for c in commands]
        seconds = max(end for _, end in times) - min(begin for begin, _ in times)
        print_row(f"commits at {distance} ms", f"{40 / seconds:.1f} of 40 trials/s", seconds)
