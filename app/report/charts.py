"""Interactive charts of a study, as plotly figures."""

from html import escape

import plotly.graph_objects as go

from app.report.front import Cost
from app.report.material import Material
from app.report.statistics import hypervolume, importances, lowest_in_view

RED, BLUE, GREEN, GREY = "#c0392b", "#22649f", "#2c8c4a", "#8a97a3"
LINES = ("#22649f", "#c0392b", "#2c8c4a", "#8e5bb5", "#d08a1d", "#1f9e9e", "#7a8894", "#b04a7f")


def charts(material: Material) -> dict[str, go.Figure]:
    """Each chart by its caption; what a study has no data for is left out."""
    figures = {}
    for cost in material.costs:
        figures[
            f"Pareto front: score up, {cost.axis} down. Point at a network to see it; drag to zoom."
        ] = front_chart(material, cost)
    figures[
        "Hypervolume of the front against trials, as a share of the box around all trials: "
        "when it stays level, more trials bring little."
    ] = hypervolume_chart(material)
    if material.losses:
        figures["Loss of the supernet while it trained."] = loss_chart(material)
    if len({row.arch for row in material.rows}) > 1:
        figures[
            "How much each choice matters: the share of the variance of score and of cost "
            "that goes with it alone (η²)."
        ] = importance_chart(material)
    if material.results:
        figures["Validation accuracy while networks were trained from scratch."] = retrained_chart(
            material
        )
    return figures


def front_chart(material: Material, cost: Cost) -> go.Figure:
    """Every trial, the front, and the constraint.

    A front of more than one cost is no line, as only its best networks at this cost make a step.
    """
    rows, front = material.rows, sorted(material.front, key=cost.of)
    lines = "lines+markers" if len(material.costs) == 1 else "markers"
    shown = f"{cost.axis}: %{{x:.{cost.digits}f}}"
    figure = go.Figure()
    figure.add_scatter(
        x=[cost.of(row) for row in rows],
        y=[row.score for row in rows],
        mode="markers",
        name="trials",
        marker={
            "color": [row.trial for row in rows],
            "colorscale": "Viridis",
            "size": 6,
            "opacity": 0.75,
            "colorbar": {"title": "trial", "thickness": 12},
        },
        customdata=[[row.trial, _short(row.arch)] for row in rows],
        hovertemplate="trial %{customdata[0]}<br>score %{y:.3f}<br>" + shown + "<br>"
        "%{customdata[1]}<extra></extra>",
    )
    figure.add_scatter(
        x=[cost.of(row) for row in front],
        y=[row.score for row in front],
        mode=lines,
        line={"shape": "hv", "color": RED, "width": 1.5},
        marker={"size": 8, "color": RED},
        name=f"Pareto front ({len(front)})",
        customdata=[[row.trial, _short(row.arch)] for row in front],
        hovertemplate="trial %{customdata[0]}<br>score %{y:.3f}<br>" + shown + "<br>"
        "%{customdata[1]}<extra></extra>",
    )
    first = {row.arch: row for row in reversed(rows)}.values()
    trained = [(row, result) for row in first if (result := material.retrained(row))]
    if trained:
        figure.add_scatter(
            x=[cost.of(row) for row, _ in trained],
            y=[row.score for row, _ in trained],
            mode="markers+text",
            text=[f"{100 * result.test_accuracy:.1f} %" for _, result in trained],
            textposition="top center",
            marker={"size": 13, "symbol": "star", "color": GREEN},
            name="retrained: test accuracy",
            hoverinfo="skip",
        )
    limit = material.settings.search.max_flops
    if limit is not None and cost.attribute == "flops":
        figure.add_vline(limit / 1e6, line={"dash": "dash", "color": GREY})
    low = lowest_in_view([row.score for row in rows])
    top = max((row.score for row in rows), default=0.0)
    bottom = min([max(low, min((r.score for r in rows), default=low)), *(r.score for r in front)])
    margin = 0.06 * (top - bottom or 1)
    figure.update_yaxes(range=[bottom - margin, top + margin], title="score (sum of log-quantiles)")
    figure.update_xaxes(title=cost.axis)
    return _styled(figure, 520)


def hypervolume_chart(material: Material) -> go.Figure:
    """A step at each trial that moved the front of score and one cost."""
    figure = go.Figure()
    for cost, colour in zip(material.costs, LINES, strict=False):
        figure.add_scatter(
            x=[i + 1 for i in range(len(material.rows))],
            y=hypervolume(material.rows, cost),
            mode="lines",
            line={"shape": "hv", "color": colour},
            name=f"score and {cost.axis}",
            hovertemplate="after %{x} trials: %{y:.3f}<extra></extra>",
        )
    figure.update_xaxes(title="completed trials")
    figure.update_yaxes(title="hypervolume", rangemode="tozero")
    return _styled(figure, 320)


def loss_chart(material: Material) -> go.Figure:
    """The losses, and their mean over a tenth of all."""
    steps, losses = zip(*material.losses, strict=True)
    width = max(3, len(losses) // 10)
    smooth = [
        sum(losses[max(0, i + 1 - width) : i + 1]) / min(i + 1, width) for i in range(len(losses))
    ]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=losses, mode="lines", line={"color": "#b9cfe3"}, name="one batch")
    figure.add_scatter(x=steps, y=smooth, mode="lines", line={"color": BLUE}, name="running mean")
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="cross-entropy of random paths")
    return _styled(figure, 320)


def importance_chart(material: Material) -> go.Figure:
    """Two bars a choice."""
    archs = {row.arch for row in material.rows}
    choices = {arch: material.space.encode(arch) for arch in archs}
    found = importances(material.rows, choices, material.costs)[::-1]
    figure = go.Figure()
    names = [one.choice for one in found]
    hover = ["<br>".join(f"{k}: {v:.2f}" for k, v in one.options.items()) for one in found]
    bars = [
        (cost.axis, colour, [one.costs[i] for one in found])
        for i, (cost, colour) in enumerate(zip(material.costs, (GREY, GREEN), strict=False))
    ]
    for title, colour, values in (*bars, ("score", BLUE, [one.score for one in found])):
        figure.add_bar(
            x=values,
            y=names,
            orientation="h",
            name=title,
            marker={"color": colour},
            customdata=hover,
            hovertemplate=f"{title}: %{{x:.3f}}<br>mean score by option:<br>%{{customdata}}"
            "<extra>%{y}</extra>",
        )
    figure.update_xaxes(title="η²", rangemode="tozero")
    figure.update_layout(barmode="group", legend={"traceorder": "reversed"})
    return _styled(figure, 140 + 26 * len(found))


def retrained_chart(material: Material) -> go.Figure:
    """One line a network."""
    figure = go.Figure()
    for i, result in enumerate(material.results):
        figure.add_scatter(
            x=[epoch["epoch"] for epoch in result.history],
            y=[100 * epoch["validation_accuracy"] for epoch in result.history],
            mode="lines" if len(result.history) > 1 else "markers",
            line={"color": LINES[i % len(LINES)], "dash": "dot" if result.is_baseline else "solid"},
            name=escape(f"{_short(material.name_of(result))}, {result.recipe.epochs} epochs"),
        )
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="validation accuracy (%)")
    figure.update_layout(showlegend=True)
    return _styled(figure, 360)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def _short(text: str) -> str:
    return escape(text if len(text) <= 90 else f"{text[:87]}…")
