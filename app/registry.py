"""Registries: scores, samplers and data sets, found by the names that users type."""

from collections.abc import Callable
from typing import TypeVar

from app.errors import one_of

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dictionary that decorators fill.

    Example:
        >>> SAMPLERS: Registry[type[BaseSampler]] = Registry("sampler")
        >>> @SAMPLERS.register("random")
        ... class RandomSampler(BaseSampler): ...

    `SAMPLERS["no such name"]` raises InputError with the names that exist.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: add an entry. Raises ValueError if the name is taken."""

        def add(entry: T) -> T:
            if name in self:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self[name] = entry
            return entry

        return add

    def __missing__(self, name: str) -> T:
        raise one_of(name, self.kind, list(self))
