"""Kill a study again and again with SIGKILL, and check that nothing is lost.

    OMP_NUM_THREADS=1 python benchmarks/chaos.py --kills 50

A small study of scikit-learn's digits is killed at random moments and run again, until it ends
before it is killed or has had its share of kills; then comes the next study, with the next seed.
Checked are:

- after each kill: no COMPLETE trial is missing or changed, and files are whole or absent;
- at the end: numbers without gaps, no trial RUNNING, no architecture twice, the exact total;
- every trial has the score that its architecture gets again on the study's supernet;
- the supernet equals, bit for bit, that of a study that nobody killed;
- no temporary file is left, and none was set aside as damaged.

Exit status 1 if any of this fails.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import optuna
import torch
import typer
from common import environment
from optuna.trial import FrozenTrial, TrialState

from app.config import StudyConfig
from app.context import open_data, prepare
from app.device import pick_device
from app.exit_status import run_command
from app.paths import StudyPaths
from app.scores.reference import Reference
from app.study_file import load_config
from app.supernet.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]

STUDY = """
space = "nasbenchmacro"
dataset = "digits"
image_size = 8

[supernet]
steps = 200
batch_size = 16

[score]
images = 8
reference = 64

[search]
trials = 160
population = 8
"""

app = typer.Typer(add_completion=False)


@dataclass
class Tally:
    """What was done over all studies, and what went wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    """Number by the last thing that was saved."""
    trials: int = 0
    faults: list[str] = field(default_factory=list)

    def expect(self, condition: bool, fault: str) -> None:
        """Note a fault unless the condition holds."""
        if not condition:
            self.faults.append(fault)
            print(f"FAULT: {fault}", flush=True)

    def end(self, begun: float) -> NoReturn:
        """Say what was found since `begun`, and end with status 1 if anything went wrong."""
        print(f"{environment()}; {time.monotonic() - begun:.0f} s")
        print("\n".join(self.faults) or "nothing lost, nothing changed")
        raise typer.Exit(bool(self.faults))


