from itertools import product

import optuna
import pytest
from optuna.study import Study

from app.config import SearchConfig
from app.errors import InputError
from app.samplers import SAMPLERS, SpaceExhaustedError, create_sampler
from app.sampling import Repair
from tests.app.study_of_toys import DIRECTIONS, MadeUp
from tests.toy import OPS, LongToy, Toy


def make_study(space: Toy, sampler: str, max_flops: float | None = None, seed: int = 0) -> Study:
    config = SearchConfig(sampler=sampler, population=4, max_flops=max_flops)
    wrapped = create_sampler(config, Repair(space, config), seed)
    return optuna.create_study(directions=DIRECTIONS, sampler=wrapped)


def draw(study: Study, space: Toy, count: int) -> list[str]:
    """Ask and tell."""
    objective = MadeUp(space)
    for _ in range(count):
        trial = study.ask(dict(space.choices))
        study.tell(trial, objective(trial.params).values)
    return objective.seen


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_keeps_to_the_limit(sampler: str) -> None:
    """Also where next to no random draw is within it."""
    space = LongToy(image_size=16)
    cheapest = space.cost("-".join(["conv1"] + 11 * ["skip"])).macs
    limit = 1.5 * cheapest
    for arch in draw(make_study(space, sampler, limit), space, 14):
        assert space.cost(arch).macs <= limit


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_every_architecture_within_the_limit_is_proposed_once_then_no_more(
    toy: Toy, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.samplers.MAX_UNIFORM_DRAWS", 20)
    archs = {"-".join(ops) for ops in product(OPS, repeat=3)} - {"skip-skip-skip"}
    costs = {arch: toy.cost(arch).macs for arch in archs}
    limit = sorted(costs.values())[5]
    study = make_study(toy, sampler, limit)
    allowed = sorted(arch for arch, cost in costs.items() if cost <= limit)
    assert sorted(draw(study, toy, len(allowed))) == allowed
    with pytest.raises(SpaceExhaustedError, match=r"within .* has been tried"):
        study.ask(dict(toy.choices))


def test_a_space_too_large_to_enumerate_is_given_up(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.samplers.MAX_ENUMERABLE", 26)
    study = make_study(toy, "nsga2")
    with pytest.raises(SpaceExhaustedError, match="1000 draws brought nothing new after 26"):
        draw(study, toy, 27)


def test_a_limit_that_no_network_keeps_ends_the_search(toy: Toy) -> None:
    with pytest.raises(SpaceExhaustedError, match="within 1e-06 M"):
        draw(make_study(toy, "random", max_flops=1), toy, 1)


def test_the_last_change_of_a_repair_counts(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one change allowed, a network that this change makes cheap enough is returned."""
    from random import Random

    monkeypatch.setattr("app.sampling.MAX_CHANGES_PER_CHOICE", 1)
    dearest, limit = toy.encode("conv3-conv3-conv3"), toy.cost("conv1-conv1-conv1").macs
    repair = Repair(toy, SearchConfig(max_flops=limit))
    repaired = [repair(dearest, Random(seed)) for seed in range(300)]
    assert any(repaired)
    for found in repaired:
        assert found is None or toy.cost(found[1]).macs <= limit


def test_the_same_seed_draws_the_same(toy: Toy) -> None:
    def first(seed: int) -> list[str]:
        return draw(make_study(toy, "nsga2", seed=seed), toy, 12)

    assert first(0) == first(0) != first(1)


def test_nsga2_searches_better_than_chance() -> None:
    """Best of 100 trials of 3^12, means of three seeds; 156 is the best there is."""
    space = LongToy(image_size=16)

    def best(sampler: str, seed: int) -> float:
        study = make_study(space, sampler, seed=seed)
        draw(study, space, 100)
        return max(t.values[0] for t in study.trials)

    means = [sum(best(s, seed) for seed in range(3)) / 3 for s in ("nsga2", "random")]
    assert means[0] > means[1]


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown sampler 'x'; choose one of: gp, nsga2, nsga3"):
        create_sampler(SearchConfig(sampler="x"), Repair(Toy()), 0)
