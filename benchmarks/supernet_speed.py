"""Measure what a supernet step costs in which only BatchNorm and the classifier learn.

    python benchmarks/supernet_speed.py --json supernet_speed.json

*All* is the conventional step: the same network, batch, path and optimiser in plain PyTorch, with
every parameter learning. It is measured in the memory layout of ours, channels last on a CPU, and
in PyTorch's default one; on a GPU these are the same. The three alternate path by path, so a busy
machine slows all of them; the ratio of a run is that of the sums over its paths.

Ours leaves out the gradients of the convolutions' weights and nothing else. So the *bound* of the
ratio is the share of everything else in the conventional step: two thirds where convolutions are
all there is. It is measured by timing every convolution's backward pass with and without its
weight.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Annotated, Any

import torch
import typer
from common import environment, print_medians, seconds, write_results
from torch import Tensor, nn
from torch.nn import functional as F

from app.context import create_space, open_data
from app.device import device_name, memory_format, pick_device
from app.exit_status import run_command
from app.paths import StudyPaths
from app.study_file import load_config
from app.supernet.training import SupernetTraining
from spaces import BatchNormMode, Supernet

app = typer.Typer(add_completion=False)


def conventional(supernet: Supernet, images: Tensor, labels: Tensor) -> Callable[[str], None]:
    """A step along an architecture that trains every parameter on its path."""
    supernet.requires_grad_(True)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=1e-3, momentum=0.9)

    def step(arch: str) -> None:
        loss = F.cross_entropy(supernet(images, arch), labels, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(supernet.parameters(), 5.0)
        optimizer.step()

    return step


def weight_gradient_seconds(
    supernet: Supernet, images: Tensor, arch: str, device: torch.device
) -> float:
    """Time that the gradients of its convolutions' weights add to a step along `arch`."""
    calls: list[tuple[nn.Conv2d, Tensor, Tensor]] = []

    def see(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            calls.append((module, inputs[0].detach(), torch.ones_like(output)))

    handles = [m.register_forward_hook(see) for m in supernet.modules()]
    with torch.no_grad():
        supernet(images, arch)
    for handle in handles:
        handle.remove()
    total = 0.0
    for module, x, gradient in calls:

        def backward(
            mask: list[bool], module: Any = module, x: Tensor = x, gradient: Tensor = gradient
        ) -> Callable[[], object]:
            shape = (module.stride, module.padding, module.dilation, False, [0, 0], module.groups)
            return lambda: torch.ops.aten.convolution_backward(
                gradient, x, module.weight, None, *shape, mask
            )

        both, inputs = backward([True, True, False]), backward([True, False, False])
        total += seconds(both, device) - seconds(inputs, device)
    return total


@app.command()
def main(
    study: Annotated[str, typer.Option(help="A preset or a study file.")] = "mobilenet",
    batch_size: Annotated[int, typer.Option(min=2)] = 32,
    paths: Annotated[int, typer.Option(min=1, help="Random architectures a run.")] = 5,
    runs: Annotated[int, typer.Option(min=1)] = 5,
    device: str = "auto",
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure and print milliseconds a step and ratios."""
    same = {"supernet.batch_size": batch_size, "supernet.bn_groups": 1}  # as the other steps
    config = load_config(study, same)
    place = pick_device(device)
    data, _ = open_data(config, StudyPaths(config.folder), place)
    space = create_space(config, data, config.supernet_space_options)
    mode = BatchNormMode.UNBIASED
    training = SupernetTraining(space, mode, data, config.supernet, config.seed, place)
    images, labels = training.batches.next_batch()

    def network() -> Supernet:
        return space.supernet(mode).to(place)

    laid_out = network().to(memory_format=memory_format(place))
    steps = {
        "bn_only": training.step_along,
        "all": conventional(laid_out, images, labels),
        "all_default_layout": conventional(network(), images.contiguous(), labels),
    }
    found: dict[str, list[float]] = {}
    for run in range(runs + 1):
        rng = Random(run)
        archs = [space.sample(rng) for _ in range(paths)]
        times = dict.fromkeys([*steps, "weight_gradients"], 0.0)
        for arch in archs:
            for name, step in steps.items():
                times[name] += seconds(lambda step=step, arch=arch: step(arch), place)  # type: ignore[misc]
            times["weight_gradients"] += weight_gradient_seconds(laid_out, images, arch, place)
        if run == 0:  # warms up
            continue
        figures = {f"{name}_ms": 1e3 * value / paths for name, value in times.items()}
        figures["bn_only_over_all"] = times["bn_only"] / times["all"]
        figures["bn_only_over_all_default_layout"] = times["bn_only"] / times["all_default_layout"]
        figures["bound"] = 1 - times["weight_gradients"] / times["all"]
        print(f"run {run} of {runs}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        for key, value in figures.items():
            found.setdefault(key, []).append(value)
    print(f"\nMedians of {runs} runs of {paths} paths, batch {batch_size} (least to most):")
    print_medians(found)
    print(f"{config.space}, {device_name(place)}, seeds 1 to {runs}; {environment()}")
    about = {"space": config.space, "device": device_name(place), "environment": environment()}
    write_results({"runs": found, **about}, json)


if __name__ == "__main__":
    sys.exit(run_command(app))
