import torch

from app.scores.moments import moments


def test_moments_are_those_of_torch() -> None:
    features = (5 + 3 * torch.randn(6, 4, 5, 7)).to(memory_format=torch.channels_last)
    found = moments(features)
    torch.testing.assert_close(found.image_means, features.mean((2, 3)))
    torch.testing.assert_close(found.mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(found.variance, features.var((0, 2, 3), correction=0))


def test_a_constant_channel_has_no_variance() -> None:
    """Although sums of float32 do not give its mean exactly."""
    features = torch.full((7, 2, 3, 3), 1 / 3)
    features[:, 1] = 0
    assert not moments(features).variance.any()
