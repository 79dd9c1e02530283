"""What decides how scores come out: trials and files of different definitions do not compare."""

from typing import Any

from app import scores
from app.data import ImageData
from app.errors import InputError
from app.settings import StudySettings

Definition = dict[str, Any]

WAYS_OUT = (
    "give the former value again, --study-name NAME for a study beside it, "
    "or --fresh to delete the study and start again"
)

DEFAULTS: Definition = {
    "search.objectives": ["flops"],
    "supernet.bn_groups": 1,
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


def supernet_definition(settings: StudySettings, data: ImageData) -> Definition:
    """What decides how a supernet comes out."""
    return {
        **_basis(settings, data),
        "batchnorm": settings.batchnorm,
        **{f"supernet.{key}": value for key, value in settings.supernet},
        "supernet.space_options": settings.supernet_space_options,
    }


def score_definition(settings: StudySettings, data: ImageData) -> Definition:
    """What decides which scores an architecture gets."""
    return {
        **supernet_definition(settings, data),
        "space_options": settings.space_options,
        **{f"score.{key}": value for key, value in settings.score},
        "score version": scores.VERSION,
    }


def reference_definition(settings: StudySettings, data: ImageData) -> Definition:
    """What decides what the reference sample holds: it keeps to the limit of the networks."""
    limit = settings.search.max_flops
    limited = {} if limit is None else {"search.max_flops": limit}
    return {**score_definition(settings, data), **limited}


def baseline_definition(settings: StudySettings, data: ImageData) -> Definition:
    """What decides which baseline scores an architecture gets; the supernet does not matter."""
    return {
        **_basis(settings, data),
        "space_options": settings.space_options,
        "score.images": settings.score.images,
        "baseline version": scores.BASELINE_VERSION,
    }


def study_definition(settings: StudySettings, data: ImageData) -> Definition:
    """What decides what a trial's values mean."""
    definition = score_definition(settings, data)
    definition["search.max_flops"] = settings.search.max_flops
    definition["search.objectives"] = list(settings.search.objectives)
    if "latency" in settings.search.objectives:
        definition |= {f"latency.{key}": value for key, value in settings.latency}
    return definition


def _basis(settings: StudySettings, data: ImageData) -> Definition:
    return {
        "space": settings.space,
        "dataset fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "seed": settings.seed,
    }
