"""Optuna's gRPC proxy in front of PostgreSQL: what a trial and a reading take through it.

Trials are asked and told as plain Optuna does it, 21 choices each, as our group commit needs the
database itself and cannot go through a proxy. `pip install grpcio protobuf` first.

    python benchmarks/grpc_proxy.py
"""

import socket
import subprocess
import sys
import time
from statistics import median
from typing import Annotated

import optuna
import typer
from results import write_results  # noqa: F401  (puts the root on the path)
from sqlalchemy import make_url

import spaces
from app.cli import run_command
from app.search.storage import open_storage
from app.search.study import DIRECTIONS
from tests.postgresql import server

app = typer.Typer(add_completion=False)

PROXY = """
import sys, optuna
from optuna.storages import run_grpc_proxy_server, RDBStorage
run_grpc_proxy_server(RDBStorage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


def rate(storage: optuna.storages.BaseStorage, trials: int) -> tuple[float, float]:
    """Trials a second of ask and tell, and seconds of reading all of them anew."""
    choices = spaces.create("mobilenet", 10, 32, {}).distributions()
    study = optuna.create_study(
        storage=storage, directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    begun = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        for name, choice in choices.items():
            trial.suggest_categorical(name, choice.choices)
        study.tell(trial, [0.0, 1.0])
    told = trials / (time.perf_counter() - begun)
    begun = time.perf_counter()
    storage.get_all_trials(study._study_id)
    return told, time.perf_counter() - begun


@app.command()
def main(
    trials: Annotated[int, typer.Option(min=10)] = 50,
    runs: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure and print, with and without the proxy in turns."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with server() as url, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        plain = make_url(url).render_as_string(hide_password=False)
        open_storage(plain)
        proxy = subprocess.Popen([sys.executable, "-c", PROXY, plain, str(port)])
        try:
            remote = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port)
            remote.wait_server_ready(timeout=60)
            found: dict[str, list[tuple[float, float]]] = {"direct": [], "proxy": []}
            for _ in range(runs):
                found["direct"].append(rate(optuna.storages.RDBStorage(plain), trials))
                found["proxy"].append(rate(remote, trials))
        finally:
            proxy.kill()
            proxy.wait()
    for name, values in found.items():
        rates, reads = zip(*values, strict=True)
        print(
            f"{name:<7}{median(rates):7.2f} trials/s ({min(rates):.2f} to {max(rates):.2f}), "
            f"reading {trials} trials {1e3 * median(reads):.0f} ms"
        )


if __name__ == "__main__":
    sys.exit(run_command(app))
