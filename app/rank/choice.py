"""Which scores are ranked, and which measured scores each of them is made of."""

from app.errors import one_of
from app.scores import BASELINES, MEASURES, PARTS, SCORES
from app.scores.baselines import RANK_SUMS

COMPOSITE = "composite"

WITHOUT = {f"without_{part}": part for part in PARTS}
"""The composite without one of its parts, to see what the part is worth."""

OURS = (COMPOSITE, *PARTS, *WITHOUT)
"""What the composite's reference sample makes out of the measures."""


def choose_scores(names: str | None, baselines: bool) -> list[str]:
    """The scores in a comma-separated list, or all: ours, what they are made of, baselines.

    Raises InputError for a name that does not exist, or is a baseline without `baselines`.
    """
    known = [*OURS, *SCORES, *((*BASELINES, *RANK_SUMS) if baselines else ())]
    chosen = [name.strip() for name in names.split(",")] if names is not None else known
    for name in chosen:
        if name not in known:
            raise one_of(name, "score", known)
    return list(dict.fromkeys(chosen))


def measured_parts(name: str) -> tuple[str, ...]:
    """The measured scores that make up a score: often itself alone."""
    return MEASURES if name in OURS else RANK_SUMS.get(name, (name,))
