"""The report's interactive charts, as plotly figures; most of them are Optuna's."""

import math
import warnings
from collections.abc import Iterator
from html import escape

import optuna
import plotly.graph_objects as go
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import Study, StudyDirection
from optuna.trial import TrialState, create_trial
from optuna.visualization import (
    plot_hypervolume_history,
    plot_param_importances,
    plot_pareto_front,
)

from app.pareto import COSTS, Cost, outer_fence
from app.report.data import ReportData

RED, BLUE, GREEN, GREY = "#c0392b", "#22649f", "#2c8c4a", "#8a97a3"
MAX_CHARACTERS = 60
FEW_TRIALS = 20
"""With fewer trials, importances are noise."""

Chart = tuple[str, str, go.Figure]
"""A title, what it means, and the figure."""


def charts(data: ReportData) -> Iterator[Chart]:
    """Yield the charts that the study has data for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, that a function is experimental
        if data.rows:
            study = display_study(data)
            for number, cost in enumerate(data.costs, 1):
                yield front_chart(data, study, number, cost)
            yield hypervolume_chart(study)
        if data.losses:
            yield loss_chart(data)
        if len(data.rows) >= FEW_TRIALS:
            yield importance_chart(data)
        if data.results:
            yield retrained_chart(data)


def display_study(data: ReportData) -> Study:
    """Return the study's trials as charts show them, under their numbers.

    Costs have readable units, and hover texts are short. Trials far below all others are left out,
    where one degenerate network would hide all other differences.
    """
    down = [StudyDirection.MINIMIZE] * len(data.costs)
    study = optuna.create_study(directions=[StudyDirection.MAXIMIZE, *down])
    floor = min([outer_fence([row.score for row in data.rows]), *(r.score for r in data.front)])
    trials = [create_trial(state=TrialState.FAIL)] * (data.rows[-1].trial + 1)
    for row in (row for row in data.rows if row.score >= floor):
        trials[row.trial] = create_trial(
            values=[row.score, *(cost.of(row) for cost in data.costs)],
            user_attrs={"arch": escape(_short(row.arch))},
            system_attrs={"constraints": [-1.0 if row.feasible else 1.0]},
        )
    study.add_trials(trials)
    return study


def front_chart(data: ReportData, study: Study, number: int, cost: Cost) -> Chart:
    """Score against one cost: Optuna's chart, the front as a line, and what was retrained."""
    figure = plot_pareto_front(
        study,
        target_names=[cost.title, "score"],
        targets=lambda trial: (trial.values[number], trial.values[0]),
    )
    figure.update_xaxes(type="log")
    for trace, name in zip(figure.data, ("breaks --max-flops", "trial", "front"), strict=True):
        trace.update(name=name, showlegend=bool(trace.x), marker_showscale=False)
    figure.data[-1].marker.update(color=RED, size=8)
    if len(data.costs) == 1:  # the best networks at two costs form no line
        front = data.front
        x, y = [cost.of(row) for row in front], [row.score for row in front]
        line = {"shape": "hv", "color": RED, "width": 1.5}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    trained = [(row, result) for row in data.first_rows() if (result := data.retrained(row))]
    if trained:
        figure.add_scatter(
            x=[cost.of(row) for row, _ in trained],
            y=[row.score for row, _ in trained],
            text=[f"{100 * result.test_accuracy:.1f} %" for _, result in trained],
            mode="markers+text",
            textposition="top center",
            marker={"size": 13, "symbol": "star", "color": GREEN},
            name="retrained, test accuracy",
            hoverinfo="skip",
        )
    limit = data.config.search.max_flops
    if limit is not None and cost is COSTS["flops"]:
        figure.add_vline(limit / cost.scale, line={"dash": "dash", "color": GREY})
    meaning = (
        "Higher and further left is better; later trials are darker. Drag to zoom. "
        "Trials far below all others are not shown."
    )
    return f"Score against {cost.title}", meaning, _styled(figure, 460)


def hypervolume_chart(study: Study) -> Chart:
    """The area, or volume, that the front covers."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores, *costs = zip(*(trial.values for trial in trials), strict=True)
    figure = plot_hypervolume_history(study, [min(scores), *map(max, costs)])
    figure.update_traces(mode="lines", line={"shape": "hv", "color": BLUE})
    meaning = (
        "The area between the front and the worst score and cost of all trials. "
        "Once it is level, more trials bring little."
    )
    return "Hypervolume of the front", meaning, _styled(figure, 300)


def loss_chart(data: ReportData) -> Chart:
    """The losses, their running mean over a tenth of them, and that of a guess."""
    steps, losses = zip(*data.losses, strict=True)
    width = max(3, len(losses) // 10)
    means = [
        sum(losses[max(0, i + 1 - width) : i + 1]) / min(i + 1, width) for i in range(len(losses))
    ]
    chance = math.log(data.space.classes)
    figure = go.Figure()
    figure.add_scatter(x=steps, y=losses, mode="lines", line={"color": "#b9cfe3"}, name="one batch")
    figure.add_scatter(x=steps, y=means, mode="lines", line={"color": BLUE}, name="running mean")
    chance_line = {"color": GREY, "dash": "dash"}
    label = f"chance: ln {data.space.classes} = {chance:.2f}"
    figure.add_hline(chance, line=chance_line, annotation_text=label)
    figure.update_layout(xaxis_title="step", yaxis_title="cross-entropy")
    meaning = (
        "Each step trains one random network of the supernet. A loss below chance level shows "
        "that the BatchNorm parameters have learned from the images; it stays far above zero, "
        "because convolutions stay random and all networks share parameters. A loss at chance "
        "level means that scores rest on the structure of the networks alone: longer training "
        "(--train-steps) can improve them."
    )
    return "Training loss of the supernet", meaning, _styled(figure, 320)


def importance_chart(data: ReportData) -> Chart:
    """How much each choice of the space decides."""
    figure = plot_param_importances(
        data.study,
        evaluator=PedAnovaImportanceEvaluator(),
        params=list(data.space.choices),
        target=lambda trial: -trial.values[0],  # the evaluator takes lower values for better
        target_name="score",
    )
    figure.update_layout(xaxis_title="importance", yaxis_title=None)
    meaning = (
        "How much each choice decides whether a trial is among the tenth with the best scores "
        "(PED-ANOVA)."
    )
    height = 110 + 24 * len(data.space.choices)
    return "Importance of the choices", meaning, _styled(figure, height)


def retrained_chart(data: ReportData) -> Chart:
    """One line a network."""
    figure = go.Figure()
    for result in data.results:
        figure.add_scatter(
            x=[epoch["epoch"] for epoch in result.history],
            y=[100 * epoch["validation_accuracy"] for epoch in result.history],
            mode="lines" if len(result.history) > 1 else "markers",
            line={"dash": "dot" if result.is_baseline else "solid"},
            name=escape(f"{_short(data.name_of(result))}, {result.epochs} epochs"),
        )
    figure.update_layout(
        xaxis_title="epoch", yaxis_title="validation accuracy (%)", showlegend=True
    )
    meaning = "Validation accuracy while networks were trained from scratch; baselines are dotted."
    return "Training from scratch", meaning, _styled(figure, 360)


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _styled(figure: go.Figure, height: int) -> go.Figure:
    return figure.update_layout(
        template="plotly_white",
        title=None,
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
