"""Bad input on the command line: one line, exit status 2, no traceback. And the small commands."""

import io
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.cli import main
from tests.app.test_run import ROOT

GOOD = Path(__file__)  # any file that is no study, picture or folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "nosuch"], "unknown study 'nosuch'"),
        (["--space", "nosuch"], "unknown space 'nosuch'"),
        (["--sampler", "nosuch"], "unknown sampler 'nosuch'"),
        (["--dataset", "nosuch"], "nosuch"),
        (["--dataset", str(GOOD)], "test_cli.py"),
        (["--dataset", "/no/such/folder"], "/no/such/folder"),
        (["--trials", "0"], "search.trials = 0"),
        (["--trials", "many"], "--trials"),
        (["--device", "toaster"], "device 'toaster'"),
        (["--storage", "nonsense"], "not a database URL"),
        (["--fresh", "studies"], "after the command: python main.py studies"),
        (["--runs", os.fsdecode(b"gr\xf6")], "is not UTF-8: give --runs DIR"),
        (["--set", "supernet.batch_size"], "write FIELD=VALUE"),
        (["--set", "space_options.nosuch=1"], "has no option 'nosuch'"),
        (["--set", "supernet.batch_size=5000"], "5000"),
        (["--nosuch"], "--nosuch"),
        (["nosuch"], "nosuch"),
        (["dashboard", "--port", "0"], "--port"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [] if arguments[0] in ("nosuch", "dashboard") else ["--runs", str(tmp_path / "runs")]
    if "--study" not in arguments and before:
        before += ["--study", "mobilenet"]
    assert main([*before, *arguments]) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in captured.err


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((20, 20)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def images(folder: Path, content: bytes) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            (folder / name / f"{i}.jpg").write_bytes(content)
    return folder


def test_bad_folders(study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--study", str(study_file), "--runs", str(tmp_path / "runs")]
    (tmp_path / "empty").mkdir()
    assert main([*arguments, "--dataset", str(tmp_path / "empty")]) == 2
    assert str(tmp_path / "empty") in capsys.readouterr().err
    few = images(tmp_path / "few", _jpeg())
    tiny = ["--set=supernet.batch_size=2", "--set=supernet.bn_groups=1"]
    assert main([*arguments, *tiny, "--dataset", str(few)]) == 2
    assert "at least 8 training images" in capsys.readouterr().err
    broken = images(tmp_path / "broken", b"no picture")
    assert main([*arguments, "--dataset", str(broken)]) == 2
    assert ".jpg" in capsys.readouterr().err


def test_unwritable_runs_foreign_checkpoints_and_databases(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ["--study", str(study_file)]
    for runs in (str(study_file), "/proc/nosuch"):
        assert main([*study, "--runs", runs]) == 2
        assert "give --runs DIR" in capsys.readouterr().err
    folder = tmp_path / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "supernet.pt").write_bytes(b"foreign")
    assert main([*study, "--runs", str(tmp_path / "runs")]) == 0
    assert "is damaged" in capsys.readouterr().err.replace("\n", "")
    (kept,) = folder.glob("supernet.pt.damaged-*")
    assert kept.read_bytes() == b"foreign"
    torch.save({"weights": torch.zeros(3)}, folder / "supernet.pt")
    assert main([*study, "--runs", str(tmp_path / "runs")]) == 2
    assert "checkpoint of another program" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / "studies.db") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert main([*study, "--runs", str(tmp_path / "other")]) == 2
    assert "another program" in capsys.readouterr().err


def test_studies_lists_presets_and_their_state(
    study: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a terminal that cannot show every character."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["studies", *study[2:]]) == 0
    terminal.seek(0)
    lines = terminal.read().splitlines()
    (line,) = (line for line in lines if "small" in line)
    assert all(word in line for word in ("toy", "digits", "trained", "10/10"))
    assert any("mobilenet" in line and "not started" in line for line in lines)


def test_home_is_expanded_where_the_shell_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for command in (["dashboard"], ["--study=mobilenet", "--dataset=/no/such"], ["studies"]):
        main([*command, "--runs=~/mine"])
    assert f"'{tmp_path}/mine/studies.db'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_dashboard_without_a_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "--runs", str(tmp_path)]) == 2
    assert "run a study first" in capsys.readouterr().err


@pytest.mark.slow
def test_dashboard_serves_the_trials(study: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # urllib keeps the proxies of its first request, which another test may have made
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    server = subprocess.Popen(
        [sys.executable, "main.py", "dashboard", *study[2:], "--port", port],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                with direct.open(f"http://127.0.0.1:{port}/api/studies") as reply:
                    assert b'"small"' in reply.read()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.1)
        else:
            pytest.fail("the dashboard did not answer")
    finally:
        server.kill()
        server.wait()


def test_a_dashboard_for_others_says_that_it_has_no_login(
    study: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:  # so that it ends by itself
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        command = ["dashboard", *study[2:], f"--port={taken.getsockname()[1]}"]
        for host, warned in (("127.0.0.1", False), ("0.0.0.0", True)):
            assert main([*command, "--host", host]) == 2
            assert ("no login" in capsys.readouterr().out) is warned


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        [],
        ["retrain", "--pick", "knee"],
        ["select"],
        ["export", "--out", "a.onnx"],
        ["trials"],
        ["rank", "--table", "a.csv", "--column", "a"],
    ],
)
def test_a_mistyped_study_is_refused_before_pytorch_is_imported(command: list[str]) -> None:
    code = "import sys; from app.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    line = [sys.executable, "-c", code, *command, "--study", "nosuch"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
