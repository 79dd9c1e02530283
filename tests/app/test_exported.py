"""Backbones of every space; `test_api.py` reads an export."""

import pytest
import torch

import spaces
from app.exported import Backbone
from spaces import FeatureNode
from tests.spaces.test_contract import make, sample


@pytest.mark.parametrize("name", spaces.names())
def test_a_backbone_gives_the_last_map_of_each_resolution(name: str) -> None:
    space = make(name)
    network = space.network(sample(space, 1)[0]).eval()
    seen: list[torch.Tensor] = []
    for module in network.modules():
        if isinstance(module, FeatureNode):
            module.register_forward_hook(lambda module, inputs, output: seen.append(output))
    backbone = Backbone(network, space.image_size)
    images = torch.randn(2, 3, 64, 64)
    seen.clear()
    with torch.no_grad():
        network(images)
        maps = backbone(images)
    info = backbone.feature_info
    assert info.reduction() == sorted(set(info.reduction()))
    assert info.channels() == [x.shape[1] for x in maps]
    assert info.reduction() == [64 // x.shape[-1] for x in maps]
    last = {x.shape[-1]: x for x in seen}
    assert all(torch.equal(x, y) for x, y in zip(maps, last.values(), strict=True))
