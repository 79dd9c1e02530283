"""Search one study on several hosts, cut their links, restart the server, and count the trials.

    python benchmarks/hosts.py               # every scenario
    python benchmarks/hosts.py speed cuts    # some: speed, cuts, for-good, restart, pooler, chaos

The hosts are network namespaces (`test_bed.py`): a database, a main command and two workers, each
with an account and a folder of its own, one with a clock a minute ahead. So it needs root, and
says why and ends where namespaces are not allowed. After every scenario:

- the total is exact, trials are numbered without gaps, and none was added twice;
- all trials have the fingerprint of one supernet;
- a command has ended with status 0, or with 1 and one line that says why;
- within a minute, the server has no session in a transaction.

Exit status 1 if any of this fails.
"""

import shutil
import sys
import time
from collections.abc import Callable
from typing import Annotated

import optuna
import psycopg
import typer
from chaos import STUDY
from common import environment
from optuna.trial import FrozenTrial, TrialState
from test_bed import PORT, Command, Host, NotAllowedError, TestBed, test_bed

from app.exit_status import run_command
from app.interrupt import stop_at_once

SECONDS_TO_END = 400
"""A command that has lost its server for good must have ended by then."""

app = typer.Typer(add_completion=False)


class Job:
    """One study in a database of its own."""

    faults = 0

    def __init__(self, bed: TestBed, name: str, trials: int, port: int = PORT) -> None:
        self.bed, self.name, self.trials = bed, name, trials
        self.url = bed.database.url(name, port)
        self.file = bed.main.folder.parent / "study.toml"
        self.file.write_text(STUDY)
        self.begun = time.monotonic()
        bed.database.query(f"CREATE DATABASE {name}")

    def main(self, *more: object) -> Command:
        """Start the main command; the supernet of an earlier job is taken as it is."""
        runs = self.bed.main.folder / "runs"
        options = ("--study", self.file, "--runs", runs, "--storage", self.url)
        return self.bed.main.python("main.py", *options, "--trials", self.trials, *more)

    def worker(self, host: Host, *more: object) -> Command:
        """Start a worker, to which the supernet was copied as `docs/scaling.md` says."""
        runs, source = host.folder / "runs" / "study", self.bed.main.folder / "runs" / "study"
        runs.mkdir(parents=True, exist_ok=True)
        for name in ("supernet.pt", "reference.json"):
            shutil.copy(source / name, runs)
        for path in (runs.parent, runs, *runs.iterdir()):
            shutil.chown(path, host.uid, host.uid)
        options = ("--runs", runs.parent, "--storage", self.url, "--wait", 120)
        return host.python("main.py", "worker", "--study", "study", *options, *more)

    def all(self) -> list[Command]:
        """Start the main command and both workers."""
        return [self.main(), *(self.worker(host) for host in self.bed.workers)]

    def rows(self) -> list[FrozenTrial]:
        """The trials on the server; none as long as there is no study."""
        try:
            storage = optuna.storages.RDBStorage(self.bed.database.own_url(self.name))
            return optuna.load_study(study_name="study", storage=storage).get_trials(deepcopy=False)
        except KeyError:
            return []

    def wait_for_trials(self, count: int) -> None:
        """Wait until so many are on the server. Raises RuntimeError after five minutes."""
        self.wait_until(lambda: len(self.rows()) >= count, f"{count} trials")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition. Raises RuntimeError after five minutes."""
        for _ in range(600):
            if condition():
                return
            time.sleep(0.5)
        raise RuntimeError(
            f"no {what} in five minutes: {[h.started[-1].text[-300:] for h in self.bed.hosts if h.started]}"
        )

    def in_transaction(self) -> int:
        """Sessions of clients that wait in a transaction."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        return int(self.bed.database.query(sql)[0][0])

    def row(self, what: str, commands: list[Command], finish: bool = True) -> None:
        """Wait for the commands to end, check what is left, and print a row."""
        faults = []
        for command in commands:
            if command.wait(SECONDS_TO_END) is None:
                faults.append("a command does not end")
                command.process.kill()
            elif fault := command.fault:
                faults.append(fault)
        seconds = time.monotonic() - self.begun
        for _ in range(60):
            if not self.in_transaction():
                break
            time.sleep(1)
        else:
            faults.append("a session is in a transaction after a minute")
        self.bed.end_commands()
        endings = "/".join(str(c.process.returncode) for c in commands)
        if finish:
            last = self.main()  # what is missing, if all have ended early
            last.wait(SECONDS_TO_END)
            faults += [last.fault] if last.fault else []
            faults += check_trials(self.rows(), self.trials)
        Job.faults += len(faults)
        outcome = "; ".join(faults) or f"{len(self.rows())} trials, status {endings}"
        print(f"| {what} | {outcome} | {seconds:.0f} |", flush=True)


