"""Compare the memory that spaces predict with the peak in the graphs that their networks become.

    python benchmarks/memory.py --networks 50 --json memory.json

*PyTorch* is the graph of `torch.export`, *ONNX* the file that `export` writes, *fused* the file
after onnxruntime's extended optimisation. The peaks are counted tensor by tensor in the order of
the graph. An elementwise operation writes over an input of its size that nothing reads later.
Needs the packages of requirements-dev.txt.
"""

import sys
import tempfile
import time
from math import prod
from pathlib import Path
from random import Random
from typing import Annotated

import numpy as np
import onnx
import onnxruntime
import torch
import typer
from common import environment, write_results

import spaces
from app.exit_status import run_command
from app.export_formats import INPUT, MIN_OPSET, to_onnx
from spaces import Space

app = typer.Typer(add_completion=False)

VIEWS = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
ELEMENTWISE = {"Relu", "Clip", "Sigmoid", "QuickGelu", "HardSwish", "BatchNormalization"}
ELEMENTWISE |= {"Add", "Sub", "Mul", "Div", "Sum"}


def onnx_peak(model: onnx.ModelProto, size: int) -> int:
    """Most numbers alive at once in a graph, for one image of size×size pixels."""
    sizes, nodes = _sizes(model, size), model.graph.node
    home = {INPUT: INPUT}
    """The tensor whose memory holds a tensor; constants have none."""
    reads = []
    for node in nodes:
        sources = [home[name] for name in node.input if name in home]
        reads.append(sources)
        for name in node.output:
            if sources and name:
                home[name] = sources[0] if node.op_type in VIEWS else name
    last = {source: i for i, sources in enumerate(reads) for source in sources}
    live, peak = {INPUT}, sizes[INPUT]
    for i, node in enumerate(nodes):
        dying = {source for source in reads[i] if last[source] == i}
        written = {name for name in node.output if home.get(name) == name}
        held, new = sum(sizes[name] for name in live), sum(sizes[name] for name in written)
        over = node.op_type in ELEMENTWISE and any(sizes[name] == new for name in dying)
        peak = max(peak, held if over else held + new)
        live = (live | written) - dying
    return peak


def _sizes(model: onnx.ModelProto, size: int) -> dict[str, int]:
    """Numbers in each tensor, which onnxruntime computes from one black image."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    names = [name for node in model.graph.node for name in node.output if name]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    image = np.zeros((1, 3, size, size), np.float32)
    values = session.run(names, {INPUT: image})
    return {INPUT: image.size} | {n: prod(v.shape) for n, v in zip(names, values, strict=True)}


def fused(content: bytes) -> onnx.ModelProto:
    """The graph that onnxruntime runs, in the layout of PyTorch."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "fused.onnx")
        onnxruntime.InferenceSession(content, options)
        return onnx.load(options.optimized_model_filepath)


def measure(space: Space, arch: str, with_onnx: bool) -> dict[str, float]:
    """The predicted peak, and the peak in each graph over it."""
    from tests.spaces.test_memory import exported_peak

    begun = time.perf_counter()
    predicted = space.peak_activations(arch)
    seconds = time.perf_counter() - begun
    network, size = space.network(arch).eval(), space.image_size
    peaks = {"PyTorch": exported_peak(network, size)}
    if with_onnx:
        content, _ = to_onnx(network, torch.zeros(2, 3, size, size), MIN_OPSET)
        peaks["ONNX"] = onnx_peak(onnx.load_from_string(content), size)
        peaks["fused"] = onnx_peak(fused(content), size)
    ratios = {name: peak / predicted for name, peak in peaks.items()}
    return {"numbers": predicted, "ms": 1e3 * seconds} | ratios


@app.command()
def main(
    space: Annotated[list[str] | None, typer.Option(help="A space [all].")] = None,
    networks: Annotated[int, typer.Option(min=1, help="Random networks of each space.")] = 50,
    seed: int = 0,
    no_onnx: Annotated[bool, typer.Option("--no-onnx", help="Only PyTorch's graph.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the ratios there too.")] = None,
) -> None:
    """Print for each space and graph how many networks have the predicted peak."""
    from tests.spaces.test_contract import make  # narrow networks, except of Macro

    found = {}
    for name in space or spaces.names():
        one, rng = make(name), Random(seed)
        rows = found[name] = []
        for _ in range(networks):
            rows.append(measure(one, one.sample(rng), not no_onnx))
            write_results(found, json)
        for graph in list(rows[0])[2:]:
            ratios = np.array([row[graph] for row in rows])
            print(
                f"{name:<14}{graph:<9}{(ratios == 1).sum():3} equal, "
                f"{(abs(ratios - 1) <= 0.05).sum():3} within 5 % of {len(rows)}; "
                f"peak / predicted {ratios.min():.3f} to {ratios.max():.3f}",
                flush=True,
            )
    print(environment())


if __name__ == "__main__":
    sys.exit(run_command(app))
