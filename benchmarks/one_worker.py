"""One worker of `workers.py`: says that it is ready, waits for a line, searches, prints times."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import torch
import typer
from search_speed import free_objective
from sqlalchemy import event

import spaces
from app.cli import run_command
from app.search.commit import GroupCommit
from app.search.loop import Batches, Search
from app.search.outcome import TrialResult
from app.search.proposals import create_proposals
from app.search.storage import open_engine, open_storage
from app.search.study import DIRECTIONS
from app.search.tables import read_tables
from app.settings import SearchSettings
from app.workers import at_work, study_locks
from spaces import Space

app = typer.Typer(add_completion=False)

SCORE = 0.05


class Convolutions:
    """Forward passes of a small network on 32 images, on one thread."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(
            *(torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
        ).eval()
        self.images = torch.randn(4, 16, 32, 32)

    def __call__(self, passes: int) -> None:
        with torch.inference_mode():
            for _ in range(passes):
                self.network(self.images)

    def passes_in(self, seconds: float) -> int:
        """How many passes take so long now: the fastest of several tries, as others disturb."""
        self(20)
        times = []
        for _ in range(15):
            begun = time.perf_counter()
            self(20)
            times.append((time.perf_counter() - begun) / 20)
        return max(1, round(seconds / min(times)))


def objective(space: Space, kind: str, passes: int) -> Callable[[dict[str, Any]], TrialResult]:
    """Values of look-ups, after 50 ms."""
    free = free_objective(space)
    convolutions = Convolutions()

    def assess(params: dict[str, Any]) -> TrialResult:
        if kind == "wait":
            time.sleep(SCORE)
        else:
            convolutions(passes)
        return free(params)

    return assess


@app.command()
def main(url: str, study_name: str, kind: str, passes: int, seconds: float, seed: int) -> None:
    """Search for so many seconds."""
    space = spaces.create("mobilenet", 10, 32, {})
    storage, engine = open_storage(url), open_engine(url)
    study = optuna.load_study(study_name=study_name, storage=storage)
    commit = GroupCommit(engine, read_tables(engine), study._study_id)
    settings = SearchSettings()
    assess = objective(space, kind, passes)
    assess({name: d.choices[0] for name, d in space.distributions().items()})
    commits: list[float] = []
    locked: list[float] = []

    @event.listens_for(engine, "before_cursor_execute")
    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        connection.info["begun"] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def after(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FOR UPDATE" in statement:
            locked.append(time.perf_counter() - connection.info["begun"])

    def timed(*arguments: Any) -> list[int]:
        begun = time.perf_counter()
        numbers = commit(*arguments)
        commits.append(time.perf_counter() - begun)
        return numbers

    with at_work(study_locks(engine, Path(), study_name)) as worker:
        proposals = create_proposals(settings, space, DIRECTIONS, seed + worker.number, 0)
        batches = Batches(proposals, timed, settings.population)  # type: ignore[arg-type]
        search = Search(study, storage, space, assess, batches, worker.leads)
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.perf_counter()

        def check() -> None:
            if time.perf_counter() - begun > seconds:
                raise KeyboardInterrupt

        try:
            search.run_to(1_000_000, check, lambda steps, note: None)
        except KeyboardInterrupt:
            elapsed = time.perf_counter() - begun
    print(json.dumps({"elapsed": elapsed, "commits": commits, "lock": locked}))


if __name__ == "__main__":
    sys.exit(run_command(app))
