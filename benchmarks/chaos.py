"""Kill a study again and again, and look whether anything was lost.

Three commands, of a tiny space on scikit-learn's digits: the study itself, the retraining of its
best network, and its export. Each is killed with SIGKILL at a random moment of its length, and
started again, so often; after that it may end. Then come the next command, and the next study with
the next seed. At the end of each study all that it promises is checked:

- trial numbers without gaps, no trial left RUNNING, as many complete as asked for;
- no trial that was complete after a kill missing or changed later;
- each score in the database equal to one that is measured again, on the supernet of the study;
- supernet and retrained network equal, bit for bit, to those made without a kill;
- what is exported equal to what was retrained, and after each kill whole or absent;
- no temporary file left, and nothing set aside as damaged.

    OMP_NUM_THREADS=1 nice -n 10 python benchmarks/chaos.py --kills 50
"""

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1]))  # Python puts only this script's folder there

from app.workbench import open_data, set_up

from app.device import pick_device
from app.paths import StudyPaths
from app.retrain.candidate import KIND
from app.scores.reference import Reference
from app.settings import StudySettings, load_settings
from app.supernet.checkpoint import load_checkpoint

STUDY = """
space = "nasbenchmacro"
dataset = "digits"
image_size = 8

[supernet]
steps = {steps}
batch_size = 16

[score]
images = 8
reference = {reference}

[search]
trials = {trials}
population = 8
"""

SHARES = {"search": 0.6, "retrain": 0.25, "export": 0.15}
"""Of the kills, by command."""
MODELS = ("model.onnx", "model.pt2", "model.safetensors", "model.json")


@dataclass
class Result:
    """What was done to studies, and what became of them."""

    kills: Counter[str] = field(default_factory=Counter)
    """By the stage that the command was in."""
    studies: int = 0
    trials: int = 0
    scores_measured_again: int = 0
    networks: int = 0
    faults: list[str] = field(default_factory=list)

    def expect(self, condition: bool, what: str) -> None:
        """Note a fault."""
        if not condition:
            self.faults.append(what)


@dataclass(frozen=True)
class Place:
    """One study: its files, and the commands on it."""

    study: Path
    runs: Path
    seed: int
    epochs: int

    @property
    def name(self) -> str:
        """Of the study in the database."""
        return f"chaos-{self.seed}"

    @property
    def settings(self) -> StudySettings:
        """As the commands have them."""
        given = {"seed": self.seed, "name": self.name, "runs": str(self.runs)}
        return load_settings(str(self.study), given)

    @property
    def paths(self) -> StudyPaths:
        """Of the study."""
        return StudyPaths(self.settings.folder)

    @property
    def out(self) -> Path:
        """Where its network is exported to."""
        return self.runs / "out" / self.name

    def search(self, *more: str) -> list[str]:
        """The study itself."""
        options = ("--runs", str(self.runs), "--seed", str(self.seed), "--study-name", self.name)
        return [sys.executable, "main.py", "--study", str(self.study), *options, *more]

    def known(self, command: str, *more: str) -> list[str]:
        """A command on what the study has found."""
        options = ("--study", self.name, "--runs", str(self.runs))
        return [sys.executable, "main.py", command, *options, *more]

    def retrain(self, which: str = "--pick=best-score") -> list[str]:
        """The training of a network from scratch."""
        return self.known("retrain", which, f"--epochs={self.epochs}", "--batch-size=64")

    def export(self) -> list[str]:
        """Both formats of the same network."""
        places = [f"--out={self.out / name}" for name in MODELS[:2]]
        return self.known("export", "--pick=best-score", *places)

    def trials(self) -> list[FrozenTrial]:
        """Those in the database; none if there is no such study yet."""
        if not (self.runs / "studies.db").exists():
            return []
        url = f"sqlite:///{self.runs / 'studies.db'}"
        try:
            return optuna.load_study(study_name=self.name, storage=url).get_trials(deepcopy=False)
        except KeyError:
            return []

    def search_stage(self, began: float) -> str:
        """How far a killed search that began then had got, by what it has left."""
        settings, paths = self.settings, self.files
        if not paths.settings.exists() or paths.settings.stat().st_mtime < began:
            return "start"  # every run writes its settings before it works
        trials = self.trials()
        if sum(t.state is TrialState.COMPLETE for t in trials) >= settings.search.trials:
            return "report"
        if paths.reference.exists() and len(Reference.load(paths.reference).scores) == (
            settings.score.reference
        ):
            return "search"
        return "reference" if paths.supernet.exists() else "supernet"


