"""Rank every score on every space with a table of trained accuracies.

    python benchmarks/rank_all.py --tables DIR --dataset FOLDER

What each part of the score, the unbiased rule and training are worth:

    python benchmarks/rank_all.py --tables DIR --dataset FOLDER --no-baselines \\
        --variants trained,untrained,biased

It runs `main.py rank` on each space and supernet in turn; the same command resumes an interrupted
run. After a change of the settings in `ground_truth.py` give another `--runs`, as `rank` refuses to
mix them.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from common import environment, write_results
from ground_truth import (
    BENCHMARKS,
    EVERYWHERE,
    Dataset,
    Json,
    Tables,
    benchmarks_of,
    markdown_row,
    odd_rows,
    table_path,
)

from app.errors import one_of
from app.exit_status import run_command
from app.options import study_options
from app.rank.job import rank
from app.rank.scores import choose_scores
from app.study_file import load_config

VARIANTS: dict[str, dict[str, Any]] = {
    "trained": {},
    "untrained": {"supernet.steps": 0},
    "biased": {"batchnorm": "biased"},
}
"""Supernets: the presets' own, and others to compare with."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@study_options("train_steps", "seed", "device")
def rank_all(
    given: dict[str, Any],
    tables: Tables,
    dataset: Dataset,
    runs: Annotated[Path, typer.Option(help="Folder of the studies.")] = Path("runs/benchmark"),
    sample: Annotated[int | None, typer.Option(min=2, help="Random rows per table.")] = None,
    odd: Annotated[bool, typer.Option("--odd-rows", help="Use rows 1, 3, 5, … only.")] = False,
    spaces: Annotated[str, typer.Option(help="Names with commas between.")] = ",".join(BENCHMARKS),
    variants: Annotated[str, typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = "trained",
    scores: Annotated[
        str | None, typer.Option(help="Names with commas between; default: all.")
    ] = None,
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help="Only our scores.")] = False,
    json_file: Json = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table there.")] = None,
) -> None:
    """Rank every score on every space and supernet, and print one table of all."""
    chosen = choose_scores(scores, not no_baselines)
    benchmarks = benchmarks_of(spaces, tables)
    for variant in variants.split(","):
        if variant not in VARIANTS:
            raise one_of(variant, "variant", list(VARIANTS))
    if odd:
        tables = odd_rows(tables, benchmarks, runs / "odd-rows")
    results: dict[str, Any] = {}
    for space, benchmark in benchmarks.items():
        for variant in variants.split(","):
            name = space if variant == "trained" else f"{space}-{variant}"
            options = EVERYWHERE | benchmark.options | given | VARIANTS[variant]
            place = {"dataset": dataset, "runs": runs, "name": name}
            config = load_config(space, options | place)
            path, column = table_path(tables, space), benchmark.column
            results[name] = rank(config, path, column, sample, scores, not no_baselines)
            results[name]["options"] = options
    text = markdown_text(results, chosen)
    print(f"\n{text}", end="")
    write_results({"environment": environment(), "studies": results}, json_file, text, markdown)


def markdown_text(results: dict[str, Any], scores: list[str]) -> str:
    """The table, followed by the seeds, settings and hardware behind it."""
    header = ["τ / within FLOPs / mean regret / s", *results]
    lines = [markdown_row(header), markdown_row(["---", *["---:"] * len(results)])]
    for score in scores:
        cells = (_cell(result["scores"][score]) for result in results.values())
        lines.append(markdown_row([score, *cells]))
    lines.append("")
    for name, result in results.items():
        options = ", ".join(f"{option}={value}" for option, value in result["options"].items())
        lines.append(
            f"- {name}: {result['n']} architectures of {Path(result['table']).name}, "
            f"{result['column']}; seed {result['seed']}; {options}; on {result['hardware']}"
        )
    lines.append(f"- {environment()}")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any]) -> str:
    shown = (found[name] for name in ("tau", "tau_within_flops", "regret_mean"))
    figures = ["–" if value is None else f"{value:.3f}" for value in shown]
    return " / ".join([*figures, f"{found['seconds_per_architecture']:.2g}"])


if __name__ == "__main__":
    sys.exit(run_command(app))
