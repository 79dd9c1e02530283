import optuna
import pytest

from app.errors import InputError
from app.search.samplers import SAMPLERS, check_sampler, create_sampler
from app.search.study import DIRECTIONS
from app.settings import SearchSettings
from tests.toy import Toy


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_searches_two_objectives_under_a_constraint(name: str, toy: Toy) -> None:
    settings = SearchSettings(sampler=name, population=4)
    study = optuna.create_study(directions=DIRECTIONS, sampler=create_sampler(settings, 0, 0))
    for number in range(14):
        trial = study.ask(dict(toy.distributions()))
        study._storage.set_trial_system_attr(trial._trial_id, "constraints", (number % 3 - 1.0,))
        study.tell(trial, [float(number), 1.0])
    assert len(study.trials) == 14


def test_a_resumed_search_does_not_draw_the_first_trials_again(toy: Toy) -> None:
    def draws(trials_so_far: int) -> list[object]:
        sampler = create_sampler(SearchSettings(sampler="random"), 0, trials_so_far)
        study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
        return [study.ask(dict(toy.distributions())).params for _ in range(8)]

    assert draws(0) == draws(0)
    assert draws(0) != draws(8)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown sampler 'x'; choose one of: gp, nsga2, nsga3"):
        check_sampler("x")
