"""Everything that the reports of a study show, gathered from its files and its trials."""

from dataclasses import dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from app.paths import StudyPaths
from app.report.front import COSTS, Cost, Row, completed_rows, pareto_front
from app.retrain.result import Result, best_of, read_results
from app.scores.reference import Reference
from app.settings import StudySettings
from app.supernet.checkpoint import load_or_refuse
from spaces import Space


@dataclass(frozen=True)
class Material:
    """What is known of a study."""

    settings: StudySettings
    definition: dict[str, Any]
    """What makes its trials comparable."""
    space: Space
    hardware: str
    seconds: dict[str, float]
    """By stage, summed over interruptions."""
    losses: list[tuple[int, float]]
    """Of the supernet, by step."""
    rows: list[Row]
    front: list[Row]
    results: list[Result]
    """Networks that were trained from scratch, those of the highest validation accuracy first."""

    @staticmethod
    def gather(
        settings: StudySettings,
        paths: StudyPaths,
        study: Study,
        definition: dict[str, Any],
        space: Space,
        hardware: str,
    ) -> "Material":
        """Read the files of a study that has been searched."""
        supernet = load_or_refuse(paths.supernet)
        rows = completed_rows(study)
        return Material(
            settings,
            definition,
            space,
            hardware,
            {
                "supernet": supernet["seconds"],
                "reference sample": Reference.load(paths.reference).seconds,
                "search": search_seconds(study),
            },
            supernet["losses"],
            rows,
            pareto_front(rows, settings.search.objectives),
            read_results(paths.retrained, definition),
        )

    @property
    def costs(self) -> list[Cost]:
        """What is minimised, in the order of the objectives."""
        return [COSTS[name] for name in self.settings.search.objectives]

    def best(self, count: int) -> list[Row]:
        """The `count` networks of the front with the highest scores, the best first."""
        return sorted(self.front, key=lambda row: -row.score)[:count]

    def retrained(self, row: Row) -> Result | None:
        """The best training of this row's architecture, if there is one."""
        return best_of(self.results, row.arch)

    def name_of(self, result: Result) -> str:
        """What to call a trained network: its trial, its baseline, or its architecture."""
        if result.is_baseline:
            return result.network
        trials = [row.trial for row in self.rows if row.arch == result.network]
        return f"trial {trials[0]}" if trials else result.network


def search_seconds(study: Study) -> float:
    """Time spent in completed trials."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sum(t.duration.total_seconds() for t in trials if t.duration)
