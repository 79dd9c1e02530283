"""What the search is worth: its networks against published and random ones of the same cost.

    python benchmarks/acid_test.py --dataset FOLDER

Within a budget of multiply–adds, networks are chosen by `select` (16 networks, successive
halving), by score alone, as the best of 8 random ones by validation accuracy at the same cost of
training, and as MobileNetV2 and MobileNetV3-Small, scaled to the budget. What each way chose then
trains with three further seeds. Kill it and run it again at will; two processes may each have a
budget.
"""

import sys
import tempfile
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Annotated, Any

import typer
from common import read_rows
from filelock import FileLock
from ground_truth import Dataset
from small_mobilenets import DATA, RECIPE, Runs, Trainings, columns, searched_study, write_table

from app.config import SearchConfig, StudyConfig
from app.exit_status import run_command
from app.interrupt import stop_between_steps
from app.retraining.baselines import build_baseline, network_cost
from app.retraining.choice import choose_best
from app.retraining.select import SuccessiveHalving
from app.retraining.trials import accuracies
from app.sampling import Repair, draw
from app.trained import Result
from spaces import Space

RANDOM, CANDIDATES, SEEDS = 8, 16, (1, 2, 3)
TABLE = "acid-test.csv"
LOCK = Path(tempfile.gettempdir()) / "acid-test.lock"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    dataset: Dataset,
    runs: Runs = Path("runs/truth"),
    budget: Annotated[
        list[float] | None, typer.Option(help="M multiply–adds [1.52, 2.38: MobileNetV2's].")
    ] = None,
    space: Annotated[str, typer.Option(help="mobilenet or mnasnet.")] = "mobilenet",
    width: Annotated[float, typer.Option(help="Of the space; each in runs of its own.")] = 0.1,
    device: str = "auto",
) -> None:
    """Choose and train, then print what each way is worth."""
    trainings = Trainings(searched_study(dataset, runs, device, space, width))
    for millions in budget or [1.52, 2.38]:
        compare(trainings, millions * 1e6)
    print(summary())


def compare(trainings: Trainings, budget: float) -> None:
    """Fill the rows of one budget, each as soon as it is known."""
    trainer = trainings.trainer(0)

    with stop_between_steps() as check:

        def train(way: str, network: str, seed: int, epochs: int) -> Result:
            result = trainings.train(trainings.candidate(network, seed), check)
            if result is None:
                raise RuntimeError(f"another process trains {network} with seed {seed}")
            with FileLock(LOCK):
                record(result, budget, way, epochs, trainer.config)
            return result

        best = choose_best(trainer.rows, {"flops": budget}, CANDIDATES, ["flops"])
        chosen = {
            "best score": (best[0].arch, 0),
            "MobileNetV2": (scaled("mobilenet_v2", trainer.space, budget), 0),
            "MobileNetV3-Small": (scaled("mobilenet_v3_small", trainer.space, budget), 0),
        }
        for way, (network, epochs) in chosen.items():
            train(way, network, SEEDS[0], epochs)
        halving = SuccessiveHalving(trainer, best)
        winner = halving.run(check).definition["network"]
        trained = sum(len(accuracies(trial)) for trial in halving.trials.read().values())
        repair, rng = Repair(trainer.space, SearchConfig(max_flops=budget)), Random(f"{budget}")
        drawn = [repair(draw(trainer.space, rng)[0], rng) for _ in range(RANDOM)]
        known = [train("random", arch, 0, 0) for _, arch in filter(None, drawn)]
        lucky = max(known, key=lambda result: result.validation_accuracy).network
        chosen["select"] = winner, trained
        chosen["best of 8 random"] = lucky, RANDOM * RECIPE.epochs
        for seed in SEEDS:
            for way, (network, epochs) in chosen.items():
                train(way, network, seed, epochs)


def scaled(name: str, space: Space, budget: float) -> str:
    """The widest of a baseline's networks within the budget, in steps of 0.05."""
    widths = [f"{name}:{step / 20:g}" for step in range(1, 41)]
    sizes = space.classes, space.image_size
    return max(
        (w for w in widths if network_cost(build_baseline(w, *sizes), sizes[1]).macs <= budget),
        key=lambda width: float(width.partition(":")[2]),
    )


def record(result: Result, budget: float, way: str, epochs: int, config: StudyConfig) -> None:
    """Add a row to the table, or replace it."""
    own = {"dataset": config.dataset_name, "budget": f"{budget:.0f}", "way": way}
    row: dict[str, Any] = own | columns(result, config) | {"epochs to choose": epochs}
    keys = (*own, "space", "width", "arch", "seed")
    same = [str(row[key]) for key in keys]
    rows = [known for known in table() if [known[key] for key in keys] != same]
    write_table(TABLE, [*rows, row])


def table() -> list[dict[str, str]]:
    """The rows so far."""
    return read_rows(DATA / TABLE) if (DATA / TABLE).exists() else []


def summary() -> str:
    """Mean test accuracy ± standard error of each way, by data set and budget, as Markdown."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in table():
        space = f"{row['space']} × {row['width']}"
        key = row["dataset"], f"{float(row['budget']) / 1e6:g}", space, row["way"]
        groups.setdefault(key, []).append(row)
    heads = "data", "budget (M)", "space", "way", "test %", "trainings", "M", "epochs to choose"
    lines = [" | ".join(heads), "|".join(["---"] * len(heads))]
    for key, rows in sorted(groups.items()):
        values = [float(row["test_accuracy"]) for row in rows]
        error = f" ± {stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
        flops = fmean(float(row["flops"]) for row in rows) / 1e6
        told = f"{fmean(values):.2f}{error}", str(len(values)), f"{flops:.2f}"
        lines.append(" | ".join([*key, *told, rows[-1]["epochs to choose"]]))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_command(app))
