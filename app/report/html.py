"""The report as one page that needs no network: charts, drawings, tables and commands."""

import base64
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from plotly.offline import get_plotlyjs

from app.atomic import write_text
from app.drawing import svg
from app.report.charts import charts
from app.report.commands import commands
from app.report.front import Row, shown_costs
from app.report.markdown import PACKAGES
from app.report.material import Material

MAX_DRAWINGS = 40

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2730;max-width:1080px;
margin:0 auto;padding:0 20px 60px}
h1{margin:28px 0 4px}h2{margin:40px 0 10px;border-bottom:1px solid #dde3e8;padding-bottom:4px}
table{border-collapse:collapse;font-size:14px}th,td{padding:3px 12px 3px 0;text-align:left}
th{color:#5b6873;font-weight:600;border-bottom:1px solid #dde3e8}td.n,th.n{text-align:right}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f4f6f8;border-radius:4px}
code{padding:1px 4px;overflow-wrap:anywhere}pre{padding:10px 12px;white-space:pre-wrap}
.caption{color:#5b6873;margin:22px 0 0}.arch{border:1px solid #dde3e8;border-radius:8px;
padding:10px 14px;margin:12px 0}.arch img{max-width:100%;display:block;margin:6px 0}
.facts b{margin-right:14px}.wide{overflow-x:auto}
"""


def write_html(path: Path, material: Material) -> None:
    """Write `report.html`."""
    write_text(path, page(material))


def page(material: Material) -> str:
    """The page; whatever comes from users or files is escaped."""
    settings = material.settings
    figures = [
        f'<p class="caption">{escape(caption)}</p>'
        + figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
        for caption, figure in charts(material).items()
    ]
    different = len({row.arch for row in material.rows})
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(settings.name)}: architecture search</title><style>{STYLE}</style>",
            f"<script>{get_plotlyjs()}</script></head><body>",
            f"<h1>{escape(settings.name)}</h1>",
            f"<p>Space <b>{escape(settings.space)}</b> on <b>{escape(settings.dataset)}</b>, "
            f"{settings.image_size} px, seed {settings.seed}. {len(material.rows)} completed "
            f"trials (sampler {escape(settings.search.sampler)}), {different} different "
            f"architectures, {len(material.front)} of them on the front. "
            f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.</p>",
            *_retrained(material),
            "<h2>The search</h2>",
            *figures,
            "<h2>Networks on the front</h2>",
            *_front(material),
            "<h2>Make it again</h2>",
            f"<pre>{escape(chr(10).join(commands(material)))}</pre>",
            "<p>The same seed, data and kind of machine give the same supernet and scores.</p>",
            "<h2>Time, machine, versions</h2>",
            _table(
                ("stage", "seconds"),
                ((stage, f"{value:.1f}") for stage, value in material.seconds.items()),
            ),
            f"<p>{escape(material.hardware)}; {escape(platform.platform())}; "
            f"Python {platform.python_version()}, "
            + ", ".join(f"{package} {version(package)}" for package in PACKAGES)
            + ".</p>",
            "<h2>What defines the study</h2>",
            _table(
                ("setting", "value"),
                ((key, str(value)) for key, value in material.definition.items()),
                numbers=False,
            ),
            "</body></html>\n",
        ]
    )


def _retrained(material: Material) -> list[str]:
    if not material.results:
        return []
    best = sorted(material.results, key=lambda result: -result.test_accuracy)
    rows = (
        (
            material.name_of(result),
            f"{100 * result.test_accuracy:.2f} ± {100 * result.standard_error:.2f}",
            f"{100 * result.validation_accuracy:.2f}",
            f"{result.best_epoch}/{result.epochs}",
            f"{result.flops / 1e6:.1f}",
            f"{result.params / 1e6:.3f}",
            f"{result.seconds / 60:.1f}",
        )
        for result in best
    )
    head = ("network", "test %", "valid. %", "best epoch", "MFLOPs", "M params", "minutes")
    return [
        "<h2>Trained from scratch</h2>",
        f'<div class="wide">{_table(head, rows)}</div>',
        "<p>The best epoch was chosen by validation images held out of training, and only it was "
        f"tested; ± is the standard error from the {best[0].test_images} test images.</p>",
    ]


def _front(material: Material) -> list[str]:
    shown = material.best(MAX_DRAWINGS)
    parts = [_network(material, row) for row in shown]
    if len(shown) < len(material.front):
        parts.append(f"<p>The {len(shown)} best are shown; front.csv has all.</p>")
    return parts


def _network(material: Material, row: Row) -> str:
    facts = [
        ("score", f"{row.score:.3f}"),
        *(
            (name, "–" if (value := getattr(row, name)) is None else f"{value:.2f}")
            for name in ("expressivity", "trainability", "uncertainty")
        ),
        *((cost.name, cost.show(row)) for cost in shown_costs(material.settings.search.objectives)),
        ("params (M)", f"{row.params / 1e6:.3f}"),
    ]
    if result := material.retrained(row):
        facts.append(
            ("test accuracy", f"{100 * result.test_accuracy:.2f} % ({result.epochs} epochs)")
        )
    picture = base64.b64encode(svg(material.space.sketch(row.arch)).encode()).decode()
    return (
        f'<div class="arch" id="trial-{row.trial}"><div class="facts"><b>trial {row.trial}</b> '
        + " · ".join(f"{escape(name)} {escape(value)}" for name, value in facts)
        + f'</div><img alt="architecture of trial {row.trial}" '
        f'src="data:image/svg+xml;base64,{picture}"><code>{escape(row.arch)}</code></div>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """The first column is text, the others are numbers unless told otherwise."""
    kinds = ["", *[' class="n"' if numbers else ""] * (len(head) - 1)]
    lines = ["<tr>" + "".join(f"<th{k}>{escape(h)}</th>" for k, h in zip(kinds, head, strict=True))]
    lines += [
        "<tr>" + "".join(f"<td{k}>{escape(cell)}</td>" for k, cell in zip(kinds, row, strict=True))
        for row in rows
    ]
    return f"<table>{'</tr>'.join(lines)}</tr></table>"
