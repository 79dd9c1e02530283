"""The retrain command, top to bottom: which networks → train each → compare → report."""

from collections.abc import Sequence
from functools import partial

from optuna.trial import TrialState

from app import locks
from app.config import StudyConfig
from app.console import out
from app.errors import InputError
from app.interrupt import stop_between_steps
from app.retraining.candidate import go_on, train_candidate
from app.retraining.choice import Selection, choose
from app.retraining.trainer import Trainer
from app.trained import Recipe


def retrain(
    config: StudyConfig,
    selection: Selection,
    baselines: Sequence[str],
    recipe: Recipe,
    seed: int,
) -> None:
    """Train the selected networks and the baselines on the study's data, and compare them.

    `seed` is that of the trainings. Raises InputError for any bad input before training starts.
    """
    if not (selection.trials or selection.archs or selection.picks or baselines):
        raise InputError(
            "choose the networks to train: --trial N, --pick knee, best-score or max-flops=300M, "
            "--arch STRING, or --baseline NAME; each can be given several times"
        )
    trainer = Trainer(config, recipe, seed)
    chosen = choose(trainer.space, trainer.rows, selection, config.search.objectives)
    candidates = [go_on(c) for c in trainer.candidates(chosen, baselines)]
    trials = trainer.begin("retrain", candidates)
    with stop_between_steps() as check:
        for candidate in candidates:
            with locks.writing(candidate.folder):
                report = partial(trials.report, candidate)
                train_candidate(candidate, *trainer.terms, check, report)
                trials.end(candidate, TrialState.COMPLETE)
    trainer.report()
    for candidate in candidates:
        out.print(f"{'weights':<10}{candidate.folder / 'best.pt'}")
