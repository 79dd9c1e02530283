from pathlib import Path

import pytest

from app.errors import InputError
from app.rank.store import ScoreFile
from app.scores.scorer import Scores

DEFINITION = {"space": "nasbench201", "seed": 0}


def filled(path: Path) -> ScoreFile:
    store = ScoreFile(path, DEFINITION, "cpu")
    store.fill("ä|b", "xy", lambda arch: {"x": 1.5, "y": None})
    store.fill("c", "x", lambda arch: {"x": 2.0})
    return store


def unexpected(arch: str) -> Scores:
    raise AssertionError(f"{arch} is measured twice")


def test_what_is_measured_is_read_again_and_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "rank" / "scores.jsonl"
    store = filled(path)
    again = ScoreFile(path, DEFINITION, "cpu")
    assert again == store
    assert again["ä|b", "y"].value is None
    assert (again["c", "x"].value, again["c", "x"].hardware) == (2.0, "cpu")
    again.fill("ä|b", "xy", unexpected)
    again.fill("c", "xy", lambda arch: {"x": 2.0, "y": 1.0})
    assert again["c", "y"].value == 1.0


def test_every_cut_behind_the_first_line_loses_only_the_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    store = filled(path)
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole) + 1, 5):
        path.write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        assert {arch for arch, _ in ScoreFile(path, DEFINITION, "cpu")} == {
            *["ä|b", "c"][: lines - 1]
        }
        assert filled(path).keys() == ScoreFile(path, DEFINITION, "cpu").keys() == store.keys()


def test_another_definition_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"made with seed = 0, not 1"):
        ScoreFile(path, {**DEFINITION, "seed": 1}, "cpu")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["", "nonsense\n", "[1]\n", '{"definition": {}}\n{"arch": "x"}\n', '{"definition": {}}\n{\n'],
)
def test_a_file_of_something_else_is_set_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(text)
    assert not ScoreFile(path, DEFINITION, "cpu")
    (kept,) = tmp_path.glob("scores.jsonl.damaged-*")
    assert kept.read_text() == text


def test_a_file_with_checksums_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    measured = filled(path)
    path.write_text(path.read_text().replace("}\n", "}\t0123abcd\n"))
    assert ScoreFile(path, DEFINITION, "cpu") == measured
