import csv
from dataclasses import replace
from pathlib import Path

from matplotlib.image import imread

from app.report.front import COSTS, Row, front_table, pareto_front, write_front
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


TIMED = [replace(r, latency_ms=ms) for r, ms in zip(ROWS, (3, 2, 4, 3, 2, 1, 9), strict=True)]


def test_a_front_of_several_costs_by_hand() -> None:
    """By latency alone 1 beats all feasible ones; with FLOPs, cheaper ones stand beside it."""
    assert [r.trial for r in pareto_front(TIMED, ("latency",))] == [1]
    assert [r.trial for r in pareto_front(TIMED, ("flops", "latency"))] == [6, 0, 2, 3, 1]
    assert [r.trial for r in pareto_front(TIMED, ("latency", "flops"))] == [1, 0, 3, 2, 6]


def test_tables_show_latency_where_it_is_an_objective() -> None:
    heads = [str(column.header) for column in front_table(TIMED, ("latency",)).columns]
    assert heads == ["trial", "score", "FLOPs (M)", "latency (ms)", "params (M)", "architecture"]
    assert "latency (ms)" not in [column.header for column in front_table(ROWS).columns]


def test_the_table_holds_the_front(tmp_path: Path) -> None:
    write_front(tmp_path / "front.csv", pareto_front(ROWS))
    with (tmp_path / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["arch"] for r in rows] == ["arch6", "arch0", "arch2", "arch1"]
    assert rows[0]["uncertainty"] == ""


def test_the_picture_is_one(tmp_path: Path) -> None:
    for rows in (ROWS, ROWS[:1], []):
        for costs in ([COSTS["flops"]], list(COSTS.values())):
            path = tmp_path / "front.png"
            write_picture(path, rows, pareto_front(rows), costs, 25.0, "title")
            pixels = imread(path)
            assert pixels.shape[:2] == (750, 1200 * len(costs))
            assert pixels.std() > 0