class Torment:
    """Kills the commands on one study, and checks what is left."""

    def __init__(self, place: Place, result: Result, seconds: dict[str, float]) -> None:
        """`seconds` is how long each command takes alone."""
        self.place, self.result, self.seconds = place, result, seconds
        self.rng = random.Random(f"chaos {place.seed}")
        self.kept: dict[int, dict[str, Any]] = {}

    def command(
        self, name: str, line: list[str], kills: int, stage: Callable[[float], str]
    ) -> None:
        """Run a command again until it has ended by itself, killed at most `kills` times."""
        done = 0
        while True:
            age(self.place.runs)
            began = time.time()
            process = subprocess.Popen(
                line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            limit = self.rng.uniform(0, 0.6 * self.seconds[name]) if done < kills else None
            try:
                _, errors = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                done += 1
                self.result.kills[stage(began)] += 1
                self.after_kill()
                continue
            status = process.returncode
            self.expect(status == 0, f"{name} ended with {status}: {errors}")
            break
        print(f"{self.place.name}: {name} killed {done} times", flush=True)

    def expect(self, condition: bool, what: str) -> None:
        """Note a fault of this study."""
        self.result.expect(condition, f"{self.place.name}: {what}")

    def after_kill(self) -> None:
        """Trials are those that were there before, and files whole or absent."""
        trials = self.place.trials()
        for number, trial in self.kept.items():
            same = number < len(trials) and vars(trials[number]) == trial
            self.expect(same, f"trial {number} was lost or changed")
        self.kept = {t.number: vars(t) for t in trials if t.state is TrialState.COMPLETE}
        try:
            for path in self.place.paths.retrained.glob("*/*.pt"):
                load_checkpoint(path, KIND)
            for path in self.place.paths.retrained.glob("*/result.json"):
                json.loads(path.read_text(encoding="utf-8"))
            for path in (self.place.out / name for name in MODELS):
                if path.exists():
                    read_model(path)
        except Exception as error:
            self.expect(False, f"a file is half: {error}")

    def check_search(self) -> None:
        """The trials, their scores, and the supernet, after the search has ended."""
        settings, paths, result = self.place.settings, self.place.paths, self.result
        self.after_kill()
        trials = self.place.trials()
        complete = [t for t in trials if t.state is TrialState.COMPLETE]
        result.studies += 1
        result.trials += len(complete)
        self.expect([t.number for t in trials] == [*range(len(trials))], "numbers have gaps")
        self.expect(all(t.state.is_finished() for t in trials), "a trial is left running")
        self.expect(len(complete) == settings.search.trials, f"{len(complete)} trials")
        for path in paths.reports:
            self.expect(path.exists(), f"there is no {path.name}")

        device = pick_device(settings.device)
        data, space = open_data(settings, paths, device)
        context = set_up(settings, paths, device, data, space)
        measured: dict[str, dict[str, float | None]] = {}
        for trial in complete:
            arch = trial.user_attrs["arch"]
            if arch not in measured:
                measured[arch] = context.scorer(arch)
                result.scores_measured_again += 1
            again = {key: trial.user_attrs[key] for key in measured[arch]}
            self.expect(again == measured[arch], f"the scores of {arch} are others now")
            score = context.composite(measured[arch])
            self.expect(trial.values[0] == score, f"score of {arch} differs")

    def check_networks(self, undisturbed: Place) -> None:
        """Supernet, retrained network and its export, against a study that nobody kills."""
        paths = self.place.paths
        (folder,) = (path.parent for path in paths.retrained.glob("*/result.json"))
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        for line in (
            undisturbed.search("--trials", "1"),
            undisturbed.retrain(f"--arch={found['network']}"),
        ):
            subprocess.run(line, check=True, capture_output=True)
        whole = undisturbed.paths.retrained / folder.name
        theirs = json.loads((whole / "result.json").read_text(encoding="utf-8"))
        for timing in ("seconds", "latency_ms"):
            del theirs[timing], found[timing]
        self.expect(found == theirs, "the result of the training differs")
        for kind, ours, other, key in (
            ("bnnas supernet 1", paths.supernet, undisturbed.paths.supernet, "supernet"),
            (KIND, folder / "best.pt", whole / "best.pt", "network"),
            (KIND, folder / "last.pt", whole / "last.pt", "network"),
            (KIND, folder / "last.pt", whole / "last.pt", "average"),
        ):
            equal = same_tensors(
                load_checkpoint(ours, kind)[key], load_checkpoint(other, kind)[key]
            )
            self.expect(equal, f"{ours.name}: {key} differs from one made without a kill")
        mine = [t for t in self.place.trials() if t.user_attrs.get("arch") == found["network"]]
        self.expect(bool(mine), "the trial of the retrained network is gone")
        self.expect(paths.comparison.exists(), "there is no comparison")
        self.check_export(folder / "best.pt", found["test_accuracy"])
        self.result.networks += 1

    def check_it_goes_on(self) -> None:
        """One more trial is one more, and clears away what the kills have left."""
        age(self.place.runs)
        more = len(self.kept) + 1
        subprocess.run(
            self.place.search("--trials", str(more)), check=True, capture_output=True, text=True
        )
        self.after_kill()
        self.expect(len(self.kept) == more, f"{len(self.kept)} trials, where {more} were asked for")

    def check_export(self, best: Path, accuracy: float) -> None:
        """What lies in the folder is the network of the best epoch, and nothing else."""
        out = self.place.out
        names = {path.name for path in out.iterdir()}
        self.expect(names == set(MODELS), f"exported were {sorted(names)}")
        for path in out.iterdir():
            read_model(path)
        weights = (out / "model.safetensors").read_bytes()
        about = json.loads((out / "model.json").read_text(encoding="utf-8"))
        digest = hashlib.sha256(weights).hexdigest()
        self.expect(about["weights"]["sha256"] == digest, "model.json is of other weights")
        self.expect(about["accuracy"]["test"] == accuracy, "model.json has another accuracy")
        network = load_checkpoint(best, KIND)["network"]
        equal = same_tensors(load_file(out / "model.safetensors"), network)
        self.expect(equal, "what was exported is not what was retrained")


def age(folder: Path) -> None:
    """What writers that were killed have left counts as left only after a minute."""
    for path in folder.rglob(".*.part*"):
        os.utime(path, (0, 0))


def read_model(path: Path) -> None:
    """Raises an exception for a file of an export that is not whole."""
    if path.suffix == ".onnx":
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    elif path.suffix == ".pt2":
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():
                raise ValueError(f"{path} is damaged")
    elif path.suffix == ".safetensors":
        load_file(path)
    else:
        json.loads(path.read_text(encoding="utf-8"))


def same_tensors(ours: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return ours.keys() == others.keys() and all(torch.equal(ours[k], others[k]) for k in ours)


def measured_alone(place: Place) -> dict[str, float]:
    """Seconds that each command takes undisturbed."""
    seconds = {}
    lines = {"search": place.search(), "retrain": place.retrain(), "export": place.export()}
    for name, line in lines.items():
        began = time.monotonic()
        subprocess.run(line, check=True, capture_output=True)
        seconds[name] = time.monotonic() - began
    return seconds


def shares(kills: int) -> dict[str, int]:
    """So many kills, dealt to the commands."""
    dealt = {name: round(share * kills) for name, share in SHARES.items()}
    return {**dealt, "search": kills - dealt["retrain"] - dealt["export"]}


def main() -> None:
    """Torment studies until there were enough kills; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kills-a-study", type=int, default=13)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--reference", type=int, default=64)
    parser.add_argument("--trials", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    result, began = Result(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        study, runs = Path(folder) / "chaos.toml", Path(folder) / "runs"
        study.write_text(
            STUDY.format(steps=given.steps, reference=given.reference, trials=given.trials)
        )
        seconds = measured_alone(Place(study, Path(folder) / "alone", 0, given.epochs))
        print("alone, in seconds:", {name: round(value) for name, value in seconds.items()})
        seed = 0
        while (left := given.kills - result.kills.total()) > 0:
            place = Place(study, runs, seed, given.epochs)
            torment = Torment(place, result, seconds)
            dealt = shares(min(left, given.kills_a_study))
            torment.command("search", place.search(), dealt["search"], place.search_stage)
            torment.check_search()
            torment.command("retrain", place.retrain(), dealt["retrain"], lambda _: "retrain")
            torment.command("export", place.export(), dealt["export"], lambda _: "export")
            torment.after_kill()
            torment.check_networks(Place(study, Path(folder) / "whole", seed, given.epochs))
            torment.check_it_goes_on()
            seed += 1
        left_over = [
            str(path.relative_to(folder))
            for path in Path(folder).rglob("*")
            if ".part" in path.name or "damaged" in path.name
        ]
        result.expect(not left_over, f"left are {left_over}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"{time.monotonic() - began:.0f} s, seeds 0 to {seed - 1}")
    print(f"kills: {result.kills.total()}, by stage: {dict(result.kills)}")
    print(f"studies ended: {result.studies}, trials complete: {result.trials}")
    print(f"architectures scored again: {result.scores_measured_again}")
    print(f"networks retrained and exported: {result.networks}")
    print("\n".join(result.faults) or "nothing lost, nothing changed")
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
