"""NSGA-II (Deb et al. 2002, doi 10.1109/4235.996017) that proposes no architecture twice.

Optuna's own spends ever longer on a trial, as it goes through all earlier ones for each, and
proposes known architectures again: a third of 1,000 trials on NAS-Bench-201. Here the state of
the search is two short lists, made again from the trials of the database when it is resumed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from app.repair import Genes, Limit
from spaces import Space

CROSSOVER = 0.9
"""How often a child has two parents, as in Optuna."""

DRAWS = 1000
"""Uniform draws without anything new, after which the space is counted or given up."""

COUNTABLE = 2**16
"""Spaces of up to so many combinations of choices are counted, to find the last ones."""


class SpaceExhaustedError(Exception):
    """Every architecture that can be found has been tried."""


@dataclass(frozen=True)
class Individual:
    """A completed trial, as evolution sees it."""

    genes: Genes
    """Its choices."""
    losses: tuple[float, ...]
    """Its values, all to be minimised."""
    violation: float
    """The sum of what it exceeds its constraints by; 0 if feasible."""


class Evolution:
    """Proposes choices, and learns from the trials that come of them.

    A generation is as many completed trials as the population. The fittest of it and of its
    parents are the parents of the next one: by front, then by distance from their neighbours on
    it; a feasible one before all infeasible, these by their violation. A child mixes the choices
    of two parents, each the fitter of two random ones, and each choice is drawn anew at odds of
    one in their number. A child that is infeasible or known is made again, with odds that rise.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[StudyDirection],
        population: int,
        seed: int,
        max_flops: float | None = None,
    ) -> None:
        """With `max_flops`, only networks within it are proposed: costs need no trial."""
        self.space = space
        self.limit = Limit(space, max_flops)
        self.signs = [-1 if d is StudyDirection.MAXIMIZE else 1 for d in directions]
        self.population = population
        self.rng = Random(seed)
        self.choices = {name: d.choices for name, d in space.choices.items()}
        self.known: set[str] = set()
        self.parents: list[Individual] = []
        """The fittest first."""
        self.generation: list[Individual] = []
        self._unseen: list[Genes] | None = None

    def propose(self) -> dict[str, Any]:
        """Choices of an architecture not proposed before. Raises SpaceExhaustedError."""
        for genes in self._candidates():
            genes, arch = self.limit.within(genes, self.rng)
            if arch is not None and arch not in self.known:
                self.known.add(arch)
                return dict(zip(self.choices, genes, strict=True))
        limit = self.limit.max_flops
        within = "" if limit is None else f" within {limit / 1e6:g} M multiply–adds"
        raise SpaceExhaustedError(
            f"every architecture of the space{within} has been tried ({len(self.known)})"
            if self._unseen is not None
            else f"nothing new{within} in {DRAWS} draws after {len(self.known)} architectures"
        )

    def learn(self, trial: FrozenTrial) -> None:
        """Take in a finished trial; one that is not complete, or of other choices, is no use."""
        if trial.state is not TrialState.COMPLETE or trial.params.keys() != self.choices.keys():
            return
        losses = tuple(s * v for s, v in zip(self.signs, trial.values, strict=True))
        violation = sum(max(0.0, excess) for excess in trial.constraints.values())
        genes = tuple(trial.params[name] for name in self.choices)
        self.generation.append(Individual(genes, losses, violation))
        if len(self.generation) == self.population:
            self.parents = fittest([*self.generation, *self.parents], self.population)
            self.generation = []

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in trials that were not proposed here, oldest first."""
        for trial in trials:
            if (arch := trial.user_attrs.get("arch")) is not None:
                self.known.add(arch)
            self.learn(trial)

    def _candidates(self) -> Iterator[Genes]:
        """Children while there are parents, then uniform draws, then all that is left."""
        if self.parents:
            for attempt in range(8 * len(self.choices)):
                yield self._child(odds=(1 + attempt / 8) / len(self.choices))
        if self._unseen is None:
            for _ in range(DRAWS):
                yield tuple(self.rng.choice(choices) for choices in self.choices.values())
            if math.prod(map(len, self.choices.values())) > COUNTABLE:
                return
            self._unseen = list(product(*self.choices.values()))
            self.rng.shuffle(self._unseen)
        while self._unseen:
            yield self._unseen.pop()

    def _child(self, odds: float) -> Genes:
        rng = self.rng
        genes = self._parent().genes
        if rng.random() < CROSSOVER:
            other = self._parent().genes
            genes = tuple(a if rng.random() < 0.5 else b for a, b in zip(genes, other, strict=True))
        return tuple(
            rng.choice(choices) if rng.random() < odds else gene
            for gene, choices in zip(genes, self.choices.values(), strict=True)
        )

    def _parent(self) -> Individual:
        """The fitter of two."""
        count = len(self.parents)
        return self.parents[min(self.rng.randrange(count), self.rng.randrange(count))]


def fittest(individuals: Sequence[Individual], count: int) -> list[Individual]:
    """The `count` fittest, best first: by front, then by crowding distance."""
    losses = np.array([i.losses for i in individuals], dtype=float)
    violations = np.array([i.violation for i in individuals], dtype=float)
    chosen: list[int] = []
    for front in fronts(losses, violations):
        distances = crowding_distances(losses[front])
        chosen += front[np.argsort(-distances, kind="stable")].tolist()
        if len(chosen) >= count:
            break
    return [individuals[i] for i in chosen[:count]]


def fronts(losses: NDArray[Any], violations: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Indices front by front: each of those that only earlier fronts dominate.

    `losses` is N×objectives, `violations` N. One dominates another by a smaller violation, or
    if neither has any, by no loss larger and some loss smaller.
    """
    no_larger = (losses[:, None] <= losses[None]).all(2)
    smaller = (losses[:, None] < losses[None]).any(2)
    feasible = violations == 0
    dominates = no_larger & smaller & feasible[:, None] & feasible[None]
    dominates |= violations[:, None] < violations[None]
    left = np.arange(len(losses))
    while len(left):
        dominated = dominates[np.ix_(left, left)].any(0)
        yield left[~dominated]
        left = left[dominated]


def crowding_distances(losses: NDArray[Any]) -> NDArray[Any]:
    """How far the neighbours of each are apart, summed over objectives in units of their range.

    Infinite at either end of an objective. `losses` is N×objectives.
    """
    distances = np.zeros(len(losses))
    for values in losses.T:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        width = ordered[-1] - ordered[0]
        if width > 0 and math.isfinite(width):
            distances[order[1:-1]] += (ordered[2:] - ordered[:-2]) / width
        distances[order[[0, -1]]] = math.inf
    return distances
