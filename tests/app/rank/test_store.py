from pathlib import Path

import pytest

from app.errors import InputError
from app.rank.store import Measured, ScoreFile

DEFINITION = {"space": "nasbench201", "seed": 0}


def filled(path: Path) -> ScoreFile:
    store = ScoreFile(path, DEFINITION)
    store.add("ä|b", {"x": 1.5, "y": None}, 0.25, "cpu")
    store.add("c", {"x": 2.0}, 0.5, "gpu")
    return store


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rank" / "scores.jsonl"
    store = filled(path)
    again = ScoreFile(path, DEFINITION)
    assert again.measured == store.measured
    assert again.measured["ä|b"]["y"] == Measured(None, 0.25, "cpu")
    assert again.has("ä|b", "y")
    assert not again.has("c", "y")
    assert not again.has("d", "x")


def test_every_cut_of_the_file_is_readable_and_loses_only_the_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    filled(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) + 1, 5):
        path.write_bytes(whole[:length])
        store = ScoreFile(path, DEFINITION)
        assert len(store.measured) == max(0, whole[:length].count(b"\n") - 1)
        store.add("e", {"x": 0.0}, 0.1, "cpu")
        assert ScoreFile(path, DEFINITION).has("e", "x")


def test_another_definition_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"made with seed = 0, not 1"):
        ScoreFile(path, {**DEFINITION, "seed": 1})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["nonsense\n", "[1]\n", '{"definition": {}}\n{"arch": "x"}\n', '{"definition": {}}\n{\n'],
)
def test_a_file_of_something_else_is_set_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(text)
    assert not ScoreFile(path, DEFINITION).measured
    (kept,) = tmp_path.glob("scores.jsonl.damaged-*")
    assert kept.read_text() == text


def test_a_file_with_checksums_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    measured = filled(path).measured
    path.write_text(path.read_text().replace("}\n", "}\t0123abcd\n"))
    assert ScoreFile(path, DEFINITION).measured == measured
