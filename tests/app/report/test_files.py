"""The report: whole, offline, escaped, with what was trained and how to make it again."""

import csv
import math
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.image import imread
from plotly.offline import get_plotlyjs

from app.cli import main
from app.config import StudyConfig
from app.report.commands import commands, run_command
from app.report.data import ReportData
from app.report.files import page, write_front
from app.report.picture import write_picture
from app.study_file import load_config
from tests.app.report.conftest import ARCHS, ROWS


class Page(HTMLParser):
    """The scripts, addresses and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.addresses, self.text = 0, list[str](), ""
        self.feed(text.replace(get_plotlyjs(), ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def test_the_page_needs_nothing_else_and_runs_nothing_of_users(data: ReportData) -> None:
    text = page(data)
    assert text.count(get_plotlyjs()) == 1
    parsed = Page(text)
    assert parsed.addresses == [f"#trial-{row.trial}" for row in ROWS]
    assert text.count('role="img"') == len(data.front) == 3
    assert parsed.text.count("alert(1)") >= 4
    harmless = replace(
        data,
        config=data.config.model_copy(update={"dataset": "digits"}),
        definition={},
        hardware="",
        seconds={},
    )
    assert parsed.scripts == Page(page(harmless)).scripts


def test_the_page_explains_score_knee_and_loss(data: ReportData) -> None:
    """The percentiles are those of -3, -2 and -1 among -4, -3, -2.5 and -1.5."""
    assert [data.percentile(row) for row in ROWS] == [37.5, 75, 100]
    text = " ".join(Page(page(data)).text.split())
    assert "trial score percentile multiply–adds (M) params (M) test accuracy" in text
    assert "1* -2.000 75 11.0 0.000 90.00 %" in text
    assert "The knee is the network farthest above" in text
    assert f"chance: ln 10 = {math.log(10):.2f}" in page(data)


def test_trained_networks_are_on_the_page(data: ReportData) -> None:
    text = page(data)
    assert "90.00 ± 3.00" in text and "resnet18" in text and "trial 1" in text
    assert "test accuracy 90.00 % (2 epochs)" in text


def test_an_empty_study_has_a_page_and_a_picture(data: ReportData, tmp_path: Path) -> None:
    empty = replace(data, rows=[], front=[], results=[], losses=[], stopped=[])
    assert "0 completed trials" in page(empty)
    write_picture(tmp_path / "front.png", empty)


def test_the_picture_has_a_panel_for_each_cost(data: ReportData, tmp_path: Path) -> None:
    path, config = tmp_path / "front.png", data.config
    for costs in (("flops",), ("flops", "latency")):
        search = config.search.model_copy(update={"objectives": costs, "max_flops": 1e7})
        changed = config.model_copy(update={"search": search, "dataset": "$a_$b"})
        write_picture(path, replace(data, config=changed))
        pixels = imread(path)
        assert pixels.shape[:2] == (750, 1200 * len(costs))
        assert pixels.std() > 0


def test_the_table_holds_the_front(data: ReportData, tmp_path: Path) -> None:
    write_front(tmp_path / "front.csv", data)
    with (tmp_path / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["arch"], r["percentile"]) for r in rows] == list(
        zip(ARCHS, ("37.5", "75.0", "100.0"), strict=True)
    )
    assert rows[0]["uncertainty"] == ""


def test_the_commands_name_every_training(data: ReportData) -> None:
    lines = commands(data)
    assert all(line.startswith("python main.py ") for line in lines)
    words = shlex.split(lines[1])
    assert f"--arch={ARCHS[1]}" in words and "--trivial-augment" in words
    assert words[words.index("--lr") + 1] == "0.2" and words[words.index("--epochs") + 1] == "2"
    assert "--baseline=resnet18" in lines[2]
    assert lines[-1].startswith("python main.py export")


@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("mobilenet", {}),
        (
            "mobilenet",
            {"name": "mine", "dataset": "images 1.0", "search.max_flops": 80_000_000.7},
        ),
        ("nasbench201", {"seed": 3, "supernet.batch_size": 16, "search.trials": 7}),
        ("darts", {"supernet.space_options": {"layers": 3, "channels": 4}, "batchnorm": "biased"}),
    ],
)
def test_the_run_command_gives_the_same_config(
    preset: str, overrides: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(preset, overrides)
    seen: list[StudyConfig] = []
    monkeypatch.setattr("app.run.run", lambda config, *flags: seen.append(config))
    words = shlex.split(run_command(config))
    assert words[:2] == ["python", "main.py"]
    assert main(words[2:]) == 0
    assert seen == [config]
