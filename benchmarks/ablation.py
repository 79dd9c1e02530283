"""Measure what each part of the score, the unbiased rule and training are worth on every space.

    python benchmarks/ablation.py --tables DIR --dataset FOLDER

It ranks the tables by our scores on three supernets: unbiased and trained, unbiased and untrained,
biased and trained. The same command resumes an interrupted run.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from common import environment, write_results
from ground_truth import (
    ALL,
    EVERYWHERE,
    Dataset,
    Json,
    OddRows,
    Sample,
    Spaces,
    Studies,
    Tables,
    benchmarks_of,
    markdown_row,
    odd_rows,
    table_path,
)

from app.cli import run_command
from app.options import study_options
from app.rank.job import rank
from app.rank.scores import COMPOSITES
from app.study_file import load_config

VARIANTS: dict[str, dict[str, Any]] = {
    "trained": {},
    "untrained": {"supernet.steps": 0},
    "biased": {"batchnorm": "biased"},
}
SCORES = (*COMPOSITES, "bn_nas")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@study_options("seed", "device")
def ablation(
    given: dict[str, Any],
    tables: Tables,
    dataset: Dataset,
    runs: Studies = Path("runs/ablation"),
    sample: Sample = None,
    odd: OddRows = False,
    spaces: Spaces = ALL,
    variants: Annotated[str, typer.Option(help="Names with commas between.")] = ",".join(VARIANTS),
    json_file: Json = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables there.")] = None,
) -> None:
    """Rank by our scores on every space and supernet, and print one table per space."""
    given |= {"dataset": dataset, "runs": runs}
    results: dict[str, dict[str, Any]] = {}
    benchmarks = benchmarks_of(spaces, tables)
    if odd:
        tables = odd_rows(tables, benchmarks, runs / "odd-rows")
    for name, benchmark in benchmarks.items():
        for variant in variants.split(","):
            options = EVERYWHERE | benchmark.options | VARIANTS[variant] | given
            config = load_config(name, options | {"name": f"{name}-{variant}"})
            found = config.folder / "rank.json"
            rank(
                config,
                table_path(tables, name),
                benchmark.column,
                sample,
                ",".join(SCORES),
                json_file=found,
            )
            results.setdefault(name, {})[variant] = json.loads(found.read_text(encoding="utf-8"))
    text = "\n".join(markdown_table(name, found) for name, found in results.items())
    print(f"\n{text}\n{environment()}")
    write_results(results, json_file, text, markdown)


def markdown_table(space: str, results: dict[str, Any]) -> str:
    """Table of τ / τ within FLOPs / mean regret on each supernet."""
    lines = [
        markdown_row([space, *results]),
        markdown_row(["---", *["--:"] * len(results)]),
    ]
    for score in SCORES:
        cells = [_cell(result["scores"][score]) for result in results.values()]
        lines.append(markdown_row([score, *cells]))
    first = next(iter(results.values()))
    lines.append(
        f"\n{first['architectures']} architectures of {Path(first['table']).name}, "
        f"{first['column']}; seed {first['seed']}; on {first['hardware']}\n"
    )
    return "\n".join(lines)


def _cell(found: dict[str, Any]) -> str:
    tau, within = (
        "–" if found[name] is None else f"{found[name]:.3f}" for name in ("tau", "tau_within_flops")
    )
    return f"{tau} / {within} / {found['regret_mean']:.2f}"


if __name__ == "__main__":
    sys.exit(run_command(app))
