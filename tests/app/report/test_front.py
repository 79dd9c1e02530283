import csv
from pathlib import Path

from matplotlib.image import imread

from app.report.front import Row, pareto_front, write_front
from app.report.picture import write_picture


def row(trial: int, score: float, flops: int, feasible: bool = True) -> Row:
    return Row(trial, score, flops, 1, 0.0, 0.0, None, 0.0, feasible, f"arch{trial}")


ROWS = [
    row(0, -3, 10),
    row(1, -1, 30),
    row(2, -2, 20),
    row(3, -2, 25),  # dominated by 2
    row(4, -1, 30),  # equals 1: one row an architecture
    row(5, 0, 5, feasible=False),
    row(6, -60, 8),
]


def test_the_front_is_what_nothing_feasible_beats() -> None:
    assert [r.trial for r in pareto_front(ROWS)] == [6, 0, 2, 1]
    assert pareto_front([]) == []


def test_the_table_holds_the_front(tmp_path: Path) -> None:
    write_front(tmp_path / "front.csv", pareto_front(ROWS))
    with (tmp_path / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["arch"] for r in rows] == ["arch6", "arch0", "arch2", "arch1"]
    assert rows[0]["uncertainty"] == ""


def test_the_picture_is_one(tmp_path: Path) -> None:
    for rows in (ROWS, ROWS[:1], []):
        write_picture(tmp_path / "front.png", rows, pareto_front(rows), 25.0, "title")
        pixels = imread(tmp_path / "front.png")
        assert pixels.shape[:2] == (750, 1200)
        assert pixels.std() > 0
