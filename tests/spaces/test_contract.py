"""The contract of a space, checked for every registered one."""

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import spaces
from spaces import ArchitectureError, BatchNormMode, FeatureNode, InfeasibleError, Space
from spaces.sketch import Graph

# small supernets that still have every kind of layer
SMALL: dict[str, dict[str, float]] = {
    "darts": {"layers": 3, "channels": 4},
    "mnasnet": {"width": 0.25},
    "mobilenet": {"width": 0.25},
    "nasbench101": {"modules": 1, "channels": 6},
    "nasbench201": {"cells": 2, "channels": 4},
}
SUPERNETS = [BatchNormMode.UNBIASED, BatchNormMode.BIASED]


def make(name: str, image_size: int = 32) -> Space:
    return spaces.create(name, classes=7, image_size=image_size, options=SMALL.get(name, {}))


@pytest.fixture(params=spaces.names())
def space(request: pytest.FixtureRequest) -> Space:
    return make(request.param)


def sample(space: Space, count: int, seed: int = 0) -> list[str]:
    rng = Random(seed)
    return [space.sample(rng) for _ in range(count)]


def images(space: Space, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    size = space.image_size
    return torch.randn(count, 3, size, size, generator=generator)


def test_strings_and_choices_are_two_views_of_one_architecture(space: Space) -> None:
    choices = space.distributions()
    for arch in sample(space, 50):
        assert space.canonical(arch) == arch
        params = space.encode(arch)
        assert list(params) == list(choices)
        assert all(params[name] in choices[name].choices for name in choices)
        assert space.decode(params) == arch


def test_random_choices_decode_or_say_why_not(space: Space) -> None:
    rng = Random(2)
    for _ in range(50):
        params = {name: rng.choice(d.choices) for name, d in space.distributions().items()}
        try:
            arch = space.decode(params)
        except InfeasibleError as reason:
            assert str(reason)
        else:
            assert space.canonical(arch) == arch


def test_samples_differ_and_follow_the_seed(space: Space) -> None:
    assert sample(space, 20) == sample(space, 20)
    assert len(set(sample(space, 20))) > 10


@pytest.mark.parametrize("name", spaces.names())
@settings(max_examples=100, deadline=None)
@given(
    text=st.text(alphabet="0123456789-,|+~:[]{}\"' abcdeiklnopsv_x", max_size=60)
    | st.text(max_size=60)
)
def test_any_other_string_is_refused_in_one_line(name: str, text: str) -> None:
    space = make(name)
    try:
        arch = space.canonical(text)
    except ArchitectureError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert space.canonical(arch) == arch


@pytest.mark.parametrize("bn_mode", SUPERNETS)
def test_network_with_the_supernets_parameters_computes_the_same(
    space: Space, bn_mode: BatchNormMode
) -> None:
    torch.manual_seed(0)
    supernet = space.supernet(bn_mode)
    for parameter in supernet.parameters():  # BatchNorm starts at 1 and 0: make each one its own
        if parameter.requires_grad:
            nn.init.normal_(parameter, mean=1.0, std=0.2)
    for arch in sample(space, 4):
        network = space.network(arch, bn_mode)
        network.load_state_dict(supernet.subnet_state_dict(arch))
        expected = supernet(images(space), arch)
        assert expected.shape == (4, 7)
        torch.testing.assert_close(network(images(space)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bn_mode", SUPERNETS)
def test_only_batchnorm_and_classifier_are_trainable(space: Space, bn_mode: BatchNormMode) -> None:
    supernet = space.supernet(bn_mode)
    supernet(images(space), sample(space, 1)[0]).logsumexp(1).sum().backward()
    learning = 0
    for module in supernet.modules():
        for parameter in module.parameters(recurse=False):
            expected = isinstance(module, nn.BatchNorm2d | nn.Linear)
            assert parameter.requires_grad == expected
            learning += parameter.grad is not None
            assert expected or parameter.grad is None
    assert learning > 0


def test_the_supernet_keeps_no_running_statistics(space: Space) -> None:
    supernet = space.supernet(BatchNormMode.UNBIASED)
    arch = sample(space, 1)[0]
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    training = supernet(images(space), arch)
    torch.testing.assert_close(supernet.eval()(images(space), arch), training)
    assert all(torch.equal(v, before[k]) for k, v in supernet.state_dict().items())


def test_every_architecture_passes_the_same_number_of_feature_nodes(space: Space) -> None:
    supernet = space.supernet(BatchNormMode.UNBIASED)
    seen: list[torch.Size] = []
    for module in supernet.modules():
        if isinstance(module, FeatureNode):
            module.register_forward_hook(lambda m, i, output: seen.append(output.shape))
    counts = set()
    for arch in sample(space, 5):
        seen.clear()
        supernet(images(space), arch)
        counts.add(len(seen))
    assert len(counts) == 1 and counts != {0}


def test_what_replaces_the_output_at_a_feature_node_is_what_the_next_layer_reads(
    space: Space,
) -> None:
    """With zeros behind the last node, all images get the same scores."""
    supernet = space.supernet(BatchNormMode.UNBIASED)
    *_, last = (m for m in supernet.modules() if isinstance(m, FeatureNode) and m.searched)
    (arch,) = sample(space, 1)
    first, *_ = (m for m in supernet.modules() if isinstance(m, FeatureNode))
    assert not first.searched
    logits = supernet(images(space), arch)
    with last.register_forward_hook(lambda m, i, output: torch.zeros_like(output)):
        same = supernet(images(space), arch)
    assert (logits != logits[0]).any()
    assert (same == same[0]).all()


@pytest.mark.parametrize("image_size", [32, 224])
def test_cost_is_that_of_the_network(space: Space, image_size: int) -> None:
    """PyTorch counts two operations per multiply–add."""
    space = make(space.name, image_size)
    for arch in sample(space, 3):
        with torch.device("meta"):
            network = space.network(arch).eval()
            with FlopCounterMode(display=False) as counter:
                network(torch.empty(1, 3, image_size, image_size))
        cost = space.cost(arch)
        assert cost.params == sum(p.numel() for p in network.parameters())
        assert cost.macs == counter.get_total_flops() / 2


def test_the_usual_network_predicts_one_image(space: Space) -> None:
    network = space.network(sample(space, 1)[0]).eval()
    assert network(images(space, 1)).shape == (1, 7)


def test_different_architectures_look_different(space: Space) -> None:
    archs = set(sample(space, 30))
    sketches = {arch: space.sketch(arch) for arch in archs}
    for sketch in sketches.values():
        for part in sketch:
            if isinstance(part, Graph):
                assert all(0 <= u < len(part.vertices) for edge in part.edges for u in edge)
            else:
                assert part.layers
    assert len(set(sketches.values())) == len(archs)


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="space 'darts' is registered twice"):
        spaces.register(type(make("darts")))
