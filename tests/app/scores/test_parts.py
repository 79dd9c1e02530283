"""Each of our scores against a closed form, on features and gradients made by hand."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from app.data import ImageData
from app.scores import MEASURES, SCORES
from app.scores.expressivity import alignment
from app.scores.features import MIN_EIGENVALUE, moments, sample
from app.scores.probe import ProbeBatch
from app.scores.scorer import NoScoreError, Scorer
from app.scores.trace import POSITIONS, RESPONSE_POSITIONS, Passes, Trace
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
    responses = list(activations)
    vars(trace).update(
        passes=passes, image_responses=responses, bn_gammas=list(bn_gammas), probe=probe
    )
    return trace


SIGNS = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
"""Four positions of three uncorrelated channels."""
MIXED = torch.stack([SIGNS[:, 0], SIGNS[:, 0] / 2 + SIGNS[:, 1] * 0.75**0.5], 1)[:, :, None, None]
"""Two channels of correlation ½: the eigenvalues are 3/2 and 1/2."""


def test_channel_volume_is_zero_for_independent_channels_and_falls_with_their_correlation() -> None:
    three = SIGNS[:, :, None, None] * torch.tensor([1.0, 100.0, 0.01])[:, None, None] + 5
    value = SCORES["channel_volume"](by_hand(features=[three, three]))
    assert value == pytest.approx(0, abs=1e-5)
    expected = math.log(1.5) + math.log(0.5)
    assert SCORES["channel_volume"](by_hand(features=[MIXED])) == pytest.approx(expected, abs=1e-5)


def test_effective_rank_is_the_logarithm_of_equal_directions_and_falls_with_correlation() -> None:
    rank = SCORES["effective_rank"]
    three = SIGNS[:, :, None, None] * 7 - 2
    assert rank(by_hand(features=[three, three])) == pytest.approx(2 * math.log(3), abs=1e-5)
    expected = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert rank(by_hand(features=[MIXED])) == pytest.approx(expected, abs=1e-5)


def colour_images(*colours: Tensor) -> list[Tensor]:
    """Layers of N images of one colour each, so that all positions of an image are alike."""
    sizes = range(3, 3 + len(colours))
    return [
        c[:, :, None, None].expand(-1, -1, size, size)
        for c, size in zip(colours, sizes, strict=True)
    ]


def standardised(colours: Tensor) -> Tensor:
    return (colours - colours.mean(0)) / colours.std(0, correction=0)


def test_pattern_volume_adds_a_determinant_for_each_resolution() -> None:
    """det(I + K) of P equal rows an image is det(I + P · K of the images)."""
    fine, coarse = torch.randn(3, 50), 7 * torch.randn(3, 20) + 2

    def volume(colours: Tensor) -> float:
        z = standardised(colours).double()
        return float(torch.logdet(torch.eye(3) + RESPONSE_POSITIONS * z @ z.T))

    value = SCORES["pattern_volume"](by_hand(activations=colour_images(fine, coarse)))
    assert value == pytest.approx(volume(fine) + volume(coarse), abs=1e-3)
    same_size = [layer[:, :, :3, :3] for layer in colour_images(fine, coarse)]
    value = SCORES["pattern_volume"](by_hand(activations=same_size))
    assert value == pytest.approx(volume(torch.cat([fine, coarse], 1)), abs=1e-3)


def test_pattern_volume_does_not_depend_on_the_scale_of_a_layer() -> None:
    volume = SCORES["pattern_volume"]
    (layer,) = colour_images(torch.randn(5, 20))
    expected = volume(by_hand(activations=[layer]))
    value = volume(by_hand(activations=[1e-4 * layer + 3e-4]))
    assert value == pytest.approx(expected, rel=1e-3)


def test_effective_depth_counts_layers_as_far_as_they_change_what_is_told_apart() -> None:
    depth = SCORES["effective_depth"]
    colours = torch.randn(6, 40)
    turned = 3 * colours @ torch.linalg.qr(torch.randn(40, 40))[0] + 1
    assert depth(by_hand(activations=colour_images(colours, colours, colours))) < 1e-5
    assert depth(by_hand(activations=colour_images(colours, turned))) < 0.3  # up to channel scales
    first, second = SIGNS[:, :1], SIGNS[:, 1:2]  # uncorrelated over the images
    value = depth(by_hand(activations=colour_images(first, second, second, first)))
    assert value == pytest.approx(2, abs=1e-5)


def test_alignment_is_the_cosine_of_centred_kernels() -> None:
    a, b = torch.randn(5, 7).double(), torch.randn(5, 3).double()
    ka, kb = a @ a.T, b @ b.T
    centre = torch.eye(5).double() - 1 / 5
    ca, cb = centre @ ka @ centre, centre @ kb @ centre
    expected = (ca * cb).sum() / ca.norm() / cb.norm()
    torch.testing.assert_close(alignment(ka, kb), expected)
    assert float(alignment(ka, torch.ones(5, 5).double())) == pytest.approx(0, abs=1e-6)


def test_gradient_volume_knows_orthogonal_and_equal_gradients() -> None:
    """A layer of orthogonal gradients has eigenvalues 1; one of equal gradients has a single n."""
    volume = SCORES["gradient_volume"]
    n = 2 * POSITIONS
    layers = [torch.randn(n, 4 * n) for _ in range(2)]
    orthogonal = [torch.linalg.qr(layer.T)[0].T * (9 * i + 1) for i, layer in enumerate(layers)]
    equal, none = torch.ones(n, 3), torch.zeros(n, 3)

    def of(*gradients: Tensor) -> float:
        trace = by_hand()
        vars(trace)["gradient_samples"] = gradients
        return volume(trace)

    assert of(orthogonal[0]) == pytest.approx(0, abs=1e-4)
    assert of(*orthogonal, none) == pytest.approx(math.log(2), abs=1e-4)
    expected = (n - 1) / n * math.log(1) + math.log(n + 1) / n
    assert of(orthogonal[0], equal) == pytest.approx(expected, abs=1e-4)
    assert of(equal) == pytest.approx(
        (math.log(n) + (n - 1) * math.log(MIN_EIGENVALUE)) / n, abs=1e-3
    )


def test_positions_are_the_same_in_layers_of_any_size() -> None:
    rows = torch.arange(4.0)[:, None].expand(4, 4)
    fine = rows[None, None].expand(2, 1, 4, 4)
    coarse = rows[::2, ::2][None, None].expand(2, 1, 2, 2)
    positions = torch.tensor([[[0.1, 0.9], [0.6, 0.0]], [[0.99, 0.5], [0.4, 0.4]]])
    torch.testing.assert_close(sample(fine, positions), torch.tensor([[0.0], [2], [3], [1]]))
    torch.testing.assert_close(sample(coarse, positions), torch.tensor([[0.0], [2], [2], [0]]))


def test_constant_channels_are_alike_everywhere() -> None:
    (kernel,) = by_hand(activations=[torch.full((2, 1, 4, 4), 1 / 3)]).kernels
    assert not kernel.any()


def test_certainty_knows_the_noise_of_batch_means() -> None:
    """The closed form against what Monte-Carlo BatchNorm does: draw batches, take their means."""
    generator = torch.Generator().manual_seed(0)
    images, batch = 4000, 16
    offsets = torch.randn(images, 3, 1, 1, generator=generator) * 0.7
    features = offsets + torch.randn(images, 3, 4, 4, generator=generator)
    value = SCORES["activation_certainty"](by_hand(activations=[features, features]))
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
