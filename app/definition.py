"""What decides how scores come out: trials and files of different definitions do not compare."""

from collections.abc import Collection
from typing import Any

from app import scores
from app.config import CostName, StudyConfig
from app.data import ImageData
from app.errors import InputError

Definition = dict[str, Any]

WAYS_OUT = (
    "give the former value again, --study-name NAME for a study beside it, "
    "or --fresh to delete the study and start again"
)

DEFAULTS: Definition = {
    "search.objectives": ["flops"],
    "supernet.bn_groups": 1,
    "supernet.initialisation": "kaiming",
    "latency.source": "measured",
}
"""What fields mean where a definition of an earlier or later version lacks them."""


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
    for key in sorted(stored.keys() | given.keys()):
        if stored.get(key) != given.get(key):
            raise InputError(
                f"{what} was made with {key} = {stored.get(key)!r}, not {given.get(key)!r}: "
                f"{ways_out}"
            )


def supernet_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides how a supernet comes out."""
    return {
        **_basis(config, data),
        "batchnorm": config.batchnorm,
        **{f"supernet.{key}": value for key, value in config.supernet},
        "supernet.space_options": config.supernet_space_options,
    }


def score_definition(config: StudyConfig, data: ImageData) -> Definition:
    """What decides which scores an architecture gets."""
    return {
        **supernet_definition(config, data),
        "space_options": config.space_options,
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
        "space_options": config.space_options,
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
