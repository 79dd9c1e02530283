"""Shared frozen weights: who shares with whom, what they are, and that networks stay the same."""

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

import spaces
from spaces import BatchNormMode, Supernet
from spaces.initialisation import LAST_GAMMA, share_weights
from spaces.ops import MBConv
from tests.spaces.test_contract import images, make, sample


def shared(name: str, seed: int = 0) -> Supernet:
    torch.manual_seed(seed)
    supernet = make(name).supernet(BatchNormMode.UNBIASED)
    share_weights(supernet)
    return supernet


def block(supernet: Supernet, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the expansion, the depthwise kernel and the projection."""
    convolutions = [m for m in supernet.get_submodule(name).modules() if isinstance(m, nn.Conv2d)]
    expand, depthwise, project = (c.weight for c in convolutions if c.bias is None)
    return expand, depthwise, project


def test_small_candidates_are_slices_of_large_ones() -> None:
    supernet = shared("mobilenet")
    small, large = block(supernet, "layers.1.0"), block(supernet, "layers.1.5")  # k3 e3 and k7 e6
    hidden = len(small[0])
    assert torch.equal(small[0], large[0][:hidden])
    assert torch.equal(small[1], large[1][:hidden, :, 2:5, 2:5])
    assert torch.equal(small[2], large[2][:, :hidden])
    for a, b in zip(small, large, strict=True):
        assert a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


@pytest.mark.parametrize("name", ["mobilenet", "mnasnet", "darts", "nasbench201"])
def test_choices_share_nothing_with_each_other(name: str) -> None:
    supernet = shared(name)
    choices = [m for m in supernet.modules() if isinstance(m, spaces.Choice)]
    storages = [
        {p.untyped_storage().data_ptr() for p in choice.parameters()} for choice in choices[:8]
    ]
    assert all(a.isdisjoint(b) for a, b in combinations(storages, 2))


def test_weights_are_orthogonal_or_nearly_pass_the_central_pixel() -> None:
    expand, depthwise, project = block(shared("mobilenet"), "layers.1.5")
    e, p = expand.flatten(1), project.flatten(1)
    torch.testing.assert_close(e.T @ e, torch.eye(e.shape[1]))
    torch.testing.assert_close(p @ p.T, torch.eye(len(p)))
    centre = depthwise[:, 0, 3, 3]
    assert abs(float(centre.mean()) - 1) < 0.02
    assert float((depthwise**2).sum((1, 2, 3)).mean()) == pytest.approx(1 + 0.3**2, abs=0.03)


def test_residual_blocks_start_small_and_nothing_else() -> None:
    supernet = shared("mnasnet")
    small = {
        [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1]
        for block in supernet.modules()
        if isinstance(block, MBConv) and block.residual
    }
    for norm in supernet.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            assert (norm.weight == (LAST_GAMMA if norm in small else 1)).all()


def test_the_seed_decides() -> None:
    first, again, other = (list(shared("mnasnet", seed).parameters()) for seed in (0, 0, 1))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@pytest.mark.parametrize("name", ["darts", "mnasnet", "nasbench201"])
def test_the_network_of_a_path_computes_the_same(name: str) -> None:
    space, supernet = make(name), shared(name)
    arch = sample(space, 1)[0]
    network = space.network(arch, BatchNormMode.UNBIASED)
    network.load_state_dict(supernet.subnet_state_dict(arch))
    torch.testing.assert_close(network(images(space)), supernet(images(space), arch))
