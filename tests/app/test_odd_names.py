"""Folders whose names hold control codes, line breaks, or bytes that are no UTF-8."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from app.cli import main
from tests.app.data.helpers import write_folder

ODD = os.fsdecode(b"odd\xff\x1b[31m<b>\n")
ESCAPED = r"odd\udcff\x1b[31m<b>\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")


def test_a_study_of_such_a_data_set_runs_retrains_and_resumes_from_elsewhere(
    study_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_folder(tmp_path / ODD, {"a\x1b[1m": 20, os.fsdecode(b"b\xfe"): 20})
    monkeypatch.chdir(tmp_path)
    runs = ["--runs", str(tmp_path / "runs")]
    assert main(["--study", str(study_file), *runs, "--dataset", ODD]) == 0
    saved = json.loads((tmp_path / "runs" / "small" / "study.json").read_text())
    assert saved["dataset"] == str(folder)
    monkeypatch.chdir("/")
    retrain = ["--pick", "knee", "--epochs", "1", "--batch-size", "8"]
    assert main(["retrain", "--study", "small", *runs, *retrain]) == 0
    report = (tmp_path / "runs" / "small" / "report.html").read_text()
    assert r"odd\udcff" in report and "<b>\n" not in report
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert captured.out.count(ESCAPED) == 2


def test_what_is_wrong_with_one_is_said_escaped(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ["--study", str(study_file), "--runs"]
    assert main([*study, str(tmp_path), "--dataset", str(tmp_path / ODD)]) == 2
    assert r"odd\udcff\x1b[31m<b>" in capsys.readouterr().err
    assert main([*study, str(tmp_path / ODD)]) == 2
    error = capsys.readouterr().err
    assert r"odd\udcff\x1b[31m" in error and "not UTF-8" in error and error.count("\n") == 1
    assert not (tmp_path / ODD).exists()


def test_characters_that_the_output_lacks_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["studies", "--runs", str(tmp_path)]) == 0
    output.seek(0)
    assert r"\u2013" in output.read()
