import json
from pathlib import Path

import pytest

from app.config import parse_count
from app.errors import InputError
from app.study_file import SAVED, load_config, presets


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_valid_and_needs_no_download(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    assert config.dataset == "digits"


def test_the_command_line_wins_over_the_file(study_file: Path) -> None:
    config = load_config(str(study_file), {"supernet.steps": 7, "seed": 3, "runs": "x"})
    assert (config.supernet.steps, config.supernet.batch_size) == (7, 16)
    assert config.folder == Path("x/small")
    assert config.storage_url.database == str(Path("x/studies.db").absolute())


@pytest.mark.parametrize(
    ("text", "expected"), [("80M", 80e6), ("1.5G", 1.5e9), ("250k", 250e3), ("3e8", 3e8)]
)
def test_flops_may_be_written_short(study_file: Path, text: str, expected: float) -> None:
    config = load_config(str(study_file), {"search.max_flops": text})
    assert config.search.max_flops == expected


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("search.trials", 0, "search.trials = 0: input should be greater than 0"),
        ("supernet.steps", -3, "supernet.steps = -3: input should be greater than or equal to 0"),
        ("search.max_flops", "-1", "search.max_flops = '-1': input should be greater than 0"),
        ("search.max_flops", "many", "search.max_flops = 'many'"),
        ("supernet.learning_rate", "nan", "supernet.learning_rate"),
        ("supernet.batch_size", 1, "supernet.batch_size = 1"),
        ("batchnorm", "none", "batchnorm = 'none': input should be 'unbiased' or 'biased'"),
        ("name", "../escape", "name = '../escape'"),
        ("name", "artifacts", "this folder holds the files of all studies"),
        ("seed", -1, "seed = -1"),
        ("image_size", 4, "image_size = 4"),
        ("dataset", " ", "give the name of a data set"),
        ("supernet.stepps", 3, "unknown setting 'supernet.stepps'"),
        ("seed.deep", 3, "'seed' in 'seed.deep' is a single value"),
    ],
)
def test_a_bad_value_is_named_in_one_line(
    study_file: Path, field: str, value: object, message: str
) -> None:
    study_file.write_text("seed = 1\n" + study_file.read_text())
    with pytest.raises(InputError) as error:
        load_config(str(study_file), {field: value})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_study_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"choose one of: .*mobilenet"):
        load_config("nosuch")
    with pytest.raises(InputError, match="cannot read the study file"):
        load_config(str(tmp_path / "absent.toml"))
    path = tmp_path / "bad.toml"
    path.write_text("space = ")
    with pytest.raises(InputError, match="is not valid TOML"):
        load_config(str(path))
    for encoding in ("utf-16", "utf-16-le", "utf-32", "latin-1"):
        path.write_bytes("space = 'toy'  # größer".encode(encoding))
        with pytest.raises(InputError, match=r"bad.toml' is not UTF-8: save it as UTF-8"):
            load_config(str(path))
    path.write_bytes(b"\xef\xbb\xbfspace = 'toy'")  # as Windows editors save it
    assert load_config(str(path)).space == "toy"
    path.write_text("seed = 1")
    with pytest.raises(InputError, match="lacks 'space'"):
        load_config(str(path))


def test_counts_are_written_as_people_write_them() -> None:
    assert [parse_count(text) for text in ("300M", "1.5G", " 20 k", "1000", "2K")] == [
        *(300e6, 1.5e9, 20e3, 1000, 2e3)
    ]
    assert [parse_count(text) for text in ("", "M", "1.2.3M", "-5M", "many", "nan")] == [None] * 6


def test_a_study_that_was_run_is_known_by_its_name(tmp_path: Path) -> None:
    runs = {"runs": tmp_path}
    assert load_config("mobilenet", runs, resume=True) == load_config("mobilenet", runs)
    ran = load_config("mobilenet", {**runs, "name": "mine", "dataset": "pictures", "seed": 4})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / SAVED).write_text(ran.model_dump_json(), encoding="utf-8")
    assert load_config("mine", runs, resume=True) == ran
    assert load_config("mobilenet", {**runs, "name": "mine"}, resume=True) == ran
    assert load_config("mine", {**runs, "seed": 5}, resume=True).seed == 5
    assert load_config("mine", runs) == ran
    assert load_config("mobilenet", {**runs, "name": "mine"}, resume=False).seed == 0
    with pytest.raises(InputError, match="unknown study 'other'"):
        load_config("other", runs, resume=True)
    for text in ("{", "[]"):
        (tmp_path / "mine" / SAVED).write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="cannot read"):
            load_config("mine", runs, resume=True)


def test_studies_of_earlier_versions_keep_their_frozen_weights(tmp_path: Path) -> None:
    ran = load_config("mobilenet", {"runs": tmp_path}).to_save()
    assert ran["supernet"].pop("initialisation") == "shared"
    (tmp_path / "mobilenet").mkdir()
    (tmp_path / "mobilenet" / SAVED).write_text(json.dumps(ran), encoding="utf-8")
    assert load_config("mobilenet", {"runs": tmp_path}).supernet.initialisation == "kaiming"


@pytest.mark.parametrize(
    ("field", "option"), [("runs", "--runs"), ("data_dir", "--data-dir"), ("storage", "--storage")]
)
def test_a_study_file_reaches_outside_only_if_the_user_says_so(
    study_file: Path, field: str, option: str
) -> None:
    prefix = "sqlite:///" if field == "storage" else ""
    text = study_file.read_text()
    for place in ("/etc/x", "../x", "a/../../x"):
        study_file.write_text(f"{field} = '{prefix}{place}'\n{text}")
        with pytest.raises(InputError, match=f"outside of .* give {option} yourself"):
            load_config(str(study_file))
        load_config(str(study_file), {field: f"{prefix}{place}"})
        if field == "runs":  # nor are the settings of a last run looked for there
            with pytest.raises(InputError, match="outside of"):
                load_config(str(study_file), resume=True)
    study_file.write_text(f"{field} = '{prefix}here/x'\n{text}")
    load_config(str(study_file))


@pytest.mark.parametrize(("field", "value"), [("runs", 5), ("name", 5), ("name", [1])])
def test_a_study_is_not_looked_for_in_a_place_that_is_none(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{field} = "):
        load_config("mobilenet", {field: value}, resume=True)


def test_a_file_is_known_by_the_name_in_it(study_file: Path, tmp_path: Path) -> None:
    study_file.write_text('name = "mine"\n' + study_file.read_text())
    ran = load_config(str(study_file), {"runs": tmp_path, "seed": 4})
    ran.folder.mkdir()
    (ran.folder / SAVED).write_text(json.dumps(ran.to_save()))
    assert load_config(str(study_file), {"runs": tmp_path}, resume=True) == ran


def test_a_password_is_not_kept(study_file: Path, tmp_path: Path) -> None:
    url = "postgresql://me:secret@host/trials"
    ran = load_config(str(study_file), {"runs": tmp_path, "storage": url})
    ran.folder.mkdir()
    (ran.folder / SAVED).write_text(json.dumps(ran.to_save()))
    assert "secret" not in (ran.folder / SAVED).read_text()
    with pytest.raises(InputError, match="give --storage URL again"):
        load_config("small", {"runs": tmp_path}, resume=True)
    assert load_config("small", {"runs": tmp_path, "storage": url}, resume=True) == ran
