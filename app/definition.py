"""What decides how scores come out: trials and files of different definitions do not compare."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

import spaces
from app import scores
from app.config import CostName, StudyConfig
from app.data import ImageData
from app.errors import InputError
from spaces.fingerprint import fingerprint
from spaces.initialisation import LAST_GAMMA

Definition = dict[str, Any]

WAYS_OUT = (
    "restore the old value, give --study-name NAME for a study beside it, "
    "or --fresh to delete the study and start again"
)

RESCORE = "give --rescore to score its networks anew, or "

OF_NETWORKS = ("space", "space_options", "dataset fingerprint", "image_size", "search")
"""Fields and tables of a definition that `--rescore` does not change; the others decide scores."""

DEFAULTS: Definition = {
    "search.objectives": ["flops"],
    "supernet.bn_groups": 1,
    "supernet.initialisation": "kaiming",
    "supernet.last_gamma": 0.2,
    "latency.source": "measured",
}
"""What fields mean where a definition of an earlier or later version lacks them."""

FINGERPRINT = "space fingerprint"
FINGERPRINTS = (FINGERPRINT, f"supernet.{FINGERPRINT}")
"""Definitions of earlier versions lack these, and are believed."""


def check_definition(
    stored: Definition, given: Definition, what: str, ways_out: str = WAYS_OUT
) -> None:
    """Raises InputError that names the first difference and the ways out."""
    stored, given = DEFAULTS | stored, DEFAULTS | given
    if stored["latency.source"] != "measured":
        raise InputError(
            f"{what} adds up latencies from a table of operations, and this version measures whole "
            "networks: give --study-name NAME for a study beside it, or --fresh to start it again"
        )
    if (key := difference(stored, given)) in FINGERPRINTS:
        raise InputError(
            f"the files of space '{given['space']}' differ from those that {what} was made "
            f"with: {ways_out}"
        )
    if key:
        raise InputError(
            f"{what} was made with {key} = {stored.get(key)!r}, not {given.get(key)!r}: {ways_out}"
        )


def difference(stored: Definition, given: Definition) -> str | None:
    """The first field in which two definitions differ."""
    defaults = DEFAULTS | {k: v for k, v in (stored | given).items() if k in FINGERPRINTS}
    stored, given = defaults | stored, defaults | given
    keys = sorted(stored.keys() | given.keys())
    return next((key for key in keys if stored.get(key) != given.get(key)), None)


def of_networks(definition: Definition) -> Definition:
    """What decides which networks a study has and what they cost, whatever their scores."""
    fields = (DEFAULTS | definition).items()
    return {key: value for key, value in fields if key.partition(".")[0] in OF_NETWORKS}


def digest(definition: Definition) -> str:
    """10 hex digits that tell definitions apart, for names of files."""
    text = json.dumps(definition, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def supernet_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides how a supernet comes out."""
    shared = config.supernet.initialisation == "shared"
    return {
        **_basis(config, data),
        "batchnorm": config.batchnorm,
        **{f"supernet.{key}": value for key, value in config.supernet},
        **({"supernet.last_gamma": LAST_GAMMA} if shared else {}),
        "supernet.space_options": config.supernet_space_options,
        f"supernet.{FINGERPRINT}": _fingerprint(config, data, config.supernet_space_options),
    }


def score_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides which scores an architecture gets."""
    return {
        **supernet_definition(config, data),
        **_networks(config, data),
        **{f"score.{key}": value for key, value in config.score},
        "score version": scores.VERSION,
    }


def reference_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides what the reference sample holds: it keeps to the limit of the networks."""
    counted = {name for name in config.search.limits if name != "latency"}
    return score_definition(config, data) | _search_definition(config, counted)


def baseline_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides which baseline scores an architecture gets; the supernet does not matter."""
    return {
        **_basis(config, data),
        **_networks(config, data),
        "score.images": config.score.images,
        "baseline version": scores.BASELINE_VERSION,
    }


def study_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides what a trial's values mean."""
    definition = score_definition(config, data)
    definition["search.objectives"] = list(config.search.objectives)
    if config.search.uses("latency"):
        definition |= {f"latency.{key}": value for key, value in config.latency}
    used = {*config.search.objectives, *config.search.limits}
    return definition | _search_definition(config, used)


def _search_definition(config: StudyConfig, used: Collection[CostName]) -> Definition:
    """The limits on these costs, and what they are counted in."""
    limits = {n: limit for n, limit in config.search.limits.items() if n in used}
    counted_in = {"search.activations": config.search.activations} if "memory" in used else {}
    return {f"search.max_{name}": limit for name, limit in limits.items()} | counted_in


def _basis(config: StudyConfig, data: ImageData) -> Definition:
    return {
        "space": config.space,
        "dataset fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "seed": config.seed,
    }


def _networks(config: StudyConfig, data: ImageData) -> Definition:
    return {
        "space_options": config.space_options,
        FINGERPRINT: _fingerprint(config, data, config.space_options),
    }


def _fingerprint(config: StudyConfig, data: ImageData, options: dict[str, Any]) -> str:
    return fingerprint(spaces.create(config.space, len(data.classes), data.image_size, options))
