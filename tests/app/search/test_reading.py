"""Our reading of trials against Optuna's own."""

from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from app.search.storage import Storage, open_storage


def test_trials_are_read_as_optuna_reads_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    other = optuna.create_study(storage=url, study_name="other")
    study = optuna.create_study(storage=url, study_name="s", directions=["maximize", "minimize"])
    other.tell(other.ask({"x": FloatDistribution(0, 1)}), 1.0)
    study.enqueue_trial({"x": 0.5})
    for number in range(6):
        trial = study.ask()
        trial.suggest_float("x", 1e-3, 1, log=True)
        trial.suggest_int("n", 0, 10, step=2)
        trial.suggest_categorical("op", ["conv", None, 3, True])
        trial.set_user_attr("note", {"a": [1, None, "ü"]})
        if number % 2:
            study.tell(trial, [float("inf"), -float("inf")] if number == 1 else [0.1, 2.0])
    failed = study.ask()
    study.tell(failed, state=TrialState.FAIL)
    study.ask({"n": IntDistribution(0, 10, step=2)})
    single = other.ask()
    for step, value in enumerate([0.5, float("nan"), float("inf")]):
        single.report(value, step)
    other.tell(single, state=TrialState.PRUNED)

    storage = open_storage(url)
    for name in ("s", "other"):
        ours = optuna.load_study(study_name=name, storage=storage).trials
        theirs = optuna.load_study(study_name=name, storage=url).trials
        assert len(ours) == len(theirs) > 1
        assert list(map(repr, ours)) == list(map(repr, theirs))  # NaN equals nothing


def test_unfinished_trials_are_read_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    storage = open_storage(url)
    ours = optuna.create_study(storage=storage, study_name="s")
    plain = optuna.load_study(study_name="s", storage=url)
    trials = [plain.ask({"x": FloatDistribution(0, 1)}) for _ in range(3)]
    assert [t.state for t in ours.trials] == 3 * [TrialState.RUNNING]
    plain.tell(trials[1], 1.0)
    plain.ask()
    assert [t.state for t in ours.trials].count(TrialState.COMPLETE) == 1
    plain.tell(trials[0], 2.0)
    assert ours.trials == plain.trials
    assert len(ours.trials) == 4


def test_it_is_our_reading_that_optuna_calls(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'a.db'}")
    backend = storage._backend  # type: ignore[attr-defined]
    assert isinstance(backend, Storage) and backend.tables is not None
    study = optuna.create_study(storage=storage)
    study.tell(study.ask(), 1.0)
    backend.tables["trials"] = None
    try:
        study.get_trials()
    except AttributeError:
        return
    raise AssertionError("Optuna has read the trials by another way")
