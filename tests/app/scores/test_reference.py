import json
from pathlib import Path

import pytest
import torch

from app.atomic import DamagedError
from app.config import SearchConfig
from app.data import ImageData
from app.errors import InputError
from app.scores import MEASURES
from app.scores.probe import ProbeBatch
from app.scores.reference import Reference, sample_architectures, score_reference
from app.scores.scorer import Scorer, Scores
from spaces import BatchNormMode
from tests.toy import Toy

CPU = torch.device("cpu")


class Counting(Scorer):
    """Counts what is measured."""

    measured = 0

    def __call__(self, arch: str) -> Scores:
        self.measured += 1
        return super().__call__(arch)


def scorer(toy: Toy, digits: ImageData) -> Counting:
    torch.manual_seed(0)
    return Counting(toy, toy.supernet(BatchNormMode.UNBIASED), ProbeBatch.draw(digits, 16, 0, CPU))


def test_the_sample_is_distinct_seeded_and_ends_with_the_space(toy: Toy) -> None:
    sample = sample_architectures(toy, 10, seed=0)
    assert len(set(sample)) == 10
    assert sample == sample_architectures(toy, 10, seed=0)
    assert sample != sample_architectures(toy, 10, seed=1)
    assert len(sample_architectures(toy, 100, seed=0)) == 26  # 27 choices, one infeasible


def test_a_limited_sample_keeps_to_the_limit_and_an_impossible_limit_is_refused(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {arch: toy.cost(arch) for arch in sample_architectures(toy, 26, seed=0)}
    monkeypatch.setattr(Toy, "cost", lambda self, arch: known[arch])  # counting anew takes long
    costs = [cost.macs for cost in known.values()]
    limit = sorted(costs)[8]
    sample = sample_architectures(toy, 26, seed=0, config=SearchConfig(max_flops=limit))
    assert len(sample) == sum(cost <= limit for cost in costs)
    assert all(toy.cost(arch).macs <= limit for arch in sample)
    with pytest.raises(
        InputError,
        match=r"within 0.001 M .*: the least .* raise --max-flops",
    ):
        sample_architectures(toy, 8, seed=0, config=SearchConfig(max_flops=1000))


def test_an_interrupted_sample_goes_on_where_it_stopped(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    path = tmp_path / "reference.json"
    measure = scorer(toy, digits)
    archs = sample_architectures(toy, 9, 0)
    left = iter(range(4))

    def stop() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_reference(Reference({}, {}), measure, archs, path, stop)
    assert measure.measured == 4
    reference = Reference.load(path)
    assert len(reference.scores) == 4
    score_reference(reference, measure, archs, path, lambda: None)
    assert measure.measured == 9
    assert list(Reference.load(path).scores) == archs
    score_reference(reference, measure, archs, path, lambda: None)
    assert measure.measured == 9


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"other": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reference.json"
    path.write_text(content)
    with pytest.raises(DamagedError, match="not a reference sample"):
        Reference.load(path)


def test_a_sample_of_a_version_without_a_measure_is_no_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    first, *others = MEASURES
    Reference({"score version": 1}, {"a": dict.fromkeys(others, 0.25)}).save(path)
    with pytest.raises(ValueError, match=f"finite {first}"):
        Reference.load(path).composites()


def test_a_changed_value_is_noticed_and_a_file_without_checksum_read(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    reference = Reference({"seed": 0}, {"a": dict.fromkeys(MEASURES, 0.25)}, 3.0)
    reference.save(path)
    text = path.read_text()
    assert Reference.load(path) == reference
    path.write_text(text.replace("0.25", "0.26", 1))
    with pytest.raises(DamagedError, match="checksum"):
        Reference.load(path)
    path.write_text(json.dumps(reference.__dict__))
    assert Reference.load(path) == reference
