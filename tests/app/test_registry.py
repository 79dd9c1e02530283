import pytest

from app.errors import InputError
from app.registry import Registry


def test_entries_are_found_by_name() -> None:
    registry: Registry[int] = Registry("number")
    assert registry.register("two")(2) == 2
    assert registry["two"] == 2


def test_a_taken_name_is_refused() -> None:
    registry: Registry[int] = Registry("number")
    registry.register("two")(2)
    with pytest.raises(ValueError, match="number 'two' is registered twice"):
        registry.register("two")(3)
    assert registry == {"two": 2}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    registry: Registry[int] = Registry("number")
    registry.register("two")(2)
    registry.register("one")(1)
    with pytest.raises(InputError, match="unknown number 'three'; choose one of: one, two"):
        registry["three"]
