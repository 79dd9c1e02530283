"""The DARTS space against its published networks, hand-made formulas and trained table."""

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

from spaces import ArchitectureError, BatchNormMode, FeatureNode
from spaces._darts_ops import BUILDERS, FactorizedReduce
from spaces.darts import Darts
from tests.tables import rows

# The two networks of the paper, as its authors print them.
DARTS_V1 = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('skip_connect', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])"
)
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
SMALL = Darts(layers=3, channels=4)


def text(normal: list[Any], reduce: list[Any] | None = None) -> str:
    return json.dumps({"normal": normal, "reduce": normal if reduce is None else reduce})


def uniform(operation: str, source: int = 0) -> str:
    return SMALL.canonical(text([[operation, source]] * 8))


def learnable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize(("genotype", "params"), [(DARTS_V1, 3_169_414), (DARTS_V2, 3_349_342)])
def test_the_published_cifar_networks_have_their_published_size(genotype: str, params: int) -> None:
    assert Darts().cost(genotype).params == params


def test_the_published_imagenet_network_has_its_published_size() -> None:
    imagenet = Darts(classes=1000, image_size=224, layers=14, channels=48)
    assert imagenet.cost(DARTS_V2).params == 4_718_752
    assert imagenet.shapes[-1].size_out == 7


def test_darts_v2_by_hand() -> None:
    """Normal cells: five sep_conv_3x3, one dil_conv_3x3. Reduction cells: nothing that learns."""

    def pair(c: int) -> int:  # depthwise 3×3, pointwise, BatchNorm
        return 9 * c + c * c + 2 * c

    def preprocess(inputs: int, c: int) -> int:  # one 1×1 or two halves of it, BatchNorm
        return inputs * c + 2 * c

    c, farther, nearer = 36, 108, 108
    params = 3 * 9 * 108 + 2 * 108
    for layer in range(20):
        if layer in (6, 13):
            c *= 2
        else:
            params += 5 * 2 * pair(c) + pair(c)
        params += preprocess(farther, c) + preprocess(nearer, c)
        farther, nearer = nearer, 4 * c
    params += nearer * 10 + 10
    assert Darts().cost(DARTS_V2).params == params


