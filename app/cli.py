"""Commands and options of `python main.py`."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli_options import (
    Archs,
    Assignments,
    BatchNorm,
    DataDir,
    Dataset,
    Device,
    ImageSize,
    KnownStudy,
    Picks,
    Runs,
    Seed,
    Storage,
    Study,
    StudyName,
    TrainSteps,
    Trials,
)
from app.errors import InputError, is_out_of_memory

if TYPE_CHECKING:
    from app.retrain.choice import Selection
    from app.settings import StudySettings

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Search for small, accurate networks: BatchNorm-only supernets (BNNAS++) and Optuna.",
)

UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun sets."""

MAX_MESSAGE_CHARACTERS = 800
"""Characters of an error message: somebody may give a whole file for a name."""


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    study: Study = "mobilenet",
    runs: Runs = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    space: Annotated[str | None, typer.Option(help="Search space.")] = None,
    trials: Annotated[int | None, typer.Option(help="Total of trials to reach.")] = None,
    train_steps: TrainSteps = None,
    batchnorm: BatchNorm = None,
    sampler: Annotated[str | None, typer.Option(help="nsga2, nsga3, tpe, gp or random.")] = None,
    max_flops: Annotated[str | None, typer.Option(help="Constraint, such as 80M.")] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="flops, latency, or both: what is minimised.")
    ] = None,
    seed: Seed = None,
    device: Device = None,
    storage: Storage = None,
    study_name: StudyName = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study first.")] = False,
    set_: Assignments = None,
) -> int | None:
    """Run or resume a study: supernet → search → report."""
    if context.invoked_subcommand:
        if UNDER_TORCHRUN in os.environ:
            raise InputError(
                f"torchrun only trains the supernet of a study: "
                f"run python main.py {context.invoked_subcommand} … without it"
            )
        for name in context.params:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                option = "--set" if name == "set_" else f"--{name.replace('_', '-')}"
                raise InputError(
                    f"write {option} after the command: main.py {context.invoked_subcommand} …"
                )
        return None
    from app.run import run as run_study

    options = {
        "runs": runs,
        "dataset": dataset,
        "data_dir": data_dir,
        "image_size": image_size,
        "space": space,
        "search.trials": trials,
        "supernet.steps": train_steps,
        "batchnorm": batchnorm,
        "search.sampler": sampler,
        "search.max_flops": max_flops,
        "search.objectives": objective,
        "seed": seed,
        "device": device,
        "storage": storage,
        "name": study_name,
    }
    return run_study(_settings(study, options, set_), fresh)


@app.command()
def rank(
    study: Study,
    table: Annotated[Path, typer.Option(help="CSV file with a column 'arch'.")],
    column: Annotated[str, typer.Option(help="Its column of trained accuracies.")],
    sample: Annotated[int | None, typer.Option(min=2, help="Take N random rows only.")] = None,
    scores: Annotated[
        str | None, typer.Option(help="Names with commas between; default: all.")
    ] = None,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Leave out what others proposed.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the results there too.")] = None,
    runs: Runs = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    train_steps: TrainSteps = None,
    batchnorm: BatchNorm = None,
    seed: Seed = None,
    device: Device = None,
    study_name: StudyName = None,
    set_: Assignments = None,
) -> None:
    """Rank correlation of every score with trained accuracies."""
    from app.rank.job import rank as rank_table

    options = {
        "runs": runs,
        "dataset": dataset,
        "data_dir": data_dir,
        "image_size": image_size,
        "supernet.steps": train_steps,
        "batchnorm": batchnorm,
        "seed": seed,
        "device": device,
        "name": study_name,
    }
    settings = _settings(study, options, set_)
    rank_table(settings, table, column, sample, scores, not no_baselines, json)


@app.command()
def retrain(
    study: KnownStudy,
    trial: Trials = None,
    arch: Archs = None,
    pick: Picks = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="A network of torchvision, such as resnet18 or mobilenet_v2:0.5."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images [50].")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step [128].")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate [0.1].")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="[0.0005]")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="[0.1]")] = None,
    ema: Annotated[
        float | None, typer.Option(help="Decay of the averaged weights [0.998].")
    ] = None,
    trivial_augment: Annotated[
        bool, typer.Option("--trivial-augment", help="Besides random crops and mirroring.")
    ] = False,
    validation: Annotated[float | None, typer.Option(help="Share held out [0.1].")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without progress [never].")
    ] = None,
    runs: Runs = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    seed: Seed = None,
    device: Device = None,
    storage: Storage = None,
    study_name: StudyName = None,
    set_: Assignments = None,
) -> None:
    """Train found networks from scratch, and compare them."""
    from app.retrain.job import retrain as retrain_networks
    from app.retrain.recipe import make_recipe

    recipe = make_recipe(
        {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": lr,
            "weight_decay": weight_decay,
            "label_smoothing": label_smoothing,
            "ema": ema,
            "trivial_augment": trivial_augment,
            "validation": validation,
            "patience": patience,
        }
    )
    options = {
        "runs": runs,
        "dataset": dataset,
        "data_dir": data_dir,
        "image_size": image_size,
        "seed": seed,
        "device": device,
        "storage": storage,
        "name": study_name,
    }
    selection = _selection(trial, arch, pick)
    retrain_networks(_known(study, options, set_), selection, baseline or [], recipe)


