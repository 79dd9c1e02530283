"""Architectures drawn by their cost, in every space."""

import math
from itertools import combinations, product
from random import Random
from statistics import fmean

import pytest

import spaces
from app.config import CostName, SearchConfig
from app.sampling import Repair, cost_range, draw, stratified
from spaces import Space
from tests.spaces.test_contract import make

SPACES = [spaces.create(name, 10, 32, {}) for name in spaces.names() if "toy" not in name]


@pytest.fixture(params=SPACES, ids=lambda space: space.name)
def space(request: pytest.FixtureRequest) -> Space:
    return request.param


def test_no_random_network_lies_outside_the_range(space: Space) -> None:
    costs, rng = cost_range(space), Random(1)
    drawn = [space.cost(space.sample(rng)).macs for _ in range(50)]
    assert costs.lowest <= min(drawn) and max(drawn) <= costs.highest
    assert space.cost(costs.cheapest).macs == costs.lowest
    assert space.cost(costs.dearest).macs == costs.highest


def test_the_range_of_a_sum_of_choices_is_exact() -> None:
    costs = cost_range(spaces.create("nasbenchmacro", 10, 32, {}))
    assert (costs.cheapest, costs.dearest) == ("0" * 8, "2" * 8)
    mobilenet = spaces.create("mobilenet", 10, 32, {})
    chosen = [
        {mobilenet.cost(mobilenet.decode(base | {name: v})).macs for v in choice.choices}
        for base in [mobilenet.encode(cost_range(mobilenet).cheapest)]
        for name, choice in mobilenet.choices.items()
    ]
    assert all(min(costs) == cost_range(mobilenet).lowest for costs in chosen)


def test_stratified_networks_cover_the_range_evenly(space: Space) -> None:
    costs = cost_range(space)
    drawn = [arch for _, arch in stratified(Repair(space), 20, Random(0))]
    logs = sorted(math.log(space.cost(arch).macs / costs.lowest) for arch in drawn)
    whole = math.log(costs.highest / costs.lowest)
    apart = [abs(found - whole * i / 19) / whole for i, found in enumerate(logs)]
    assert len(drawn) == 20
    # the cells of NAS-Bench-201 leave gaps between the cheapest ones
    assert fmean(apart) < 0.05 and max(apart) < 0.2


def test_stratified_networks_keep_to_the_limit_and_to_the_seed(space: Space) -> None:
    costs = cost_range(space)
    repair = Repair(space, SearchConfig(max_flops=math.sqrt(costs.lowest * costs.highest)))
    drawn = list(stratified(repair, 8, Random(0)))
    assert all(repair.allows(arch) and space.decode(params) == arch for params, arch in drawn)
    uniform = (repair(draw(space, rng)[0], rng) for rng in map(Random, range(100)))
    dearest = max(space.cost(found[1]).macs for found in uniform if found)
    assert max(space.cost(arch).macs for _, arch in drawn) > 0.8 * dearest
    assert drawn == list(stratified(repair, 8, Random(0)))


def test_networks_of_one_cost_share_no_more_choices_than_the_cost_demands() -> None:
    space = spaces.create("mobilenet", 10, 32, {})

    def alike(archs: list[str]) -> float:
        pairs = combinations([arch.split(",") for arch in archs], 2)
        return fmean(fmean(a == b for a, b in zip(*pair, strict=True)) for pair in pairs)

    rng = Random(0)
    uniform = [draw(space, rng)[1] for _ in range(30)]
    middle = Repair(space, SearchConfig(max_flops=200e6))
    limited = [found[1] for _ in range(30) if (found := middle(draw(space, rng)[0], rng))]
    assert alike(limited) < alike(uniform) + 0.02


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_repaired_networks_are_within_the_limit(space: Space, share: float) -> None:
    costs, rng = cost_range(space), Random(0)
    repair = Repair(
        space, SearchConfig(max_flops=costs.lowest * (costs.highest / costs.lowest) ** share)
    )
    repaired = [repair(draw(space, rng)[0], rng) for _ in range(20)]
    assert all(found is not None and repair.allows(found[1]) for found in repaired)


@pytest.fixture(params=["mobilenet", "nasbench101", "nasbenchmacro"])
def few(request: pytest.FixtureRequest) -> Space:
    """Spaces of each kind: a chain, cells, and so few layers that they can be enumerated."""
    return make(request.param)


@pytest.mark.slow
def test_repaired_networks_keep_to_all_limits_at_once(few: Space) -> None:
    def limit(name: CostName) -> float:
        costs = cost_range(few, name, config)
        return costs.lowest * (costs.highest / costs.lowest) ** 0.3

    config, rng = SearchConfig(activations="int8"), Random(0)
    limits = {f"max_{name}": limit(name) for name in ("flops", "params", "memory")}
    repair = Repair(few, config.model_copy(update=limits))
    for _ in range(4):
        found = repair(draw(few, rng)[0], rng)
        assert found is not None and few.decode(found[0]) == found[1]
        assert few.cost(found[1]).macs <= limits["max_flops"]
        assert few.cost(found[1]).params <= limits["max_params"]
        assert few.peak_activations(found[1]) <= limits["max_memory"]
    assert len(list(stratified(repair, 3, rng))) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flops", "params", "memory"])
def test_the_range_is_that_of_all_networks(name: CostName) -> None:
    """Of all 6,561 and all 15,625 networks, by enumeration."""
    for space in (spaces.create(name, 10, 32, {}) for name in ("nasbenchmacro", "nasbench201")):
        values = [d.choices for d in space.choices.values()]
        archs = (space.decode(dict(zip(space.choices, v, strict=True))) for v in product(*values))
        costs = [Repair(space).cost(name, arch) for arch in archs]
        found = cost_range(space, name)
        assert (found.lowest, found.highest) == (min(costs), max(costs))


@pytest.mark.slow
def test_the_least_network_is_found_and_named(few: Space) -> None:
    for name in ("params", "memory"):
        lowest = cost_range(few, name).lowest
        exact = Repair(few, SearchConfig.model_validate({f"max_{name}": lowest}))
        found = exact(draw(few, Random(4))[0], Random(0))
        assert found is not None and exact.allows(found[1])
        below = Repair(few, SearchConfig.model_validate({f"max_{name}": 0.9 * lowest}))
        assert below(draw(few, Random(4))[0], Random(0)) is None
        assert f"raise --max-{name}" in below.why_nothing()


def test_the_least_is_named_as_a_limit_that_suffices() -> None:
    space = spaces.create("mobilenet", 10, 32, {})  # 1,592,778 parameters
    message = Repair(space, SearchConfig(max_params=3e5)).why_nothing()
    assert "the least is 1.6 M parameters; raise --max-params" in message
    assert message.endswith("or narrow all networks: --set space_options.width=0.5")


def test_what_need_not_change_stays() -> None:
    """Only the first stage of this space is too large for the limit."""
    space = spaces.create("mobilenet", 10, 32, {})
    repair = Repair(space, SearchConfig(max_memory=cost_range(space, "memory").lowest))
    rng = Random(0)
    found = [repair(draw(space, rng)[0], rng) for _ in range(10)]
    assert len({drawn[1].split(",", 8)[-1] for drawn in found if drawn}) == 10
