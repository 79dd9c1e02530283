"""Commands of `python main.py`.

A command imports what it needs once it has read the study's settings: PyTorch takes seconds, which
`--help` and a mistyped study should not.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from app import PROGRAM
from app.errors import InputError
from app.exit_status import UNDER_TORCHRUN, run_program
from app.options import FILES, LIMITS, OPTIONS, STORED, Timeout, recipe_options, study_options
from app.trained import Recipe

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Search for small, accurate networks: BatchNorm-only supernets (BNNAS++) and Optuna.",
)

Given = dict[str, Any]
"""Fields of a study that the command line sets, see `study_options`."""

Study = Annotated[
    str, typer.Option(help="A study that was run, a preset, or a study file (.toml).")
]
TrialNumbers = Annotated[list[int] | None, typer.Option(help="A trial's number.")]
Archs = Annotated[list[str] | None, typer.Option(help="An architecture's string.")]
Picks = Annotated[
    list[str] | None, typer.Option(help="knee, best-score, max-flops=300M or another limit.")
]


@app.callback(
    invoke_without_command=True,
    epilog=f"Example: {PROGRAM} --study mobilenet --dataset photos/ --max-flops 80M",
)
@study_options(*OPTIONS, "set")
def run(
    context: typer.Context,
    given: Given,
    study: Study = "mobilenet",
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study first.")] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Score known networks anew if scores are outdated.")
    ] = False,
    timeout: Timeout = None,
) -> None:
    """Run or resume a study: supernet → search → report."""
    if context.invoked_subcommand:
        _check_before_command(context)
        return
    from app.interrupt import time_limit
    from app.study_file import load_config

    config = load_config(study, given, resume=False if fresh else None)
    from app.run import run as run_study

    with time_limit(timeout):
        run_study(config, fresh, rescore)


def _check_before_command(context: typer.Context) -> None:
    """Raises InputError for options that stand before a command, or a command under torchrun."""
    command = context.invoked_subcommand
    if UNDER_TORCHRUN in os.environ:
        raise InputError(
            f"torchrun only trains the supernet of a study: run {PROGRAM} {command} … without it"
        )
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise InputError(f"write --{option} after the command: {PROGRAM} {command} …")


@app.command(
    epilog=f"Example: {PROGRAM} rank --study nasbench201 --table accuracies.csv "
    "--column cifar10_test --sample 200"
)
@study_options(*FILES, "image_size", "train_steps", "batchnorm", "seed", "device", *STORED)
def rank(
    given: Given,
    study: Study,
    table: Annotated[Path, typer.Option(help="CSV file with a column 'arch'.")],
    column: Annotated[str, typer.Option(help="Its column of trained accuracies.")],
    sample: Annotated[int | None, typer.Option(min=2, help="Take N random rows [all].")] = None,
    scores: Annotated[
        str | None, typer.Option(help="Names with commas between [all scores].")
    ] = None,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Leave out what others proposed.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the results there too.")] = None,
) -> None:
    """Correlate every score with trained accuracies."""
    from app.study_file import load_config

    config = load_config(study, given)
    from app.rank.job import rank as rank_table

    rank_table(config, table, column, sample, scores, not no_baselines, json)


@app.command(epilog=f"Example: {PROGRAM} retrain --study mobilenet --pick knee --baseline resnet18")
@recipe_options
@study_options(*FILES, "image_size", "seed", "device", *STORED)
def retrain(
    given: Given,
    recipe: Recipe,
    study: Study,
    trial: TrialNumbers = None,
    arch: Archs = None,
    pick: Picks = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="A network of torchvision, such as resnet18 or mobilenet_v2:0.5."),
    ] = None,
) -> None:
    """Train found networks from scratch, and compare them."""
    from app.study_file import load_config

    seed = given.pop("seed", None)  # the training's, not the study's
    config = load_config(study, given, resume=True)
    seed = config.seed if seed is None else seed
    from app.retraining.choice import Selection
    from app.retraining.job import retrain as retrain_networks

    selection = Selection(trial or [], arch or [], pick or [])
    retrain_networks(config, selection, baseline or [], recipe, seed)


@app.command(epilog=f"Example: {PROGRAM} select --study mobilenet --max-flops 80M --timeout 3h")
@recipe_options
@study_options(*FILES, "image_size", *LIMITS, "seed", "device", *STORED)
def select(
    given: Given,
    recipe: Recipe,
    study: Study,
    candidates: Annotated[int, typer.Option(min=2, help="Networks that start to train.")] = 16,
    timeout: Timeout = None,
) -> None:
    """Train the best networks in rounds, and keep the winner."""
    from app.interrupt import time_limit
    from app.study_file import load_config

    seed = given.pop("seed", None)  # the training's and the selection's, not the study's
    limits: dict[Any, str] = {
        name.removeprefix("max_"): str(given.pop(OPTIONS[name].field))  # --set gives numbers
        for name in LIMITS
        if OPTIONS[name].field in given
    }
    config = load_config(study, given, resume=True)
    seed = config.seed if seed is None else seed
    from app.retraining.select import select as select_network

    with time_limit(timeout):
        select_network(config, recipe, seed, limits, candidates)


@app.command(epilog=f"Example: {PROGRAM} export --study mobilenet --pick knee --out model.onnx")
@study_options(*FILES, *STORED)
def export(
    given: Given,
    study: Study,
    out: Annotated[list[Path], typer.Option(help="FILE.onnx or FILE.pt2; can be given for each.")],
    opset: Annotated[int, typer.Option(help="ONNX opset; 18 is the lowest.")] = 18,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise, and measure what that costs.")
    ] = False,
    max_drop: Annotated[
        float, typer.Option(min=0, help="Points of accuracy that --int8 may lose.")
    ] = 1.0,
    trial: TrialNumbers = None,
    arch: Archs = None,
    pick: Picks = None,
) -> None:
    """Write a retrained network as ONNX or .pt2, with its weights."""
    from app.study_file import load_config

    config = load_config(study, given, resume=True)
    from app.export import export as export_network
    from app.retraining.choice import Selection

    selection = Selection(trial or [], arch or [], pick or [])
    export_network(config, selection, out, opset, max_drop if int8 else None)


@app.command(
    epilog=f"Example: {PROGRAM} worker --study mine --storage postgresql://user@server/bnnas"
)
@study_options("storage", *FILES, "device")
def worker(
    given: Given,
    study: Annotated[str, typer.Option(help="The study's name in the database.")],
    supernet: Annotated[
        Path | None, typer.Option(help="Folder of supernet.pt and reference.json [the study's].")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until the study is prepared.")
    ] = 0,
    timeout: Timeout = None,
) -> None:
    """Help to search a study that the main command has prepared."""
    from app.interrupt import time_limit
    from app.worker import work

    with time_limit(timeout):
        work(study, {"runs": Path("runs"), **given}, supernet, wait)


@app.command(epilog=f"Example: {PROGRAM} trials --study mine --csv trials.csv")
@study_options("runs", *STORED)
def trials(
    given: Given,
    study: Study,
    csv: Annotated[
        Path | None, typer.Option(help="FILE.csv, or FILE.json [CSV to the terminal].")
    ] = None,
) -> None:
    """Write all trials of a study as a table."""
    from app.study_file import load_config

    config = load_config(study, given, resume=True)
    from app.trials_file import write_trials

    write_trials(config, csv)


@app.command(epilog=f"Example: {PROGRAM} studies")
@study_options("runs", "storage")
def studies(given: Given) -> None:
    """List the presets and studies, and how far each has come."""
    from app.listing import print_studies

    print_studies(given.get("runs", Path("runs")), given.get("storage"))


@app.command(epilog=f"Example: {PROGRAM} dashboard --port 8081")
@study_options("runs", "storage")
def dashboard(
    given: Given,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    host: Annotated[
        str, typer.Option(help="0.0.0.0 lets other machines in, without a login.")
    ] = "127.0.0.1",
) -> None:
    """Serve optuna-dashboard on the database."""
    from app.dashboard import serve

    serve(given.get("runs", Path("runs")), given.get("storage"), port, host)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    return run_program(app, arguments, PROGRAM.split()[-1])
