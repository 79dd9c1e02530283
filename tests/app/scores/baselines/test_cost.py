import torch
from torch.utils.flop_counter import FlopCounterMode

from app.scores.baselines.cost import flops, params
from tests.app.scores.baselines.helpers import trace_of


def test_cost_is_that_of_the_fresh_network() -> None:
    trace = trace_of("nasbench201")
    network = trace.fresh_network().eval()
    assert params(trace) == sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 16, 16))
    assert flops(trace) == counter.get_total_flops() / 2
