"""What two ranks send each other at a step of the supernet, and how fast they are.

    python benchmarks/distributed.py --study mobilenet --json distributed.json

*Bytes:* the elements that a step hands to `all_reduce`, counted there, times their size; of the
conventional supernet those of all its parameters, which `DistributedDataParallel` would hand to
it, and of the parameters on the sampled path alone. Whatever the algorithm makes of a buffer (a
ring sends it 2·(N-1)/N times) it makes of all of them, so that the ratio holds for any N.

*Speed:* two ranks of one thread each against one process of two threads, on the same batches and
paths, in turns, so that a busy machine slows both. The rank that is not needed sleeps meanwhile.
Where something else wants the cores too, ranks wait for each other at every exchange, which one
process does not: such figures are a lower bound.
"""

import os
import platform
import sys
import time
from multiprocessing import Manager
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Annotated, Any

# an idle thread or rank must not keep the core that another one needs
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import torch
import torch.distributed as dist
import typer
from results import write_results
from supernets import supernet_training
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from app.cli import run_command
from app.ranks import Ranks, this_rank
from app.settings import load_settings
from app.supernet.exchange import Exchange, connected
from app.supernet.training import SupernetTraining

app = typer.Typer(add_completion=False)

CPU = torch.device("cpu")
ALONE = ("two threads", "one thread", "one thread, half the batch")
"""What one process does; the last two tell what a step costs an image, and what it costs anyway."""
WAYS = {"two ranks, shared statistics": True, "two ranks, own statistics": False}
ROUND_TRIPS = 200
LARGE = 1 << 22
"""Floats whose exchange measures the bandwidth."""


def make(study: str, batch_size: int, sync: bool, ranks: Ranks) -> SupernetTraining:
    """The supernet of a study, to be trained by `ranks`."""
    fields = {"supernet.batch_size": batch_size, "supernet.sync_batchnorm": sync}
    settings = load_settings(study, fields)
    return supernet_training(settings, CPU, ranks)


def seconds_a_step(training: SupernetTraining, archs: list[str]) -> float:
    """Mean of the steps along these paths."""
    begun = time.perf_counter()
    for arch in archs:
        training.step_along(arch)
    return (time.perf_counter() - begun) / len(archs)


def bytes_a_step(training: SupernetTraining, archs: list[str]) -> list[int]:
    """What each step along these paths hands to `all_reduce`."""
    sent: list[int] = []
    original = dist.all_reduce

    def count(tensor: Tensor) -> None:
        sent[-1] += tensor.numel() * tensor.element_size()
        original(tensor)

    dist.all_reduce = count  # type: ignore[assignment]
    try:
        for arch in archs:
            sent.append(0)
            training.step_along(arch)
    finally:
        dist.all_reduce = original
    return sent


def path_bytes(training: SupernetTraining, archs: list[str]) -> list[int]:
    """Of the parameters along each path, if all of them learnt."""
    parameters = list(training.supernet.parameters())
    frozen = [p for p in parameters if not p.requires_grad]
    images = torch.zeros(2, 3, training.space.image_size, training.space.image_size)
    found = []
    for arch in archs:
        for p in frozen:
            p.requires_grad_(True)
        scores = training.supernet(images, arch)
        gradients = torch.autograd.grad(scores.sum(), parameters, allow_unused=True)
        pairs = zip(parameters, gradients, strict=True)
        found.append(sum(p.numel() * p.element_size() for p, g in pairs if g is not None))
        for p in frozen:
            p.requires_grad_(False)
    return found


def exchange_seconds(count: int) -> float:
    """Median of the time that `all_reduce` takes for so many floats."""
    buffer, times = torch.zeros(count), []
    for _ in range(ROUND_TRIPS if count < LARGE else 10):
        dist.barrier()
        begun = time.perf_counter()
        dist.all_reduce(buffer)
        times.append(time.perf_counter() - begun)
    return median(times)


