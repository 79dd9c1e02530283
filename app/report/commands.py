"""The commands that make a study's results again."""

import json
import shlex
from typing import Any

from app import PROGRAM
from app.config import StudyConfig
from app.options import OPTIONS
from app.report.data import ReportData
from app.study_file import load_config, presets, runs_option, study_command
from app.trained import Result

NAMES = {option.field: name.replace("_", "-") for name, option in OPTIONS.items()}
"""Fields with an option of their own; the others are given with `--set`."""
ELSEWHERE = ("runs", "data_dir", "device", "storage")
"""Where a study runs, which does not change its results."""


def commands(data: ReportData) -> list[str]:
    """Return the run, each training, and an export of the best network, for a shell."""
    config = data.config
    lines = [run_command(config), *(retrain_command(config, r) for r in data.results)]
    trained = [result for result in data.results if not result.is_baseline]
    if trained:
        arch = f"--arch={trained[0].network}"
        lines.append(study_command("export", config, arch, "--out", "model.onnx"))
    elif data.front:
        pick = ("--pick", "knee", "--baseline", "mobilenet_v2")
        lines.append(study_command("retrain", config, *pick))
        lines.append(study_command("export", config, "--pick", "knee", "--out", "model.onnx"))
    return lines


def run_command(config: StudyConfig) -> str:
    """Return the run: the preset of the same space, or the first one, and all differences."""
    same = [name for name in presets() if load_config(name, resume=False).space == config.space]
    preset = config.name if config.name in same else (same or list(presets()))[0]
    base = _flat(load_config(preset, resume=False))
    words, settings = [*PROGRAM.split(), "--study", preset], list[str]()
    for field, value in _flat(config).items():
        if field in ELSEWHERE or value in (None, base[field]):
            continue
        if field in NAMES:
            for one in value if isinstance(value, list) else [value]:
                text = f"{one:.17g}" if isinstance(one, float) else str(one)
                words += [f"--{NAMES[field]}", text]
        else:
            settings += ["--set", f"{field}={_toml(value)}"]
    return shlex.join([*words, *settings, *runs_option(config)])


def retrain_command(config: StudyConfig, result: Result) -> str:
    """Return the training of a network, with every value that is not a default."""
    network = f"--{'baseline' if result.is_baseline else 'arch'}={result.network}"
    seed = [] if result.seed == config.seed else ["--seed", str(result.seed)]
    return study_command("retrain", config, network, *result.recipe.arguments(), *seed)


def _flat(config: StudyConfig) -> dict[str, Any]:
    """Flatten to dotted fields; tables of free content, such as `space_options`, stay whole."""
    flat: dict[str, Any] = {}
    for field, value in config.model_dump(mode="json").items():
        if isinstance(value, dict) and field != "space_options":
            flat |= {f"{field}.{key}": inner for key, inner in value.items()}
        else:
            flat[field] = value
    return flat


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
