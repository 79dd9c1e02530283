"""Each of our scores against a closed form, on features and gradients made by hand."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from app.data import ImageData
from app.scores import MEASURES, SCORES
from app.scores.expressivity import POSITIONS, standardised_samples
from app.scores.features import MIN_EIGENVALUE, moments
from app.scores.scorer import NoScoreError, Scorer
from app.scores.trace import Passes, ProbeBatch, Trace
from app.scores.uncertainty import share_between_images
from spaces import BatchNormMode
from tests.toy import Toy

CPU = torch.device("cpu")


def by_hand(
    features: Sequence[Tensor] = (),
    activations: Sequence[Tensor] = (),
    gradients: Sequence[Tensor] = (),
    bn_gammas: Sequence[Tensor] = (),
) -> Trace:
    """A trace whose passes gave these results."""
    trace = Trace.__new__(Trace)
    passes = Passes(list(features), list(activations), list(gradients), logits=torch.empty(0))
    images = len([*features, *activations][0]) if features or activations else 0
    probe = ProbeBatch(torch.empty(images), torch.empty(images), seed=0)
    vars(trace).update(passes=passes, bn_gammas=list(bn_gammas), probe=probe)
    return trace


SIGNS = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
"""Four positions of three uncorrelated channels."""


def test_channel_volume_is_zero_for_independent_channels_and_falls_with_their_correlation() -> None:
    three = SIGNS[:, :, None, None] * torch.tensor([1.0, 100.0, 0.01])[:, None, None] + 5
    value = SCORES["channel_volume"](by_hand(features=[three, three]))
    assert value == pytest.approx(0, abs=1e-5)
    # two channels of correlation ½: eigenvalues 3/2 and 1/2
    mixed = torch.stack([SIGNS[:, 0], SIGNS[:, 0] / 2 + SIGNS[:, 1] * 0.75**0.5], 1)[
        :, :, None, None
    ]
    expected = (math.log(1.5) + math.log(0.5)) / 2
    assert SCORES["channel_volume"](by_hand(features=[mixed])) == pytest.approx(expected, abs=1e-5)


def test_activation_volume_is_that_of_the_kernel_of_all_layers() -> None:
    """Images of one colour are the same at every position, so there are POSITIONS equal rows."""
    colours = [torch.randn(3, 50), 7 * torch.randn(3, 20) + 2]
    activations = [
        colour[:, :, None, None].expand(-1, -1, size, size)
        for colour, size in zip(colours, (8, 3), strict=True)
    ]
    kernel = torch.zeros(3, 3)
    for colour in colours:
        z = (colour - colour.mean(0)) / colour.std(0, correction=0)
        kernel = kernel + z @ z.T
    lengths = kernel.diagonal().sqrt()
    images = torch.linalg.eigvalsh((kernel / lengths / lengths[:, None]).double())
    # the kernel repeats each image POSITIONS times, so its other eigenvalues are 0
    positions = torch.cat([POSITIONS * images, torch.zeros(3 * (POSITIONS - 1))])
    value = SCORES["activation_volume"](by_hand(activations=activations))
    assert value == pytest.approx(float(positions.clamp_min(MIN_EIGENVALUE).log().mean()), abs=1e-3)


def test_positions_are_the_same_in_layers_of_any_size() -> None:
    rows = torch.arange(4.0)[:, None].expand(4, 4)
    fine = rows[None, None].expand(2, 1, 4, 4)
    coarse = rows[::2, ::2][None, None].expand(2, 1, 2, 2)
    positions = torch.tensor([[[0.1, 0.9], [0.6, 0.0]], [[0.99, 0.5], [0.4, 0.4]]])
    deviation = float(rows.var(correction=0)) ** 0.5
    found = standardised_samples(fine, moments(fine), positions) * deviation + 1.5
    torch.testing.assert_close(found, torch.tensor([[0.0], [2], [3], [1]]))
    deviation = 1.0
    found = standardised_samples(coarse, moments(coarse), positions) * deviation + 1
    torch.testing.assert_close(found, torch.tensor([[0.0], [2], [2], [0]]))
    constant = torch.full((2, 1, 4, 4), 1 / 3)
    assert not standardised_samples(constant, moments(constant), positions).any()


def test_signal_strength_adds_the_logarithms_of_what_is_positive() -> None:
    features = [3 * torch.randn(50, 4, 8, 8), torch.full((2, 3, 4, 4), 0.5)]
    value = SCORES["signal_strength"](by_hand(features=features))
    half_normal = 3 / math.sqrt(2 * math.pi)  # the mean of max(x, 0) for x ~ N(0, 3²)
    assert value == pytest.approx(math.log(half_normal) + math.log(0.5), abs=0.05)
    dead = -torch.ones(2, 3, 4, 4)
    assert SCORES["signal_strength"](by_hand(features=[dead])) == -math.inf


def test_gradients_have_the_entropy_of_their_independent_channels() -> None:
    entropy = SCORES["gradient_entropy"]
    three = SIGNS[:, :, None, None] * torch.tensor([1.0, 100.0, 0.01])[:, None, None]
    same = SIGNS[:, :1, None, None].expand(-1, 3, -1, -1)
    none = torch.zeros(4, 3, 1, 1)
    gradients = [three, same, none]
    assert entropy(by_hand(gradients=gradients)) == pytest.approx(math.log(3), abs=1e-5)


def test_certainty_knows_the_noise_of_batch_means() -> None:
    """The closed form against what Monte-Carlo BatchNorm does: draw batches, take their means."""
    generator = torch.Generator().manual_seed(0)
    images, batch = 4000, 16
    offsets = torch.randn(images, 3, 1, 1, generator=generator) * 0.7
    features = offsets + torch.randn(images, 3, 4, 4, generator=generator)
    value = SCORES["feature_certainty"](by_hand(features=[features, features]))
    assert value == SCORES["activation_certainty"](by_hand(activations=[features, features]))
    draws = torch.randint(images, (3000, batch), generator=generator)
    means = features.mean((2, 3))[draws].mean(1)  # 3,000 batches × 3 channels
    noise = batch * means.var(0) / features.var((0, 2, 3))
    assert value == pytest.approx(-2 * float(noise.mean().log()), abs=0.06)


def test_dead_channels_have_no_share() -> None:
    features = torch.randn(8, 3, 4, 4)
    features[:, 1] = 0
    expected = share_between_images(moments(features[:, [0, 2]]))
    assert share_between_images(moments(features)) == expected
    assert share_between_images(moments(torch.full((8, 3, 4, 4), 0.3))).isnan()


def test_bn_nas_sums_the_mean_gammas() -> None:
    bn_gammas = [torch.tensor([1.0, -3.0]), torch.tensor([0.5])]
    assert SCORES["bn_nas"](by_hand(bn_gammas=bn_gammas)) == pytest.approx(2.5)
    assert SCORES["bn_nas"](by_hand(bn_gammas=[])) == 0


def scorer(toy: Toy, digits: ImageData) -> Scorer:
    torch.manual_seed(0)
    return Scorer(toy, toy.supernet(BatchNormMode.UNBIASED), ProbeBatch.draw(digits, 16, 0, CPU))


def test_scores_are_finite_repeatable_and_tell_architectures_apart(
    toy: Toy, digits: ImageData
) -> None:
    measure = scorer(toy, digits)
    first = measure("conv3-conv3-conv3")
    assert first == measure("conv3-conv3-conv3")
    second = measure("skip-conv1-skip")
    for name in (*MEASURES, "bn_nas"):
        assert first[name] is not None
        assert math.isfinite(first[name] or math.nan)
    assert all(first[name] != second[name] for name in MEASURES)


def test_a_network_blind_to_its_images_has_no_score(toy: Toy, digits: ImageData) -> None:
    measure = scorer(toy, digits)
    with torch.no_grad():
        measure.supernet.classifier.weight.zero_()  # type: ignore[operator, union-attr]
    assert measure("conv3-conv3-conv3") == dict.fromkeys(SCORES)


def test_a_network_of_infinities_has_no_score(toy: Toy, digits: ImageData) -> None:
    measure = scorer(toy, digits)
    with torch.no_grad():
        measure.supernet.classifier.bias.fill_(math.inf)  # type: ignore[operator, union-attr]
    with pytest.raises(NoScoreError, match="not finite"):
        measure("conv3-conv3-conv3")
    assert measure.or_none("conv3-conv3-conv3") == dict.fromkeys(SCORES)