def compare(rank: int, options: dict[str, Any], port: int, found: dict[str, Any]) -> None:
    """One of the two ranks; the first one is also the process that trains alone."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    study, batch_size = options["study"], options["batch_size"]
    alone = make(study, batch_size, True, Ranks())
    half = make(study, batch_size // 2, True, Ranks())
    with connected(this_rank(), CPU) as exchange:
        together = {way: make(study, batch_size, sync, this_rank()) for way, sync in WAYS.items()}
        for training in together.values():
            training.exchange = exchange
        times = measure_speed(alone, half, together, exchange, options)
        rng = Random(0)
        archs = [alone.space.sample(rng) for _ in range(20)]
        sent = {way: mean(bytes_a_step(training, archs)) for way, training in together.items()}
        latency, large = exchange_seconds(1), exchange_seconds(LARGE)
    if rank == 0:
        everything = sum(p.numel() * p.element_size() for p in alone.supernet.parameters())
        sizes = sent | {"all parameters": everything}
        sizes["all parameters of the path"] = mean(path_bytes(alone, archs))
        found["figures"] = {
            "ms_a_step": {way: [1e3 * t for t in values] for way, values in times.items()},
            "bytes": sizes,
            "all_reduce_us": 1e6 * latency,
            "all_reduce_gb_per_s": 4e-9 * LARGE / large,
        }


def measure_speed(
    alone: SupernetTraining,
    half: SupernetTraining,
    together: dict[str, SupernetTraining],
    exchange: Exchange,
    options: dict[str, Any],
) -> dict[str, list[float]]:
    """Seconds a step of each run, by one process and by two ranks, in turns."""
    times: dict[str, list[float]] = {way: [] for way in (*ALONE, *together)}
    for run in range(options["runs"] + 1):
        rng = Random(run)
        archs = [alone.space.sample(rng) for _ in range(options["paths"])]
        measured = {}
        if exchange.ranks.first:
            torch.set_num_threads(2)
            measured[ALONE[0]] = seconds_a_step(alone, archs)
            torch.set_num_threads(1)
            measured[ALONE[1]] = seconds_a_step(alone, archs)
            measured[ALONE[2]] = seconds_a_step(half, archs)
        for way, training in together.items():
            dist.barrier()
            measured[way] = seconds_a_step(training, archs)
        dist.barrier()
        for way, value in measured.items() if run else ():  # the first run warms up
            times[way].append(value)
    return times


@app.command()
def main(
    study: Annotated[str, typer.Option(help="A preset or a study file.")] = "mobilenet",
    batch_size: Annotated[int, typer.Option(min=4, help="Of both ranks together.")] = 64,
    paths: Annotated[int, typer.Option(min=1, help="Random architectures a run.")] = 5,
    runs: Annotated[int, typer.Option(min=1)] = 7,
    port: Annotated[int, typer.Option(help="For the ranks to meet at.")] = 29_511,
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure and print bytes and milliseconds a step, and ratios."""
    options = {"study": study, "batch_size": batch_size, "paths": paths, "runs": runs}
    with Manager() as manager:
        shared = manager.dict()
        spawn(compare, (options, port, shared), nprocs=2)  # type: ignore[no-untyped-call]
        found = shared["figures"]
    sizes, times = found["bytes"], found["ms_a_step"]
    print("Bytes handed to all_reduce a step, means of 20 paths:")
    for name, size in sizes.items():
        share = f"{100 * size / sizes['all parameters']:8.2f} % of all parameters"
        print(f"  {name:<28}{size:14,.0f} {share}")
    print(f"\nms a step, batch {batch_size}, {runs} runs of {paths} paths, median (least to most):")
    for way, values in times.items():
        ratios = [a / b for a, b in zip(times[ALONE[0]], values, strict=True)]
        spread = f"({min(values):.1f} to {max(values):.1f})"
        speed = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"  {way:<30}{median(values):8.1f} {spread:<18} speed {speed}")
    print(f"\nall_reduce of one float {found['all_reduce_us']:.0f} us,", end=" ")
    print(f"of {LARGE * 4 >> 20} MiB {found['all_reduce_gb_per_s']:.2f} GB/s")
    cores, load = os.cpu_count(), os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    hardware = f"{platform.processor() or platform.machine()}, {cores} cores, load {load:.1f}"
    print(f"{study}, {hardware}, torch {torch.__version__}, Gloo, seeds 0 to {runs}")
    if json is not None:
        write_results(found | options | {"hardware": hardware, "torch": torch.__version__}, json)


if __name__ == "__main__":
    sys.exit(run_command(app))
