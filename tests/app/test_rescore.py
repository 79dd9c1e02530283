"""`--rescore`: no network of a study is lost when its scores are outdated."""

import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from app.cli import main
from app.config import database_url
from app.database import text_of
from app.scores import VERSION
from app.trials import completed_trials
from tests.processes import start
from tests.toy import Toy

KEPT = "small (score version 3)"


def database(arguments: list[str]) -> str:
    return text_of(database_url(Path(arguments[3]), *arguments[5:6]))


def load(arguments: list[str], name: str = "small") -> Study:
    return optuna.load_study(study_name=name, storage=database(arguments))


def archs(study: Study) -> list[str]:
    return [trial.user_attrs["arch"] for trial in completed_trials(study)]


def make_outdated(arguments: list[str], **space: str) -> list[str]:
    """Say that an earlier version has scored the study; returns its architectures."""
    study = load(arguments)
    earlier = {"score version": 3} | {f"space {key}": value for key, value in space.items()}
    study.set_user_attr("definition", study.user_attrs["definition"] | earlier)
    return archs(study)


def check_rescored(arguments: list[str], known: list[str]) -> None:
    study = load(arguments)
    assert archs(study)[: len(known)] == known
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert study.metric_names == ["score", "flops"]
    assert archs(load(arguments, KEPT)) == known
    assert set(optuna.get_all_study_names(database(arguments))) == {"small", KEPT}


@pytest.mark.slow
def test_an_outdated_study_is_scored_anew(
    study: list[str], toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    known = make_outdated(study)
    load(study).enqueue_trial(toy.encode("conv3-conv3-skip"))
    assert main(study) == 2
    assert f"score version = 3, not {VERSION}: give --rescore" in capsys.readouterr().err
    for _ in range(2):  # then it is up to date
        assert main([*study, "--rescore", "--trials", "4"]) == 0
    check_rescored(study, known)
    assert len(load(study).trials) == len(known) + 1
    assert main([*study, "--trials", "13"]) == 0
    assert len(load(study).trials) == 13


def test_only_what_decides_scores_may_differ(
    study: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    known = make_outdated(study)
    assert main([*study, "--rescore", "--max-flops", "20k"]) == 2
    error = capsys.readouterr().err
    assert "search.max_flops" in error
    assert "--rescore" not in error
    assert archs(load(study)) == known
    assert main([*study, "--rescore", "--batchnorm", "biased"]) == 0  # with another supernet
    check_rescored(study, known)
    assert len(list((Path(study[3]) / "small").glob("supernet.pt.outdated-*"))) == 1


def test_a_study_is_rescored_again(study: list[str]) -> None:
    for fingerprint in "ab":  # of the files of its space, which have changed since
        known = make_outdated(study, fingerprint=fingerprint)
        assert main([*study, "--rescore"]) == 0
    assert len(optuna.get_all_study_names(database(study))) == 3
    assert archs(load(study)) == known


@pytest.mark.slow
def test_a_kill_leaves_one_of_the_two_studies_whole(study: list[str]) -> None:
    """Killed when it begins, when it has replaced the study and when it has scored."""
    known = make_outdated(study)
    folder = Path(study[3]) / "small"
    moments: list[Callable[[], bool]] = [
        lambda: bool(list(folder.glob("reference.json.outdated-*"))),
        lambda: KEPT in optuna.get_all_study_names(database(study)),
        lambda: bool(archs(load(study))),
    ]
    for moment in moments:
        process = start([*study, "--rescore"])
        while process.poll() is None and not moment():
            time.sleep(0.005)
        process.kill()
        process.wait(60)
        current = load(study)
        if KEPT in optuna.get_all_study_names(database(study)):
            assert len(current.trials) == len(known)
            assert archs(load(study, KEPT)) == known
        else:
            assert archs(current) == known
    assert main([*study, "--rescore"]) == 0
    check_rescored(study, known)


@pytest.mark.slow
def test_a_study_on_a_server_is_scored_anew(
    study_file: Path, tmp_path: Path, postgresql: str
) -> None:
    arguments = ["--study", str(study_file), "--runs", str(tmp_path), "--storage", postgresql]
    assert main(arguments) == 0
    known = make_outdated(arguments)
    assert main([*arguments, "--rescore"]) == 0
    check_rescored(arguments, known)
