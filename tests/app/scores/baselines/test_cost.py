import torch
from torch.utils.flop_counter import FlopCounterMode

from app.scores.baselines.cost import flops, layers, params
from tests.app.scores.baselines.helpers import trace_of


def test_cost_is_that_of_the_fresh_network() -> None:
    trace = trace_of("nasbench201")
    network = trace.fresh_network().eval()
    assert params(trace) == sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 16, 16))
    assert flops(trace) == counter.get_total_flops() / 2


def test_layers_are_convolutions_and_the_classifier() -> None:
    cell = "|{}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    short, deep = (trace_of("nasbench201", cell.format(op)) for op in ("none", "nor_conv_3x3"))
    assert layers(deep) == layers(short) + 6  # one more in each of two cells of three stages
