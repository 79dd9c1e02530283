"""Several workers on a real PostgreSQL server, each with a runs folder of its own."""

import shutil
import signal
import time
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, text

from app import locks, scores
from app.cli import main
from app.database import parse_url
from app.supernet.checkpoint import load_checkpoint, save_checkpoint
from tests.app.study_of_toys import make_search, never, silent
from tests.postgresql import PASSWORD
from tests.processes import Command, start
from tests.toy import LongToy

pytestmark = pytest.mark.slow


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path, postgresql: str) -> list[str]:
    folder = ["--runs", str(tmp_path / "runs"), "--storage", postgresql]
    return ["--study", str(study_file), "--space", "longtoy", *folder]


def worker(tmp_path: Path, url: str, name: str, source: Path | None = None) -> list[str]:
    """Arguments of a worker on a machine of its own, as far as folders make one."""
    arguments = ["worker", "--study", "small", "--storage", url, "--runs", str(tmp_path / name)]
    return arguments if source is None else [*arguments, "--supernet", str(source)]


def trials(url: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name="small", storage=url).trials


def check_whole(found: list[FrozenTrial], complete: int) -> None:
    """The total is exact, numbers have no gap, and an architecture has one score."""
    assert [t.number for t in found] == list(range(len(found)))
    assert {t.state for t in found} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert sum(t.state is TrialState.COMPLETE for t in found) == complete
    by_arch: dict[str, set[float]] = {}
    for trial in found:
        if trial.state is TrialState.COMPLETE:
            by_arch.setdefault(trial.user_attrs["arch"], set()).add(trial.values[0])
    assert all(len(values) == 1 for values in by_arch.values())
    assert len(by_arch) > 0.9 * complete  # only what two propose in the same batch is twice there
    assert len({t.user_attrs["fingerprint"] for t in found}) == 1


def wait_for(url: str, count: int, process: Command) -> None:
    engine = create_engine(url)
    for _ in range(3000):
        with engine.connect() as connection:
            if (connection.scalar(text("SELECT count(*) FROM trials")) or 0) >= count:
                engine.dispose()
                return
        assert process.poll() is None, "ended before it could be stopped"
        time.sleep(0.02)
    pytest.fail("too few trials")


def test_three_workers_one_killed(arguments: list[str], tmp_path: Path, postgresql: str) -> None:
    with create_engine(postgresql, isolation_level="AUTOCOMMIT").connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        level = "default_transaction_isolation = 'repeatable read'"
        connection.execute(text(f'ALTER DATABASE "{name}" SET {level}'))
    assert main([*arguments, "--trials", "8"]) == 0
    study = optuna.load_study(study_name="small", storage=postgresql)
    queued = {f"layer {i}": "conv1" for i in range(12)}
    study.enqueue_trial(queued)
    total = 200
    # raised as the main command would, which is not to search itself here
    shared = study.user_attrs["shared"]
    shared["settings"]["search"]["trials"] = total
    study.set_user_attr("shared", shared)
    source = tmp_path / "runs" / "small"
    processes = [start(worker(tmp_path, postgresql, str(i), source)) for i in range(3)]
    try:
        wait_for(postgresql, 40, processes[0])
        processes[0].kill()
        assert [process.wait(120) for process in processes] == [-signal.SIGKILL, 0, 0]
    finally:
        for process in processes:
            process.kill()
    found = trials(postgresql)
    check_whole(found, total)
    assert sum(t.params == queued for t in found) == 1
    assert not (tmp_path / "1" / "small" / "report.html").exists()  # the main command's matter
    assert main([*arguments, "--trials", str(total)]) == 0  # which only reports now
    assert trials(postgresql) == found


