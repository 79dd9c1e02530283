"""The commands that make a study's results again."""

import json
import shlex
from pathlib import Path
from typing import Any

from app.report.material import Material
from app.retrain.result import Result
from app.settings import StudySettings, load_settings, presets

OPTIONS = {
    "name": "study-name",
    "space": "space",
    "dataset": "dataset",
    "image_size": "image-size",
    "seed": "seed",
    "batchnorm": "batchnorm",
    "search.trials": "trials",
    "search.sampler": "sampler",
    "supernet.steps": "train-steps",
    "search.max_flops": "max-flops",
    "search.objectives": "objective",
}
"""Fields with an option of their own; the others are given with `--set`."""
ELSEWHERE = ("runs", "data_dir", "device", "storage")
"""Where it runs, which does not change what comes out."""


def commands(material: Material) -> list[str]:
    """The run, each training, and an export of the best network, for a shell."""
    settings = material.settings
    lines = [run_command(settings)]
    study = shlex.join(["--study", settings.name, *_runs(settings)])
    lines += [retrain_command(settings, result) for result in material.results]
    own = [result for result in material.results if not result.is_baseline]
    if own:
        arch = shlex.quote(f"--arch={own[0].network}")
        lines.append(f"python main.py export {study} {arch} --out model.onnx")
    elif material.front:
        lines += [
            f"python main.py retrain {study} --pick knee --baseline mobilenet_v2",
            f"python main.py export {study} --pick knee --out model.onnx",
        ]
    return lines


def run_command(settings: StudySettings) -> str:
    """From the preset of the same space, or the first one, and all that differs from it."""
    same = [name for name in presets() if load_settings(name).space == settings.space]
    preset = settings.name if settings.name in same else (same or list(presets()))[0]
    base, own = _flat(load_settings(preset)), _flat(settings)
    words = ["python", "main.py", "--study", preset]
    for field in sorted(own.keys() | base.keys(), key=lambda f: (f not in OPTIONS, f)):
        value = own.get(field)
        if field in ELSEWHERE or value == base.get(field) or value is None:
            continue
        if field in OPTIONS:
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{OPTIONS[field]}", _number(one)]
        else:
            words += ["--set", f"{field}={_toml(value)}"]
    return shlex.join([*words, *_runs(settings)])


def retrain_command(settings: StudySettings, result: Result) -> str:
    """With the seed, if it is not the study's, and every value that is not the recipe's default."""
    words = ["python", "main.py", "retrain", "--study", settings.name, *_runs(settings)]
    words.append(f"--{'baseline' if result.is_baseline else 'arch'}={result.network}")
    words += result.recipe.arguments()
    words += [] if result.seed == settings.seed else ["--seed", str(result.seed)]
    return shlex.join(words)


def _runs(settings: StudySettings) -> list[str]:
    return [] if settings.runs == Path("runs") else ["--runs", str(settings.runs)]


def _flat(settings: StudySettings) -> dict[str, Any]:
    """Dotted fields; tables of free content, such as `space_options`, stay whole."""
    flat: dict[str, Any] = {}
    for field, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict) and field != "space_options":
            flat |= {f"{field}.{key}": inner for key, inner in value.items()}
        else:
            flat[field] = value
    return flat


def _number(value: Any) -> str:
    """Whole numbers without a point, others with every digit: it must be the same study again."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)
