"""The table at the end of a run, on terminals of any width."""

import re
import shlex
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from app.pareto import Row
from app.report.data import ReportData
from app.report.terminal import print_front

ROWS = [
    Row(i, -12.345 - i, 199_700_000, 4_593_000, 0, 0, 0, 0, True, 50 * "[a]", 1.5) for i in (7, 8)
]


def printed(data: ReportData, width: int) -> list[str]:
    text = StringIO()
    print_front(data, Console(file=text, width=width))
    return text.getvalue().splitlines()


@pytest.mark.parametrize(("width", "last"), [(40, "199.7"), (60, "4.593"), (250, 50 * "[a]")])
def test_what_fits_is_shown_and_no_value_is_broken(
    data: ReportData,
    width: int,
    last: str,
) -> None:
    lines = printed(replace(data, front=ROWS), width)
    (row,) = (line for line in lines if line.strip().startswith("8 "))
    assert "-20.345" in row and "199.7" in row and row.split()[-1] == last
    assert len(row) <= width
    assert any("front.csv" in line for line in lines) == (width < 250)


def test_a_second_cost_is_shown_where_it_fits(data: ReportData) -> None:
    search = data.config.search.model_copy(update={"objectives": ("latency",)})
    config = data.config.model_copy(update={"search": search})
    timed = replace(data, config=config, front=ROWS)
    assert any("1.500" in line and "199.7" in line for line in printed(timed, 80))
    assert any("1.500" in line and "-19.345" in line for line in printed(timed, 30))


def test_the_next_command_can_be_copied(data: ReportData) -> None:
    config = data.config.model_copy(update={"runs": Path("my runs")})
    lines = printed(replace(data, config=config), 40)
    (command,) = (line for line in lines if line.startswith("python main.py"))
    expected = ["retrain", "--study", "small", "--runs", "my runs", "--pick", "knee"]
    assert shlex.split(command)[2:] == expected
    assert sum(bool(re.match(r" *\d+\*", line)) for line in lines) == 1
    assert any(line.startswith("* knee: the network") for line in lines)


def test_without_a_front_the_limit_is_named(data: ReportData) -> None:
    limits = {"max_flops": 1e6, "max_params": 1e3}
    search = data.config.search.model_copy(update=limits)
    config = data.config.model_copy(update={"search": search})
    assert printed(replace(data, front=[], config=config), 120) == [
        "No trial meets --max-flops and --max-params; "
        "the least of all is 10.0 M multiply–adds, 0.000 M parameters."
    ]
