"""Commands of `python main.py`."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from app.errors import InputError, is_out_of_memory
from app.options import FILES, OPTIONS, STORED, recipe_options, study_options
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

UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun sets."""

MAX_MESSAGE_CHARACTERS = 800
"""Of an error message: somebody may give a whole file for a name."""


@app.callback(
    invoke_without_command=True,
    epilog="Example: python main.py --study mobilenet --dataset photos/ --max-flops 80M",
)
@study_options(*OPTIONS, "set")
def run(
    context: typer.Context,
    given: Given,
    study: Study = "mobilenet",
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study first.")] = False,
) -> None:
    """Run or resume a study: supernet → search → report."""
    if context.invoked_subcommand:
        _check_before_command(context)
        return
    from app.run import run as run_study
    from app.study_file import load_config

    run_study(load_config(study, given, resume=False if fresh else None), fresh)


def _check_before_command(context: typer.Context) -> None:
    """Raises InputError for options that stand before a command, or a command under torchrun."""
    command = context.invoked_subcommand
    if UNDER_TORCHRUN in os.environ:
        raise InputError(
            f"torchrun only trains the supernet of a study: "
            f"run python main.py {command} … without it"
        )
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise InputError(f"write --{option} after the command: main.py {command} …")


@app.command(
    epilog="Example: python main.py rank --study nasbench201 --table accuracies.csv "
    "--column cifar10_test --sample 200"
)
@study_options(
    *FILES, "image_size", "train_steps", "batchnorm", "seed", "device", "study_name", "set"
)
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
    from app.rank.job import rank as rank_table
    from app.study_file import load_config

    config = load_config(study, given)
    rank_table(config, table, column, sample, scores, not no_baselines, json)


@app.command(
    epilog="Example: python main.py retrain --study mobilenet --pick knee --baseline resnet18"
)
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
    from app.retrain.choice import Selection
    from app.retrain.job import retrain as retrain_networks
    from app.study_file import load_config

    seed = given.pop("seed", None)  # the training's, not the study's
    selection = Selection(trial or [], arch or [], pick or [])
    config = load_config(study, given, resume=True)
    seed = config.seed if seed is None else seed
    retrain_networks(config, selection, baseline or [], recipe, seed)


@app.command(epilog="Example: python main.py export --study mobilenet --pick knee --out model.onnx")
@study_options(*FILES, *STORED)
def export(
    given: Given,
    study: Study,
    out: Annotated[list[Path], typer.Option(help="FILE.onnx or FILE.pt2; can be given for each.")],
    opset: Annotated[int, typer.Option(help="ONNX opset; 18 is the lowest.")] = 18,
    trial: TrialNumbers = None,
    arch: Archs = None,
    pick: Picks = None,
) -> None:
    """Write a retrained network as ONNX or for torch.export, with weights and a description."""
    from app.export import export as export_network
    from app.retrain.choice import Selection
    from app.study_file import load_config

    selection = Selection(trial or [], arch or [], pick or [])
    export_network(load_config(study, given, resume=True), selection, out, opset)


@app.command(
    epilog="Example: python main.py worker --study mine --storage postgresql://user@server/bnnas"
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
) -> None:
    """Help to search a study that the main command has prepared."""
    from app.worker import work

    work(study, {"runs": Path("runs"), **given}, supernet, wait)


@app.command(epilog="Example: python main.py trials --study mine --csv trials.csv")
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
    from app.trials_file import write_trials

    write_trials(load_config(study, given, resume=True), csv)


@app.command(epilog="Example: python main.py studies")
@study_options("runs", "storage")
def studies(given: Given) -> None:
    """List the presets and studies, and how far each has come."""
    from app.listing import print_studies

    print_studies(given.get("runs", Path("runs")), given.get("storage"))


@app.command(epilog="Example: python main.py dashboard --port 8081")
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


def run_command(
    command: typer.Typer, arguments: list[str] | None = None, name: str | None = None
) -> int:
    """Run a command line; bad input is one line and exit status 2."""
    words = sys.argv[1:] if arguments is None else arguments
    processes: AbstractContextManager[None] = nullcontext()
    try:
        if UNDER_TORCHRUN in os.environ:  # otherwise `--help` is spared PyTorch
            from app.supernet.distributed import process_group

            processes = process_group()
        with processes:
            expanded = [_expand_home(word) for word in words]
            return command(expanded, prog_name=name, standalone_mode=False) or 0
    except typer.TyperException as error:
        return _fail(error.format_message(), 2)
    except InputError as error:
        return _fail(str(error), 2)


def _expand_home(word: str) -> str:
    """Expand the `~` of `--runs=~/x`, which a shell expands in `--runs ~/x` alone."""
    option, equals, path = word.partition("=")
    if option.startswith("--") and path.startswith("~"):
        return option + equals + os.path.expanduser(path)  # noqa: PTH111  (no error for ~nobody)
    return word


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    from app.console import print_anything
    from app.interrupt import stop_at_once

    print_anything()
    try:
        with stop_at_once():
            status = run_command(app, arguments, "main.py")
            if status == 130:  # typer returns this for a KeyboardInterrupt
                raise KeyboardInterrupt
            return status
    except KeyboardInterrupt:
        _say("Interrupted; run the same command again to resume.")
        return 130
    except SystemExit:  # Rich, when its output pipe is closed
        return _fail("output pipe closed; rerun to resume", 1)
    except Exception as error:
        explanation = _explain(error)
        if explanation is None:
            raise
        return _fail(explanation, 1)


def _explain(error: Exception) -> str | None:
    """Say in one line what failed while working; None is a bug, to be shown with a traceback."""
    if isinstance(error, FloatingPointError | OSError):  # a diverged supernet, a full disk
        return str(error)
    if is_out_of_memory(error):
        return (
            "out of memory. Rerun to resume when there is more, or give "
            "--set supernet.batch_size=N or --set score.images=N "
            "with --study-name NAME for a study beside this one"
        )
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    from app.search import SearchFailedError

    line = str(error.__cause__ or error).split("\n", 1)[0]
    if isinstance(error, StorageInternalError | SQLAlchemyError):
        return f"the database failed: {line}"
    return line if isinstance(error, SearchFailedError) else None


def _say(line: str) -> None:
    from app.console import console, printable

    with suppress(OSError):  # the terminal may be closed
        if not console.quiet:
            print(printable(line), file=sys.stderr, flush=True)


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    if len(line) > MAX_MESSAGE_CHARACTERS:
        line = f"{line[: MAX_MESSAGE_CHARACTERS - 200]} … {line[-200:]}"
    _say(f"error: {line}")
    return status
