import pytest
from optuna.samplers import BaseGASampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from app.search.evolution import Evolution
from app.search.proposals import InMemory, Proposals, create_proposals
from app.search.samplers import SAMPLERS
from app.search.study import DIRECTIONS
from app.settings import SearchSettings
from tests.toy import LongToy

SPACE = LongToy(image_size=16)


def proposals(sampler: str, trials_so_far: int = 0) -> Proposals:
    settings = SearchSettings(sampler=sampler, population=4)
    return create_proposals(settings, SPACE, DIRECTIONS, 0, trials_so_far)


def tell(source: Proposals, number: int) -> FrozenTrial:
    trial = create_trial(
        values=[float(number), 1.0],
        params=source.propose(),
        distributions=dict(SPACE.distributions()),
        user_attrs={"arch": str(number)},
        system_attrs={"constraints": [number % 3 - 1.0]},
    )
    source.learn(trial)
    return trial


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_proposes_learns_and_goes_on(sampler: str) -> None:
    first = proposals(sampler)
    trials = [tell(first, number) for number in range(14)]
    second = proposals(sampler, trials_so_far=14)
    second.add(trials)
    later = [tell(second, number) for number in range(14, 20)]
    assert [t.params for t in later] != [t.params for t in trials[:6]]
    for number, trial in enumerate(trials + later):
        assert trial.params.keys() == SPACE.distributions().keys()
        assert trial.system_attrs["constraints"] == [number % 3 - 1.0]


def test_our_evolution_is_the_nsga2() -> None:
    assert isinstance(proposals("nsga2"), Evolution)


def test_a_ga_sampler_goes_on_with_its_generations() -> None:
    """Hundreds of them: without care, Python's limit of calls inside calls."""
    trials = []
    first = proposals("nsga3")
    for number in range(1600):
        trials.append(tell(first, number))
    assert isinstance(first, InMemory) and isinstance(first.sampler, BaseGASampler)
    generation = "NSGAIIISampler:generation"
    assert trials[-1].system_attrs[generation] == 1600 / 4 - 1
    second = proposals("nsga3", trials_so_far=1600)
    second.add(trials)
    assert tell(second, 1600).system_attrs[generation] == 1600 / 4


def test_a_proposal_that_nothing_came_of_is_given_up() -> None:
    source = proposals("tpe")
    assert isinstance(source, InMemory)
    source.propose()
    tell(source, 0)
    assert [t.state for t in source.study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
