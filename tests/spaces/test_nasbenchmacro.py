"""NAS-Bench-Macro: the benchmark's costs, what identity is, the unbiased rule."""

import pytest
import torch
from torch import nn

from spaces import ArchitectureError, BatchNormMode
from spaces.nasbenchmacro import NASBenchMacro
from tests.tables import rows

SPACE = NASBenchMacro()

# Channels in and out, and pixels (height × width) in and out, of the eight layers.
LAYERS = [
    *((32, 64, 32**2, 16**2), (64, 64, 16**2, 16**2)),
    *((64, 128, 16**2, 8**2), (128, 128, 8**2, 8**2), (128, 128, 8**2, 8**2)),
    *((128, 256, 8**2, 4**2), (256, 256, 4**2, 4**2), (256, 256, 4**2, 4**2)),
]
WITHOUT_IDENTITY_COST = {1, 3, 4, 6, 7}


def by_hand(arch: str) -> tuple[int, int]:
    """Multiply–adds and parameters; a BatchNorm of n channels has 2n parameters."""
    macs = 27 * 32 * 32**2 + 256 * 1280 * 4**2 + 1280 * 10
    params = (27 * 32 + 2 * 32) + (256 * 1280 + 2 * 1280) + (1280 * 10 + 10)
    for i, (code, (cin, cout, before, after)) in enumerate(zip(arch, LAYERS, strict=True)):
        if code == "0":
            if i not in WITHOUT_IDENTITY_COST:
                macs += cin * cout * after
                params += cin * cout + 2 * cout
            continue
        kernel, expansion = (3, 3) if code == "1" else (5, 6)
        hidden = expansion * cin
        macs += cin * hidden * before + kernel**2 * hidden * after + hidden * cout * after
        params += (cin + kernel**2 + cout) * hidden + 2 * (hidden + hidden + cout)
    return macs, params


@pytest.mark.parametrize("arch", ["00000000", "11111111", "22222222", "01201201", "21021021"])
def test_cost_by_hand(arch: str) -> None:
    cost = SPACE.cost(arch)
    assert (cost.macs, cost.params) == by_hand(arch)


def test_costs_are_those_of_the_table() -> None:
    for row in rows("nasbenchmacro-dev.csv"):
        assert SPACE.canonical(row["arch"]) == row["arch"]
        cost = SPACE.cost(row["arch"])
        assert (cost.macs, cost.params) == (int(row["macs"]), int(row["params"])), row["arch"]


def test_choices_are_readable() -> None:
    params = SPACE.encode("01200000")
    assert list(params) == [f"layer {i}" for i in range(1, 9)]
    assert list(params.values())[:3] == ["identity", "k3 e3", "k5 e6"]


@pytest.mark.parametrize(
    "text", ["", "0000000", "000000000", "00000003", "0000000a", "0,0,0,0,", "0000000\n"]
)
def test_invalid_strings(text: str) -> None:
    with pytest.raises(ArchitectureError, match="8 digits of 0, 1 and 2") as caught:
        SPACE.cost(text)
    assert "\n" not in str(caught.value)


def learnable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_candidates_learn_equally_only_without_bias() -> None:
    unbiased, biased = map(SPACE.supernet, (BatchNormMode.UNBIASED, BatchNormMode.BIASED))
    for i, (cin, cout, _, _) in enumerate(LAYERS):
        fair = [learnable(unbiased.get_submodule(f"layers.{i}.{code}")) for code in "012"]
        assert fair == [2 * cout] * 3
        usual = [learnable(biased.get_submodule(f"layers.{i}.{code}")) for code in "012"]
        identity = 0 if i in WITHOUT_IDENTITY_COST else 2 * cout
        assert usual == [identity, 2 * (6 * cin + cout), 2 * (12 * cin + cout)]


def test_gammas_end_the_chosen_operations() -> None:
    unbiased, biased = map(SPACE.supernet, (BatchNormMode.UNBIASED, BatchNormMode.BIASED))
    widths = [cout for _, cout, _, _ in LAYERS]
    assert [len(s) for s in unbiased.bn_gammas("00012012")] == widths
    assert [len(s) for s in biased.bn_gammas("00012012")] == widths[:1] + widths[2:]


def test_identity_where_the_shape_stays_and_where_it_changes() -> None:
    network = SPACE.network("00000000").eval()
    x = torch.randn(2, 64, 16, 16)
    assert torch.equal(network.get_submodule("layers.1")(x), x)
    assert network.get_submodule("layers.2")(x).shape == (2, 128, 8, 8)
    for i in (1, 3, 4, 6, 7):
        assert not list(network.get_submodule(f"layers.{i}").parameters())


@pytest.mark.parametrize("arch", ["00000000", "22222222"])
def test_gradients_are_finite_on_a_constant_image(arch: str) -> None:
    supernet = SPACE.supernet(BatchNormMode.UNBIASED)
    supernet(torch.zeros(2, 3, 16, 16), arch).logsumexp(1).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in supernet.parameters())


@pytest.mark.parametrize("twins", [("12010201", "12001201"), ("00000010", "00000001")])
def test_twins_differ_in_name_only(twins: tuple[str, str]) -> None:
    a, b = (SPACE.network(SPACE.canonical(arch)).eval() for arch in twins)
    b.load_state_dict(dict(zip(b.state_dict(), a.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(a(x), b(x))


def test_blocks_have_the_activation_of_the_benchmark() -> None:
    kinds = {type(module) for module in SPACE.network("12121212").modules()}
    assert nn.ReLU in kinds and nn.ReLU6 not in kinds
