"""What score and rounds are worth when a few networks can be trained, from finished trainings.

    python benchmarks/halving.py --scores runs/truth/small/rank/mobilenet-truth-test_accuracy.csv

Networks of `data/mobilenet-truth.csv` are drawn at random, and each way picks one of them by what
it may know: the score, and the validation accuracies of the epochs that it pays for. Accuracies are
the real ones; only the draws are simulated. `rank` writes the scores.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated, NamedTuple

import typer
from common import environment, read_rows
from small_mobilenets import DATA

from app.exit_status import run_command
from app.retraining.select import REDUCTION_FACTOR, rounds

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Network(NamedTuple):
    """A trained network: its score, cost, accuracy after each epoch, and test accuracy."""

    score: float
    flops: float
    curve: list[float]
    test_accuracy: float


def halving(networks: Sequence[Network]) -> tuple[Network, int]:
    """The winner of `select`'s rounds, and the epochs that it takes."""
    going, epochs, before = list(networks), 0, 0
    for end in rounds(len(going[0].curve)):
        epochs += len(going) * (end - before)
        before = end
        going.sort(key=lambda network: -max(network.curve[:end]))
        going = going[: -(-len(going) // REDUCTION_FACTOR)]
    return going[0], epochs


def whole(networks: Sequence[Network]) -> tuple[Network, int]:
    """The best of networks that all train to the end, and the epochs that they take."""
    best = max(networks, key=lambda network: max(network.curve))
    return best, sum(len(network.curve) for network in networks)


@app.command()
def main(
    scores: Annotated[Path, typer.Option(help="CSV that `rank` has written.")],
    least: Annotated[float, typer.Option(help="Multiply–adds of the cheapest, in M.")] = 1.0,
    drawn: Annotated[int, typer.Option(min=8, help="Networks in a draw.")] = 16,
    draws: Annotated[int, typer.Option(min=1)] = 10_000,
) -> None:
    """Print the mean test accuracy that each way ends with."""
    score = {row["arch"]: float(row["composite"]) for row in read_rows(scores)}
    rows = sorted(read_rows(DATA / "mobilenet-truth.csv"), key=lambda row: -int(row["seed"]))
    networks: dict[str, Network] = {}
    for row in rows:  # of several seeds, the first wins
        arch, flops = row["arch"], float(row["flops"])
        if flops >= least * 1e6 and arch in score:
            curve = [float(accuracy) for accuracy in row["curve"].split()]
            networks[arch] = Network(score[arch], flops, curve, float(row["test_accuracy"]))
    rng, found = Random(0), dict[str, list[tuple[Network, int]]]()
    for _ in range(draws):
        draw = rng.sample(list(networks.values()), drawn)
        best = sorted(draw, key=lambda network: -network.score)
        ways = {
            "a random network": whole(draw[:1]),
            "the most multiply–adds": whole([max(draw, key=lambda network: network.flops)]),
            "the best score": whole(best[:1]),
            "4 random": whole(draw[:4]),
            "4 with the most multiply–adds": whole(sorted(draw, key=lambda n: -n.flops)[:4]),
            "4 best scores": whole(best[:4]),
            "8 random": whole(draw[:8]),
            "8 best scores": whole(best[:8]),
            "rounds of 8 best scores": halving(best[:8]),
            f"rounds of all {drawn}": halving(draw),
        }
        for way, outcome in ways.items():
            found.setdefault(way, []).append(outcome)
    print("| trained | epochs | test accuracy |\n|---|--:|--:|")
    for way, outcomes in found.items():
        accuracy = fmean(network.test_accuracy for network, _ in outcomes)
        print(f"| {way} | {outcomes[0][1]} | {accuracy:.2f} % |")
    print(f"{len(networks)} networks, draws of {drawn}; {environment()}")


if __name__ == "__main__":
    sys.exit(run_command(app))
