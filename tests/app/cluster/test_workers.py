"""Several workers on a real PostgreSQL server, each with paths of its own."""

import functools
import http.server
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch
from app.cluster.session import SessionLocks
from app.search.storage import open_engine
from app.workers import at_work
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, text

from app import scores
from app.cli import main
from app.supernet.checkpoint import load_checkpoint, save_checkpoint
from tests.app.test_run import start
from tests.postgresql import PASSWORD


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path, postgresql: str) -> list[str]:
    folder = ["--runs", str(tmp_path / "runs"), "--storage", postgresql]
    return ["--study", str(study_file), "--space", "longtoy", *folder]


def worker(tmp_path: Path, url: str, name: str, place: object = None) -> list[str]:
    """Arguments of a worker on a machine of its own, as far as paths make one."""
    arguments = ["worker", "--study", "small", "--storage", url, "--runs", str(tmp_path / name)]
    return arguments if place is None else [*arguments, "--supernet", str(place)]


def trials(url: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name="small", storage=url).trials


def check_whole(found: list[FrozenTrial], complete: int) -> None:
    assert [t.number for t in found] == list(range(len(found)))
    assert {t.state for t in found} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert sum(t.state == TrialState.COMPLETE for t in found) == complete


def wait_for(url: str, count: int, process: "subprocess.Popen[bytes]") -> None:
    engine = create_engine(url)
    for _ in range(3000):
        with engine.connect() as connection:
            if (connection.scalar(text("SELECT count(*) FROM trials")) or 0) >= count:
                engine.dispose()
                return
        assert process.poll() is None, "ended before it could be stopped"
        time.sleep(0.02)
    pytest.fail("too few trials")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL at which a web server shows the main run's folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "runs" / "small"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_four_workers_one_killed(
    arguments: list[str], tmp_path: Path, postgresql: str, web: str
) -> None:
    """The total is exact and numbered without gaps; a trial left running by the dead is done."""
    assert main([*arguments, "--trials", "8"]) == 0
    study = optuna.load_study(study_name="small", storage=postgresql)
    study.ask()  # of somebody who has died
    queued = {f"layer {i}": "conv1" for i in range(12)}
    study.enqueue_trial(queued)
    total = 300
    # raised as the main command would, which here is not to search itself
    shared = study.user_attrs["shared"]
    shared["settings"]["search"]["trials"] = total
    study.set_user_attr("shared", shared)
    places = [web, tmp_path / "runs" / "small", web, web]
    processes = [start(worker(tmp_path, postgresql, str(i), p)) for i, p in enumerate(places)]
    try:
        wait_for(postgresql, 60, processes[0])
        processes[0].kill()
        assert [process.wait(120) for process in processes] == [-signal.SIGKILL, 0, 0, 0]
    finally:
        for process in processes:
            process.kill()
    found = trials(postgresql)
    check_whole(found, total)
    assert sum(t.params == queued for t in found) == 1
    by_arch: dict[str, set[float]] = {}
    for trial in found:
        if trial.state == TrialState.COMPLETE:
            by_arch.setdefault(trial.user_attrs["arch"], set()).add(trial.values[0])
    assert all(len(values) == 1 for values in by_arch.values())
    assert len(by_arch) > 0.9 * total  # twice only what two come upon in the same batch
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

    assert "has no study 'small'" in refused(worker(tmp_path, postgresql, "a"))
    assert main([*arguments, "--trials", "4"]) == 0
    before = trials(postgresql)
    paths = tmp_path / "runs" / "small"

    assert "is missing" in refused(worker(tmp_path, postgresql, "a"))
    other = tmp_path / "other"
    shutil.copytree(paths, other)
    state = load_checkpoint(other / "supernet.pt")
    state["supernet"]["stem.1.weight"] += 1e-6
    save_checkpoint(other / "supernet.pt", {k: v for k, v in state.items() if k != "format"})
    assert "fingerprint differs" in refused(worker(tmp_path, postgresql, "a", other))
    (other / "supernet.pt").write_bytes(b"none")
    assert "fingerprint differs" in refused(worker(tmp_path, postgresql, "a", other))
    shutil.copy(paths / "supernet.pt", other)
    reference = json.loads((other / "reference.json").read_text())
    next(iter(reference["scores"].values()))["bn_nas"] = 0.5
    (other / "reference.json").write_text(json.dumps(reference | {"checksum": None}))
    assert "reference.json" in refused(worker(tmp_path, postgresql, "a", other))
    assert not list((tmp_path / "a" / "small").glob("reference*"))
    for place in (tmp_path / "nowhere", "http://127.0.0.1:9/x", "ftp://example.org/x"):
        assert "cannot fetch" in refused(worker(tmp_path, postgresql, "b", place))

    good = worker(tmp_path, postgresql, "c", paths)
    monkeypatch.setattr(scores, "VERSION", scores.VERSION + 1)
    assert "score version" in refused(good)
    monkeypatch.undo()
    pictures = tmp_path / "pictures"
    make_pictures(pictures)
    assert "dataset fingerprint" in refused([*good, "--dataset", str(pictures)])
    assert trials(postgresql) == before
    # the main command, on a machine that has trained another supernet
    (paths / "supernet.pt").write_bytes((other / "supernet.pt").read_bytes())
    state = load_checkpoint(paths / "supernet.pt")
    state["supernet"]["stem.1.weight"] += 1e-6
    save_checkpoint(paths / "supernet.pt", {k: v for k, v in state.items() if k != "format"})
    assert "supernet.pt' is not what the trials" in refused([*arguments, "--trials", "5"])
    assert trials(postgresql) == before


def make_pictures(folder: Path) -> None:
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


def test_places_and_leadership_end_with_the_session(postgresql: str) -> None:
    first, second, third = (SessionLocks(open_engine(postgresql), "s") for _ in range(3))
    with at_work(first) as one, at_work(second) as two:
        assert (one.number, two.number) == (0, 1)
        assert one.leads() and not two.leads()
        assert third.held() == "the place of worker 0 in the database"
        assert SessionLocks(open_engine(postgresql), "another study").held() is None
        first.engine.dispose()  # as when its process dies
        for _ in range(100):
            if two.leads():
                break
            time.sleep(0.05)
        assert two.leads()
        with at_work(third) as again:
            assert again.number == 0
    assert third.held() is None


def test_without_a_driver_the_message_says_how_to_install_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = f"postgresql+psycopg://me:{PASSWORD}@host/db"
    for command in (["--storage", url], worker(tmp_path, url, "a")):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert 'pip install "psycopg[binary]"' in error
        assert PASSWORD not in error
