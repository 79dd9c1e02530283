"""How well a sum of operations' latencies ranks networks, against measuring each network.

    python benchmarks/latency_table.py --space mobilenet --networks 100

Prints rank correlations of the sum, of FLOPs and of a second measurement with the first one, on
random architectures of a space. Of several rounds the fastest counts, for each network and each
operation, as other programs only ever add. Close them all the same: `measured again` tells what
noise leaves to be had.
"""

import argparse
import platform
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

sys.path.insert(0, str(Path(__file__).parents[1]))  # Python puts only this script's folder there

import spaces
from app.device import device_name, pick_device
from app.latency import LatencyTable, measure_latency, threads


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--space", default="mobilenet", choices=spaces.names())
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    device = pick_device(given.device)
    space = spaces.create(given.space, 10, given.image_size, {})
    rng = Random(given.seed)
    archs = [space.sample(rng) for _ in range(given.networks)]
    shape = (given.batch, 3, given.image_size, given.image_size)

    tables = []
    start = time.perf_counter()
    for _ in range(given.rounds):
        tables.append(LatencyTable(device, given.batch, given.threads))
        for arch in archs:
            with torch.device("meta"):
                network = space.network(arch)
            tables[-1].predict(network, given.image_size)
    seconds = (time.perf_counter() - start) / given.rounds
    # the least disturbed of several rounds: other programs only ever add
    table = tables[0]
    table.milliseconds = {k: min(t.milliseconds[k] for t in tables) for k in table.milliseconds}
    sums = []
    for arch in archs:
        with torch.device("meta"):
            network = space.network(arch)
        sums.append(table.predict(network, given.image_size))
    rounds = [
        [measure_latency(space.network(a), shape, device, given.threads) for a in archs]
        for _ in range(2 * given.rounds)
    ]
    measured, again = np.min(rounds[::2], axis=0), np.min(rounds[1::2], axis=0)
    flops = [space.cost(arch).macs for arch in archs]
    ratio = np.array(sums) / measured
    with threads(given.threads):
        print(f"{device_name(device)}, {platform.processor() or platform.machine()}, ", end="")
    print(f"torch {torch.__version__}, batch {given.batch}, {given.image_size} px")
    print(f"{len(archs)} random networks of {given.space}, seed {given.seed}: ", end="")
    print(f"{measured.min():.2f} to {measured.max():.2f} ms, median {np.median(measured):.2f} ms")
    print(
        f"table: {len(table.milliseconds)} operations, "
        f"made in {seconds:.0f} s a round, {given.rounds} rounds"
    )
    for name, values in (("sum", sums), ("FLOPs", flops), ("measured again", again)):
        tau, rho = kendalltau(values, measured).statistic, spearmanr(values, measured).statistic
        print(f"{name:<15} Kendall τ {tau:.3f}, Spearman ρ {rho:.3f}")
    print(f"sum / measured: {np.median(ratio):.2f} (median), ", end="")
    print(f"{ratio.min():.2f} to {ratio.max():.2f}")


if __name__ == "__main__":
    main()
