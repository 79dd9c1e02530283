"""Optuna samplers by name. A new one is one function here with `@register("name")`.

For `nsga2`, what runs is our `Evolution`; Optuna's stands in where trials cannot be committed
in groups (see `proposals.py`).
"""

import warnings
from collections.abc import Callable

import optuna
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from app.errors import one_of
from app.settings import SearchSettings

Factory = Callable[[SearchSettings, int], BaseSampler]

SAMPLERS: dict[str, Factory] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Decorator: make a sampler known under `name`. It is given the settings and a seed."""

    def add(factory: Factory) -> Factory:
        SAMPLERS[name] = factory
        return factory

    return add


def check_sampler(name: str) -> None:
    """Raises InputError for a name that is not registered."""
    if name not in SAMPLERS:
        raise one_of(name, "sampler", list(SAMPLERS))


def create_sampler(settings: SearchSettings, seed: int, trials_so_far: int) -> BaseSampler:
    """The sampler of these settings."""
    check_sampler(settings.sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[settings.sampler](settings, seed_after(seed, trials_so_far))


def seed_after(seed: int, trials_so_far: int) -> int:
    """A seed for a search that has got so far.

    With its first seed a resumed search would draw the start-up trials of the first run again.
    """
    return (seed * 1_000_003 + trials_so_far) % 2**31


@register("nsga2")
def nsga2(settings: SearchSettings, seed: int) -> BaseSampler:
    """NSGA-II (Deb et al. 2002): evolution towards a well-spread front."""
    return NSGAIISampler(population_size=settings.population, seed=seed)


@register("nsga3")
def nsga3(settings: SearchSettings, seed: int) -> BaseSampler:
    """NSGA-III (Deb and Jain 2014): NSGA-II with reference directions."""
    return NSGAIIISampler(population_size=settings.population, seed=seed)


@register("tpe")
def tpe(settings: SearchSettings, seed: int) -> BaseSampler:
    """Tree-structured Parzen estimator, jointly over all choices; slows down as trials add up."""
    return TPESampler(seed=seed, multivariate=True)


@register("gp")
def gp(settings: SearchSettings, seed: int) -> BaseSampler:
    """Gaussian process; for some hundred trials at most, as it slows down quickly."""
    return GPSampler(seed=seed, deterministic_objective=True)


@register("random")
def random(settings: SearchSettings, seed: int) -> BaseSampler:
    """Independent uniform draws: the baseline."""
    return RandomSampler(seed=seed)
