"""Search spaces by name. Every module of this folder is imported: a new space is one new file."""

import importlib
import pkgutil
from dataclasses import fields
from typing import Any, TypeVar

from spaces.base import ArchitectureError, FeatureNode, InfeasibleError, Space, Supernet
from spaces.batchnorm import BatchNormMode
from spaces.cost import Cost
from spaces.initialisation import Choice

__all__ = [
    "ArchitectureError",
    "BatchNormMode",
    "Choice",
    "Cost",
    "FeatureNode",
    "InfeasibleError",
    "Space",
    "Supernet",
    "create",
    "names",
    "register",
]

MAX_OPTION_VALUE = 10_000
"""Most channels, cells or layers: a mistyped number would otherwise fill the memory."""

_SPACES: dict[str, type[Space]] = {}
_S = TypeVar("_S", bound=type[Space])


def register(space: _S) -> _S:
    """Class decorator: make a space known under its `name`. Raises ValueError if it is taken."""
    if space.name in _SPACES:
        raise ValueError(f"space '{space.name}' is registered twice")
    _SPACES[space.name] = space
    return space


def names() -> list[str]:
    """The names of all spaces."""
    return sorted(_SPACES)


def create(name: str, classes: int, image_size: int, options: dict[str, Any]) -> Space:
    """Create the space `name` for a data set. Raises ValueError for an unknown name or option."""
    if name not in _SPACES:
        raise ValueError(f"unknown space {name!r}; choose one of: {', '.join(names())}")
    space = _SPACES[name]
    known = {field.name for field in fields(space)} - {"classes", "image_size"}
    if unknown := set(options) - known:
        raise ValueError(
            f"space '{name}' has no option {min(unknown)!r}; "
            f"its options are: {', '.join(sorted(known)) or 'none'}"
        )
    for option, value in options.items():
        if isinstance(value, int | float) and not abs(value) <= MAX_OPTION_VALUE:
            raise ValueError(f"option {option!r} must be at most {MAX_OPTION_VALUE}, not {value}")
    return space(classes=classes, image_size=image_size, **options)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
