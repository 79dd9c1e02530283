"""Do to one study what should never mix two supernets, and check that no trial was mixed.

    OMP_NUM_THREADS=1 python benchmarks/identity.py --actions 100 [--storage URL]

Each action is drawn at random: run the study, from one of two runs folders that share its
database; kill it under way; run it twice at the same moment; delete or damage its supernet or its
reference sample, or bring a former one back; ask for another seed, a limit, or a fresh start.
Commands may be refused, with status 2 and one line. After each action every trial of the study is
compared with the score that its architecture gets on the study's own supernet. Exit status 1 if
one differs, or if a command ends with a traceback.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import optuna
import typer
from chaos import ROOT, STUDY, Place, Tally
from common import environment
from optuna.trial import TrialState

from app.atomic import DamagedError
from app.commit import FINGERPRINT
from app.context import open_data, prepare
from app.database import parse_url, sqlite_url, text_of
from app.device import pick_device
from app.errors import InputError
from app.exit_status import run_command
from app.scores.reference import Reference
from app.supernet.checkpoint import load_checkpoint

app = typer.Typer(add_completion=False)

ACTIONS = ["run", "kill", "kill", "twice", "twice", "delete", "damage", "restore", "restore"]
ACTIONS += ["other", "fresh"]

Process = subprocess.Popen[str]


class Tormentor:
    """Acts on one study in two runs folders that share one database."""

    def __init__(self, places: tuple[Place, Place], storage: str, seed: int) -> None:
        self.places, self.storage = places, storage
        self.rng = random.Random(seed)
        self.tally = Tally()
        self.statuses: Counter[str] = Counter()
        self.checked = 0

    def start(self, place: Place, *more: str) -> Process:
        """Start the main command."""
        command = place.command("--storage", self.storage, *more)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def finish(self, process: Process, name: str) -> None:
        """Wait for a command; it must succeed, be refused in one line, or have been killed."""
        _, error = process.communicate()
        self.statuses[f"{name}: {process.returncode}"] += 1
        ok = process.returncode in (0, 2, -9, -15, 130, 143) and "Traceback" not in error
        self.tally.expect(ok, f"{name} ended with {process.returncode}: {error[-2000:]}")

    def act(self) -> str:
        """Do one thing at random; returns its name."""
        place = self.rng.choice(self.places)
        action = self.rng.choice(ACTIONS)
        both = (place.paths.supernet, place.paths.reference)
        copies = {path: path.with_suffix(".kept") for path in both}
        files = [path for path in both if path.exists()]
        if action == "run":
            self.finish(self.start(place), action)
        elif action == "kill":
            process = self.start(place, "--trials", "1000")
            time.sleep(self.rng.uniform(2, 15))
            process.kill() if self.rng.random() < 0.5 else process.terminate()
            self.finish(process, action)
        elif action == "twice":
            started = [self.start(self.rng.choice(self.places), "--trials=400") for _ in range(2)]
            time.sleep(self.rng.uniform(2, 20))
            for process in started:
                process.terminate()
                self.finish(process, action)
        elif action in ("delete", "damage") and files:
            path = self.rng.choice(files)
            shutil.copy(path, copies[path])
            data = bytearray(path.read_bytes())
            data[self.rng.randrange(len(data))] ^= 0x10
            path.unlink() if action == "delete" else path.write_bytes(data)
        elif action == "restore":  # what is here, or what was before a fresh start
            for path, copy in copies.items():
                if copy.exists():
                    shutil.copy(copy, path)
        elif action == "other":
            more = self.rng.choice([("--seed", "77"), ("--max-flops", "60M"), ("--set", "x=1")])
            self.finish(self.start(place, *more), action)
        elif action == "fresh" and self.rng.random() < 0.3:
            self.finish(self.start(place, "--fresh"), action)
        return action

    def check(self) -> None:
        """Compare each trial of the study with its score on the study's own supernet."""
        storage = optuna.storages.RDBStorage(self.storage)
        if self.places[0].config.name not in optuna.get_all_study_names(storage):
            return
        study = optuna.load_study(study_name=self.places[0].config.name, storage=storage)
        bound = study.user_attrs.get(FINGERPRINT)
        complete = [t for t in study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE]
        prints = {t.user_attrs.get(FINGERPRINT) for t in complete}
        self.tally.expect(prints <= {bound}, f"trials of {prints} in a study of {bound}")
        for place in self.places:
            config, paths = place.config, place.paths
            try:
                load_checkpoint(paths.supernet), Reference.load(paths.reference)
            except (OSError, DamagedError):
                continue
            if len(Reference.load(paths.reference).scores) < config.score.reference:
                continue
            device = pick_device(config.device)
            try:
                context = prepare(config, paths, device, *open_data(config, paths, device))
            except InputError:  # files of another seed or limit
                continue
            if context.prepared.fingerprint != bound:
                continue
            for trial in self.rng.sample(complete, min(len(complete), 40)):
                score = context.composite(context.scorer(trial.user_attrs["arch"]))
                same = score == trial.values[0]
                self.tally.expect(same, f"trial {trial.number} has another score on its supernet")
                self.checked += 1
            return


@app.command()
def main(
    actions: Annotated[int, typer.Option(min=1)] = 100,
    storage: Annotated[str | None, typer.Option(help="[an SQLite file]")] = None,
    seed: int = 0,
) -> None:
    """Act on a study, and check its trials."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / f"identity{seed}.toml"
        file.write_text(STUDY.replace("trials = 160", "trials = 60"))
        first = Place(file, Path(name) / "one", 0)
        url = parse_url(storage) if storage else sqlite_url(Path(name) / "identity.db")
        tormentor = Tormentor((first, replace(first, runs=Path(name) / "two")), text_of(url), seed)
        done: Counter[str] = Counter()
        for number in range(1, actions + 1):
            action = tormentor.act()
            done[action] += 1
            tormentor.check()
            print(f"{number}: {action}", flush=True)
    print(f"actions {dict(done)}; commands and their status {dict(tormentor.statuses)}")
    print(f"{tormentor.checked} comparisons of a trial with its supernet; seed {seed}")
    print(f"{environment()}; {time.monotonic() - begun:.0f} s")
    print("\n".join(tormentor.tally.faults) or "no trial of another supernet, no traceback")
    raise typer.Exit(bool(tormentor.tally.faults))


if __name__ == "__main__":
    sys.exit(run_command(app))