def test_a_worker_with_other_things_than_the_study_is_refused(
    arguments: list[str],
    tmp_path: Path,
    postgresql: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(command: list[str]) -> str:
        capsys.readouterr()
        assert main(command) == 2
        printed = capsys.readouterr()
        assert PASSWORD not in printed.out + printed.err
        (line,) = (x for x in printed.err.splitlines() if x.startswith("error: "))
        return line

    assert "study 'small' is not prepared" in refused(worker(tmp_path, postgresql, "a"))
    assert main([*arguments, "--trials", "4"]) == 0
    before = trials(postgresql)
    folder = tmp_path / "runs" / "small"

    absent = "does not hold the supernet.pt"
    assert absent in refused(worker(tmp_path, postgresql, "a"))
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    state = load_checkpoint(other / "supernet.pt")
    state["supernet"]["stem.1.weight"] += 1e-6
    save_checkpoint(other / "supernet.pt", {k: v for k, v in state.items() if k != "format"})
    for content in ((other / "supernet.pt").read_bytes(), b"none"):
        (other / "supernet.pt").write_bytes(content)
        assert absent in refused(worker(tmp_path, postgresql, "a", other))
    assert absent in refused(worker(tmp_path, postgresql, "a", tmp_path / "nowhere"))
    good = worker(tmp_path, postgresql, "c", folder)
    monkeypatch.setattr(scores, "VERSION", scores.VERSION + 1)
    assert "score version" in refused(good)
    monkeypatch.undo()
    make_images(tmp_path / "images")
    assert "dataset fingerprint" in refused([*good, "--dataset", str(tmp_path / "images")])
    # the main command, on a machine that has trained another supernet
    save_checkpoint(folder / "supernet.pt", {k: v for k, v in state.items() if k != "format"})
    assert "supernet.pt that scored the trials" in refused([*arguments, "--trials", "5"])
    assert trials(postgresql) == before
    with locks.searching(parse_url(postgresql), "small"):
        assert "another process is searching" in refused([*arguments, "--fresh"])


def make_images(folder: Path) -> None:
    from torchvision.utils import save_image

    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
        for i in range(40):
            save_image(torch.rand(3, 16, 16), folder / str(label) / f"{i}.png")


def test_a_worker_waits_for_the_main_command(
    arguments: list[str], tmp_path: Path, postgresql: str
) -> None:
    command = [*worker(tmp_path, postgresql, "a", tmp_path / "runs" / "small"), "--wait", "60"]
    waiting = start(command)
    assert main([*arguments, "--trials", "40"]) == 0
    assert waiting.wait(60) == 0
    check_whole(trials(postgresql), 40)


def test_other_commands_work_on_the_server(
    arguments: list[str], tmp_path: Path, postgresql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--trials", "9"]) == 0
    known = ["--study", "small", "--runs", str(tmp_path / "runs"), "--storage", postgresql]
    assert main(["studies", "--runs", str(tmp_path / "runs"), "--storage", postgresql]) == 0
    assert main(["retrain", *known, "--trial", "3", "--epochs", "1"]) == 0
    assert main(["export", *known, "--trial", "3", "--out", str(tmp_path / "n.pt2")]) == 0
    capsys.readouterr()
    assert main(["retrain", "--study", "small", "--runs", str(tmp_path / "runs")]) == 2
    assert "give --storage URL again" in capsys.readouterr().err
    for file in (tmp_path / "runs").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
    assert main([*arguments, "--fresh", "--seed", "3", "--trials", "4"]) == 0
    assert len(trials(postgresql)) == 4


def test_locks_end_with_their_connection(postgresql: str) -> None:
    url = parse_url(postgresql)
    with locks.searching(url, "s"), locks.searching(url, "s"):
        assert locks.is_searched(url, "s") and not locks.is_searched(url, "another")
    assert not locks.is_searched(url, "s")


def test_a_batch_is_one_commit(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ask_tell.SECONDS_PER_BATCH", 1e9)
    search = make_search(parse_url(postgresql), LongToy(image_size=16), size=32)
    search.run(32, never, silent)
    before = writing_transactions(postgresql)
    search.run(352, never, silent)
    # 10 batches, the second count itself, and what the server's own housekeeping takes
    assert 11 <= writing_transactions(postgresql) - before <= 20


def writing_transactions(url: str) -> int:
    """The number of the server's latest transaction that writes, which is the one made here."""
    engine = create_engine(url)
    with engine.connect() as connection:
        number = connection.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
    engine.dispose()
    assert number is not None
    return int(number)
