"""The report's interactive charts, as plotly figures; Optuna's where it has them."""

import math
import warnings
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState, create_trial
from optuna.visualization import plot_hypervolume_history, plot_pareto_front

from app.console import plural
from app.costs import Cost
from app.report.data import ReportData
from app.study import directions

RED, BLUE, PALE, GREY = "#c0392b", "#22649f", "#b9cfe3", "#8a97a3"
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
        if data.results or data.stopped:
            yield learning_curves_chart(data)


def display_study(data: ReportData) -> Study:
    """Return the trials in view, under their numbers, with readable units and short hover texts."""
    study = optuna.create_study(directions=directions(data.config.search.objectives))
    trials = [create_trial(state=TrialState.FAIL)] * (data.rows[-1].trial + 1)
    for row in data.rows_in_view:
        trials[row.trial] = create_trial(
            values=[row.score, *(cost.of(row) for cost in data.costs)],
            user_attrs={"arch": escape(_short(row.arch))},
            system_attrs={"constraints": [-1.0 if row.feasible else 1.0]},
        )
    study.add_trials(trials)
    return study


def front_chart(data: ReportData, study: Study, number: int, cost: Cost) -> Chart:
    """Score against one cost, the front as a line."""
    figure = plot_pareto_front(
        study,
        target_names=[cost.title, "score"],
        targets=lambda trial: (trial.values[number], trial.values[0]),
    )
    figure.update_xaxes(type="log")
    for trace, name in zip(figure.data, ("breaks a limit", "trial", "front"), strict=True):
        trace.update(name=name, showlegend=bool(trace.x), marker_showscale=False)
    figure.data[-1].marker.update(color=RED, size=8)
    if len(data.costs) == 1:  # the best networks at two costs form no line
        figure.add_scatter(
            x=[cost.of(row) for row in data.front],
            y=[row.score for row in data.front],
            mode="lines",
            line={"shape": "hv", "color": RED, "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    if (limit := data.config.search.limits.get(cost.name)) is not None:
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
    """The losses, their mean over a tenth of them or over three, and the loss of a guess."""
    steps, losses = zip(*data.losses, strict=True)
    width = min(len(losses), max(3, len(losses) // 10))
    means = np.convolve(losses, np.full(width, 1 / width), "valid").tolist()
    chance = math.log(data.space.classes)
    figure = go.Figure(layout={"xaxis_title": "step", "yaxis_title": "cross-entropy"})
    figure.add_scatter(x=steps, y=losses, mode="lines", line_color=PALE, name="one batch")
    figure.add_scatter(
        x=steps[width - 1 :], y=means, mode="lines", line_color=BLUE, name=f"mean of {width}"
    )
    label = f"chance: ln {data.space.classes} = {chance:.2f}"
    figure.add_hline(chance, line={"color": GREY, "dash": "dash"}, annotation_text=label)
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
    importances = get_param_importances(
        data.study,
        evaluator=PedAnovaImportanceEvaluator(),
        params=list(data.space.choices),
        target=lambda trial: -trial.values[0],  # the evaluator takes lower values for better
    )
    # not plot_param_importances, which copies all trials for each choice: 7 s for 1,000 trials
    names, values = zip(*reversed(importances.items()), strict=True)
    bars = go.Bar(x=values, y=names, orientation="h", marker_color=BLUE)
    figure = go.Figure(bars, layout={"xaxis_title": "importance"})
    meaning = (
        "How much each choice decides whether a trial is among the tenth with the best scores "
        "(PED-ANOVA)."
    )
    return "Importance of the choices", meaning, _styled(figure, 110 + 24 * len(names))


def learning_curves_chart(data: ReportData) -> Chart:
    """One line a network."""
    figure = go.Figure(layout={"xaxis_title": "epoch", "yaxis_title": "validation accuracy (%)"})

    def add(name: str, accuracies: dict[int, float], **style: Any) -> None:
        epochs, values = list(accuracies), [100 * value for value in accuracies.values()]
        mode = "lines" if len(epochs) > 1 else "markers"
        figure.add_scatter(x=epochs, y=values, mode=mode, name=escape(name), **style)

    for trial in data.stopped:
        name = _short(str(trial.user_attrs.get("network")))
        add(name, trial.intermediate_values, showlegend=False, marker_color=PALE)
    for result in data.results:
        name = f"{_short(data.name_of(result))}, {plural(result.epochs, 'epoch')}"
        accuracies = {int(epoch["epoch"]): epoch["validation_accuracy"] for epoch in result.history}
        add(name, accuracies, showlegend=True, line_dash="dot" if result.is_baseline else "solid")
    meaning = (
        "Validation accuracy while networks were trained from scratch; baselines are dotted, "
        "candidates that a round of select has stopped are pale."
    )
    return "Learning curves", meaning, _styled(figure, 360)


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
