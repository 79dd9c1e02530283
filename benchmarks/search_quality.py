"""What the search finds: ours against Optuna's NSGA-II, and what training its best networks adds.

    python benchmarks/search_quality.py --tables DIR --dataset FOLDER --runs runs/quality

Each space is searched with the real score on an untrained supernet, from each seed by

- *ours*: a first generation spaced evenly over the range of costs, costs as logarithms, nothing
  tried twice;
- *plain*: Optuna's NSGAIISampler as it comes, of the same population.

Printed are the ratio of the hypervolumes that both fronts dominate after as many trials, over the
logarithm of the cost, from the lowest score that either search of that seed has seen and the
dearest network of the space; how many of 20 budgets each front serves, with a network of 0.9 to 1
times the budget; and, where there is a table of accuracies, the points of accuracy lost against the
best network within each budget by whoever takes the best score within it. There distinct
architectures count and not trials, since a repeat costs nothing. Where a search has found nothing
within a budget, the median network within it is taken. `accuracies.py` completes the tables.

Successive halving of the best candidates within a budget is simulated: a round sees accuracies with
normal noise, whose deviation is that of a label in the last round and doubles with each round
before it, and a third goes on.

Scores are kept in the folder of runs: kill it and run it again at will.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, log
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Annotated

import numpy as np
import optuna
import typer
from accuracies import complete
from common import environment
from ground_truth import BENCHMARKS, Dataset, Tables, markdown_row, network_sizes, table_path
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import TrialState

from app.context import open_data, prepare
from app.definition import reference_definition
from app.device import device_name, pick_device
from app.exit_status import run_command
from app.pareto import BUDGETS, outer_fence
from app.paths import StudyPaths
from app.rank.store import ScoreFile
from app.rank.table import read_table
from app.samplers import create_sampler, with_log_costs
from app.sampling import Repair, cost_range
from app.scores import SCORES, VERSION
from app.study import directions
from app.study_file import load_config
from spaces import InfeasibleError, Space

THIRDS = {"lowest": slice(0, 7), "middle": slice(7, 13), "highest": slice(13, 20)}
"""Of the budgets, cheapest first."""
CANDIDATES = (1, 8, 16)
"""How many of the best scores are trained; 1 trains none."""
NOISE = (0.3, 0.5)
"""Standard deviations of a trained accuracy, in points."""
SIMULATIONS = 50
MAX_TRIALS = 4
"""Times the number of distinct architectures wanted; a search that repeats more ends there."""

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Subject:
    """A space with the score of each of its architectures, measured when first asked for."""

    space: Space
    score: Callable[[str], float]
    population: int

    @property
    def budgets(self) -> list[float]:
        """20 costs, evenly spaced in the logarithm from the cheapest network to the dearest."""
        costs = cost_range(self.space)
        return list(np.geomspace(costs.lowest, costs.highest, BUDGETS) * (1 + 1e-9))

    def macs(self, arch: str) -> int:
        """Its multiply–adds."""
        return self.space.cost(arch).macs


def open_subject(name: str, dataset: str, runs: Path, image_size: int) -> Subject:
    """Prepare a study of a space, with the images and the networks of its preset."""
    options = {"dataset": dataset, "runs": runs, "image_size": image_size}
    config = load_config(
        name, network_sizes(name) | options | {"supernet.steps": 0, "score.images": 32}
    )
    device, paths = pick_device(config.device), StudyPaths(config.folder)
    paths.folder.mkdir(parents=True, exist_ok=True)
    data, space = open_data(config, paths, device)
    context = prepare(config, paths, device, data, space)
    kept = paths.folder / f"scores-v{VERSION}.jsonl"
    scores = ScoreFile(kept, reference_definition(config, data), device_name(device))

    def score(arch: str) -> float:
        scores.fill(arch, SCORES, context.scorer.or_none)
        return context.composite({name: scores[arch, name].value for name in SCORES})

    return Subject(space, score, config.search.population)


def search(
    subject: Subject,
    sampler: BaseSampler,
    told: Callable[[Sequence[float]], Sequence[float]],
    distinct: int,
) -> list[str]:
    """The architectures of a search's trials, until so many are distinct."""
    study = optuna.create_study(directions=directions(["flops"]), sampler=sampler)
    found: list[str] = []
    for _ in range(MAX_TRIALS * distinct):
        if len(set(found)) == distinct:
            break
        trial = study.ask(dict(subject.space.choices))
        try:
            arch = subject.space.decode(trial.params)
        except InfeasibleError:
            study.tell(trial, state=TrialState.FAIL)
            continue
        study.tell(trial, told([subject.score(arch), subject.macs(arch)]))
        found.append(arch)
    return found


