"""The files at the end of a run: `report.html`, `front.csv` and `front.png`."""

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from app.atomic import csv_text, write_text
from app.diagram import svg
from app.pareto import KNEE, Row
from app.paths import StudyPaths
from app.report.charts import charts
from app.report.commands import commands
from app.report.data import ReportData
from app.report.picture import write_picture

MAX_DRAWINGS = 40
PACKAGES = ("torch", "torchvision", "optuna", "sqlalchemy", "optuna-dashboard")
PLOTLY = {"displaylogo": False, "responsive": True}


def write_reports(paths: StudyPaths, data: ReportData) -> None:
    """Write all report files of a study."""
    write_front(paths.front, data)
    write_picture(paths.picture, data)
    write_text(paths.report, page(data))


def write_front(path: Path, data: ReportData) -> None:
    """Write the front as CSV, one row an architecture, with the budgets that it is best for."""
    rows = [
        {
            **asdict(row),
            "percentile": data.percentile(row),
            "budgets": " ".join(f"{b:.0f}" for b, best in data.budgets.items() if best == row),
        }
        for row in data.front
    ]
    columns = [*Row.__dataclass_fields__, "percentile", "budgets"]
    write_text(path, csv_text(columns, rows))


def page(data: ReportData) -> str:
    """Return the report as one HTML page that works offline; everything in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [
        (title, meaning, Markup(figure.to_html(PLOTLY, include_plotlyjs=False, full_html=False)))
        for title, meaning, figure in charts(data)
    ]
    networks = [(row, Markup(svg(data.space.sketch(row.arch)))) for row in data.best(MAX_DRAWINGS)]
    return environment.get_template("report.html.j2").render(
        data=data,
        config=data.config,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        plotly=Markup(get_plotlyjs()),
        charts=figures,
        networks=networks,
        knee=KNEE,
        commands=commands(data),
        machine=f"{data.hardware}; {platform.platform()}; Python {platform.python_version()}",
        versions=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )
