"""Where the next trial's choices come from: our evolution, or any sampler of Optuna."""

from collections.abc import Sequence
from typing import Any, Protocol

import optuna
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from app.search.evolution import Evolution
from app.search.samplers import create_sampler, seed_after
from app.settings import SearchSettings
from spaces import Space


class Proposals(Protocol):
    """Asked and told in turn, without the database."""

    def propose(self) -> dict[str, Any]:
        """Choices for the next trial. Raises SpaceExhaustedError if there are none left."""

    def learn(self, trial: FrozenTrial) -> None:
        """Take in what became of the last proposal, and note in it what is to be stored."""

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in finished trials of earlier runs or of others, oldest first."""


def create_proposals(
    settings: SearchSettings,
    space: Space,
    directions: Sequence[StudyDirection],
    seed: int,
    trials_so_far: int,
) -> Proposals:
    """The settings' sampler, for a search that has got so far."""
    if settings.sampler == "nsga2":
        seed = seed_after(seed, trials_so_far)
        return Evolution(space, directions, settings.population, seed, settings.max_flops)
    return InMemory(create_sampler(settings, seed, trials_so_far), space, directions)


class InMemory:
    """An Optuna sampler on a study in memory, a copy of the one in the database."""

    def __init__(
        self, sampler: BaseSampler, space: Space, directions: Sequence[StudyDirection]
    ) -> None:
        self.choices = space.choices
        self.sampler = sampler
        self.storage = InMemoryStorage()
        self.study = optuna.create_study(
            storage=self.storage, sampler=sampler, directions=directions
        )
        self.asked: Trial | None = None

    def propose(self) -> dict[str, Any]:
        """What the sampler draws; the drawing before, if it was interrupted, is given up."""
        if self.asked is not None:
            self.study.tell(self.asked, state=TrialState.FAIL)
            self.asked = None
        self.asked = self.study.ask(dict(self.choices))
        return self.asked.params

    def learn(self, trial: FrozenTrial) -> None:
        """Tell the sampler, and let the trial carry what the sampler has noted of it."""
        if self.asked is None:
            raise RuntimeError("there is no proposal to learn about")
        asked, self.asked = self.asked, None
        for key, value in trial.system_attrs.items():
            self.storage.set_trial_system_attr(asked._trial_id, key, value)
        self.study.tell(asked, trial.values, trial.state)
        trial.system_attrs = self.storage.get_trial_system_attrs(asked._trial_id)

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Copy the trials, and select the parents of each generation that they complete.

        Left to itself, a GA sampler would go back from the last generation to the first, each a
        call inside the call before, until Python stops it.
        """
        for trial in trials:
            self.storage.create_new_trial(self.study._study_id, template_trial=trial)
        if isinstance(self.sampler, BaseGASampler):
            generation = 0
            while self.sampler.get_population(self.study, generation):
                generation += 1
                self.sampler.get_parent_population(self.study, generation)
