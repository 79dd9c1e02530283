"""Commands of `python main.py`."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from app import options as o
from app.errors import InputError, is_out_of_memory

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Search for small, accurate networks: BatchNorm-only supernets (BNNAS++) and Optuna.",
)

UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun sets."""

MAX_MESSAGE_CHARACTERS = 800
"""Of an error message: somebody may give a whole file for a name."""


@app.callback(
    invoke_without_command=True,
    epilog="Example: python main.py --study mobilenet --dataset photos/ --max-flops 80M",
)
def run(
    context: typer.Context,
    study: o.Study = "mobilenet",
    runs: o.Runs = None,
    dataset: o.Dataset = None,
    data_dir: o.DataDir = None,
    image_size: o.ImageSize = None,
    space: o.Space = None,
    trials: o.Trials = None,
    train_steps: o.TrainSteps = None,
    batchnorm: o.BatchNorm = None,
    sampler: o.Sampler = None,
    max_flops: o.MaxFlops = None,
    objective: o.Costs = None,
    seed: o.Seed = None,
    device: o.Device = None,
    storage: o.Storage = None,
    study_name: o.StudyName = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study first.")] = False,
    set_: o.Assignments = None,
) -> None:
    """Run or resume a study: supernet → search → report."""
    if context.invoked_subcommand:
        _check_before_command(context)
        return
    from app.run import run as run_study
    from app.study_file import load_config

    run_study(load_config(study, o.overrides(context), fresh), fresh)


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
            option = "--set" if name == "set_" else f"--{name.replace('_', '-')}"
            raise InputError(f"write {option} after the command: main.py {command} …")


@app.command(
    epilog="Example: python main.py rank --study nasbench201 --table accuracies.csv "
    "--column cifar10_test --sample 200"
)
def rank(
    context: typer.Context,
    study: o.Study,
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
    runs: o.Runs = None,
    dataset: o.Dataset = None,
    data_dir: o.DataDir = None,
    image_size: o.ImageSize = None,
    train_steps: o.TrainSteps = None,
    batchnorm: o.BatchNorm = None,
    seed: o.Seed = None,
    device: o.Device = None,
    study_name: o.StudyName = None,
    set_: o.Assignments = None,
) -> None:
    """Correlate every score with trained accuracies."""
    from app.rank.job import rank as rank_table
    from app.study_file import load_config

    config = load_config(study, o.overrides(context))
    rank_table(config, table, column, sample, scores, not no_baselines, json)


@app.command(
    epilog="Example: python main.py retrain --study mobilenet --pick knee --baseline resnet18"
)
def retrain(
    context: typer.Context,
    study: o.Study,
    trial: o.TrialNumbers = None,
    arch: o.Archs = None,
    pick: o.Picks = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="A network of torchvision, such as resnet18 or mobilenet_v2:0.5."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images [50].")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step [128].")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate [0.1].")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="[0.0005]")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="[0.1]")] = None,
    ema: Annotated[
        float | None, typer.Option(help="Decay of the averaged weights [0.998].")
    ] = None,
    trivial_augment: Annotated[
        bool | None, typer.Option("--trivial-augment", help="Besides random crops and flips.")
    ] = None,
    balanced: Annotated[
        bool | None, typer.Option("--balanced", help="Draw every class equally often.")
    ] = None,
    validation: Annotated[float | None, typer.Option(help="Share held out [0.1].")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without progress [never].")
    ] = None,
    runs: o.Runs = None,
    dataset: o.Dataset = None,
    data_dir: o.DataDir = None,
    image_size: o.ImageSize = None,
    seed: o.Seed = None,
    device: o.Device = None,
    storage: o.Storage = None,
    study_name: o.StudyName = None,
    set_: o.Assignments = None,
) -> None:
    """Train found networks from scratch, and compare them."""
    from app.retrain.choice import Selection
    from app.retrain.job import retrain as retrain_networks
    from app.retrain.recipe import make_recipe
    from app.study_file import load_last

    recipe = make_recipe(context.params)
    given = o.overrides(context)
    given.pop("seed", None)  # the training's, not the study's
    selection = Selection(trial or [], arch or [], pick or [])
    retrain_networks(load_last(study, given), selection, baseline or [], recipe, seed)