def check_trials(trials: list[FrozenTrial], total: int) -> list[str]:
    """What is wrong with the trials of a study that has ended."""
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    evaluations = {(t.datetime_start, t.datetime_complete, str(t.params)) for t in complete}
    faults = {
        "numbers have gaps": [t.number for t in trials] != [*range(len(trials))],
        f"{len(complete)} trials instead of {total}": len(complete) != total,
        "trials were added twice": len(evaluations) < len(complete),
        "there are several supernets": len({t.user_attrs["fingerprint"] for t in complete}) != 1,
        "a trial is unfinished": not all(t.state.is_finished() for t in trials),
    }
    return [fault for fault, found in faults.items() if found]


def cuts(bed: TestBed, rounds: int) -> None:
    """A link cut for ten seconds while reading, committing and preparing."""
    job = Job(bed, "cut_reading", 200)
    commands = job.all()
    job.wait_for_trials(40)
    cut(bed.workers[0], 10)
    job.row("link cut for 10 s while searching", commands)

    job = Job(bed, "cut_commit", 200)
    commands = job.all()
    job.wait_for_trials(40)
    cut_in_commit(job, bed.workers[0], commands[1])
    time.sleep(10)
    bed.workers[0].join()
    job.row("link cut for 10 s in a commit", commands)

    job = Job(bed, "cut_preparing", 60)
    commands = [job.main("--study-name", "other", "--train-steps", 1500)]
    job.wait_until(lambda: "Study other" in commands[0].text, "study")
    cut(bed.main, 10)
    job.row("link cut for 10 s while the supernet trains", commands, finish=False)


def for_good(bed: TestBed, rounds: int) -> None:
    """Links cut for good, in every phase at once."""
    job, other = Job(bed, "for_good", 2000), Job(bed, "preparing_for_good", 60)
    commands = [job.worker(host) for host in bed.workers]
    first = job.main()
    job.wait_for_trials(60)
    first.process.terminate()
    first.wait(60)
    commands.append(other.main("--study-name", "other", "--fresh", "--train-steps", 1500))
    other.wait_until(lambda: "Study other" in commands[-1].text, "study")
    bed.main.cut()
    bed.workers[0].cut()
    cut_in_commit(job, bed.workers[1], commands[1])
    job.trials = len(job.rows())
    job.row("links cut for good: searching, in a commit, preparing", commands)


def cut(host: Host, seconds: float) -> None:
    """Cut a link for so long."""
    host.cut()
    time.sleep(seconds)
    host.join()


def cut_in_commit(job: Job, host: Host, command: Command) -> None:
    """Cut a link while a transaction of the host waits for the study's row; it gets it then."""
    place = job.bed.database.own_url(job.name)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
        f"client_addr = '{host.address}'"
    )
    with psycopg.connect(place) as connection:
        connection.execute("SELECT * FROM studies FOR UPDATE")
        job.wait_until(lambda: bool(job.bed.database.query(waiting)[0][0]), "commit")
        host.cut()


def restart(bed: TestBed, rounds: int) -> None:
    """The server restarted under way, in both ways."""
    job = Job(bed, "restarted", 300)
    commands = job.all()
    for count, mode in ((40, "fast"), (120, "immediate")):
        job.wait_for_trials(count)
        bed.database.control("restart", "-m", mode)
    job.row("PostgreSQL restarted, fast and immediate", commands)


SCENARIOS: dict[str, Callable[[TestBed, int], None]] = {
    "cuts": cuts,
    "for-good": for_good,
    "restart": restart,
}


@app.command()
def main(
    scenarios: Annotated[list[str] | None, typer.Argument(help="Which; all by default.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Cuts and kills of `chaos`.")] = 100,
) -> None:
    """Run scenarios, and print a row for each."""
    try:
        with stop_at_once(), test_bed() as bed:
            print("| what | outcome | s |\n|---|---|--:|", flush=True)
            job = Job(bed, "first", 8)
            job.row("supernet, reference sample, 8 trials", [job.main()], finish=False)
            for name in scenarios or SCENARIOS:
                SCENARIOS[name](bed, rounds)
    except NotAllowedError as reason:
        print(reason)
        return
    print(environment())
    raise typer.Exit(bool(Job.faults))


if __name__ == "__main__":
    sys.exit(run_command(app))
