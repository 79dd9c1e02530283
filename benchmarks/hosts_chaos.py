"""A hundred cuts, kills and restarts at random, of searches on three hosts."""

import random
import time
from collections import Counter
from typing import Any

import typer
from hosts_job import Job, check_trials, print_row
from hosts_speed import stand_in
from optuna.trial import TrialState
from test_bed import Command, Host, TestBed

from app.exit_status import run_program

ROUNDS = 100
SEED = 0
TRIALS_AFTERWARDS = 50


def chaos(bed: TestBed) -> None:
    """Searches whose scores wait 100 ms; what has ended is started again.

    Before each blow, all that was on the server must still be there and unchanged.
    """
    rng, job, blows = random.Random(SEED), Job(bed, "chaos", 0), Counter[str]()
    running = {host.number: start(job, host) for host in bed.hosts}
    job.wait_for_trials(1)
    kept: list[Any] = []
    changed = 0
    for _ in range(ROUNDS):
        time.sleep(rng.uniform(0, 2))
        sql = "SELECT number, trial_id, datetime_start, datetime_complete FROM trials ORDER BY 1"
        found = bed.database.query(sql, job.name)
        changed += found[: len(kept)] != kept
        kept = found
        host = rng.choice(bed.hosts)
        blow = rng.choices(("cut", "long cut", "kill", "restart"), (10, 1, 10, 2))[0]
        blows[blow] += 1
        if blow == "kill":
            running[host.number].process.kill()
        elif blow == "restart":
            bed.database.control("restart", "-m", rng.choice(("fast", "immediate")))
        else:
            host.cut()
            time.sleep(rng.uniform(0, 3) + 30 * (blow == "long cut"))
            host.join()
        for host in bed.hosts:
            command = running[host.number]
            if command.wait(0.1) is not None:
                blows["ended by itself"] += command.process.exitcode != -9
                Job.faults += command.process.exitcode != -9 and command.fault is not None
                running[host.number] = start(job, host)
    bed.end_commands()
    total = sum(trial.state is TrialState.COMPLETE for trial in job.rows()) + TRIALS_AFTERWARDS
    stand_in(bed.database.own_url(job.name), total, 0)
    faults = check_trials(job.rows(), total) + changed * ["trials were lost or changed"]
    Job.faults += len(faults)
    outcome = "; ".join(faults) or f"{dict(blows)}, {total} trials, 0 lost, 0 twice"
    print_row(
        f"{ROUNDS} cuts, kills and restarts, seed {SEED}", outcome, time.monotonic() - job.begun
    )


def start(job: Job, host: Host) -> Command:
    """Start a search that ends as the program does."""
    search = typer.Typer()
    search.command()(lambda: stand_in(job.url, 10**6, 0.1) and None)
    return host.call(lambda: run_program(search, []))
