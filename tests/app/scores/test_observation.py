"""The passes against what autograd says by a longer way."""

import torch
from torch import nn

from app.data import ImageData
from app.scores.observation import Anchors, Observation
from app.scores.recorder import Recorder
from spaces import Placement, Tap
from tests.toy import Toy

CPU = torch.device("cpu")
ARCH = "conv3-skip-conv1"


def observe(toy: Toy, digits: ImageData, count: int = 12) -> Observation:
    torch.manual_seed(0)
    supernet = toy.supernet(Placement.UNBIASED)
    return Observation(toy, supernet, ARCH, Anchors.draw(digits, count, 0, CPU))


def test_tangents_add_up_to_the_gradients_of_scale_and_shift(toy: Toy, digits: ImageData) -> None:
    """Summed over the images they are what autograd gives γ and β."""
    observation = observe(toy, digits)
    supernet = observation.supernet
    tangents = observation.tangents
    assert all(p.grad is None for p in supernet.parameters())

    taps = [m for m in supernet.modules() if isinstance(m, Tap) and m.searched]
    seen: list[torch.Tensor] = []
    handle = taps[-1].register_forward_hook(lambda m, i, output: seen.append(output))
    supernet(observation.anchors.images, ARCH)
    handle.remove()
    generator = torch.Generator().manual_seed(observation.anchors.seed)
    signs = torch.randint(0, 2, seen[0].shape, generator=generator) * 2 - 1
    (seen[0] * signs).sum().backward()
    norms = [m for m in supernet.modules() if isinstance(m, torch.nn.BatchNorm2d) and m.affine]
    expected = [
        torch.cat([m.weight.grad, m.bias.grad])
        for m in norms
        if m.weight.grad is not None and m.bias.grad is not None
    ]
    assert len(tangents) == len(expected) > 2
    by_size = sorted(tangents, key=lambda t: float(t.sum(0).norm()))
    for found, wanted in zip(by_size, sorted(expected, key=lambda w: float(w.norm())), strict=True):
        assert found.shape == (12, len(wanted))
        torch.testing.assert_close(found.sum(0), wanted, rtol=1e-4, atol=1e-4)


def test_tangents_see_through_activations_in_place() -> None:
    """The gradient is that of BatchNorm's output, before ReLU has overwritten it."""
    supernet = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(inplace=True), Tap())
    images = torch.tensor([-1.0, 1, 2, -2]).view(2, 1, 1, 2).expand(2, 2, 1, 2)
    recorder = Recorder(supernet)  # type: ignore[arg-type]  # any module can be recorded
    with recorder:
        supernet(images)
    (tangent,) = recorder.tangents(0)
    signs = torch.randint(0, 2, (2, 2, 1, 2), generator=torch.Generator().manual_seed(0)) * 2 - 1
    passed = signs * (images > 0)  # the mean is 0
    by_scale = passed * images / images.std(correction=0)
    expected = torch.cat([by_scale.sum((2, 3)), passed.sum((2, 3))], 1)
    torch.testing.assert_close(tangent, expected, rtol=1e-4, atol=1e-4)


def test_a_path_on_which_nothing_learns_has_no_tangents() -> None:
    recorder = Recorder(nn.Sequential(nn.ReLU(), Tap()))  # type: ignore[arg-type]
    with recorder:
        recorder.supernet(torch.randn(2, 3, 4, 4))
    assert recorder.tangents(0) == []
    assert len(recorder.features) == len(recorder.activations) == 1


def test_features_are_the_taps_outputs(toy: Toy, digits: ImageData) -> None:
    observation = observe(toy, digits)
    features = observation.features
    seen: list[torch.Tensor] = []
    for module in observation.supernet.modules():
        if isinstance(module, Tap) and module.searched:
            module.register_forward_hook(lambda m, i, output: seen.append(output.detach()))
    observation.supernet(observation.anchors.images, ARCH)
    assert [f.shape for f in features] == [(12, toy.channels, 4, 4)] * 3
    for feature, expected in zip(features, seen, strict=True):
        torch.testing.assert_close(feature, expected)


def test_anchors_follow_the_seed_and_stop_at_the_data(digits: ImageData) -> None:
    first, again, other = (Anchors.draw(digits, 20, seed, CPU) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
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
