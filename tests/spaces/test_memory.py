"""Peak memory by hand, and against the graph that PyTorch exports."""

from random import Random
from typing import Any

import pytest
import torch
from torch import nn
from torch.fx.passes.dialect.common.cse_pass import CSEPass

import spaces
from spaces import BatchNormMode, Space
from spaces.memory import Piece
from spaces.ops import MBConv, ReLUConvBN, conv
from tests.spaces.test_contract import make, sample


def peak(module: nn.Module, *shape: int) -> int:
    return Piece(module, *shape).peak


def test_a_convolution_holds_its_input_and_its_output() -> None:
    assert peak(conv(3, 8, 3), 3, 10, 10) == (3 + 8) * 100
    assert peak(conv(3, 8, 3, stride=2), 3, 10, 10) == 3 * 100 + 8 * 25
    block = nn.Sequential(conv(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ReLU6(inplace=True))
    assert peak(block, 3, 10, 10) == (3 + 8) * 100


def test_an_activation_before_a_convolution_writes_over_its_input() -> None:
    assert peak(ReLUConvBN(4, 6, 3, 1, BatchNormMode.USUAL), 4, 10, 10) == (4 + 6) * 100


def test_a_residual_block_holds_its_input_to_the_end() -> None:
    plain = MBConv(4, 6, 3, 3, 1, BatchNormMode.USUAL)
    assert peak(plain, 4, 10, 10) == 2 * 12 * 100  # the depthwise convolution
    residual = MBConv(4, 4, 3, 3, 1, BatchNormMode.USUAL)
    assert peak(residual, 4, 10, 10) == (4 + 2 * 12) * 100
    strided = MBConv(4, 6, 3, 3, 2, BatchNormMode.USUAL)
    assert peak(strided, 4, 10, 10) == (4 + 12) * 100  # the expanding convolution


def test_what_leads_to_no_output_takes_nothing() -> None:
    dead = spaces.create("nasbench201", 10, 32, {})
    into_node_2 = "|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|"
    skips = into_node_2.replace("nor_conv_3x3", "none")
    assert dead.peak_activations(into_node_2) == dead.peak_activations(skips)


@pytest.fixture(params=spaces.names())
def space(request: pytest.FixtureRequest) -> Space:
    return make(request.param)


def test_the_peak_of_pieces_is_that_of_the_whole_network(space: Space) -> None:
    for arch in sample(space, 4):
        assert space.peak_activations(arch) == Space.peak_activations(space, arch)


def test_it_is_the_peak_of_the_exported_graph(space: Space) -> None:
    arch = space.sample(Random(3))
    assert space.peak_activations(arch) == exported_peak(space.network(arch), space.image_size)


def exported_peak(network: nn.Module, size: int) -> int:
    """Numbers alive in PyTorch's exported graph, tensor by tensor, from the first to the last."""
    program = torch.export.export(network.eval(), (torch.zeros(1, 3, size, size),))
    graph: Any = CSEPass()(program.graph_module).graph_module.graph
    for node in graph.nodes:
        if "zeros_like" in str(node.target):  # which reads no numbers
            node.args = (torch.zeros(node.meta["val"].shape),)
    graph.eliminate_dead_code()
    (images,) = (n for n in graph.nodes if n.name == program.graph_signature.user_inputs[0])
    nodes = [node for node in graph.nodes if node.op == "call_function"]
    home = {images: images}
    """The node whose memory holds a node's numbers."""
    reads = {}
    for node in nodes:
        sources = [source for source in node.all_input_nodes if source in home]
        reads[node] = {home[source] for source in sources}
        view = "_." in str(node.target) or any(name in str(node.target) for name in VIEWS)
        same = view and _numbers(sources[0]) == _numbers(node)
        home[node] = home[sources[0]] if same else node
    last = {source: node for node in nodes for source in reads[node]}
    live, peak = {images}, 0
    for node in nodes:
        held = sum(map(_numbers, live))
        if home[node] is node:
            over = any(last[s] is node and _numbers(s) == _numbers(node) for s in reads[node])
            elementwise = any(f"aten.{name}." in str(node.target) for name in ELEMENTWISE)
            peak = max(peak, held if over and elementwise else held + _numbers(node))
            live.add(node)
        live -= {source for source, reader in last.items() if reader is node}
    return peak


VIEWS = ("getitem", "alias", "slice")
ELEMENTWISE = ("batch_norm", "relu", "relu6", "hardtanh", "silu", "sigmoid", "add", "mul")


def _numbers(node: Any) -> int:
    value = node.meta["val"]
    return (value[0] if isinstance(value, tuple | list) else value).numel()