@dataclass(frozen=True)
class Place:
    """One study: its files, its trials, and the command that runs it."""

    file: Path
    runs: Path
    seed: int
    storage: str | None = None

    @property
    def config(self) -> StudyConfig:
        """The settings that the command has."""
        options = {"seed": self.seed, "runs": str(self.runs), "storage": self.storage}
        return load_config(str(self.file), options)

    @property
    def paths(self) -> StudyPaths:
        """Where the study's files lie."""
        return StudyPaths(self.config.folder)

    def command(self, *more: str) -> list[str]:
        """The command line that runs or resumes the study."""
        options = ["--study", str(self.file), "--runs", str(self.runs), "--seed", str(self.seed)]
        options += ["--storage", self.storage] if self.storage else []
        return [sys.executable, "main.py", *options, *more]

    def run(self, *more: str) -> float:
        """Run the study to its end, undisturbed; returns the seconds it took."""
        begun = time.monotonic()
        subprocess.run(self.command(*more), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - begun

    def trials(self) -> list[FrozenTrial]:
        """The trials in the database; none if the study is not there yet."""
        database = self.runs / "studies.db"
        if not self.storage and not database.exists():
            return []
        storage = self.storage or f"sqlite:///{database}"
        try:
            study = optuna.load_study(study_name=self.config.name, storage=storage)
        except KeyError:
            return []
        return study.get_trials(deepcopy=False)


def torment(place: Place, kills: int, length: float, tally: Tally) -> None:
    """Kill a study up to `kills` times within the `length` (s) of a run, let it end, check it."""
    rng = random.Random(place.seed)
    kept: dict[int, dict[str, Any]] = {}
    while kills:
        process = subprocess.Popen(
            place.command(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            status = process.wait(timeout=rng.uniform(0, length))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kept = check_after_kill(place, kept, tally)
            kills -= 1
            continue
        tally.expect(status == 0, f"the study ended with status {status}")
        break
    make_leftovers_old(place.runs)
    place.run()
    check_after_kill(place, kept, tally, count=False)
    check_end(place, tally)


def check_after_kill(
    place: Place, kept: dict[int, dict[str, Any]], tally: Tally, count: bool = True
) -> dict[int, dict[str, Any]]:
    """Check trials and files; returns the trials that must stay from now on."""
    trials, paths = place.trials(), place.paths
    for number, trial in kept.items():
        same = number < len(trials) and vars(trials[number]) == trial
        tally.expect(same, f"seed {place.seed}: trial {number} is lost or changed")
    saved = "nothing"
    try:
        if paths.supernet.exists():
            load_checkpoint(paths.supernet)
            saved = "supernet"
        if paths.reference.exists():
            Reference.load(paths.reference)
            saved = "reference sample"
    except Exception as error:
        tally.expect(False, f"seed {place.seed}: a file is damaged: {error}")
    if count:
        tally.kills["trials" if trials else saved] += 1
    return {t.number: vars(t) for t in trials if t.state is TrialState.COMPLETE}


def check_end(place: Place, tally: Tally) -> None:
    """Check the trials of a study that has ended, their scores, and its files."""
    config, paths, trials = place.config, place.paths, place.trials()
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    archs = {t.user_attrs["arch"] for t in complete}
    tally.trials += len(complete)
    where = f"seed {place.seed}: "
    tally.expect([t.number for t in trials] == [*range(len(trials))], f"{where}numbers have gaps")
    tally.expect(all(t.state.is_finished() for t in trials), f"{where}a trial is unfinished")
    tally.expect(len(complete) == config.search.trials, f"{where}{len(complete)} trials")
    tally.expect(len(archs) == len(complete), f"{where}{len(complete) - len(archs)} repeated")
    for path in paths.reports:
        tally.expect(path.exists(), f"{where}{path.name} is missing")
    for path in place.runs.rglob("*"):
        tally.expect(".part" not in path.name, f"{where}{path.name} is left over")
        tally.expect("damaged" not in path.name, f"{where}{path.name} was set aside")
    device = pick_device(config.device)
    context = prepare(config, paths, device, *open_data(config, paths, device))
    for trial in complete:
        scores = context.scorer(trial.user_attrs["arch"])
        same = trial.values[0] == context.composite(scores)
        same &= all(trial.user_attrs[name] == value for name, value in scores.items())
        tally.expect(same, f"{where}trial {trial.number} has another score now")


def make_leftovers_old(folder: Path) -> None:
    """Date temporary files back: only those untouched for a minute are removed."""
    for path in folder.rglob(".*.part*"):
        os.utime(path, (0, 0))


def same_supernet(ours: StudyPaths, theirs: StudyPaths) -> bool:
    """Whether two supernets are equal, bit for bit."""
    a, b = (load_checkpoint(paths.supernet)["supernet"] for paths in (ours, theirs))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@app.command()
def main(
    kills: Annotated[int, typer.Option(min=1)] = 50,
    kills_per_study: Annotated[int, typer.Option(min=1)] = 10,
) -> None:
    """Kill studies, and check what is left of them."""
    begun, tally, seed = time.monotonic(), Tally(), 0
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "chaos.toml"
        file.write_text(STUDY)
        length = Place(file, Path(name) / "alone", 0).run()
        while (left := kills - tally.kills.total()) > 0:
            place = Place(file, Path(name) / f"runs-{seed}", seed)
            torment(place, min(left, kills_per_study), length, tally)
            undisturbed = Place(file, Path(name) / f"whole-{seed}", seed)
            undisturbed.run("--trials", "1")
            same = same_supernet(place.paths, undisturbed.paths)
            tally.expect(same, f"seed {seed}: the supernet differs from one of a run not killed")
            seed += 1
            print(f"{seed} studies, {tally.kills.total()} kills", flush=True)
    print(f"Kills by what was last saved: {dict(tally.kills)}")
    print(f"{seed} studies, seeds from 0, {tally.trials} trials, each scored again")
    tally.end(begun)


if __name__ == "__main__":
    sys.exit(run_command(app))
