import os
from pathlib import Path

import pytest

from app.data.decode import read_file
from app.data.folder import read_folder
from app.errors import InputError
from tests.app.data.helpers import assert_one_line, write_folder


def test_train_and_test_folders(tmp_path: Path) -> None:
    counts = {"train/cat": 3, "train/ape": 2, "test/cat": 1, "test/ape": 2}
    source = read_folder(write_folder(tmp_path, counts))
    assert source.classes == ("ape", "cat")
    assert source.train.labels == [0, 0, 1, 1, 1]
    assert source.test.labels == [0, 0, 1]
    assert source.flip
    expected = read_file(tmp_path / "train/cat/1.png", 16)
    assert (source.train.read(3, 16) == expected).all()


def test_val_stands_in_for_test_unless_both_exist(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/a": 1, "train/b": 1, "val/a": 5, "val/b": 5})
    assert len(read_folder(tmp_path).test) == 10
    write_folder(tmp_path, {"test/a": 1, "test/b": 1})
    assert len(read_folder(tmp_path).test) == 2


def test_one_level_is_split(tmp_path: Path) -> None:
    source = read_folder(write_folder(tmp_path, {"a": 10, "b": 20}))
    assert source.train.labels == [0] * 8 + [1] * 16
    assert source.test.labels == [0] * 2 + [1] * 4


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    source = read_folder(write_folder(tmp_path, {"train": 5, "plane": 5}))
    assert source.classes == ("plane", "train")


def test_hidden_and_other_files_do_not_count(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5, ".git": 1, "a/nested.png": 0})
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "a" / "notes.txt").write_text("about")
    (tmp_path / "a" / "._0.png").write_bytes(b"finder")
    (tmp_path / "b" / "0.png").rename(tmp_path / "b" / "0.PNG")
    source = read_folder(tmp_path)
    assert source.classes == ("a", "b")
    assert len(source.train) + len(source.test) == 10


BAD_LAYOUTS = [
    ({}, ["no class folders", "<class>"]),
    ({"a": 3}, ["one class, 'a'"]),
    ({"a": 3, "b": 0}, ["/b holds no pictures", ".jpg"]),
    ({"a": 3, "b": 1}, ["class 'b'", "one picture"]),
    ({"train/a": 2, "train/b": 2}, ["has train/ but not both"]),
    ({"val/a": 2, "test/b": 2}, ["has test/ and val/ but not both"]),
    ({"train": 2, "test": 2}, ["/train holds no class folders"]),
    ({"train/a": 1, "train/b": 1, "test": 0}, ["/test holds no class folders"]),
    ({"train/a": 1, "test/a": 1}, ["one class, 'a'"]),
    ({"train/a": 1, "train/b": 0, "test/a": 1, "test/b": 1}, ["/train/b holds no pictures"]),
    ({"train/a": 1, "train/b": 1, "test/a": 1}, ["same classes", "only in one of them: b"]),
    ({"train/a": 1, "train/b": 1, "val/a": 1, "val/c": 1}, ["/val must", "them: b, c"]),
]


@pytest.mark.parametrize(("counts", "parts"), BAD_LAYOUTS)
def test_bad_layout_is_one_line(tmp_path: Path, counts: dict[str, int], parts: list[str]) -> None:
    with pytest.raises(InputError) as error:
        read_folder(write_folder(tmp_path, counts))
    assert_one_line(error.value, str(tmp_path), *parts)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list any folder")
def test_folder_without_rights_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "b").chmod(0)
    with pytest.raises(InputError) as error:
        read_folder(tmp_path)
    (tmp_path / "b").chmod(0o755)
    assert_one_line(error.value, "cannot list", "rights")