def both(subject: Subject, seed: int, distinct: int) -> dict[str, list[str]]:
    """What ours and Optuna's search find from a seed."""
    config = load_config("nasbench201", {"search.population": subject.population}).search
    ours = create_sampler(config, Repair(subject.space), seed)
    plain = NSGAIISampler(population_size=subject.population, seed=seed)
    return {
        "ours": search(subject, ours, with_log_costs, distinct),
        "plain": search(subject, plain, list, distinct),
    }


def lowest_score(subject: Subject, archs: Sequence[str]) -> float:
    """The lowest score, but for degenerate networks that plots leave out as well."""
    scores = [subject.score(arch) for arch in archs]
    return max(min(scores), outer_fence(scores))


def hypervolume(subject: Subject, archs: Sequence[str], lowest: float) -> float:
    """Area between a front, the score `lowest` and the dearest network, over log cost."""
    dearest = log(cost_range(subject.space).highest)
    area, best = 0.0, lowest
    for cost, score in sorted((log(subject.macs(a)), subject.score(a)) for a in set(archs)):
        area += max(score - best, 0) * (dearest - cost)
        best = max(score, best)
    return area


def halve(archs: list[str], accuracies: dict[str, float], noise: float, rng: Random) -> str:
    """Simulated successive halving: the winner."""
    rounds = [archs]
    sizes = [len(archs)]
    while sizes[-1] > 1:
        sizes.append(ceil(sizes[-1] / 3))
    for place, size in enumerate(sizes[1:], 2):
        deviation = noise * 2 ** (len(sizes) - place)
        seen = {arch: rng.gauss(accuracies[arch], deviation) for arch in rounds[-1]}
        rounds.append(sorted(seen, key=lambda arch: -seen[arch])[:size])
    return rounds[-1][0]


@dataclass(frozen=True)
class Truth:
    """Accuracies of all architectures, and of those within each budget the best and the median."""

    accuracies: dict[str, float]
    within: list[tuple[float, float]]


def truth(subject: Subject, accuracies: dict[str, float]) -> Truth:
    """Look up which architectures are within each budget."""
    costs = np.array([subject.macs(arch) for arch in accuracies])
    values = np.array(list(accuracies.values()))
    possible = [values[costs <= budget] for budget in subject.budgets]
    return Truth(accuracies, [(float(v.max()), float(np.median(v))) for v in possible])


def losses(
    subject: Subject, archs: Sequence[str], truth: Truth, candidates: int = 1, noise: float = 0.0
) -> list[float]:
    """Points of accuracy lost within each budget."""
    rng = Random(0)
    ranked = sorted(set(archs), key=lambda arch: (-subject.score(arch), arch))
    lost = []
    for budget, (best, middling) in zip(subject.budgets, truth.within, strict=True):
        chosen = [arch for arch in ranked if subject.macs(arch) <= budget][:candidates]
        repeats = SIMULATIONS if len(chosen) > 1 else min(len(chosen), 1)
        won = [halve(chosen, truth.accuracies, noise, rng) for _ in range(repeats)]
        lost.append(best - (fmean(truth.accuracies[arch] for arch in won) if won else middling))
    return lost


