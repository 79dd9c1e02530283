import math
from collections.abc import Callable
from itertools import product
from random import Random

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from app.search.evolution import (
    Evolution,
    Individual,
    SpaceExhaustedError,
    crowding_distances,
    fittest,
    fronts,
)
from app.search.study import DIRECTIONS
from tests.toy import OPS, LongToy, Toy

Step = Callable[[], float]


def told(space: Toy, params: dict[str, str], excess: float = 0.0) -> FrozenTrial:
    """A trial of a made-up score, against the true cost; both are known in closed form."""
    arch = space.decode(params)
    return create_trial(
        values=[sum((1 + i) * OPS.index(op) for i, op in enumerate(arch.split("-"))), 1.0],
        params=params,
        distributions=dict(space.distributions()),
        user_attrs={"arch": arch},
        system_attrs={"constraints": [excess]},
    )


@pytest.mark.parametrize("population", [4, 100])
def test_every_architecture_is_proposed_once_then_no_more(toy: Toy, population: int) -> None:
    evolution = Evolution(toy, DIRECTIONS, population, seed=0)
    archs = []
    for _ in range(26):
        trial = told(toy, evolution.propose())
        evolution.learn(trial)
        archs.append(trial.user_attrs["arch"])
    assert len(set(archs)) == 26
    with pytest.raises(SpaceExhaustedError, match=r"every architecture .* \(26\)"):
        evolution.propose()


def test_a_space_too_large_to_count_is_given_up_after_many_draws(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.search.evolution.COUNTABLE", 26)
    evolution = Evolution(toy, DIRECTIONS, 4, seed=0)
    with pytest.raises(SpaceExhaustedError, match="nothing new in 1000 draws after 26"):
        for _ in range(27):
            evolution.learn(told(toy, evolution.propose()))


def test_only_networks_within_the_limit_are_proposed_and_all_of_them(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where next to no random draw is within it."""
    monkeypatch.setattr("app.search.evolution.DRAWS", 20)
    archs = {"-".join(ops) for ops in product(OPS, repeat=3)} - {"skip-skip-skip"}
    costs = {arch: toy.cost(arch).macs for arch in archs}
    limit = sorted(costs.values())[5]  # of three convolutions 1×1, two of which may be skips
    evolution = Evolution(toy, DIRECTIONS, 4, seed=0, max_flops=limit)
    found = []
    with pytest.raises(SpaceExhaustedError, match=r"within .* has been tried"):
        while True:
            trial = told(toy, evolution.propose())
            evolution.learn(trial)
            found.append(trial.user_attrs["arch"])
    assert sorted(found) == sorted(arch for arch, cost in costs.items() if cost <= limit)


def test_a_limit_that_no_network_keeps_ends_the_search(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.search.evolution.DRAWS", 3)
    monkeypatch.setattr("app.repair.CHANGES", 2)
    with pytest.raises(SpaceExhaustedError, match="within 1e-06 M"):
        Evolution(toy, DIRECTIONS, 4, seed=0, max_flops=1).propose()


def test_what_an_earlier_run_tried_is_not_proposed_and_its_parents_are_kept() -> None:
    space = LongToy(image_size=16)
    first = Evolution(space, DIRECTIONS, 8, seed=0)
    trials = []
    for _ in range(43):
        trials.append(told(space, first.propose()))
        first.learn(trials[-1])
    second = Evolution(space, DIRECTIONS, 8, seed=1)
    second.add(trials)
    assert (second.parents, second.generation) == (first.parents, first.generation)
    assert len(second.generation) == 43 % 8
    known = {t.user_attrs["arch"] for t in trials}
    for _ in range(200):
        arch = space.decode(second.propose())
        assert arch not in known
        known.add(arch)


def test_trials_that_failed_or_chose_otherwise_are_no_parents(toy: Toy) -> None:
    evolution = Evolution(toy, DIRECTIONS, 4, seed=0)
    evolution.add([create_trial(values=[1.0, 1.0]), create_trial(state=TrialState.FAIL)])
    assert evolution.generation == []


def test_selection_prefers_the_feasible_then_the_front_then_the_lonely() -> None:
    def some(x: float, y: float, violation: float = 0.0) -> Individual:
        return Individual((x, y), (x, y), violation)

    front = [some(0, 4), some(1, 3), some(2, 2), some(4, 0), some(3.9, 0.1)]
    behind = [some(5, 5), some(4, 4.5)]
    infeasible = [some(-1, -1, 2.0), some(-1, -1, 1.0)]
    chosen = fittest([*infeasible, *behind, *front], 8)
    assert set(chosen[:2]) == {some(0, 4), some(4, 0)}  # the ends, then by distance
    assert chosen[2:5] == [some(2, 2), some(1, 3), some(3.9, 0.1)]
    assert chosen[5:] == [some(4, 4.5), some(5, 5), infeasible[1]]


def test_fronts_are_as_optuna_sorts_them() -> None:
    from optuna.study._multi_objective import _fast_non_domination_rank

    rng = np.random.default_rng(0)
    for objectives in (2, 3):
        losses = rng.integers(0, 8, size=(64, objectives)).astype(float)
        violations = np.maximum(0, rng.integers(-4, 4, size=64)).astype(float)
        ranks = _fast_non_domination_rank(losses, penalty=violations)
        for rank, front in enumerate(fronts(losses, violations)):
            assert set(front) == set(np.flatnonzero(ranks == rank))


def test_crowding_distances_of_a_line() -> None:
    losses = np.array([[0.0, 10.0], [1.0, 9.0], [4.0, 6.0], [10.0, 0.0]])
    # neighbours of the second are 4/10 apart in each objective, of the third 9/10
    assert crowding_distances(losses) == pytest.approx([math.inf, 0.8, 1.8, math.inf])
    assert crowding_distances(np.ones((3, 1))).tolist() == [math.inf, 0, math.inf]


def test_it_searches_better_than_chance_and_no_worse_than_optuna() -> None:
    """Best of 200 trials out of 3^12, a sum over layers: 156 at most; mean over seeds."""
    space = LongToy(image_size=16)
    choices = space.distributions()

    def best(propose_and_learn: Step) -> float:
        return max(propose_and_learn() for _ in range(200))

    def value(params: dict[str, str]) -> float:
        return float(sum((1 + i) * OPS.index(params[name]) for i, name in enumerate(choices)))

    def ours(seed: int) -> Step:
        evolution = Evolution(space, DIRECTIONS[:1], 20, seed)

        def step() -> float:
            params = evolution.propose()
            found = value(params)
            evolution.learn(create_trial(value=found, params=params, distributions=dict(choices)))
            return found

        return step

    def optunas(seed: int) -> Step:
        sampler = optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)

        def step() -> float:
            trial = study.ask(dict(choices))
            study.tell(trial, value(trial.params))
            return value(trial.params)

        return step

    def chance(seed: int) -> Step:
        rng = Random(seed)
        return lambda: value({name: rng.choice(c.choices) for name, c in choices.items()})

    means = [np.mean([best(make(seed)) for seed in range(5)]) for make in (ours, optunas, chance)]
    assert means[0] > means[2] + 10
    assert means[0] >= means[1]
