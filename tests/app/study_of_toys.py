"""A study in a real database with made-up scores, for tests of the search around it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import URL

from app.ask_tell import Search
from app.commit import FINGERPRINT, StudyWriter
from app.config import SearchConfig
from app.database import sqlite_url
from app.objective import TrialResult
from app.samplers import create_sampler
from app.sampling import Repair
from app.storage import open_storage
from app.study import directions
from tests.toy import OPS, Toy

PRINT = "0123456789abcdef"
DIRECTIONS = directions(("flops",))


@dataclass
class MadeUp:
    """An objective whose score is known in closed form: the larger kernels, the better."""

    space: Toy
    fingerprint: str = PRINT
    seen: list[str] = field(default_factory=list)

    def __call__(self, params: dict[str, Any]) -> TrialResult:
        arch = self.space.decode(params)
        self.seen.append(arch)
        score = float(sum(OPS.index(op) * (i + 1) for i, op in enumerate(arch.split("-"))))
        macs = 1000 - arch.count("skip")
        attrs = {"arch": arch, "flops": macs, "params": 1, FINGERPRINT: self.fingerprint}
        return TrialResult(TrialState.COMPLETE, [score, float(macs)], attrs)

    def add_trials(self, trials: Any) -> None:
        """Nothing is memoised."""


def create_study(url: URL) -> tuple[Study, BaseStorage, StudyWriter]:
    """A study bound to the fingerprint PRINT, made if need be."""
    storage = open_storage(url)
    study = optuna.create_study(
        storage=storage, study_name="s", directions=DIRECTIONS, load_if_exists=True
    )
    study.set_user_attr(FINGERPRINT, PRINT)
    return study, storage, StudyWriter(url, study)


def make_search(
    place: Path | URL, space: Toy, objective: Any = None, size: int = 8, sampler: str = "nsga2"
) -> Search:
    """A search of that study, as `app.run` puts it together."""
    study, _, writer = create_study(sqlite_url(place) if isinstance(place, Path) else place)
    config = SearchConfig(sampler=sampler, population=8)
    wrapped = create_sampler(config, Repair(space, config), writer.next_seed_offset())
    return Search(study, writer, objective or MadeUp(space), wrapped, size)


def some_trial(space: Toy, arch: str = "conv1-skip-conv3", **attrs: Any) -> FrozenTrial:
    """A finished trial of ours, not in a database yet."""
    trial = create_trial(
        values=[0.1, 2.0],
        params=space.encode(arch),
        distributions=dict(space.choices),
        user_attrs={"arch": arch, "flops": 2, "params": 1, FINGERPRINT: PRINT, **attrs},
        system_attrs={"constraints": [-1.0]},
    )
    trial._trial_id = -1
    return trial


def never() -> None:
    """No interruption."""


def silent(steps: int, note: str) -> None:
    """No progress bar."""


def committed(path: Path) -> list[str]:
    """The architectures in the database, read by plain Optuna."""
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{path}")
    return [t.user_attrs["arch"] for t in study.trials]
