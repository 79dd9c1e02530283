"""Data sets by name. A module in `app.data.sources` adds one with `@register("name")`."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from app.data.pictures import Source

Reader = Callable[[Path], Source]
"""Given the folder for downloads, yields the data set; may raise InputError."""

_readers: dict[str, Reader] = {}


def register(name: str) -> Callable[[Reader], Reader]:
    """Make a reader known under `name`, which is what `--dataset` takes."""

    def add(reader: Reader) -> Reader:
        if name in _readers:
            raise ValueError(f"two data sets are registered as '{name}'")
        _readers[name] = reader
        return reader

    return add


def readers() -> dict[str, Reader]:
    """All registered readers by name, in alphabetical order."""
    from app.data import sources  # its modules import this one

    for module in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_readers.items()))
