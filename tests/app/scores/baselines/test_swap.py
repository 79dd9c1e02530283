import pytest
import torch
from torch import nn

import spaces
from app.scores.baselines.swap import activations, distinct_patterns, pass_on, pattern_codes
from spaces import FeatureNode
from tests.app.scores.baselines.helpers import linear, pixels, trace_of

IMAGES = pixels([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


@pytest.mark.parametrize("kind", [nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU])
def test_patterns_are_compared_over_images(kind: type[nn.Module]) -> None:
    # the units are on for images 0 and 1, for 1 and 2, and the third as the first
    layer = linear([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    outputs = activations(nn.Sequential(nn.Flatten(), layer, kind()), IMAGES)
    assert pattern_codes(outputs[0]).tolist() == [0b011, 0b110, 0b011]
    assert distinct_patterns(outputs) == 2
    assert distinct_patterns([*outputs, torch.ones(3, 1)]) == 3


def test_the_first_cell_ends_at_its_feature_node() -> None:
    stem = nn.Sequential(nn.Flatten(), nn.ReLU(), FeatureNode(searched=False))
    cell = nn.Sequential(linear([[1.0, 0.0], [-1.0, 0.0]]), nn.ReLU(), FeatureNode())
    network = nn.Sequential(stem, *cell, nn.ReLU(), FeatureNode())
    assert len(activations(network, IMAGES)) == 3
    assert [a.shape[1] for a in activations(network, IMAGES, first_cell=True)] == [2, 2]
    assert len(activations(network, IMAGES)) == 3  # the hook is gone


def test_without_activations_there_is_no_pattern() -> None:
    assert distinct_patterns([]) == 0


def test_63_images_fit_a_code() -> None:
    assert distinct_patterns([torch.eye(63)]) == 63


def test_the_stem_passes_the_image_on() -> None:
    convolution = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    pass_on(convolution)
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(convolution(images), images[:, [0, 1, 2, 0, 1]])


@pytest.mark.parametrize("space", spaces.names())
def test_the_first_convolution_reads_the_image(space: str) -> None:
    network = trace_of(space).fresh_network()
    assert next(m for m in network.modules() if isinstance(m, nn.Conv2d)).in_channels == 3