def served(subject: Subject, archs: Sequence[str]) -> int:
    """Budgets with a network of at least 0.9 times their cost on the front of `archs`."""
    best, front = -np.inf, []
    for cost, negated in sorted((subject.macs(arch), -subject.score(arch)) for arch in set(archs)):
        if -negated > best:
            best = -negated
            front.append(cost)
    return sum(any(0.9 * b <= cost <= b for cost in front) for b in subject.budgets)


def figure(values: Sequence[float], digits: int = 2) -> str:
    """The mean and its standard error."""
    return f"{fmean(values):.{digits}f} ± {stdev(values) / len(values) ** 0.5:.{digits}f}"


def coverage(subject: Subject, runs: Sequence[dict[str, list[str]]], trials: int) -> Iterator[str]:
    """Table rows on hypervolume and budgets served after so many trials."""
    first = [{name: archs[:trials] for name, archs in run.items()} for run in runs]
    lowest = [lowest_score(subject, [*run["ours"], *run["plain"]]) for run in first]
    volumes = {
        name: [hypervolume(subject, run[name], low) for run, low in zip(first, lowest, strict=True)]
        for name in ("ours", "plain")
    }
    ratio = [ours / plain for ours, plain in zip(*volumes.values(), strict=True)]
    cells = [figure([served(subject, run[name]) for run in first], 1) for name in volumes]
    yield markdown_row([subject.space.name, str(trials), figure(ratio), *cells])


def accuracy_tables(
    subject: Subject, runs: Sequence[dict[str, list[str]]], truth: Truth
) -> Iterator[str]:
    """Table rows on the accuracy lost: by thirds of the budgets, and after successive halving.

    The last column of the thirds has the best score that any search has seen, which shows how much
    of the loss is the score's own.
    """
    lost = {
        name: np.array([losses(subject, run[name], truth) for run in runs])
        for name in ("ours", "plain")
    }
    together = [arch for run in runs for archs in run.values() for arch in archs]
    least = np.array(losses(subject, together, truth))
    for third, part in {**THIRDS, "all": slice(None)}.items():
        columns = [figure(list(values[:, part].mean(1))) for values in lost.values()]
        columns.append(f"{least[part].mean():.2f}")
        yield markdown_row([subject.space.name, f"{third} budgets", *columns])
    for noise in NOISE:
        cells = []
        for candidates in CANDIDATES:
            each = [losses(subject, run["ours"], truth, candidates, noise) for run in runs]
            cells.append(figure([fmean(one) for one in each]))
        yield markdown_row([subject.space.name, f"noise {noise}", *cells])


@app.command()
def main(
    tables: Tables,
    dataset: Dataset,
    runs: Annotated[Path, typer.Option(help="Folder of the scores.")] = Path("runs/quality"),
    spaces: Annotated[str, typer.Option(help="Names with commas between.")] = "nasbench201",
    trials: Annotated[int, typer.Option(min=8, help="Distinct architectures a search.")] = 500,
    seeds: Annotated[int, typer.Option(min=2)] = 10,
    image_size: Annotated[int, typer.Option(help="Pixels a side.")] = 32,
) -> None:
    """Search each space from each seed, and print the tables after each seed."""
    for name in spaces.split(","):
        subject = open_subject(name, dataset, runs, image_size)
        find = partial(both, subject, distinct=trials)
        known = None
        if name in BENCHMARKS:
            rows = read_table(table_path(tables, name), BENCHMARKS[name].column)
            known = truth(subject, complete(subject.space, rows))
        found = []
        for seed in range(seeds):
            found.append(find(seed))
            if seed < 1:
                continue
            print(f"{name}, {seed + 1} seeds, {trials} architectures; {environment()}")
            for searcher in found[0]:
                made = [(len(run[searcher]), len(set(run[searcher]))) for run in found]
                print(f"{searcher}: trials, of these distinct: {made}")
            for count in sorted({min(200, trials), trials}):
                print("\n".join(coverage(subject, found, count)))
            if known is not None:
                print("\n".join(accuracy_tables(subject, found, known)))
            sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_command(app))
