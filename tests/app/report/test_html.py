"""The page: whole, offline, escaped, with what was trained and how to make it again."""

import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.cli import main
from app.report.commands import commands, run_command
from app.report.front import Row, pareto_front
from app.report.html import page
from app.report.markdown import write_report
from app.report.material import Material
from app.retrain.recipe import Recipe
from app.retrain.result import Result
from app.settings import StudySettings, load_settings
from tests.toy import Toy

ATTACK = "</script><script>alert(1)</script>"
ARCHS = ("conv1-skip-skip", "conv1-conv1-skip", "conv3-conv3-conv3")
ROWS = [Row(i, -3.0 + i, 10 + i, 9, -1, -1, None, 0.5, True, a) for i, a in enumerate(ARCHS)]


def result(network: str, accuracy: float, is_baseline: bool = False) -> Result:
    recipe = Recipe(epochs=2, learning_rate=0.2, trivial_augment=True).model_dump()
    history = [{"epoch": i, "loss": 1.0, "validation_accuracy": 0.5 * i} for i in (1, 2)]
    figures = (accuracy, 0.7, 100, 10, 2, 2, 12_000_000, 9_000, 61.0)
    return Result(network, is_baseline, *figures, "cpu", 0, recipe, history, {}, Path("folder"))


@pytest.fixture
def material(settings: StudySettings) -> Material:
    """A study of three trials on a data set with an evil name."""
    return Material(
        settings=settings.model_copy(update={"dataset": ATTACK}),
        definition={"space": "toy", "evil": ATTACK},
        space=Toy(classes=10, image_size=16),
        hardware=ATTACK,
        seconds={"supernet": 1.0, ATTACK: 2.0},
        losses=[(10, 2.3), (12, 2.2)],
        rows=ROWS,
        front=pareto_front(ROWS),
        results=[result(ARCHS[1], 0.9), result("resnet18", 0.8, is_baseline=True)],
    )


class Page(HTMLParser):
    """What tags and sources a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.sources, self.text = 0, list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_else_and_runs_nothing_of_users(material: Material) -> None:
    text = page(material)
    parsed = Page(text)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in parsed.sources)
    assert len(parsed.sources) == len(material.front) == 3
    assert "alert(1)" in "".join(parsed.text)
    harmless = material.settings.model_copy(update={"dataset": "digits"})
    values = {
        **vars(material),
        "settings": harmless,
        "definition": {},
        "hardware": "",
        "seconds": {},
    }
    assert parsed.scripts == Page(page(Material(**values))).scripts


def test_trained_networks_are_on_the_page_and_in_the_text(
    material: Material, tmp_path: Path
) -> None:
    text = page(material)
    assert "90.00 ± 3.00" in text and "resnet18" in text and "trial 1" in text
    assert "test accuracy 90.00 % (2 epochs)" in text
    write_report(tmp_path / "report.md", material)
    assert "| trial 1 | 90.00 ± 3.00 |" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_an_empty_study_has_a_page(material: Material) -> None:
    values = {**vars(material), "rows": [], "front": [], "results": [], "losses": []}
    assert "0 completed trials" in page(Material(**values))


def test_the_commands_name_every_training(material: Material) -> None:
    lines = commands(material)
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
        ("mobilenet", {"name": "mine", "dataset": "my images", "search.max_flops": 80_000_000.7}),
        ("nasbench201", {"seed": 3, "supernet.batch_size": 16, "search.trials": 7}),
        ("darts", {"supernet.space_options": {"layers": 3, "channels": 4}, "batchnorm": "biased"}),
    ],
)
def test_the_run_command_gives_the_same_settings(
    preset: str, overrides: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(preset, overrides)
    seen: list[StudySettings] = []
    monkeypatch.setattr("app.run.run", lambda settings, fresh: seen.append(settings))
    words = shlex.split(run_command(settings))
    assert words[:2] == ["python", "main.py"]
    assert main(words[2:]) == 0
    assert seen == [settings]


def test_a_real_run_writes_the_page(study_file: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert main(["--study", str(study_file), "--runs", str(runs)]) == 0
    text = (runs / "small" / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'class="arch"', text)) >= 1
    assert text.count('class="plotly-graph-div"') == 4