@pytest.mark.parametrize(
    ("operation", "stride", "expected"),
    [
        ("none", 1, 0),
        ("max_pool_3x3", 2, 0),
        ("avg_pool_3x3", 1, 0),
        ("skip_connect", 1, 0),
        ("skip_connect", 2, 8 * 8 + 16),
        ("sep_conv_3x3", 2, 2 * (9 * 8 + 8 * 8 + 16)),
        ("sep_conv_5x5", 1, 2 * (25 * 8 + 8 * 8 + 16)),
        ("dil_conv_3x3", 1, 9 * 8 + 8 * 8 + 16),
        ("dil_conv_5x5", 2, 25 * 8 + 8 * 8 + 16),
    ],
)
def test_parameters_of_an_operation(operation: str, stride: int, expected: int) -> None:
    assert learnable(BUILDERS[operation](8, stride, BatchNormMode.USUAL)) == expected


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", BUILDERS)
def test_all_operations_give_one_shape(operation: str, stride: int) -> None:
    module = BUILDERS[operation](4, stride, BatchNormMode.USUAL)
    for size in (7, 8):
        expected = (2, 4, -(-size // stride), -(-size // stride))
        assert module(torch.randn(2, 4, size, size)).shape == expected


def test_factorized_reduce_reads_both_pixels_of_the_diagonal() -> None:
    module = FactorizedReduce(1, 2, BatchNormMode.USUAL)
    module.norm = nn.Identity()
    nn.init.ones_(module.even.weight)
    nn.init.ones_(module.odd.weight)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert module(x).flatten().tolist() == [0, 2, 8, 10, 5, 7, 13, 15]


def test_candidates_of_the_unbiased_supernet_learn_equally_many_parameters() -> None:
    for cell, shape in zip(
        SMALL.supernet(BatchNormMode.UNBIASED).operations(), SMALL.shapes, strict=True
    ):
        assert len(cell) == 2 + 3 + 4 + 5
        for edge in cell:
            counts = {name: learnable(module) for name, module in edge.items()}
            assert counts.pop("none") == 0
            assert set(counts.values()) == {2 * shape.channels}


def test_gammas_are_one_per_operation_but_none() -> None:
    arch = SMALL.canonical(DARTS_V2)
    unbiased, biased = (
        SMALL.supernet(p).bn_gammas(arch) for p in (BatchNormMode.UNBIASED, BatchNormMode.BIASED)
    )
    assert [len(gamma) for gamma in unbiased] == [4] * 8 + [8] * 8 + [16] * 8
    assert [len(gamma) for gamma in biased] == [4] * 6  # the convolutions of the normal cell
    assert not SMALL.supernet(BatchNormMode.UNBIASED).bn_gammas(uniform("none"))


def test_cells_are_normal_until_a_third_and_two_thirds_of_the_depth() -> None:
    for layers, reductions in ((5, [1, 3]), (8, [2, 5]), (20, [6, 13])):
        shapes = Darts(layers=layers, channels=8).shapes
        assert [i for i, shape in enumerate(shapes) if shape.reduction] == reductions
        assert shapes[-1].size_out == 8
        assert shapes[-1].outputs == 4 * 32


@pytest.mark.parametrize("genotype", [DARTS_V1, DARTS_V2])
def test_both_texts_name_one_architecture(genotype: str) -> None:
    arch = SMALL.canonical(genotype)
    assert " " not in arch
    assert SMALL.canonical(SMALL.genotype(arch)) == arch
    assert SMALL.genotype(genotype) == SMALL.genotype(arch)
    assert SMALL.canonical(genotype.replace("[2, 3, 4, 5]", "range(2, 6)")) == arch
    assert json.loads(arch).keys() == {"normal", "reduce"}


def test_a_genotype_is_printed_as_python_prints_it() -> None:
    half = ", ".join(["('skip_connect', 1)"] * 8)
    expected = (
        f"Genotype(normal=[{half}], normal_concat=[2, 3, 4, 5], "
        f"reduce=[{half}], reduce_concat=[2, 3, 4, 5])"
    )
    assert SMALL.genotype(uniform("skip_connect", 1)) == expected


def test_the_order_within_a_node_does_not_matter() -> None:
    rng = Random(0)
    for _ in range(20):
        arch = SMALL.sample(rng)
        cells = json.loads(arch)
        swapped = [
            entry for i in range(0, 8, 2) for entry in (cells["normal"][i + 1], cells["normal"][i])
        ]
        assert SMALL.canonical(text(swapped, cells["reduce"])) == arch


def test_what_none_reads_does_not_matter() -> None:
    tail = [["skip_connect", 0]] * 6
    one = SMALL.canonical(text([["none", 1], ["sep_conv_3x3", 0], *tail]))
    other = SMALL.canonical(text([["sep_conv_3x3", 0], ["none", 0], *tail]))
    assert one == other
    assert json.loads(one)["normal"][:2] == [["none", 0], ["sep_conv_3x3", 0]]


def test_nodes_without_inputs_are_zero_and_free() -> None:
    arch = uniform("none")
    supernet = SMALL.supernet(BatchNormMode.UNBIASED)
    outputs: list[torch.Tensor] = []
    for module in supernet.modules():
        if isinstance(module, FeatureNode) and module.searched:
            module.register_forward_hook(lambda m, i, output: outputs.append(output))
    assert supernet(torch.randn(2, 3, 32, 32), arch).shape == (2, 10)
    assert [tuple(o.shape) for o in outputs] == [(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8)]
    assert not any(output.any() for output in outputs)
    assert SMALL.cost(arch) == SMALL.cost(uniform("max_pool_3x3"))


@pytest.mark.parametrize("operation", ["sep_conv_3x3", "skip_connect"])
def test_one_operation_on_one_input_twice(operation: str) -> None:
    """The supernet runs its weights twice; the stand-alone network has two copies of them."""
    arch = uniform(operation)
    assert SMALL.decode(SMALL.encode(arch)) == arch
    supernet = SMALL.supernet(BatchNormMode.UNBIASED)
    network = SMALL.network(arch, BatchNormMode.UNBIASED)
    state = supernet.subnet_state_dict(arch)
    network.load_state_dict(state)
    for first, second in (("0.", "1."), ("6.", "7.")):
        for key, value in state.items():
            if f".operations.{first}" in key:
                twin = key.replace(f".operations.{first}", f".operations.{second}")
                assert torch.equal(state[twin], value)
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(network(images), supernet(images, arch), rtol=1e-5, atol=1e-5)


def test_every_architecture_of_the_table_is_understood() -> None:
    table = [row["arch"] for row in rows("darts-dev.csv")]
    space = Darts(layers=5, channels=8)
    found = {}
    for row in table:
        arch = found[row] = space.canonical(row)
        assert space.decode(space.encode(arch)) == arch
        assert space.canonical(space.genotype(row)) == arch
        assert space.cost(row) == space.cost(arch)
        assert space.cost(arch).macs > 0
        for kind, cell in json.loads(row).items():
            for node in range(0, 8, 2):
                operations = Counter(op for op, _ in cell[node : node + 2])
                pair = json.loads(arch)[kind][node : node + 2]
                assert Counter(op for op, _ in pair) == operations
                reads = {(op, source) for op, source in cell[node : node + 2] if op != "none"}
                assert reads == {(op, source) for op, source in pair if op != "none"}
    assert len(set(found.values())) == len(table)


SKIPS: list[Any] = [["skip_connect", 0]] * 8
GENOTYPE = f"normal={SKIPS}, reduce={SKIPS}, normal_concat=[2, 3, 4, 5], reduce_concat="


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", "neither JSON nor a Genotype"),
        ("[" * 100_000, "neither JSON nor a Genotype"),
        ("[1,\n2", "neither JSON nor a Genotype"),
        ("[]", "must have the form"),
        ('{"normal":[]}', "must have the form"),
        (text(SKIPS[:7]), "the normal cell must be a list of 8 pairs"),
        (text(SKIPS, {}), "the reduce cell must be a list of 8 pairs"),  # type: ignore[arg-type]
        (text(SKIPS, [*SKIPS[:7], 3]), "node 5 of the reduce cell must have pairs"),
        (text([["skip_connect", True], *SKIPS[1:]]), "must have pairs"),
        (text([["skip_connect", 0.0], *SKIPS[1:]]), "must have pairs"),
        (text([["skip\nconnect", 0], *SKIPS[1:]]), r"unknown operation 'skip\\nconnect'"),
        (text([["skip_connect", 2], *SKIPS[1:]]), "node 2 .* an input from 0 to 1"),
        (text([*SKIPS[:7], ["none", 5]]), "node 5 .* an input from 0 to 4"),
        (text([["skip_connect", -1], *SKIPS[1:]]), "node 2 .* an input from 0 to 1"),
        ("Genotype(", "no valid Python"),
        ("Genotype(\0)", "no valid Python"),
        ("Genotype", "needs these named fields"),
        ("Genotype()", "needs these named fields"),
        ("Genotype(**{})", "needs these named fields"),
        (f"Genotype({GENOTYPE}[2, 3, 4, 5], normal=1)", "needs these named fields"),
        (f"Genotype({GENOTYPE}[3, 4, 5])", r"reduce_concat must be \[2, 3, 4, 5\]"),
        (f"Genotype({GENOTYPE}{'-' * 900}1)", r"reduce_concat must be \[2, 3, 4, 5\]"),
        (f"Genotype({GENOTYPE}range(2, 7))", r"reduce_concat must be \[2, 3, 4, 5\]"),
        (f"Genotype({GENOTYPE}range(2, 6))".replace("'", "", 1), "no valid Python"),
        (f"Genotype({GENOTYPE}range(2, 6))".replace("0", "exit()", 1), "lists of literals"),
    ],
)
def test_a_wrong_text_is_refused_in_one_line(wrong: str, reason: str) -> None:
    with pytest.raises(ArchitectureError, match=reason) as error:
        SMALL.canonical(wrong)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"layers": 2}, "layers must be an integer of at least 3, not 2"),
        ({"layers": "8"}, "layers must be an integer of at least 3, not '8'"),
        ({"channels": 0}, "channels must be a positive even integer, not 0"),
        ({"channels": 7}, "channels must be a positive even integer, not 7"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Darts(**options)
