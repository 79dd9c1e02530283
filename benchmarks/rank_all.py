"""Rank every score on every space with a table of trained accuracies.

    python benchmarks/rank_all.py --tables DIR --dataset FOLDER

It runs `main.py rank` on each space in turn; the same command resumes an interrupted run. After a
change of the settings in `ground_truth.py` give another `--runs`, as `rank` refuses to mix them.
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
from app.rank.scores import choose_scores
from app.study_file import load_config

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@study_options("train_steps", "seed", "device")
def rank_all(
    given: dict[str, Any],
    tables: Tables,
    dataset: Dataset,
    runs: Studies = Path("runs/benchmark"),
    sample: Sample = None,
    odd: OddRows = False,
    spaces: Spaces = ALL,
    scores: Annotated[
        str | None, typer.Option(help="Names with commas between; default: all.")
    ] = None,
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help="Only our scores.")] = False,
    json_file: Json = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table there.")] = None,
) -> None:
    """Rank every score on every space and print one table of all."""
    chosen = choose_scores(scores, not no_baselines)
    benchmarks = benchmarks_of(spaces, tables)
    if odd:
        tables = odd_rows(tables, benchmarks, runs / "odd-rows")
    options = {
        name: EVERYWHERE | benchmark.options | given for name, benchmark in benchmarks.items()
    }
    place = {"dataset": dataset, "runs": runs}
    studies = {name: load_config(name, options[name] | place) for name in benchmarks}

    results: dict[str, Any] = {}
    for name, config in studies.items():
        column = benchmarks[name].column
        found = config.folder / "rank.json"
        rank(config, table_path(tables, name), column, sample, scores, not no_baselines, found)
        results[name] = json.loads(found.read_text(encoding="utf-8"))
        results[name]["options"] = options[name]
    summary = {"environment": environment(), "spaces": results}
    text = markdown_text(summary, chosen)
    print(f"\n{text}", end="")
    write_results(summary, json_file, text, markdown)


def markdown_text(summary: dict[str, Any], scores: list[str]) -> str:
    """The table, followed by the seeds, settings and hardware behind it."""
    spaces = summary["spaces"]
    columns = ("τ", "τ within FLOPs", "mean regret", "s/arch")
    header = ["score", *(f"{space}: {column}" for space in spaces for column in columns)]
    lines = [markdown_row(header), markdown_row(["---", *["---:"] * (len(header) - 1)])]
    for score in (name for name in choose_scores(None, True) if name in scores):
        cells = (_cells(result["scores"][score]) for result in spaces.values())
        lines.append(markdown_row([score, *(cell for four in cells for cell in four)]))
    lines.append("")
    for space, result in spaces.items():
        options = ", ".join(f"{name}={value}" for name, value in result["options"].items())
        lines.append(
            f"- {space}: {result['architectures']} architectures of {Path(result['table']).name}, "
            f"{result['column']}; seed {result['seed']}; {options}; on {result['hardware']}"
        )
    lines.append(f"- {summary['environment']}")
    return "\n".join(lines) + "\n"


def _cells(found: dict[str, Any]) -> list[str]:
    tau, within, regret = (found[name] for name in ("tau", "tau_within_flops", "regret_mean"))
    shown = ["–" if value is None else f"{value:.3f}" for value in (tau, within)]
    return [*shown, f"{regret:.2f}", f"{found['seconds_per_architecture']:.2g}"]


if __name__ == "__main__":
    sys.exit(run_command(app))
