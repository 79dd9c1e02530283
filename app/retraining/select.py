"""The select command: successive halving of the best candidates, with real trainings.

All train for one epoch, the best third to epoch 3, a third of those to epoch 9, and so on
(arXiv 1502.07943). Who is left trains to the end of the recipe; only the winner is tested.

A round only stops a training: its learning rate follows the recipe's one schedule over all epochs.
So no step is repeated, and the winner is what `retrain` makes of that network, bit for bit, and
compares with baselines. A rate that falls to zero in each round would mean to train anew each time,
or warm restarts and so another recipe. What stands in for a fallen rate is that averaged weights
are validated (arXiv 2405.18392).

The rounds are read from the trials alone, so all processes agree on them, after any kill. A
training belongs to who holds the lock of its folder.
"""

import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.table import Table

from app import locks
from app.config import CostName, StudyConfig, parse_count
from app.console import notice, out
from app.errors import InputError
from app.interrupt import TimeIsUpError, stop_between_steps
from app.retraining.candidate import Candidate, train_candidate, train_epochs
from app.retraining.choice import SelectedArch, choose_best
from app.retraining.trainer import Trainer
from app.retraining.training import NetworkTraining
from app.retraining.trials import accuracies
from app.study_file import study_command
from app.trained import Recipe

REDUCTION_FACTOR = 3
SECONDS_BETWEEN_LOOKS = 1.0


def select(
    config: StudyConfig, recipe: Recipe, seed: int, given: Mapping[CostName, str], count: int
) -> None:
    """Find the most accurate of the `count` best candidates, and train it to the end.

    The limits `given`, such as 80M, win over the study's own. Raises InputError for bad input
    before training starts, and FloatingPointError if every candidate diverges.
    """
    limits = config.search.limits
    for name, text in given.items():
        if not (limit := parse_count(text)):
            raise InputError(f"--max-{name} {text}: write a number such as 80M")
        limits[name] = limit
    trainer = Trainer(config, recipe, seed)
    chosen = choose_best(trainer.rows, limits, count, config.search.objectives)
    halving = SuccessiveHalving(trainer, chosen)
    winner = None
    try:
        with stop_between_steps() as check:
            winner = halving.run(check)
            with locks.writing(winner.folder):
                train_candidate(winner, *trainer.terms, check)
    except TimeIsUpError:
        out.print("The --timeout ended the rounds; the same command goes on.")
    out.print(halving.table(winner), soft_wrap=False)
    trainer.report()
    if winner:
        number = f"--trial={chosen[halving.candidates.index(winner)].trials[0]}"
        out.print(f"{'weights':<10}{winner.folder / 'best.pt'}")
        out.print(f"{'export':<10}{study_command('export', config, number, '--out', 'model.onnx')}")


def rounds(epochs: int) -> list[int]:
    """The epochs at which rounds end: 1, 3, 9, … and the last one."""
    powers = (REDUCTION_FACTOR**i for i in itertools.count())
    return [*itertools.takewhile(lambda end: end < epochs, powers), epochs]


class SuccessiveHalving:
    """The rounds of one selection, by one of any number of processes."""

    def __init__(self, trainer: Trainer, chosen: Sequence[SelectedArch]) -> None:
        self.trainer, self.chosen = trainer, chosen
        self.candidates = trainer.candidates(chosen)
        terms = json.dumps([candidate.definition for candidate in self.candidates], sort_keys=True)
        selection = hashlib.sha256(terms.encode()).hexdigest()[:10]
        self.trials = trainer.begin("select", self.candidates, selection)

    def run(self, check: Callable[[], None]) -> Candidate:
        """Train to the end of the last round; returns the winner."""
        going, last = self.candidates, self.trainer.recipe.epochs
        for epochs in rounds(last):
            out.print(f"Round to epoch {epochs}: {len(going)} of {len(self.candidates)} networks")
            trials = self._train_all(going, epochs, check)
            best = {c.folder: self._best(trials[c.folder.name], epochs) for c in going}
            going = sorted(going, key=lambda c: -best[c.folder])
            going = [c for c in going if best[c.folder] > -math.inf]
            if not going:
                raise FloatingPointError("every candidate has diverged: try a smaller --lr")
            kept = math.ceil(len(going) / REDUCTION_FACTOR)
            for candidate in going if epochs == last else going[kept:]:
                state = TrialState.COMPLETE if epochs == last else TrialState.PRUNED
                self.trials.end(candidate, state)
            going = going[:kept]
        return going[0]

    def _train_all(
        self, going: Sequence[Candidate], epochs: int, check: Callable[[], None]
    ) -> dict[str, FrozenTrial]:
        """Train what no other process has or is at, and wait for those; returns the trials."""
        while True:
            trials = self.trials.read()
            known = {c.folder: trials[c.folder.name] for c in going}
            left = [c for c in going if self._best(known[c.folder], epochs) == -math.inf]
            left = [c for c in left if not known[c.folder].state.is_finished()]
            if not left:
                return trials
            for candidate in left:
                with locks.claiming(candidate.folder) as ours:
                    if ours:
                        self._train(candidate, epochs, check)
                        break
            else:
                check()
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _best(self, trial: FrozenTrial, epochs: int) -> float:
        """The best accuracy up to the end of a round; -∞ if the training is not that far."""
        seen = accuracies(trial)[:epochs]
        is_over = len(seen) == epochs or self.trainer.recipe.ends_after(seen)
        return max(seen) if is_over else -math.inf

    def _train(self, candidate: Candidate, epochs: int, check: Callable[[], None]) -> None:
        report = partial(self.trials.report, candidate)
        training = NetworkTraining(candidate.build, *self.trainer.terms)
        try:
            train_epochs(training, candidate, check, report, epochs)
        except FloatingPointError as error:
            notice(f"{candidate.label} is out: {error}")
            self.trials.end(candidate, TrialState.FAIL)

    def table(self, winner: Candidate | None) -> Table:
        """Every candidate, those that came farthest first."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption="* the winner" if winner else "")
        for head in ("network", "multiply–adds (M)", "score", "epochs", "val. %"):
            table.add_column(head, justify="right" if table.columns else "left", no_wrap=True)
        trials = self.trials.read()
        seen = [accuracies(trials[candidate.folder.name]) for candidate in self.candidates]
        lines = list(zip(self.chosen, self.candidates, seen, strict=True))
        for one, candidate, values in sorted(lines, key=lambda x: (-len(x[2]), -max(x[2] or [0]))):
            name = f"{one.label}{'*' if candidate is winner else ''}"
            flops = f"{self.trainer.space.cost(one.arch).macs / 1e6:.1f}"
            best = f"{100 * max(values):.2f}" if values else ""
            table.add_row(name, flops, f"{one.score:.2f}", str(len(values)), best)
        return table
