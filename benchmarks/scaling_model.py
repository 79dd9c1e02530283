"""What a search on many machines can reach, from a few measured times.

A worker goes round: it scores a batch, commits it, and reads what others have committed since.
Scoring and reading it does by itself; to commit, all workers of a study queue for one row, as
trials are numbered under its lock. That is a closed queueing network with one station and a delay
that depends on the number of workers, as everybody reads everybody's trials; mean value analysis
(Reiser & Lavenberg 1980, doi 10.1145/322186.322195) gives its throughput.
"""

from dataclasses import dataclass, replace

SECONDS_A_BATCH = 2.0


@dataclass(frozen=True)
class Costs:
    """Measured seconds. The model knows of nothing else."""

    score: float
    """A trial on one worker, with its proposal."""
    commit: float
    """A commit however small, with the row locked."""
    commit_trial: float
    """More for each trial in it."""
    commit_stored: float
    """More for each trial that the study has."""
    read: float
    """A reading however small."""
    read_trial: float
    """More for each trial read, of the worker and the server together."""
    read_trial_server: float
    """Of that, what the server computes."""
    round_trip: float = 0.0
    """Of the network, beyond the loopback on which the others were measured."""
    round_trips_commit: float = 10.0
    """How often a commit waits for the network, with the row locked."""
    round_trips_read: float = 8.0


@dataclass(frozen=True)
class Prediction:
    """Of a number of workers."""

    trials_per_second: float
    limit: str
    """What keeps it from being faster."""
    row_busy: float
    """Share of time that the study's row is locked."""


def predict(
    costs: Costs, workers: int, population: int = 32, stored: int = 0, server_cores: int = 4
) -> Prediction:
    """Throughput of `workers`, each on cores of its own, on a study that has `stored` trials."""
    batch = max(1.0, min(population, SECONDS_A_BATCH / costs.score))
    held = (
        costs.commit
        + batch * costs.commit_trial
        + stored * costs.commit_stored
        + costs.round_trip * costs.round_trips_commit
    )
    reading = 0.0
    if workers > 1:  # a worker that is alone has nothing to read
        reading = costs.read + costs.round_trip * costs.round_trips_read
        reading += workers * batch * costs.read_trial
    alone = batch * costs.score
    waiting = 0.0
    batches = queue = 0.0
    for n in range(1, workers + 1):
        waiting = held * (1 + queue)
        batches = n / (alone + reading + waiting)
        queue = batches * waiting
    rate = batches * batch
    # everybody reads everybody's trials, which the server has to send
    readable = (
        server_cores / (workers * costs.read_trial_server)
        if workers > 1 and costs.read_trial_server > 0
        else float("inf")
    )
    busy = batches * held
    limits = {
        "scores": alone,
        "reading others' trials": reading,
        "the lock on the study": waiting,
    }
    limit = max(limits, key=lambda name: limits[name])
    if readable < rate:
        return Prediction(readable, "the server's cores", busy * readable / rate)
    return Prediction(rate, limit, busy)


def seconds_of(costs: Costs, workers: int, trials: int, population: int = 32) -> float:
    """A whole search, in ten parts, as commits grow with what is stored; and the last batches."""
    parts = 10
    seconds = sum(
        trials
        / parts
        / predict(
            costs, workers, population, stored=round((i + 0.5) * trials / parts)
        ).trials_per_second
        for i in range(parts)
    )
    return seconds + min(population * costs.score, SECONDS_A_BATCH)


def at_distance(costs: Costs, round_trip: float) -> Costs:
    """The same with a network of so many seconds there and back."""
    return replace(costs, round_trip=round_trip)
