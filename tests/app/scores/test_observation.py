"""The passes against what autograd says by a longer way."""

import torch
from torch import nn
from torch.nn import functional as F

from app.data import ImageData
from app.scores.observation import Anchors, Observation
from spaces import Placement, Supernet, Tap
from tests.toy import Toy

CPU = torch.device("cpu")
ARCH = "conv3-skip-conv1"


def observe(toy: Toy, digits: ImageData, count: int = 12) -> Observation:
    torch.manual_seed(0)
    supernet = toy.supernet(Placement.UNBIASED)
    return Observation(toy, supernet, ARCH, Anchors.draw(digits, count, 0, CPU))


def norms_on_path(supernet: Supernet) -> list[nn.Parameter]:
    return [p for m in supernet.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]


def test_gradients_of_the_images_add_up_to_the_parameters_gradient(
    toy: Toy, digits: ImageData
) -> None:
    observation = observe(toy, digits)
    anchors, supernet = observation.anchors, observation.supernet
    loss = F.cross_entropy(supernet(anchors.images, ARCH), anchors.labels, reduction="sum")
    parameters = norms_on_path(supernet)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    expected = torch.cat([g for g in gradients if g is not None]).sort().values
    summed = observation.backward.gradients.sum(0).sort().values
    assert observation.backward.gradients.shape == (12, len(expected))
    torch.testing.assert_close(summed, expected, rtol=1e-4, atol=1e-5)
    assert all(p.grad is None for p in supernet.parameters())


def test_features_are_the_taps_outputs(toy: Toy, digits: ImageData) -> None:
    observation = observe(toy, digits)
    features = observation.backward.features
    seen: list[torch.Tensor] = []
    for module in observation.supernet.modules():
        if isinstance(module, Tap) and module.searched:
            module.register_forward_hook(lambda m, i, output: seen.append(output.detach()))
    observation.supernet(observation.anchors.images, ARCH)
    assert [f.shape for f in features] == [(12, toy.channels, 4, 4)] * 3
    for feature, expected in zip(features, seen, strict=True):
        torch.testing.assert_close(feature, expected)


def test_monte_carlo_answers_are_those_of_each_company(toy: Toy, digits: ImageData) -> None:
    observation = observe(toy, digits)
    passes = observation.monte_carlo
    assert passes.shape == (len(observation.anchors.companies), 12, 10)
    torch.testing.assert_close(passes.sum(2), torch.ones(passes.shape[:2]))
    company = observation.anchors.companies[0][:6]  # 12 images make two groups of 6
    with torch.no_grad():
        expected = observation.supernet(observation.anchors.images[company], ARCH).softmax(1)
    torch.testing.assert_close(passes[0][company], expected)
    assert not torch.allclose(passes[0], passes[1])


def test_anchors_follow_the_seed_and_stop_at_the_data(digits: ImageData) -> None:
    first, again, other = (Anchors.draw(digits, 20, seed, CPU) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.companies, again.companies)
    assert not torch.equal(first.images, other.images)
    assert len(Anchors.draw(digits, 10**6, 0, CPU).labels) == len(digits.train.labels)


def test_fresh_networks_are_equal_and_leave_the_generator_alone(
    toy: Toy, digits: ImageData
) -> None:
    observation = observe(toy, digits)
    state = torch.get_rng_state()
    first, second = observation.fresh_network(), observation.fresh_network()
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert a is not b
        assert torch.equal(a, b)