@app.command(epilog="Example: python main.py export --study mobilenet --pick knee --out model.onnx")
def export(
    context: typer.Context,
    study: o.Study,
    out: Annotated[list[Path], typer.Option(help="FILE.onnx or FILE.pt2; can be given for each.")],
    opset: Annotated[int, typer.Option(help="ONNX opset; 18 is the lowest.")] = 18,
    trial: o.TrialNumbers = None,
    arch: o.Archs = None,
    pick: o.Picks = None,
    runs: o.Runs = None,
    dataset: o.Dataset = None,
    data_dir: o.DataDir = None,
    storage: o.Storage = None,
    study_name: o.StudyName = None,
    set_: o.Assignments = None,
) -> None:
    """Write a retrained network as ONNX or for torch.export, with weights and a description."""
    from app.export import export as export_network
    from app.retrain.choice import Selection
    from app.study_file import load_last

    config = load_last(study, o.overrides(context))
    export_network(config, Selection(trial or [], arch or [], pick or []), out, opset)


@app.command(
    epilog="Example: python main.py worker --study mine --storage postgresql://user@server/bnnas"
)
def worker(
    context: typer.Context,
    study: Annotated[str, typer.Option(help="The study's name in the database.")],
    storage: o.Storage = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Folder of supernet.pt and reference.json [the study's].")
    ] = None,
    runs: o.Runs = None,
    dataset: o.Dataset = None,
    data_dir: o.DataDir = None,
    device: o.Device = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until the study is prepared.")
    ] = 0,
) -> None:
    """Help to search a study that the main command has prepared."""
    from app.worker import work

    work(study, {"runs": Path("runs"), **o.overrides(context)}, supernet, wait)


@app.command(epilog="Example: python main.py studies")
def studies(runs: o.Runs = None, storage: o.Storage = None) -> None:
    """List the presets and studies, and how far each has come."""
    from app.listing import print_studies

    print_studies(runs or Path("runs"), storage)


@app.command(epilog="Example: python main.py dashboard --port 8081")
def dashboard(
    runs: o.Runs = None,
    storage: o.Storage = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    host: Annotated[
        str, typer.Option(help="0.0.0.0 lets other machines in, without a login.")
    ] = "127.0.0.1",
    every_trial: Annotated[
        bool, typer.Option("--every-trial", help="Show large studies whole, which is slow.")
    ] = False,
) -> None:
    """Serve optuna-dashboard on the database."""
    from app.dashboard import serve

    serve(runs or Path("runs"), storage, port, every_trial, host)


def run_command(
    command: typer.Typer, arguments: list[str] | None = None, name: str | None = None
) -> int:
    """Run a command line; bad input is one line and exit status 2."""
    try:
        with _process_group():
            try:
                return command(arguments, prog_name=name, standalone_mode=False) or 0
            except typer.TyperException as error:
                raise InputError(error.format_message()) from None
    except InputError as error:
        return _fail(str(error), 2)


def _process_group() -> AbstractContextManager[None]:
    """Connect the processes of torchrun, if it started this one; `--help` is spared PyTorch."""
    if UNDER_TORCHRUN not in os.environ:
        return nullcontext()
    from app.supernet.distributed import process_group

    return process_group()


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    from app.interrupt import stop_at_once

    try:
        with stop_at_once():
            status = run_command(app, arguments, "main.py")
            if status == 130:  # typer returns this for a KeyboardInterrupt
                raise KeyboardInterrupt
            return status
    except KeyboardInterrupt:
        _say("Interrupted; run the same command again to resume.")
        return 130
    except (FloatingPointError, OSError) as error:  # a diverged supernet, a full disk
        return _fail(str(error), 1)
    except SystemExit:  # Rich, when its output pipe is closed
        return _fail("output pipe closed; rerun to resume", 1)
    except Exception as error:
        if is_out_of_memory(error):
            return _fail(
                "out of memory. Rerun to resume when there is more, or give "
                "--set supernet.batch_size=N or --set score.images=N "
                "with --study-name NAME for a study beside this one",
                1,
            )
        if not _is_expected(error):
            raise
        return _fail(_first_line(error), 1)


def _is_expected(error: Exception) -> bool:
    """Whether a failure explains itself; imported late, so that `--help` stays quick."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    from app.search import SearchFailedError

    return isinstance(error, SearchFailedError | StorageInternalError | SQLAlchemyError)


def _first_line(error: Exception) -> str:
    from app.search import SearchFailedError

    line = str(error.__cause__ or error).splitlines()[0]
    return line if isinstance(error, SearchFailedError) else f"the database failed: {line}"


def _say(line: str) -> None:
    from app.console import console

    with suppress(OSError):  # the terminal may be closed
        if not console.quiet:
            print(line, file=sys.stderr, flush=True)


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    if len(line) > MAX_MESSAGE_CHARACTERS:
        line = f"{line[: MAX_MESSAGE_CHARACTERS - 200]} … {line[-200:]}"
    _say(f"error: {line}")
    return status
