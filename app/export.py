"""The export command: a retrained network as ONNX or .pt2, its weights, and a description."""

import glob
import hashlib
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from app.atomic import check_output, remove_leftovers, write_bytes
from app.config import StudyConfig
from app.console import out, plural
from app.context import check_names, open_data
from app.data import ImageData
from app.definition import study_definition
from app.errors import InputError
from app.export_formats import INPUT, OUTPUT, check_opset, to_onnx, to_pt2
from app.exported import FORMAT
from app.pareto import completed_rows
from app.paths import StudyPaths
from app.retraining.candidate import load_best
from app.retraining.choice import SelectedArch, Selection, choose
from app.storage import open_existing
from app.study import find_study
from app.study_file import study_command
from app.trained import Result, best_of, read_results

CHECKED_IMAGES = 16
CPU = torch.device("cpu")
KINDS = {".onnx": "model", ".pt2": "model", ".safetensors": "weights", ".json": "about it"}


def export(
    config: StudyConfig,
    selection: Selection,
    places: Sequence[Path],
    opset: int,
    max_drop: float | None = None,
) -> None:
    """Write one network to each of `places`, with its weights and a description beside them.

    With `max_drop`, ONNX files are int8 if that loses at most so many points of test accuracy.
    Raises InputError for bad input, before anything is written.
    """
    for place in places:
        _check_place(place)
        if max_drop is not None and place.suffix != ".onnx":
            raise InputError(f"--out {place}: --int8 writes .onnx files")
    check_opset(opset)
    check_names(config)
    paths = StudyPaths(config.folder)
    data, space = open_data(config, paths, CPU, search=False)
    definition = study_definition(config, data)
    storage = open_existing(config.storage_url)
    study = find_study(storage, config.name, definition) if storage else None
    rows = completed_rows(study) if study else []
    chosen = choose(space, rows, selection, config.search.objectives)
    if len(chosen) != 1:
        raise InputError(
            f"export writes one network, not {len(chosen)}: "
            "give one --trial N, --arch STRING, or --pick knee, best-score or max-flops=300M"
        )
    (one,) = chosen
    result = best_of(read_results(paths.retrained, definition), one.arch)
    if result is None:
        which = f"--trial={one.trials[0]}" if one.trials else f"--arch={one.arch}"
        command = study_command("retrain", config, which)
        raise InputError(f"{one.label} has not been retrained yet; run: {command}")
    out.print(
        f"{one.label}: retrained for {plural(result.epochs, 'epoch')}, "
        f"test accuracy {100 * result.test_accuracy:.2f} %."
    )
    network = space.network(one.arch)
    network.load_state_dict(load_best(result.folder))
    network.eval()
    step = max(1, len(data.test) // CHECKED_IMAGES)
    pixels = data.test.pixels[::step][:CHECKED_IMAGES].contiguous()
    whole = Normalised(network, data).eval()
    weights = save({name: value.contiguous() for name, value in network.state_dict().items()})
    about = describe(config, data, one, result, definition, weights)
    files = {}
    for place in places:
        if place.suffix == ".onnx":
            files[place], ir_version = to_onnx(whole, pixels, opset)
            about["onnx"] = {"opset": opset, "ir_version": ir_version}
            if max_drop is not None:
                from app.int8 import to_int8  # not needed elsewhere, and slow to import

                files[place], about["int8"] = to_int8(files[place], data, max_drop)
        else:
            files[place] = to_pt2(whole, pixels)
    text = json.dumps(about, indent=1, allow_nan=False) + "\n"
    for place in places:
        remove_leftovers(place.parent, f".{glob.escape(place.stem)}.*")
        files |= {place.with_suffix(".safetensors"): weights}
        files |= {place.with_suffix(".json"): text.encode()}
    for path, content in files.items():
        write_bytes(path, content)
        out.print(f"{KINDS[path.suffix]:<10}{path}")


class Normalised(nn.Module):
    """A network behind the normalisation of its training data: bytes in, class scores out."""

    def __init__(self, network: nn.Module, data: ImageData) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", data.mean.view(1, 3, 1, 1))
        self.register_buffer("std", data.std.view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 N×3×S×S to N×classes scores."""
        scores: Tensor = self.network((pixels / 255 - self.mean) / self.std)
        return scores


def describe(
    config: StudyConfig,
    data: ImageData,
    chosen: SelectedArch,
    result: Result,
    definition: dict[str, Any],
    weights: bytes,
) -> dict[str, Any]:
    """Everything that users of the model need to know, and its origin."""
    return {
        "format": FORMAT,
        "architecture": {
            "space": config.space,
            "space_options": config.space_options,
            "string": chosen.arch,
        },
        "classes": list(data.classes),
        "input": {
            "name": INPUT,
            "shape": ["batch", 3, data.image_size, data.image_size],
            "size": data.image_size,
            "channels": "RGB",
            "resize": "central square, bilinear with antialiasing",
            "dtype": "uint8",
            "normalisation": "the model's first step: (pixels · scale − mean) / std",
            "scale": 1 / 255,
            "mean": data.mean.tolist(),
            "std": data.std.tolist(),
            "value_ranges": data.value_ranges,
        },
        "output": {"name": OUTPUT, "shape": ["batch", len(data.classes)], "values": "logits"},
        "accuracy": {
            "test": result.test_accuracy,
            "test_images": result.test_images,
            "validation": result.validation_accuracy,
            "balanced": result.balanced_accuracy,
            "majority_share": result.majority_share,
            "by_class": result.class_accuracy,
        },
        "flops": result.flops,
        "params": result.params,
        "weights": {
            "recipe": result.recipe.model_dump(),
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "seed": result.seed,
            "sha256": hashlib.sha256(weights).hexdigest(),
        },
        "provenance": {
            "study": config.name,
            "trials": chosen.trials,
            "score": chosen.score,
            "dataset": config.dataset,
            "definition": definition,
            "exported": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "onnx")},
        },
    }


def _check_place(place: Path) -> None:
    """Raises InputError if nothing can be written there, or other people's files would be lost."""
    if place.suffix not in (".onnx", ".pt2"):
        raise InputError(f"--out {place}: the name must end in .onnx or .pt2")
    beside = [place.with_suffix(suffix) for suffix in (".json", ".safetensors")]
    try:
        for path in (place, *beside):
            check_output(path)
    except InputError as error:
        raise InputError(f"--out: {error}") from None
    others = [path for path in beside if path.exists()]
    if others and not _is_description(beside[0]):
        raise InputError(
            f"--out {place}: '{others[0]}' would be overwritten and is not from an export of this "
            "program: move it away or give another name"
        )


def _is_description(path: Path) -> bool:
    """Whether the file is one that `export` writes beside a model."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT
