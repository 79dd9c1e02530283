"""Kill a study again and again, and look whether anything was lost.

One command runs a study of a tiny space on scikit-learn's digits. It is killed with SIGKILL at a
random moment, and started again, so often; after that it may end. In every round the kill falls
into whatever stage the study has got to: to hit all stages, rounds begin anew after a study is
done, with the next seed. At the end of each study all that it promises is checked:

- trial numbers without gaps, no trial left RUNNING, as many complete as asked for;
- no trial that was complete after a kill missing or changed later;
- each score in the database equal to one that is measured again, on the supernet of the study;
- the supernet equal, bit for bit, to one that was trained without a kill;
- no temporary file left, and nothing set aside as damaged.

    OMP_NUM_THREADS=1 nice -n 10 python benchmarks/chaos.py --kills 50
"""

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

sys.path.insert(0, str(Path(__file__).parents[1]))  # Python puts only this script's folder there

from app.device import pick_device
from app.settings import StudySettings, load_settings
from app.supernet.checkpoint import load_checkpoint
from app.workbench import Files, open_data, set_up

STUDY = """
space = "nasbenchmacro"
dataset = "digits"
image_size = 8

[supernet]
steps = {steps}
batch_size = 16

[score]
images = 8
reference = 24

[search]
trials = {trials}
population = 8
"""


@dataclass
class Result:
    """What was done to studies, and what became of them."""

    kills: Counter[str] = field(default_factory=Counter)
    """By the stage that the study was in."""
    studies: int = 0
    trials: int = 0
    scores_measured_again: int = 0
    faults: list[str] = field(default_factory=list)

    def expect(self, condition: bool, what: str) -> None:
        """Note a fault."""
        if not condition:
            self.faults.append(what)


def command(study: Path, runs: Path, *more: str) -> list[str]:
    """The command that is repeated."""
    return [sys.executable, "main.py", "--study", str(study), "--runs", str(runs), *more]


def stored(runs: Path, name: str) -> list[FrozenTrial]:
    """The trials in the database; none if there is no such study yet."""
    if not (runs / "studies.db").exists():
        return []
    try:
        study = optuna.load_study(study_name=name, storage=f"sqlite:///{runs / 'studies.db'}")
    except KeyError:
        return []
    return study.get_trials(deepcopy=False)


def stage(settings: StudySettings, files: Files, trials: list[FrozenTrial]) -> str:
    """How far the study has got, by what it has left."""
    if sum(t.state is TrialState.COMPLETE for t in trials) >= settings.search.trials:
        return "report"
    if trials:
        return "search"
    if files.reference.exists():
        return "reference or search"
    return "supernet or reference" if files.supernet.exists() else "start or supernet"


def torment(study: Path, runs: Path, seed: int, left: int, longest: float, result: Result) -> None:
    """Kill one study until it has ended by itself, at most `left` times, and check it."""
    name = f"chaos-{seed}"
    arguments = command(study, runs, "--seed", str(seed), "--study-name", name)
    settings = load_settings(str(study), {"seed": seed, "name": name, "runs": str(runs)})
    files = Files(settings.folder)
    rng = random.Random(f"chaos {seed}")
    kept: dict[int, FrozenTrial] = {}
    killed = 0
    while True:
        process = subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, errors = process.communicate(timeout=rng.uniform(0, longest) if left else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            left -= 1
            killed += 1
            trials = stored(runs, name)
            result.kills[stage(settings, files, trials)] += 1
            for number, trial in kept.items():
                same = number < len(trials) and trials[number] == trial
                result.expect(same, f"trial {number} of {name} was lost or changed by a kill")
            kept = {t.number: t for t in trials if t.state is TrialState.COMPLETE}
            continue
        result.expect(process.returncode == 0, f"{name} ended with {process.returncode}: {errors}")
        break
    print(f"{name}: {killed} kills, {len(kept)} trials complete at the last of them", flush=True)
    check(settings, files, study, kept, result)


def check(
    settings: StudySettings,
    files: Files,
    study: Path,
    kept: dict[int, FrozenTrial],
    result: Result,
) -> None:
    """All that a study promises, after it has ended."""
    name = settings.name
    trials = stored(settings.runs, name)
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    result.studies += 1
    result.trials += len(complete)
    result.expect([t.number for t in trials] == [*range(len(trials))], f"{name}: numbers have gaps")
    result.expect(all(t.state.is_finished() for t in trials), f"{name}: a trial is left running")
    result.expect(len(complete) == settings.search.trials, f"{name}: {len(complete)} trials")
    for number, trial in kept.items():
        result.expect(trials[number] == trial, f"{name}: trial {number} has changed")
    left = [p.name for p in files.folder.iterdir() if p.suffix == ".part" or "damaged" in p.name]
    result.expect(not left, f"{name}: {left} left")
    for path in (files.front, files.picture, files.report):
        result.expect(path.exists(), f"{name}: there is no {path.name}")

    device = pick_device(settings.device)
    data, space = open_data(settings, files, device)
    bench = set_up(settings, files, device, data, space)
    measured: dict[str, dict[str, float | None]] = {}
    for trial in complete:
        arch = trial.user_attrs["arch"]
        if arch not in measured:
            measured[arch] = bench.scorer(arch)
            result.scores_measured_again += 1
        again = {key: trial.user_attrs[key] for key in measured[arch]}
        result.expect(again == measured[arch], f"{name}: the scores of {arch} are others now")
        result.expect(
            trial.values[0] == bench.composite(measured[arch]), f"{name}: score of {arch} differs"
        )

    undisturbed = settings.runs / "undisturbed"
    more = ("--seed", str(settings.seed), "--study-name", name, "--trials", "1")
    subprocess.run(command(study, undisturbed, *more), check=True, capture_output=True)
    whole = load_checkpoint(undisturbed / name / "supernet.pt")["supernet"]
    ours = load_checkpoint(files.supernet)["supernet"]
    equal = whole.keys() == ours.keys() and all(torch.equal(whole[k], ours[k]) for k in whole)
    result.expect(equal, f"{name}: the supernet differs from one trained without a kill")


def main() -> None:
    """Torment studies until there were enough kills; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds until a kill, at most")
    parser.add_argument("--kills-a-study", type=int, default=12)
    given = parser.parse_args()
    result, began = Result(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "chaos.toml"
        study.write_text(STUDY.format(steps=given.steps, trials=given.trials))
        seed = 0
        while (left := given.kills - result.kills.total()) > 0:
            most = min(left, given.kills_a_study)
            torment(study, Path(folder) / "runs", seed, most, given.longest, result)
            seed += 1
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"{time.monotonic() - began:.0f} s, seeds 0 to {seed - 1}")
    print(f"kills: {result.kills.total()}, by stage: {dict(result.kills)}")
    print(f"studies ended: {result.studies}, trials complete: {result.trials}")
    print(f"architectures scored again: {result.scores_measured_again}")
    print("\n".join(result.faults) or "nothing lost, nothing changed")
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
