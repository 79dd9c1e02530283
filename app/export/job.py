"""The export command, top to bottom: which network → its weights → files that are checked."""

import glob
import hashlib
import json
import platform
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import torch
from rich.console import Console
from safetensors.torch import save

from app.atomic import remove_leftovers, write_atomically, write_json
from app.data import ImageData
from app.errors import InputError
from app.export.formats import INPUT, OUTPUT, WRITERS
from app.export.weights import Weighted, weighted_network
from app.pareto import completed_rows
from app.paths import StudyPaths
from app.retrain.choice import SelectedArch, Selection, choose
from app.search.storage import open_storage
from app.search.study import find_study
from app.settings import StudySettings
from app.workbench import check_space, open_data, study_definition

FORMAT = "bnnas exported network 1"
CHECKED_IMAGES = 16
CPU = torch.device("cpu")

out = Console(highlight=False)


def export(settings: StudySettings, selection: Selection, places: Sequence[Path]) -> None:
    """Write one network as each of `places`, with its weights and a description beside them.

    Raises InputError for anything that was given and is wrong, before anything is written.
    """
    for place in places:
        if place.suffix not in WRITERS:
            raise InputError(f"--out {place}: the name must end in {' or '.join(WRITERS)}")
        _check_place(place)
    check_space(settings.space)
    paths = StudyPaths(settings.folder)
    data, space = open_data(settings, paths, CPU)
    storage = open_storage(settings.storage_url) if paths.folder.exists() else None
    definition = study_definition(settings, data)
    study = find_study(storage, settings.name, definition) if storage else None
    rows = completed_rows(study) if study else []
    chosen = choose(space, rows, selection, settings.search.objectives)
    if len(chosen) != 1:
        raise InputError(
            f"{len(chosen)} networks are given, where export writes one: "
            "give one --trial N, --arch STRING, or --pick knee, best-score or max-flops=300M"
        )
    weighted = weighted_network(settings, paths, data, space, chosen[0].arch)
    if weighted is None:
        raise InputError(
            f"there are no weights yet: run python main.py retrain --study {settings.name} …, "
            "or the study itself"
        )
    _say(weighted, settings, chosen[0])
    step = max(1, len(data.test) // CHECKED_IMAGES)
    images = data.normalise(data.test.pixels[::step][:CHECKED_IMAGES]).contiguous()
    for place in places:
        _make_folder(place.parent)
        remove_leftovers(place.parent, f".{glob.escape(place.stem)}.*")
        WRITERS[place.suffix](weighted.network, images, place)
        _print_place("model", place)
    for stem in dict.fromkeys(place.with_suffix("") for place in places):
        weights, description = _beside(stem)
        state = {k: v.contiguous() for k, v in weighted.network.state_dict().items()}
        content = save(state)
        write_atomically(weights, partial(_write, content))
        about = describe(settings, data, chosen[0], weighted, definition)
        about["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
        write_json(description, about)
        _print_place("weights", weights)
        _print_place("about it", description)


def describe(
    settings: StudySettings,
    data: ImageData,
    chosen: SelectedArch,
    weighted: Weighted,
    definition: dict[str, Any],
) -> dict[str, Any]:
    """What whoever uses the model has to know, and where it is from."""
    result = weighted.retrained
    return {
        "format": FORMAT,
        "architecture": {
            "space": settings.space,
            "space_options": settings.space_options if result else settings.supernet_space_options,
            "string": chosen.arch,
        },
        "classes": list(data.classes),
        "input": {
            "name": INPUT,
            "shape": ["batch", 3, data.image_size, data.image_size],
            "size": data.image_size,
            "channels": "RGB",
            "resize": "central square, bilinear with antialiasing",
            "scale": 1 / 255,
            "mean": data.mean.tolist(),
            "std": data.std.tolist(),
        },
        "output": {"name": OUTPUT, "shape": ["batch", len(data.classes)], "values": "logits"},
        "accuracy": {
            "test": weighted.test_accuracy,
            "test_images": len(data.test),
            "validation": result.validation_accuracy if result else None,
        },
        "flops": weighted.cost.macs,
        "params": weighted.cost.params,
        "weights": {
            "from": weighted.weights_from,
            "supernet_steps": weighted.supernet_steps,
            "recipe": result.recipe if result else None,
            "epochs": result.epochs if result else None,
            "best_epoch": result.best_epoch if result else None,
            "seed": settings.seed,
        },
        "provenance": {
            "study": settings.name,
            "trials": list(chosen.trials),
            "score": chosen.score,
            "dataset": settings.dataset,
            "definition": definition,
            "exported": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "onnx")},
        },
    }


def _say(weighted: Weighted, settings: StudySettings, chosen: SelectedArch) -> None:
    """Which weights these are."""
    if weighted.retrained:
        text = f"{chosen.label}: retrained for {weighted.retrained.epochs} epochs"
    else:
        text = (
            f"{chosen.label} has not been retrained: these are the supernet's weights, random "
            "convolutions included, and predict badly. For a network of use: "
            f"python main.py retrain --study {settings.name} …"
        )
        if settings.supernet_space_options != settings.space_options:
            text += ". The supernet of this study is smaller than its networks, and so is this one"
        steps = weighted.supernet_steps
        if steps is not None and steps < settings.supernet.steps:
            text += f". The supernet is not finished: {steps} of {settings.supernet.steps} steps"
    out.print(
        f"{text}. Test accuracy {100 * weighted.test_accuracy:.2f} %.", soft_wrap=True, markup=False
    )


def _beside(stem: Path) -> tuple[Path, Path]:
    """The weights and the description that lie beside a model, given without its suffix."""
    return stem.with_name(f"{stem.name}.safetensors"), stem.with_name(f"{stem.name}.json")


def _check_place(place: Path) -> None:
    """Raises InputError if a folder or files that are not of an export are in the way."""
    weights, description = _beside(place.with_suffix(""))
    for path in (place, weights, description):
        if path.is_dir():
            raise InputError(f"--out {place}: '{path}' is a folder")
    if (weights.exists() or description.exists()) and not _is_description(description):
        other = description if description.exists() else weights
        raise InputError(
            f"--out {place}: '{other}' would be overwritten and is not of an export of this "
            "program: move it away or give another name"
        )


def _is_description(path: Path) -> bool:
    """Whether the file is what `export` writes beside a model."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out: cannot write to '{folder}' ({error.strerror})") from None


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _print_place(what: str, place: Path) -> None:
    """Where something was written."""
    out.print(f"{what:<10}{place}", soft_wrap=True, markup=False)
