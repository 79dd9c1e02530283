"""Does training the supernet pay? Loss, one-shot accuracy and ranks after several lengths of it.

    python benchmarks/training_pays.py --tables DIR --dataset FOLDER

A cell of the table is one space, one number of steps and one initialisation of the frozen weights,
trained as a study with these settings trains. Short trainings come first. Supernets resume from
their checkpoints and finished cells from their files, so kill it and run it again at will; two
processes with the same command share the work. `--show` prints what there is.
"""

import json
import sys
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated, Any, NamedTuple

import typer
from common import environment
from filelock import FileLock, Timeout
from ground_truth import (
    BENCHMARKS,
    EVERYWHERE,
    Dataset,
    Tables,
    markdown_row,
    network_sizes,
    table_path,
)
from one_shot import one_shot

from app.atomic import write_json, write_text
from app.context import open_data, trained_supernet
from app.data import ImageData
from app.device import device_name, pick_device
from app.exit_status import run_command
from app.paths import StudyPaths
from app.rank.statistics import Ranker
from app.rank.table import Row, canonical, read_table
from app.rank.table import sample as random_rows
from app.scores import PARTS, VERSION
from app.scores.composite import Composite
from app.scores.probe import ProbeBatch
from app.scores.reference import sample_architectures
from app.scores.scorer import Scorer
from app.study_file import load_config
from app.supernet.checkpoint import load_checkpoint

SPACES = "nasbench201,nasbenchmacro,mnasnet,mobilenet"
LEARNING_RATE = {"shared": 0.3, "kaiming": 0.02}
"""By initialisation of the frozen weights: the default, and the one before."""
RANDOM_PATHS, HELD_OUT, BATCH_SIZE, LAST_LOSSES = 50, 256, 64, 20

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Cell(NamedTuple):
    """One training."""

    steps: int
    space: str
    initialisation: str

    def __str__(self) -> str:
        return f"{self.space}-{self.initialisation}-{self.steps}"


@app.command()
def main(
    tables: Tables,
    dataset: Dataset,
    runs: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("runs/training"),
    spaces: Annotated[str, typer.Option(help="Names with commas between.")] = SPACES,
    steps: Annotated[str, typer.Option(help="With commas between.")] = "0,500,2000,10000,30000",
    weights: Annotated[str, typer.Option(help="Initialisations.")] = ",".join(LEARNING_RATE),
    sample: Annotated[int, typer.Option(min=20, help="Even rows of each table to rank.")] = 150,
    seed: int = 0,
    device: str = "auto",
    show: Annotated[bool, typer.Option("--show", help="Only print the table so far.")] = False,
) -> None:
    """Train, measure and rank each cell that has no result yet."""
    options = {"dataset": dataset, "runs": runs, "seed": seed, "device": device}
    counts = sorted(int(count) for count in steps.split(","))
    for cell in map(Cell._make, product(counts, spaces.split(","), weights.split(","))):
        folder = runs / str(cell)
        result = folder / f"result-v{VERSION}.json"
        if show or result.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "lock", blocking=False):
                if not result.exists():
                    print(cell, flush=True)
                    write_json(result, measured(cell, options, tables, sample))
                    write_text(runs / "table.md", table(runs))
        except Timeout:  # another process has it
            continue
    print(table(runs))


def measured(cell: Cell, options: dict[str, Any], tables: Path, sample: int) -> dict[str, Any]:
    """Train the supernet of a cell, or finish its training, and measure it."""
    training_options = {
        "name": str(cell),
        "supernet.steps": cell.steps,
        "supernet.initialisation": cell.initialisation,
        "supernet.learning_rate": LEARNING_RATE[cell.initialisation],
    }
    config = load_config(
        cell.space, EVERYWHERE | network_sizes(cell.space) | options | training_options
    )
    device, seed = pick_device(config.device), config.seed
    paths = StudyPaths(config.folder)
    data, space = open_data(config, paths, device)
    supernet = trained_supernet(config, paths, device, data)
    checkpoint = load_checkpoint(paths.supernet)

    rng = Random(f"paths {seed}")
    random_paths = [space.sample(rng) for _ in range(RANDOM_PATHS)]
    found = list(one_shot(supernet, data, random_paths, BATCH_SIZE, HELD_OUT))
    losses = [loss for _, loss in checkpoint["losses"][-LAST_LOSSES:]]
    result = {
        **cell._asdict(),
        "seconds": checkpoint["seconds"],
        "training loss": fmean(losses) if losses else None,
        "one-shot accuracy": fmean(accuracy for accuracy, _ in found),
        "one-shot loss": fmean(loss for _, loss in found),
        "seed": seed,
        "hardware": device_name(device),
        "environment": environment(),
    }
    if benchmark := BENCHMARKS.get(cell.space):
        rows = read_table(table_path(tables, cell.space), benchmark.column)
        rows = random_rows(canonical(rows[::2], space), sample, seed)
        probe = ProbeBatch.draw(data, config.score.images, seed, device)
        scorer = Scorer(space, supernet, probe)
        reference = sample_architectures(space, config.score.reference, seed)
        result |= {"rows": len(rows), "ranks": ranks(rows, scorer, reference, data)}
    return result


def ranks(
    rows: list[Row], scorer: Scorer, reference: list[str], data: ImageData
) -> dict[str, tuple[float, float]]:
    """Kendall τ and τ within FLOPs of the composite, its parts and one-shot loss."""
    archs = [row.arch for row in rows]
    composite = Composite([scorer.or_none(arch) for arch in reference])
    parts = [composite.parts(scorer.or_none(arch)) for arch in archs]
    columns = {part: [values[part] for values in parts] for part in PARTS}
    columns["composite"] = [sum(values.values()) for values in parts]
    found = one_shot(scorer.supernet, data, archs, BATCH_SIZE, HELD_OUT)
    columns["one-shot loss"] = [-loss for _, loss in found]
    macs = [scorer.space.cost(arch).macs for arch in archs]
    ranker = Ranker([row.accuracy for row in rows], macs, seed=0)
    rankings = {name: ranker(values) for name, values in columns.items()}
    return {name: (r["tau"], r["tau_within_flops"]) for name, r in rankings.items()}


def table(runs: Path) -> str:
    """All results so far, as Markdown."""
    results = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in runs.glob(f"*/result-v{VERSION}.json")
    ]
    ranked = (*PARTS, "composite", "one-shot loss")
    header = ["space", "steps", "weights", "training loss", "held-out loss", "one-shot"]
    header += [*ranked, "seconds"]
    lines = [markdown_row(header), markdown_row(["---"] * 3 + ["--:"] * (len(header) - 3))]
    for r in sorted(results, key=lambda r: (r["space"], r["steps"], r["initialisation"])):
        loss, ranks = r["training loss"], r.get("ranks", {})
        cells = [r["space"], f"{r['steps']:,}", r["initialisation"]]
        cells += ["–" if loss is None else f"{loss:.3f}", f"{r['one-shot loss']:.3f}"]
        cells += [f"{r['one-shot accuracy']:.1%}"]
        cells += ["{:.2f} / {:.2f}".format(*ranks[x]) if x in ranks else "–" for x in ranked]
        lines.append(markdown_row([*cells, f"{r['seconds']:,.0f}"]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run_command(app))
