"""The passes against finite differences and plain hooks."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

import spaces
from app.data import ImageData
from app.scores.probe import ProbeBatch
from app.scores.scorer import Scorer
from app.scores.trace import RESPONSE_IMAGES, Trace
from spaces import BatchNormMode, FeatureNode
from tests.toy import Toy

CPU = torch.device("cpu")
ARCH = "conv3-skip-conv1"


def trace_of(toy: Toy, digits: ImageData, count: int = 12) -> Trace:
    torch.manual_seed(0)
    supernet = toy.supernet(BatchNormMode.UNBIASED)
    return Trace(toy, supernet, ARCH, ProbeBatch.draw(digits, count, 0, CPU))


def test_gradients_say_how_activations_move_the_last_feature(toy: Toy, digits: ImageData) -> None:
    """Moving an activation a little changes the signed sum by the gradient times the move."""
    single = trace_of(toy, digits)
    supernet = single.supernet.double()  # the sum hardly changes
    probe = replace(single.probe, images=single.probe.images.double())
    trace = Trace(toy, supernet, ARCH, probe)
    assert [g.shape for g in trace.gradients] == [a.shape for a in trace.activations]
    assert all(p.grad is None for p in supernet.parameters())
    generator = torch.Generator().manual_seed(1)
    move = 1e-5 * torch.randn(trace.activations[0].shape, generator=generator).double()
    *_, last = (m for m in supernet.modules() if isinstance(m, FeatureNode) and m.searched)
    first = next(m for m in supernet.modules() if isinstance(m, nn.ReLU))
    generator = torch.Generator().manual_seed(probe.seed)
    signs = torch.randint(0, 2, trace.features[-1].shape, generator=generator) * 2 - 1

    def signed_sum(direction: float) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        handles = [
            first.register_forward_hook(lambda m, i, output: output + direction * move),
            last.register_forward_hook(lambda m, i, output: seen.append(output)),
        ]
        with torch.no_grad():
            supernet(probe.images, ARCH)
        for handle in handles:
            handle.remove()
        return (seen[0] * signs).sum()

    expected = (signed_sum(1) - signed_sum(-1)) / 2
    found = (trace.gradients[0] * move).sum()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-9)


def test_scores_do_not_depend_on_how_images_lie_in_memory(toy: Toy, digits: ImageData) -> None:
    trace = trace_of(toy, digits)
    scorer = Scorer(toy, trace.supernet, trace.probe)
    images = trace.probe.images.contiguous()
    assert not images.is_contiguous(memory_format=torch.channels_last)
    other = Scorer(toy, trace.supernet, replace(trace.probe, images=images))
    assert other(ARCH) == pytest.approx(scorer(ARCH), rel=1e-3)


def test_gradients_before_the_first_trainable_parameter_are_zero() -> None:
    class Frozen(nn.Sequential):
        def forward(self, images: torch.Tensor, arch: str) -> torch.Tensor:
            return super().forward(images)

    frozen: Any = Frozen(nn.ReLU(), FeatureNode())
    probe = ProbeBatch(torch.randn(2, 3, 4, 4), torch.zeros(2), seed=0)
    trace = Trace(Toy(), frozen, "", probe)
    (gradient,) = trace.gradients
    assert not gradient.any()
    assert len(trace.features) == len(trace.activations) == 1


def test_features_are_the_outputs_of_the_feature_nodes(toy: Toy, digits: ImageData) -> None:
    trace = trace_of(toy, digits)
    features = trace.features
    seen: list[torch.Tensor] = []
    for module in trace.supernet.modules():
        if isinstance(module, FeatureNode) and module.searched:
            module.register_forward_hook(lambda m, i, output: seen.append(output.detach()))
    trace.supernet(trace.probe.images, ARCH)
    assert [f.shape for f in features] == [(12, toy.channels, 4, 4)] * 3
    for feature, expected in zip(features, seen, strict=True):
        torch.testing.assert_close(feature, expected)


def test_each_layer_responds_to_the_images_whatever_comes_before_it(
    toy: Toy, digits: ImageData
) -> None:
    trace = trace_of(toy, digits)
    other = Trace(toy, trace.supernet, "skip-skip-conv1", trace.probe)
    assert not torch.allclose(trace.features[2], other.features[2])
    *_, first, second, third = trace.image_responses
    *_, changed, same, alike = other.image_responses
    assert not torch.allclose(first, changed)
    torch.testing.assert_close(second, same)
    torch.testing.assert_close(third, alike)


def test_a_layer_reads_the_images_in_standardised_mixtures_of_their_colours(
    toy: Toy, digits: ImageData
) -> None:
    """The second layer of the path is a skip with a BatchNorm at its start values."""
    trace = trace_of(toy, digits)
    images = torch.randn(trace.probe.images.shape)
    trace = Trace(toy, trace.supernet, ARCH, replace(trace.probe, images=images))
    *_, read, _ = trace.image_responses
    torch.testing.assert_close(read.mean((0, 2, 3)), torch.zeros(toy.channels), atol=1e-5, rtol=0)
    torch.testing.assert_close(read.var((0, 2, 3), correction=0), torch.ones(toy.channels))
    size = images.shape[2] // read.shape[2]
    small = images.unfold(2, size, size).unfold(3, size, size).mean((4, 5))
    colours, channels = (x.movedim(1, 0).flatten(1) for x in (small, read))
    assert torch.linalg.matrix_rank(torch.cat([colours, channels]), rtol=1e-3) <= 4


@pytest.mark.parametrize("name", spaces.names())
def test_responses_to_the_images_leave_no_trace(name: str, digits: ImageData) -> None:
    options = {"layers": 3, "channels": 4} if name == "darts" else {}
    space = spaces.create(name, classes=10, image_size=16, options=options)
    supernet = space.supernet(BatchNormMode.UNBIASED)
    probe = ProbeBatch.draw(digits, 2 * RESPONSE_IMAGES, 0, CPU)
    before = probe.images.clone()
    trace = Trace(space, supernet, space.sample(Random(0)), probe)
    responses = trace.image_responses
    assert {len(response) for response in responses} == {RESPONSE_IMAGES}
    assert all(response.isfinite().all() for response in responses)
    assert torch.equal(probe.images, before)
    assert not any(module._forward_hooks for module in supernet.modules())


def test_the_probe_batch_follows_the_seed_and_is_at_most_all_images(digits: ImageData) -> None:
    first, again, other = (ProbeBatch.draw(digits, 20, seed, CPU) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert len(ProbeBatch.draw(digits, 10**6, 0, CPU).labels) == len(digits.train.labels)


def test_fresh_networks_are_equal_and_leave_the_generator_alone(
    toy: Toy, digits: ImageData
) -> None:
    trace = trace_of(toy, digits)
    state = torch.get_rng_state()
    first, second = trace.fresh_network(), trace.fresh_network()
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert a is not b
        assert torch.equal(a, b)
