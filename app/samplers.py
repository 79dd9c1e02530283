"""Optuna samplers by name, and the wrapper that makes any of them propose networks of a space.

To add a sampler, write a function here and decorate it with `@SAMPLERS.register("name")`.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import product
from random import Random
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseGASampler,
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from app.config import SearchConfig
from app.costs import show_limits
from app.registry import Registry
from app.sampling import Drawn, Repair, stratified

MAX_UNIFORM_DRAWS = 1000
"""After so many uniform draws without anything new, the space is enumerated or given up."""

MAX_ENUMERABLE = 2**16
"""Combinations of choices up to which a space is enumerated to find the last new networks."""

SAMPLERS: Registry[Callable[[SearchConfig, int], BaseSampler]] = Registry("sampler")


@SAMPLERS.register("nsga2")
def nsga2(config: SearchConfig, seed: int) -> BaseSampler:
    """NSGA-II (Deb et al. 2002, doi 10.1109/4235.996017): evolves a well-spread front."""
    return NSGAIISampler(population_size=config.population, seed=seed)


@SAMPLERS.register("nsga3")
def nsga3(config: SearchConfig, seed: int) -> BaseSampler:
    """NSGA-III (Deb and Jain 2014): NSGA-II with reference directions."""
    return NSGAIIISampler(population_size=config.population, seed=seed)


@SAMPLERS.register("tpe")
def tpe(config: SearchConfig, seed: int) -> BaseSampler:
    """Tree-structured Parzen estimator over all choices jointly; slows down as trials add up."""
    return TPESampler(seed=seed, multivariate=True)


@SAMPLERS.register("gp")
def gp(config: SearchConfig, seed: int) -> BaseSampler:
    """Gaussian process; for a few hundred trials, as it slows down quickly."""
    return GPSampler(seed=seed, deterministic_objective=True)


@SAMPLERS.register("random")
def random(config: SearchConfig, seed: int) -> BaseSampler:
    """Independent uniform draws: the baseline."""
    return RandomSampler(seed=seed)


class SpaceExhaustedError(Exception):
    """No architecture is left that was not tried."""


class SpaceSampler(BaseSampler):
    """Makes any Optuna sampler propose feasible networks within the limits.

    It claims the whole space as the relative search space, asks the wrapped sampler for all
    choices at once and repairs them. A genetic algorithm is asked again when it proposes a
    known architecture; the other samplers may repeat one, which costs no second score.
    """

    def __init__(self, sampler: BaseSampler, repair: Repair, seed: int, start: int = 0) -> None:
        """`start` is the number of networks to start with over the whole range of costs."""
        self.sampler = sampler
        self.repair = repair
        self.choices = repair.space.choices
        self.rng = Random(seed)
        self.known: set[str] = set()
        """Architectures not to propose again, where the sampler is a genetic algorithm."""
        self._ga = sampler if isinstance(sampler, BaseGASampler) else None
        self._starts = self._stratified_starts(start)
        self._generation = 0
        """The last one whose parents are selected."""
        self._left: list[tuple[Any, ...]] | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All choices of the space."""
        return dict(self.choices)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw all choices of a network. Raises SpaceExhaustedError if nothing new is left."""
        if "fixed_params" in trial.system_attrs:  # queued; what it leaves is drawn independently
            return {}
        for params in self._candidates(study, trial):
            repaired = self.repair(params, self.rng)
            if repaired is not None and not (self._ga and repaired[1] in self.known):
                self.known.add(repaired[1])
                return repaired[0]
        limits = show_limits(self.repair.config)
        within = f" within {limits}" if limits else ""
        raise SpaceExhaustedError(
            f"every architecture of the space{within} has been tried ({len(self.known)})"
            if self._left is not None
            else f"{MAX_UNIFORM_DRAWS} draws{within} brought nothing new after "
            f"{len(self.known)} architectures"
        )

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Let the wrapped sampler draw a choice that a queued trial leaves."""
        return self.sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass on to the wrapped sampler, and note the generation of any trial, queued ones too."""
        self.sampler.before_trial(study, trial)
        if self._ga is not None:
            self._ga.get_trial_generation(study, trial)
            trial.system_attrs = study._storage.get_trial_system_attrs(trial._trial_id)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Pass on to the wrapped sampler."""
        self.sampler.after_trial(study, trial, state, values)

    def add_trials(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        """Add finished trials to `study`, which mirrors the database for this sampler.

        Trials that note no generation, as those of another sampler, join the one that is due.
        Parents are then selected generation by generation, up to the last full one: left to
        itself, a genetic algorithm would recurse from the last to the first until Python stops.
        """
        complete = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        size = (self._ga and self._ga.population_size) or 1
        for trial in trials:
            self.known.add(trial.user_attrs.get("arch", ""))
            if trial.distributions != self.choices:
                continue
            trial = copy(trial)
            if trial.values:
                trial.values = with_log_costs(trial.values)
            if self._ga is not None:
                due = {self._ga._get_generation_key(): complete // size}
                trial.system_attrs = due | trial.system_attrs
            study._storage.create_new_trial(study._study_id, trial)
            complete += trial.state is TrialState.COMPLETE
        while self._ga and len(self._ga.get_population(study, self._generation)) >= size:
            self._generation += 1
            self._ga.get_parent_population(study, self._generation)

    def _candidates(self, study: Study, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
        """The sampler's choices, then uniform draws, then all that is left of a small space."""
        space = self.sampler.infer_relative_search_space(study, trial)
        for _ in range(8 * len(self.choices) if self._ga else 1):
            yield self._ask(study, trial, space)
        if self._left is None:
            for _ in range(MAX_UNIFORM_DRAWS):
                yield {n: self.rng.choice(d.choices) for n, d in self.choices.items()}
            if math.prod(len(d.choices) for d in self.choices.values()) > MAX_ENUMERABLE:
                return
            self._left = list(product(*(d.choices for d in self.choices.values())))
            self.rng.shuffle(self._left)
        while self._left:
            yield dict(zip(self.choices, self._left.pop(), strict=True))

    def _stratified_starts(self, count: int) -> Iterator[Drawn]:
        """Networks for the trials that the wrapped sampler leaves to chance."""
        while networks := list(stratified(self.repair, count, self.rng)):
            yield from networks

    def _ask(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        params = self.sampler.sample_relative(study, trial, space)
        if not params and (start := next(self._starts, None)) is not None:
            return start[0]
        missing = self.choices.keys() - params.keys()  # start-up trials, and mutated choices
        return {
            name: self.sampler.sample_independent(study, trial, name, choice)
            if name in missing
            else params[name]
            for name, choice in self.choices.items()
        }


def with_log_costs(values: Sequence[float]) -> list[float]:
    """Values as samplers see them: halving the cost is the same distance everywhere."""
    score, *costs = values
    return [score, *map(math.log, costs)]


def create_sampler(config: SearchConfig, repair: Repair, seed: int) -> SpaceSampler:
    """Create the sampler that `config` names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = SAMPLERS[config.sampler](config, seed)
    start = 0 if isinstance(sampler, RandomSampler) else config.population
    return SpaceSampler(sampler, repair, seed, start)
