"""Whether the unbiased rule stops a search from preferring convolutions (the claim of BNNAS++).

    python benchmarks/rank_all.py --tables DIR --dataset FOLDER --no-baselines \\
        --variants trained,biased --runs RUNS
    python benchmarks/unbiased.py --runs RUNS

Reads what `rank_all.py` has written. For each space and supernet, and for two scores and accuracy
itself: the share of convolutions among the operations of the best 5 % of the networks, and the mean
accuracy of the best 10 % among the third with the fewest multiply–adds.
"""

import re
import sys
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from common import environment, read_rows
from ground_truth import BENCHMARKS, markdown_row

from app.errors import InputError
from app.exit_status import run_command

OPERATIONS = {
    "nasbench201": r"(\w+)~\d",
    "nasbench101": r"[:|]([\w-]+)",
    "nasbenchmacro": r"(\d)",
    "darts": r'\["(\w+)"',
}
"""What finds the operations in an architecture string; mnasnet chooses among convolutions only."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Row = dict[str, str]


def convolutions(arch: str, space: str) -> float:
    """The share of an architecture's operations that are convolutions; 0 without operations."""
    found = re.findall(OPERATIONS[space], arch)
    return fmean("conv" in op or op in ("1", "2") for op in found) if found else 0.0


def best(rows: list[Row], score: str, share: float) -> list[Row]:
    """The share of the rows with the highest scores."""
    return sorted(rows, key=lambda row: -float(row[score] or "-inf"))[: round(share * len(rows))]


def accuracy(rows: list[Row]) -> float:
    """Mean trained accuracy."""
    return fmean(float(row["accuracy"]) for row in rows)


@app.command()
def main(runs: Annotated[Path, typer.Option(help="Folder that rank_all.py has written.")]) -> None:
    """Print one table."""
    print(markdown_row(["space", "supernet", "score", "convolutions", "accuracy, few FLOPs"]))
    print(markdown_row(["---", "---", "---", "--:", "--:"]))
    for space in OPERATIONS:
        for supernet, folder in {"unbiased": space, "biased": f"{space}-biased"}.items():
            path = runs / folder / "rank" / f"{space}-dev-{BENCHMARKS[space].column}.csv"
            if not path.exists():
                raise InputError(f"there is no '{path}': run rank_all.py first")
            rows = read_rows(path)
            small = sorted(rows, key=lambda row: float(row["flops"]))[: len(rows) // 3]
            for score in ("composite", "bn_nas", "accuracy"):
                share = fmean(convolutions(row["arch"], space) for row in best(rows, score, 0.05))
                found = f"{accuracy(best(small, score, 0.1)):.2f}"
                print(markdown_row([space, supernet, score, f"{share:.0%}", found]))
        share = fmean(convolutions(row["arch"], space) for row in rows)
        print(markdown_row([space, "", "all", f"{share:.0%}", f"{accuracy(small):.2f}"]))
    print(environment())


if __name__ == "__main__":
    sys.exit(run_command(app))
