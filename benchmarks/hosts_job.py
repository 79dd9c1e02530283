"""A study on the hosts of a test bed, and what must hold when its commands have ended.

- The total is exact, trials are numbered without gaps, and none was added twice.
- All trials have the fingerprint of one supernet.
- A command has ended with status 0, or with 1 and one line that says why.
- Within a minute, the server has no session in a transaction.
"""

import shutil
import time
from collections.abc import Callable, Sequence

import optuna
import psycopg
from chaos import STUDY
from optuna.trial import FrozenTrial, TrialState
from test_bed import PORT, Command, Host, TestBed

import app.run
import app.worker  # noqa: F401  (so that no fork imports it)
from app.cli import main as bnnas

SECONDS_TO_END = 300
"""A command that has lost its server for good must have ended by then."""

SHORT = STUDY.replace("steps = 200", "steps = 40").replace("reference = 64", "reference = 32")


class Job:
    """One study in a database of its own."""

    faults = 0

    def __init__(self, bed: TestBed, name: str, trials: int, port: int = PORT) -> None:
        self.bed, self.name, self.trials = bed, name, trials
        self.url = bed.database.url(name, port)
        self.file = bed.main.folder.parent / "study.toml"
        self.file.write_text(SHORT)
        self.begun = time.monotonic()
        bed.database.query(f"CREATE DATABASE {name}")

    def main(self, *more: object) -> list[str]:
        """The main command; the supernet of an earlier job is taken as it is."""
        runs = self.bed.main.folder / "runs"
        options = ("--study", self.file, "--runs", runs, "--storage", self.url)
        return [str(word) for word in (*options, "--trials", self.trials, *more)]

    def worker(self, host: Host) -> list[str]:
        """A worker, to which the supernet was copied as `docs/scaling.md` says."""
        runs, source = host.folder / "runs" / "study", self.bed.main.folder / "runs" / "study"
        runs.mkdir(parents=True, exist_ok=True)
        for name in ("supernet.pt", "reference.json"):
            shutil.copy(source / name, runs)
        for path in (runs.parent, runs, *runs.iterdir()):
            shutil.chown(path, host.uid, host.uid)
        options = ("--runs", runs.parent, "--storage", self.url, "--wait", 120)
        return ["worker", "--study", "study", *map(str, options)]

    def start(self, host: Host, *more: object) -> Command:
        """Start the command of a host."""
        words = self.main(*more) if host is self.bed.main else self.worker(host)
        return host.call(lambda: bnnas(words))

    def start_all(self) -> list[Command]:
        """Start the main command and both workers."""
        return [self.start(host) for host in self.bed.hosts]

    def rows(self) -> list[FrozenTrial]:
        """The trials on the server."""
        storage = optuna.storages.RDBStorage(self.bed.database.own_url(self.name))
        study = optuna.load_study(study_name="study", storage=storage)
        found = study.get_trials(deepcopy=False)
        storage.engine.dispose()
        return found

    def count(self) -> int:
        """The number of trials on the server."""
        try:
            return int(self.bed.database.query("SELECT count(*) FROM trials", self.name)[0][0])
        except psycopg.errors.UndefinedTable:
            return 0

    def wait_for_trials(self, count: int) -> None:
        """Wait until so many are on the server."""
        self.wait_until(lambda: self.count() >= count, f"{count} trials")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition. Raises RuntimeError after five minutes."""
        for _ in range(1500):
            if condition():
                return
            time.sleep(0.2)
        ends = [host.started[-1].text[-300:] for host in self.bed.hosts if host.started]
        raise RuntimeError(f"no {what} in five minutes: {ends}")

    def row(self, what: str, commands: Sequence[Command], finish: bool = True) -> None:
        """Wait for the commands to end, check what is left, and print a row."""
        faults = []
        for command in commands:
            if command.wait(SECONDS_TO_END) is None:
                faults.append("a command does not end")
                command.process.kill()
            elif fault := command.fault:
                faults.append(fault)
        seconds = time.monotonic() - self.begun
        sql = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        until = time.monotonic() + 60
        while self.bed.database.query(sql)[0][0]:
            if time.monotonic() > until:
                faults.append("a session is in a transaction after a minute")
                break
            time.sleep(1)
        self.bed.end_commands()
        endings = "/".join(str(command.process.exitcode) for command in commands)
        if finish:
            last = self.start(self.bed.main)  # what is missing, if all have ended early
            last.wait(SECONDS_TO_END)
            faults += [last.fault] if last.fault else []
            faults += check_trials(self.rows(), self.trials)
        Job.faults += len(faults)
        print_row(what, "; ".join(faults) or f"status {endings}", seconds)


def print_row(what: str, outcome: str, seconds: float) -> None:
    """Print a row of the table."""
    print(f"| {what} | {outcome} | {seconds:.0f} |", flush=True)


def check_trials(trials: Sequence[FrozenTrial], total: int) -> list[str]:
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
