"""Everything that report, dashboard and terminal show about a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from app.atomic import DamagedError
from app.config import StudyConfig
from app.costs import COSTS, Cost
from app.errors import InputError
from app.pareto import Row, by_budget, knee, outer_fence, pareto_front
from app.paths import StudyPaths
from app.sampling import cost_range
from app.scores.composite import percentile
from app.scores.reference import Reference
from app.supernet.checkpoint import HINT, load_or_refuse
from app.trained import Result, best_of, read_results
from app.trials import completed_trials, stopped_candidates
from spaces import Space


@dataclass(frozen=True)
class ReportData:
    """The state of a study that has been searched."""

    config: StudyConfig
    definition: dict[str, Any]
    """What makes its trials comparable."""
    space: Space
    study: Study
    hardware: str
    seconds: dict[str, float]
    """Time per stage, summed over interruptions."""
    losses: list[tuple[int, float]]
    """The supernet's training loss by step."""
    reference_scores: list[float]
    """The composite score of each random network of the reference sample."""
    rows: list[Row]
    front: list[Row]
    results: list[Result]
    """Networks trained from scratch, the highest validation accuracy first."""
    stopped: Sequence[FrozenTrial] = ()
    """Candidates of `select` that have no result, with an intermediate value for each epoch."""

    @staticmethod
    def gather(
        config: StudyConfig,
        paths: StudyPaths,
        study: Study,
        definition: dict[str, Any],
        space: Space,
        hardware: str,
    ) -> "ReportData":
        """Read the files and trials of a study. Raises InputError for damaged files."""
        supernet = load_or_refuse(paths.supernet)
        try:
            reference = Reference.load(paths.reference)
            reference_scores = reference.composites()
        except DamagedError as reason:
            raise InputError(f"'{paths.reference}' is damaged ({reason}): {HINT}") from None
        except ValueError as reason:
            raise InputError(f"{reason}: search with --rescore") from None
        results = read_results(paths.retrained, definition)
        trials = completed_trials(study)
        rows = list(map(Row.of, trials))
        seconds = {
            "supernet": supernet["seconds"],
            "reference sample": reference.seconds,
            "search": sum(t.duration.total_seconds() for t in trials if t.duration),
        }
        return ReportData(
            config=config,
            definition=definition,
            space=space,
            study=study,
            hardware=hardware,
            seconds=seconds,
            losses=supernet["losses"],
            reference_scores=reference_scores,
            rows=rows,
            front=pareto_front(rows, config.search.objectives),
            results=results,
            stopped=stopped_candidates(study, {result.folder.name for result in results}),
        )

    @property
    def costs(self) -> list[Cost]:
        """The costs that are minimised, in the order of the objectives."""
        return [COSTS[name] for name in self.config.search.objectives]

    @property
    def shown_costs(self) -> list[Cost]:
        """The costs that tables show: FLOPs and parameters, others where they are used."""
        names = ["flops", *self.config.search.objectives, *self.config.search.limits, "params"]
        return [COSTS[name] for name in dict.fromkeys(names)]

    @property
    def columns(self) -> dict[str, Callable[[Row], str]]:
        """The columns of the front's table by title."""
        return {
            "trial": lambda row: f"{row.trial}{'*' if row == self.knee else ''}",
            "score": lambda row: f"{row.score:.3f}",
            "percentile": lambda row: f"{self.percentile(row):.0f}",
            **{cost.title: cost.show for cost in self.shown_costs},
        }

    @cached_property
    def knee(self) -> Row | None:
        """The knee of the front; None without a front."""
        return knee(self.front, self.config.search.objectives) if self.front else None

    @cached_property
    def budgets(self) -> dict[float, Row | None]:
        """The best network within each of 20 budgets of multiply–adds over the space's range."""
        costs = cost_range(self.space)
        limit = self.config.search.max_flops or costs.highest
        return by_budget(self.front, costs.lowest, min(costs.highest, limit))

    @cached_property
    def rows_in_view(self) -> list[Row]:
        """The rows that pictures show: one degenerate network would hide all other differences."""
        floor = min([outer_fence([r.score for r in self.rows]), *(r.score for r in self.front)])
        return [row for row in self.rows if row.score >= floor]

    def percentile(self, row: Row) -> float:
        """The share of random networks that score lower, in percent; ties count half."""
        return percentile(row.score, self.reference_scores)

    def best(self, count: int) -> list[Row]:
        """The `count` networks of the front with the highest scores, the best first."""
        return sorted(self.front, key=lambda row: -row.score)[:count]

    def first_rows(self) -> list[Row]:
        """The first trial of each architecture."""
        return list({row.arch: row for row in reversed(self.rows)}.values())

    def retrained(self, row: Row) -> Result | None:
        """The best training of this row's architecture, if there is one."""
        return best_of(self.results, row.arch)

    def name_of(self, result: Result) -> str:
        """What to call a trained network: its trial, its baseline, or its architecture."""
        if result.is_baseline:
            return result.network
        trials = [row.trial for row in self.rows if row.arch == result.network]
        return f"trial {trials[0]}" if trials else result.network
