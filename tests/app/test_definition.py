"""What may differ between what was stored and what is asked for."""

import pytest

from app.definition import check_definition
from app.errors import InputError

STORED = {"space": "toy", "seed": 0}


def test_the_first_difference_is_named() -> None:
    check_definition(STORED, {**STORED}, "the study")
    with pytest.raises(InputError, match="the study was made with seed = 0, not 1"):
        check_definition(STORED, {**STORED, "seed": 1}, "the study")


def test_earlier_versions_stored_a_limit_that_was_not_set() -> None:
    check_definition({**STORED, "search.max_flops": None}, STORED, "the study")
    with pytest.raises(InputError, match=r"max_params = None, not 500000.0"):
        check_definition(STORED, {**STORED, "search.max_params": 5e5}, "the study")


@pytest.mark.parametrize("key", ["space fingerprint", "supernet.space fingerprint"])
def test_a_changed_space_is_refused_and_an_unknown_one_believed(key: str) -> None:
    check_definition(STORED, {**STORED, key: "b"}, "the study")
    check_definition({**STORED, key: "b"}, STORED, "the study")
    with pytest.raises(
        InputError, match="files of space 'toy' differ from those that the study was made with"
    ):
        check_definition({**STORED, key: "a"}, {**STORED, key: "b"}, "the study")
