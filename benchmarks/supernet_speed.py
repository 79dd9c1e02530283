"""What a supernet step costs in which only BatchNorm and the classifier learn.

    python benchmarks/supernet_speed.py --json supernet_speed.json

*All parameters* is the conventional step: the same network, batch, path and optimiser in plain
PyTorch, each parameter learning. It is measured in the channels-last layout, as ours, and in
PyTorch's own layout. Steps of the three alternate, path by path, so that a busy machine slows all
of them; the ratio of a run is that of the sums over its paths.

A step is a forward pass, the gradients of the inputs, those of the weights, and element-wise work.
Without the weights' gradients of convolutions nothing else changes, so the *bound* of the ratio is
the share of all else in the step of all parameters: a third less where convolutions are all there
is, and as many multiplications each way. It is measured by timing every convolution's backward
pass with and without its weight.
"""

import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from typing import Annotated, Any

import torch
import typer
from results import write_results
from supernets import supernet_training
from torch import Tensor, nn
from torch.nn import functional as F

from app.cli import run_command
from app.device import device_name, pick_device
from app.settings import load_settings
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


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Of one call, until the device has finished."""
    begun = time.perf_counter()
    call()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - begun


def weight_gradient_seconds(
    supernet: Supernet, images: Tensor, arch: str, device: torch.device
) -> float:
    """What the gradients of its convolutions' weights add to a step along `arch`."""
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
    settings = load_settings(study, {"supernet.batch_size": batch_size})
    place = pick_device(device)
    training = supernet_training(settings, place)
    space, options = training.space, settings.supernet_space_options
    images, labels = training.batches.next_batch()
    images = images.contiguous(memory_format=torch.channels_last)

    def network() -> Supernet:
        return space.supernet(BatchNormMode.UNBIASED).to(place)

    last = network().to(memory_format=torch.channels_last)
    steps = {
        "bn_only": training.step_along,
        "all": conventional(last, images, labels),
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
            times["weight_gradients"] += weight_gradient_seconds(last, images, arch, place)
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
    for name, values in found.items():
        print(f"  {name:<34}{median(values):9.4g}  ({min(values):.4g} to {max(values):.4g})")
    hardware = f"{device_name(place)}; {platform.processor() or platform.machine()}"
    print(f"{settings.space} {options}, {hardware}, torch {torch.__version__}, seeds 1 to {runs}")
    if json is not None:
        summary: dict[str, Any] = {name: median(values) for name, values in found.items()}
        summary |= {"runs": found, "space": settings.space, "batch_size": batch_size}
        summary |= {"hardware": hardware, "torch": torch.__version__}
        write_results(summary, json)


if __name__ == "__main__":
    sys.exit(run_command(app))
