"""Results on disk, and their comparison."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from app.errors import InputError
from app.pareto import Row
from app.retraining.comparison import comparison_table, write_comparison
from app.trained import Recipe, Result, read_result, read_results

LONG = Recipe(epochs=50)
SHORT = Recipe(epochs=2, learning_rate=0.2)
ROWS = [Row(3, -1.5, 10, 9, -1, -1, None, 0.5, True, "conv1-skip-skip")]


def result(network: str, accuracy: float, recipe: Recipe, **more: object) -> Result:
    figures = (accuracy, 0.7, 100, 10, 2, 2, 12_000_000, 9_000, 61.0)
    definition = {"version": 2, "image_size": 16}
    values = Result(
        network, False, *figures, "cpu", 0, recipe, [], definition, Path(f"folder/{network}")
    )
    return replace(values, **more)  # type: ignore[arg-type]


def test_the_csv_has_all_results_and_ranks_those_of_the_same_recipe(tmp_path: Path) -> None:
    results = [
        result("conv1-skip-skip", 0.7, SHORT),
        result("b", 0.9, LONG),
        result("c", 0.8, SHORT, seed=1),
        result("d", 0.6, SHORT),
        result("e", 0.5, SHORT, definition={"version": 1}),
    ]
    write_comparison(tmp_path / "comparison.csv", results, ROWS)
    with (tmp_path / "comparison.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ranks = {row["arch"]: int(row["rank"]) for row in rows}
    assert ranks == {"b": 1, "c": 1, "conv1-skip-skip": 2, "d": 3, "e": 1}
    first = next(row for row in rows if row["arch"] == "conv1-skip-skip")
    assert first["network"] == "trial 3" and float(first["score"]) == -1.5
    assert {row["epochs"] for row in rows} == {"2", "50"}
    assert set(first) >= {"seed", *Recipe.model_fields, "recipe_version", "epochs_trained"}


def test_accuracy_stands_beside_that_of_the_classes_and_of_a_guess() -> None:
    uneven = result("[n]", 0.9524, LONG, majority_share=0.9512, balanced_accuracy=0.5)
    console = Console(width=80)
    with console.capture() as capture:
        console.print(comparison_table([uneven, result("conv1-skip-skip", 0.9, LONG)], ROWS))
    text = " ".join(capture.get().split())
    assert "[n] 95.24 ± 2.13 50.00 70.00 12.0 0.01" in text
    assert "trial 3 90.00 ± 3.00 70.00 12.0 0.01 -1.50" in text
    assert "would reach 95.12 %" in text


def test_a_result_is_read_back_and_so_is_one_of_an_earlier_version(tmp_path: Path) -> None:
    shares = {"class_accuracy": {"a": 0.5, "b": None}, "latency_ms": 1.5}
    saved = result("n", 0.9, LONG, folder=tmp_path / "n", **shares)
    saved.save()
    assert read_result(tmp_path / "n") == saved
    path = tmp_path / "n" / "result.json"
    values = json.loads(path.read_text())
    for name in ("balanced_accuracy", "class_accuracy", "majority_share", "latency_ms"):
        del values[name]
    del values["recipe"]["balanced"]
    path.write_text(json.dumps(values))
    assert read_result(tmp_path / "n") == result("n", 0.9, LONG, folder=tmp_path / "n")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "bnnas retrained network 1"}'])
def test_a_damaged_result_is_left_out_of_reports(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = result("n", 0.9, LONG, folder=tmp_path / "good")
    good.save()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text(text)
    assert read_results(tmp_path, good.definition) == [good]
    assert "bad/result.json' is damaged" in capsys.readouterr().err
    with pytest.raises(InputError, match="is damaged"):
        read_result(tmp_path / "bad")


def test_the_standard_error_is_the_binomials() -> None:
    assert result("n", 0.9, LONG).standard_error == pytest.approx(0.03)


def test_the_arguments_of_a_recipe_make_it_again() -> None:
    recipe = Recipe(epochs=3, learning_rate=0.2, balanced=True)
    assert recipe.arguments() == ["--epochs", "3", "--lr", "0.2", "--balanced"]
    assert Recipe().arguments() == ["--epochs", "50"]
