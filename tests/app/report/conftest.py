"""What reports show of a small study."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from app.config import StudyConfig
from app.pareto import Row, pareto_front
from app.report.data import ReportData
from app.trained import Recipe, Result
from tests.toy import Toy

ATTACK = "</script><script>alert(1)</script>"
ARCHS = ("conv1-skip-skip", "conv1-conv1-skip", "conv3-conv3-conv3")
FLOPS = (10_000_000, 11_000_000, 20_000_000)
ROWS = [
    Row(i, -3.0 + i, flops, 9, -1, -1, None, 0.5, True, arch, 2.0)
    for i, (arch, flops) in enumerate(zip(ARCHS, FLOPS, strict=True))
]


def result(network: str, accuracy: float, is_baseline: bool = False) -> Result:
    recipe = Recipe(epochs=2, learning_rate=0.2, trivial_augment=True).model_dump()
    history = [{"epoch": i, "loss": 1.0, "validation_accuracy": 0.5 * i} for i in (1, 2)]
    figures = (accuracy, 0.7, 100, 10, 2, 2, 12_000_000, 9_000, 61.0)
    return Result(network, is_baseline, *figures, "cpu", 0, recipe, history, {}, Path("folder"))


@pytest.fixture
def data(config: StudyConfig) -> ReportData:
    """A study of three trials on a data set with an evil name."""
    space = Toy(classes=10, image_size=16)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for row in ROWS:
        params = space.encode(row.arch)
        study.add_trial(
            create_trial(
                values=[row.score, row.flops], params=params, distributions=dict(space.choices)
            )
        )
    return ReportData(
        config=config.model_copy(update={"dataset": ATTACK}),
        definition={"space": "toy", "evil": ATTACK},
        space=space,
        study=study,
        hardware=ATTACK,
        seconds={"supernet": 1.0, ATTACK: 2.0},
        losses=[(10, 2.3), (12, 2.2)],
        reference_scores=[-4.0, -3.0, -2.5, -1.5],
        rows=ROWS,
        front=pareto_front(ROWS),
        results=[result(ARCHS[1], 0.9), result("resnet18", 0.8, is_baseline=True)],
        stopped=[
            create_trial(
                state=TrialState.PRUNED,
                value=0.3,
                intermediate_values={1: 0.3},
                user_attrs={"network": ATTACK},
            )
        ],
    )
