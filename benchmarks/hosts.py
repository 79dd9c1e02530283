"""Search one study on several hosts, cut their links, restart the server, and count the trials.

    python benchmarks/hosts.py                # every scenario
    python benchmarks/hosts.py cuts restart   # some; see SCENARIOS

The hosts are network namespaces (`test_bed.py`): a database, a main command and two workers, each
with an account and a folder of its own, one with a clock a minute ahead. So it needs root, and
says why and ends where namespaces are not allowed. `hosts_job.py` says what must hold after each
scenario. Exit status 1 if any of it does not.
"""

import shutil
import sys
import time
from collections.abc import Callable
from typing import Annotated

import psycopg
import typer
from common import environment
from hosts_chaos import chaos
from hosts_job import SECONDS_TO_END, Job, print_row
from hosts_speed import commits, speed
from hosts_torchrun import torchrun, torchrun_speed
from optuna.trial import TrialState
from test_bed import Host, NotAllowedError, TestBed, test_bed

import app.database
from app.exit_status import run_command
from app.interrupt import stop_at_once

program = typer.Typer(add_completion=False)


def programs(bed: TestBed) -> None:
    """Programs as a user starts them, under accounts of their own and one clock that is ahead."""
    job = Job(bed, "programs", 100)
    python = [sys.executable, "main.py"]
    commands = [bed.main.execute(*python, *job.main())]
    commands += [host.execute(*python, *job.worker(host)) for host in bed.workers]
    job.row("3 hosts, own accounts, a clock 60 s ahead", commands)


def cuts(bed: TestBed) -> None:
    """A link cut for ten seconds while searching, committing and preparing."""
    job = Job(bed, "cut_searching", 200)
    commands = job.start_all()
    job.wait_for_trials(40)
    cut(bed.workers[0], 10)
    job.row("link cut for 10 s while searching", commands)

    job = Job(bed, "cut_commit", 200)
    commands = job.start_all()
    job.wait_for_trials(40)
    cut_in_commit(job, bed.workers[0])
    time.sleep(10)
    bed.workers[0].join()
    job.row("link cut for 10 s in a commit", commands)

    job = Job(bed, "cut_preparing", 60)
    commands = [job.start(bed.main, "--study-name", "other", "--train-steps", 800)]
    job.wait_until(lambda: "Study other" in commands[0].text, "study")
    cut(bed.main, 10)
    job.row("link cut for 10 s while the supernet trains", commands, finish=False)


def for_good(bed: TestBed) -> None:
    """Links cut for good, in every phase at once; a lost server is waited for 30 s only."""
    app.database.SECONDS_TO_WAIT_FOR_A_SERVER = 30  # the forks have it too
    job, other = Job(bed, "for_good", 1000), Job(bed, "preparing_for_good", 60)
    first = job.start(bed.main)
    commands = [job.start(host) for host in bed.workers]
    job.wait_for_trials(60)
    first.process.terminate()
    first.wait(60)
    commands.append(other.start(bed.main, "--study-name", "other", "--fresh", "--train-steps", 800))
    other.wait_until(lambda: "Study other" in commands[-1].text, "study")
    bed.main.cut()
    bed.workers[0].cut()
    cut_in_commit(job, bed.workers[1])
    for command in commands:
        command.wait(SECONDS_TO_END)
    job.trials = sum(trial.state is TrialState.COMPLETE for trial in job.rows())
    job.row("links cut for good: searching / in a commit / preparing", commands)
    app.database.SECONDS_TO_WAIT_FOR_A_SERVER = 180


def cut(host: Host, seconds: float) -> None:
    """Cut a link for so long."""
    host.cut()
    time.sleep(seconds)
    host.join()


def cut_in_commit(job: Job, host: Host) -> None:
    """Cut a link while a transaction of the host waits for the study's row; it gets it then."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
        f"client_addr = '{host.address}'"
    )
    with psycopg.connect(job.bed.database.own_url(job.name)) as connection:
        connection.execute("SELECT * FROM studies FOR UPDATE")
        job.wait_until(lambda: bool(job.bed.database.query(waiting)[0][0]), "commit")
        host.cut()


def restart(bed: TestBed) -> None:
    """The server restarted under way, in both ways."""
    job = Job(bed, "restarted", 300)
    commands = job.start_all()
    for count, mode in ((40, "fast"), (120, "immediate")):
        job.wait_for_trials(count)
        bed.database.control("restart", "-m", mode)
    job.row("PostgreSQL restarted, fast and immediate", commands)


def pooler(bed: TestBed) -> None:
    """PgBouncer before the server, in both modes."""
    if not shutil.which("pgbouncer"):
        print("pooler: PgBouncer is not installed")
        return
    for port, mode in enumerate(("session", "transaction"), 7000):
        file = bed.database.host.folder / f"{mode}.ini"
        file.write_text(
            f"[databases]\n* = user=postgres host={bed.database.host.folder}\n[pgbouncer]\n"
            f"auth_type = any\nlisten_addr = *\nlisten_port = {port}\npool_mode = {mode}\n"
            "unix_socket_dir =\n"
        )
        bed.database.host.execute("pgbouncer", "-q", file)
        time.sleep(1)
        job = Job(bed, f"pooled_{mode}", 60, port)
        if mode == "session":
            job.row("PgBouncer in session mode", job.start_all())
            continue
        command = job.start(bed.main)
        status = command.wait(SECONDS_TO_END)
        Job.faults += status != 2
        seconds = time.monotonic() - job.begun
        print_row("PgBouncer in transaction mode", f"status {status}: {command.text}", seconds)


SCENARIOS: dict[str, Callable[[TestBed], None]] = {
    "programs": programs,
    "speed": speed,
    "commits": commits,
    "cuts": cuts,
    "for-good": for_good,
    "restart": restart,
    "pooler": pooler,
    "chaos": chaos,
    "torchrun": torchrun,
    "torchrun-speed": torchrun_speed,
}


@program.command()
def main(
    scenarios: Annotated[list[str] | None, typer.Argument(help="Which; all by default.")] = None,
) -> None:
    """Run scenarios, and print a row for each."""
    try:
        with stop_at_once(), test_bed() as bed:
            print("| what | outcome | s |\n|---|---|--:|", flush=True)
            job = Job(bed, "first", 8)
            job.row("supernet, reference sample, 8 trials", [job.start(bed.main)], finish=False)
            for name in scenarios or SCENARIOS:
                SCENARIOS[name](bed)
    except NotAllowedError as reason:
        print(reason)
        return
    print(environment())
    raise typer.Exit(bool(Job.faults))


if __name__ == "__main__":
    sys.exit(run_command(program))