@app.command()
def export(
    study: KnownStudy,
    out: Annotated[list[Path], typer.Option(help="FILE.onnx or FILE.pt2; can be given for each.")],
    trial: Trials = None,
    arch: Archs = None,
    pick: Picks = None,
    runs: Runs = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    storage: Storage = None,
    study_name: StudyName = None,
    set_: Assignments = None,
) -> None:
    """Write a found network as ONNX or for torch.export, with its weights and a description."""
    from app.export.job import export as export_network

    options = {
        "runs": runs,
        "dataset": dataset,
        "data_dir": data_dir,
        "storage": storage,
        "name": study_name,
    }
    export_network(_known(study, options, set_), _selection(trial, arch, pick), out)


@app.command()
def worker(
    study: Annotated[str, typer.Option(help="The study's name in the database.")],
    storage: Storage = None,
    supernet: Annotated[
        str | None, typer.Option(help="Folder or http(s) URL of the study's files.")
    ] = None,
    runs: Runs = None,
    dataset: Dataset = None,
    data_dir: DataDir = None,
    device: Device = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until the study is prepared.")
    ] = 0,
) -> None:
    """Search a study that the main command has prepared, on this machine too."""
    from app.cluster.job import work

    own = {"dataset": dataset, "data_dir": data_dir, "device": device, "storage": storage}
    given = {field: value for field, value in own.items() if value is not None}
    work(study, {"runs": runs or Path("runs"), **given}, supernet, wait)


@app.command()
def studies(runs: Runs = None, storage: Storage = None) -> None:
    """The presets, and how far each has come."""
    from app.listing import print_studies

    print_studies(runs or Path("runs"), storage)


@app.command()
def dashboard(
    runs: Runs = None,
    storage: Storage = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    host: Annotated[
        str, typer.Option(help="0.0.0.0 lets other machines in, without a login.")
    ] = "127.0.0.1",
    every_trial: Annotated[
        bool, typer.Option("--every-trial", help="Show large studies whole, which is slow.")
    ] = False,
) -> None:
    """Serve optuna-dashboard on the database."""
    from app.dashboard.serve import serve

    serve(runs or Path("runs"), storage, port, every_trial, host)


def _settings(
    study: str, options: dict[str, Any], assignments: list[str] | None
) -> "StudySettings":
    """The study with the given options over it, and `--set` over these."""
    from app.settings import load_settings

    overrides = {field: value for field, value in options.items() if value is not None}
    return load_settings(study, overrides | _assignments(assignments or []))


def _known(study: str, options: dict[str, Any], assignments: list[str] | None) -> "StudySettings":
    """As `_settings`, of what the study was last run with where it has been run."""
    from app.settings import load_study

    overrides = {field: value for field, value in options.items() if value is not None}
    return load_study(study, overrides | _assignments(assignments or []))


def _selection(
    trials: list[int] | None, archs: list[str] | None, picks: list[str] | None
) -> "Selection":
    from app.retrain.choice import Selection

    return Selection(trials or [], archs or [], picks or [])


def _assignments(texts: list[str]) -> dict[str, Any]:
    """`FIELD=VALUE` texts, the values read as TOML where they are, as strings otherwise."""
    import tomllib

    values: dict[str, Any] = {}
    for text in texts:
        field, equals, value = text.partition("=")
        if not equals or not all(field.split(".")):
            raise InputError(
                f"--set '{text[:100]}': write FIELD=VALUE, such as supernet.batch_size=32"
            )
        try:
            read = tomllib.loads(f"value = {value}")
            values[field] = read["value"] if len(read) == 1 else value
        except (ValueError, RecursionError):  # also of a number that is too long to be read
            values[field] = value
    return values


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
    """The processes of torchrun, if it started this one; a usual `--help` is spared PyTorch."""
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
    except KeyboardInterrupt:
        status = 130
    except (FloatingPointError, OSError) as error:  # a diverged supernet, a full disk
        return _fail(str(error), 1)
    except SystemExit:  # Rich, of output that goes to a closed pipe
        return _fail("nobody reads the output any more; the same command goes on from here", 1)
    except Exception as error:
        if is_out_of_memory(error):
            return _fail(
                "the memory is full. The same command goes on from here when others need less; "
                "else give --set supernet.batch_size=N or --set score.images=N, "
                "and --study-name NAME for a study beside this one",
                1,
            )
        if not _is_database_error(error):
            raise
        return _fail(f"the database failed: {str(error.__cause__ or error).splitlines()[0]}", 1)
    if status == 130:
        _say("Interrupted; the same command goes on from here.")
    return status


def _say(line: str) -> None:
    from app.console import console

    with suppress(OSError):  # the terminal may be closed
        if not console.quiet:
            print(line, file=sys.stderr, flush=True)


def _is_database_error(error: Exception) -> bool:
    """Of Optuna's storage or of SQLAlchemy; imported late, so that `--help` stays quick."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, StorageInternalError | SQLAlchemyError)


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    if len(line) > MAX_MESSAGE_CHARACTERS:
        line = f"{line[: MAX_MESSAGE_CHARACTERS - 200]} … {line[-200:]}"
    _say(f"error: {line}")
    return status
