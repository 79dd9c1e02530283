"""MobileNet: its strings, its costs by hand, where a skip may stand."""

import pytest
from torchvision.models import mobilenet_v2

import spaces
from spaces import ArchitectureError, BatchNormMode
from spaces.layer_shapes import scaled
from spaces.mobilenet import MobileNet

SPACE = MobileNet()
SMALLEST = ",".join("-1" if shape.is_plain else "0" for shape in SPACE.layers)


def block(cin: int, cout: int, kernel: int, expansion: int, before: int, after: int) -> int:
    """Multiply–adds on `before` pixels that become `after`."""
    hidden = expansion * cin
    return cin * hidden * before + (kernel**2 + cout) * hidden * after


def test_cost_of_the_smallest_network_by_hand() -> None:
    px = [32**2, 16**2, 8**2, 4**2]
    macs = 27 * 40 * px[0] + (9 * 40 + 40 * 24) * px[0]  # the stem, whose block does not expand
    macs += block(24, 32, 3, 3, px[0], px[0]) + block(32, 56, 3, 3, px[0], px[1])
    macs += block(56, 112, 3, 3, px[1], px[2]) + block(112, 128, 3, 3, px[2], px[2])
    macs += block(128, 256, 3, 3, px[2], px[3]) + block(256, 432, 3, 3, px[3], px[3])
    macs += 432 * 1728 * px[3] + 1728 * 10
    assert SPACE.cost(SMALLEST).macs == macs


@pytest.mark.parametrize(("image_size", "last"), [(32, 4), (64, 8), (65, 3), (224, 7)])
def test_large_images_are_halved_twice_more(image_size: int, last: int) -> None:
    assert MobileNet(image_size=image_size).layers[-1].size_out == last


def test_choices_are_readable_and_skip_only_where_shapes_agree() -> None:
    choices = [d.choices for d in SPACE.distributions().values()]
    assert choices[0] == ("k3 e3", "k3 e6", "k5 e3", "k5 e6", "k7 e3", "k7 e6")
    assert choices[1] == (*choices[0], "skip")
    assert ["skip" in c for c in choices] == [i not in (0, 4, 8, 12, 16, 20) for i in range(21)]
    params = SPACE.encode("0,1,2,3,4,5,-1" + ",0" * 14)
    assert list(params)[::10] == ["layer 01", "layer 11", "layer 21"]
    assert list(params.values())[:7] == [*choices[0], "skip"]


def test_spaces_do_not_matter() -> None:
    assert SPACE.canonical(f" {SMALLEST.replace(',', ' , ')}\n") == SMALLEST


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not a list of integers joined by ','"),
        ("1\n2", r"'1\n2' is not a list of integers joined by ','"),
        ("0,0", "2 layers where 21 are expected"),
        ("-1" + ",0" * 20, "layer 1 cannot be -1; it is one of: 0, 1, 2, 3, 4, 5"),
        ("0,6" + ",0" * 19, "layer 2 cannot be 6; it is one of: -1, 0, 1, 2, 3, 4, 5"),
    ],
)
def test_invalid_strings(text: str, reason: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        SPACE.cost(text)
    assert str(caught.value) == reason


def test_only_a_biased_skip_has_no_gamma() -> None:
    unbiased, biased = map(SPACE.supernet, (BatchNormMode.UNBIASED, BatchNormMode.BIASED))
    assert [len(s) for s in unbiased.bn_gammas(SMALLEST)] == [s.outputs for s in SPACE.layers]
    assert [len(s) for s in biased.bn_gammas(SMALLEST)] == [32, 56, 112, 128, 256, 432]


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_channels_scale_as_those_of_mobilenetv2(width: float) -> None:
    for channels in (16, 24, 32, 64, 96, 160, 320):
        network = mobilenet_v2(inverted_residual_setting=[[1, channels, 1, 1]], width_mult=width)
        assert scaled(channels, width) == network.features[1].out_channels
    shapes = MobileNet(width=width).layers
    first = [scaled(channels, width) for channels in (32, 56, 112, 128, 256, 432)]
    assert [shape.outputs for shape in shapes[::4]] == first


@pytest.mark.parametrize("width", [0, -1, 9, True, "wide", float("nan")])
@pytest.mark.parametrize("name", ["mobilenet", "mnasnet"])
def test_an_impossible_width_is_refused(name: str, width: object) -> None:
    with pytest.raises(ValueError, match="width"):
        spaces.create(name, 10, 32, {"width": width})
