"""`python main.py rank`, end to end on a tiny supernet."""

import csv
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

import spaces
from app.cli import main
from app.rank.scores import COMPOSITES, RANK_SUMS
from app.scores import BASELINES, PARTS, SCORES
from app.scores.scorer import Scorer, Scores

STUDY = """
space = "nasbench201"
image_size = 16
device = "cpu"
space_options = { cells = 1, channels = 4 }
supernet = { steps = 2, batch_size = 8 }
score = { images = 32, reference = 8 }
"""
SPACE = spaces.create("nasbench201", 10, 16, {"cells": 1, "channels": 4})
FEW = "composite, bn_nas"


@dataclass(frozen=True)
class Bench:
    """A folder with a study and a table, on which the command runs."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "eight.csv"

    def rank(self, *options: str, study: str = "tiny") -> int:
        """The exit status; later options win over the given ones."""
        place = ["--study", str(self.folder / "tiny.toml"), "--runs", str(self.folder / "runs")]
        source = ["--table", str(self.table), "--column", "acc", "--study-name", study]
        return main(["rank", *place, *source, *options])

    def made(self, study: str = "tiny") -> Path:
        return self.folder / "runs" / study / "rank"

    def results(self, study: str = "tiny") -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.made(study) / "eight-acc.json").read_text())
        return values


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Nine rows of eight architectures, accuracies in the order of FLOPs; ranked by all scores."""
    bench = Bench(tmp_path_factory.mktemp("rank"))
    (bench.folder / "tiny.toml").write_text(STUDY)
    rng = Random(0)
    archs = [SPACE.sample(rng) for _ in range(8)]
    rows = [f"{arch},{80 + SPACE.cost(arch).macs / 1e6}" for arch in [*archs, archs[0]]]
    bench.table.write_text("\n".join(["arch,acc", *rows]) + "\n")
    assert bench.rank("--json", str(bench.folder / "out" / "copy.json")) == 0
    return bench


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The architectures that the real scorer measures, those of the reference sample too."""
    asked: list[str] = []
    original = Scorer.__call__

    def counted(self: Scorer, arch: str) -> Scores:
        asked.append(arch)
        return original(self, arch)

    monkeypatch.setattr(Scorer, "__call__", counted)
    return asked


@pytest.mark.slow
def test_results_hold_every_score_and_what_was_run(bench: Bench) -> None:
    results = bench.results()
    assert set(results["scores"]) == {*COMPOSITES, *SCORES, *BASELINES, *RANK_SUMS}
    assert (results["n"], results["column"]) == (8, "acc")
    assert (results["study"], results["seed"], results["table"]) == ("tiny", 0, str(bench.table))
    assert results["definition"]["supernet.steps"] == 2
    assert results["hardware"].startswith("cpu")
    copy = json.loads((bench.folder / "out" / "copy.json").read_text())
    assert copy == results


def test_flops_order_these_accuracies_without_fault(bench: Bench) -> None:
    flops = bench.results()["scores"]["flops"]
    assert flops["tau"] == pytest.approx(1)
    assert flops["tau_interval"] == pytest.approx([1, 1])
    assert flops["regret_mean"] == flops["regret_max"] == 0


def test_each_score_has_its_own_time_and_ours_share_theirs(bench: Bench) -> None:
    scores = bench.results()["scores"]
    seconds = {name: score["seconds_per_architecture"] for name, score in scores.items()}
    assert {seconds[name] for name in (*COMPOSITES, *SCORES)} == {seconds["composite"]}
    assert 0 < seconds["flops"] < seconds["composite"]
    for name, parts in RANK_SUMS.items():
        assert seconds[name] == pytest.approx(sum(seconds[part] for part in parts))


def test_scores_are_written_a_line_an_architecture(bench: Bench) -> None:
    with (bench.made() / "eight-acc.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {*COMPOSITES, *SCORES, "te_nas", "az_nas"} <= rows[0].keys()
    for row in rows:
        cost = SPACE.cost(row["arch"])
        assert (int(row["flops"]), int(row["params"])) == (cost.macs, cost.params)
        assert float(row["accuracy"]) == pytest.approx(80 + cost.macs / 1e6)


def test_the_composite_is_the_sum_of_its_parts(bench: Bench) -> None:
    with (bench.made() / "eight-acc.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            {k: float(v) for k, v in row.items() if k in COMPOSITES} for row in csv.DictReader(file)
        ]
    for row in rows:
        assert row["composite"] == pytest.approx(sum(row[part] for part in PARTS))
        for part in PARTS:
            assert row[f"without_{part}"] == pytest.approx(row["composite"] - row[part])


def test_there_is_one_picture(bench: Bench) -> None:
    (picture,) = bench.made().glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_same_again_measures_nothing_and_names_every_file(
    bench: Bench, scored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [file.read_bytes() for file in bench.made().glob("*.jsonl")]
    full = bench.results()["scores"]
    assert bench.rank("--scores", FEW, "--column", "acc") == 0
    assert scored == []
    assert [file.read_bytes() for file in bench.made().glob("*.jsonl")] == before
    few = bench.results()["scores"]
    assert few == {name: full[name] for name in few}
    assert set(few) == {"composite", "bn_nas", "flops", "params"}
    out = capsys.readouterr().out
    names = [line.split()[0] for line in out.splitlines() if line.split()[:1]]
    shown = [name for name in names if name in few]
    assert shown == sorted(few, key=lambda name: -few[name]["tau"])
    for file in bench.made().glob("*.*"):
        assert file.suffix == ".pt" or file.name == "reference.json" or str(file) in out


def test_interrupted_it_goes_on_where_it_was(
    bench: Bench, scored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, reference = Scorer.__call__, 8

    def interrupted(self: Scorer, arch: str) -> Scores:
        if len(scored) == reference + 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, arch)

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "__call__", interrupted)
        assert bench.rank("--scores", FEW, study="again") == 130
    done = scored[reference:]
    assert len(done) == 2
    assert not (bench.made("again") / "eight-acc.json").exists()

    scored.clear()
    assert bench.rank("--scores", FEW, study="again") == 0
    assert len(scored) == 6
    assert not set(scored) & set(done)
    again, before = (bench.results(study)["scores"] for study in ("again", "tiny"))
    for name in again:  # another supernet of the same definition
        assert again[name]["tau"] == before[name]["tau"]
        assert again[name]["regret_mean"] == before[name]["regret_mean"]


def test_baselines_outlive_the_supernet(bench: Bench) -> None:
    assert bench.rank("--scores", "synflow,composite", study="outlive") == 0
    first = bench.results("outlive")["scores"]
    folder = bench.made("outlive")
    for name in ("scores.jsonl", "supernet.pt", "reference.json"):
        (folder / name).unlink()
    baselines = (folder / "baselines.jsonl").read_bytes()
    options = ("--scores", "synflow,composite", "--train-steps", "3")
    assert bench.rank(*options, study="outlive") == 0
    assert (folder / "baselines.jsonl").read_bytes() == baselines
    second = bench.results("outlive")["scores"]
    assert second["synflow"] == first["synflow"]


def test_a_sample_without_baselines(bench: Bench) -> None:
    assert bench.rank("--sample", "4", "--no-baselines", "--column", "acc", study="again") == 0
    results = bench.results("again")
    assert results["n"] == 4
    assert set(results["scores"]) == {*COMPOSITES, *SCORES, "flops", "params"}


def test_a_score_that_is_never_finite_says_so_and_gets_no_regret(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(BASELINES, "zen", lambda trace: float("nan"))
    assert bench.rank("--scores", "zen", study="never") == 0
    out = capsys.readouterr().out
    assert "Not finite for all: zen" in out
    assert ["zen", *"––––––"][:6] == next(x for x in out.splitlines() if "zen " in x).split()[:6]
    results = bench.results("never")["scores"]
    assert list(results)[-1] == "zen"
    assert results["zen"]["tau"] is results["zen"]["regret_mean"] is None


def test_another_definition_is_refused(
    bench: Bench, scored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.rank("--seed", "1") == 2
    assert "seed = 0, not 1" in capsys.readouterr().err
    assert scored == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--column", "top1"], "no column 'top1'; its columns: arch, acc"),
        (["--table", "missing.csv"], "cannot read the table 'missing.csv'"),
        (["--scores", "zcio"], "unknown score 'zcio'; choose one of: activation_certainty"),
        (["--scores", "zen", "--no-baselines"], "'zen' is a baseline"),
        (["--sample", "1"], "--sample"),
        (["--set", "space=nasbench"], "unknown space 'nasbench'"),
        (["--device", "warp"], "device 'warp'"),
    ],
)
def test_bad_input_is_one_line_and_trains_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert bench.rank(*options, study="bad") == 2
    assert_one_error(capsys, complaint)
    assert not (bench.folder / "runs" / "bad" / "supernet.pt").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "|none~0|,90",
            "architecture of nasbench201: '|none~0|' is not",
        ),
        (",90", "line 11: not an architecture of nasbench201: '' is not"),
        ("x", "line 11: acc is '', which is not a finite number"),
    ],
)
def test_a_bad_row_is_named_before_images_are_read(
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
    complaint: str,
) -> None:
    table = tmp_path / "bad.csv"
    table.write_text(bench.table.read_text() + line + "\n")
    assert bench.rank("--table", str(table), "--dataset", "no such images", study="bad") == 2
    assert_one_error(capsys, complaint)


@pytest.mark.parametrize("options", ["space_options.cels=3", "supernet.space_options.cells=0"])
def test_bad_space_options_are_named_before_images_are_read(
    bench: Bench, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    assert bench.rank("--set", options, "--dataset", "no such images", study="bad") == 2
    assert_one_error(capsys, "option")


def assert_one_error(capsys: pytest.CaptureFixture[str], complaint: str) -> None:
    err = capsys.readouterr().err.strip()
    assert err.startswith("error: ")
    assert complaint in err
    assert "\n" not in err


def test_results_that_cannot_be_written_where_asked(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.rank("--scores", "bn_nas", "--json", str(bench.folder), study="again") == 2
    assert "is a folder, device or pipe: name a file" in capsys.readouterr().err
