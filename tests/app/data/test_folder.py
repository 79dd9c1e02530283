import os
from pathlib import Path

import pytest
from PIL import Image

from app.data.decode import read_file
from app.data.folder import read_folder
from app.data.split import Source
from app.errors import InputError
from tests.app.data.helpers import assert_one_line, noise, write_folder


def _read(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Source, str]:
    """The listing, and what it said."""
    capsys.readouterr()
    source = read_folder(folder)
    return source, capsys.readouterr().err


def _refused(folder: Path, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        read_folder(folder)
    assert_one_line(error.value, str(folder), *parts)


def test_train_and_test_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"train/cat": 3, "train/ape": 2, "test/cat": 1, "test/ape": 2}
    source, said = _read(write_folder(tmp_path, counts), capsys)
    assert said == ""
    assert source.classes == ("ape", "cat")
    assert [image.label for image in source.train] == [0, 0, 1, 1, 1]
    assert [image.label for image in source.test] == [0, 0, 1]
    assert source.flip
    expected = read_file(tmp_path / "train/cat/1.png", 16, {})
    assert (source.train[3].read(16, {}) == expected).all()


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "TEST"), ("train", "valid"), ("Training", "Testing")]
)
def test_splits_go_by_other_names_too(tmp_path: Path, train: str, test: str) -> None:
    counts = {f"{train}/a": 3, f"{train}/b": 3, f"{test}/a": 1, f"{test}/b": 1}
    source = read_folder(write_folder(tmp_path, counts))
    assert (source.classes, len(source.train), len(source.test)) == (("a", "b"), 6, 2)


def test_val_stands_in_for_test_and_is_a_split_of_its_own_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, {"train/a": 1, "train/b": 1, "val/a": 5, "val/b": 5})
    source, said = _read(tmp_path, capsys)
    assert (len(source.test), source.val, said) == (10, [], "")
    write_folder(tmp_path, {"test/a": 1, "test/b": 1, "extra": 3})
    source, said = _read(tmp_path, capsys)
    assert (len(source.train), len(source.test), len(source.val)) == (2, 2, 10)
    assert said.count("\n") == 1
    assert "images in extra/, since only train/ and test/ and val/ are used (3)" in said
    write_folder(tmp_path, {"val/c": 1})
    _refused(tmp_path, "val/ must have the same classes; not in all of them: c")


def test_one_level_is_split(tmp_path: Path) -> None:
    source = read_folder(write_folder(tmp_path, {"a": 10, "b": 20}))
    assert [image.label for image in source.train] == [0] * 8 + [1] * 16
    assert [image.label for image in source.test] == [0] * 2 + [1] * 4


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    source = read_folder(write_folder(tmp_path, {"train": 5, "plane": 5}))
    assert source.classes == ("plane", "train")


def test_sub_folders_count_for_their_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, {"a": 5, "a/2023/may": 3, "a/2024": 2, "b": 5, "c/only/below": 5})
    (tmp_path / "a" / "2024" / "up").symlink_to(tmp_path)
    source, said = _read(tmp_path, capsys)
    assert source.classes == ("a", "b", "c")
    assert (
        sorted(image.label for image in source.train + source.test) == [0] * 10 + [1] * 5 + [2] * 5
    )
    assert said == ""


def test_images_are_found_by_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5})
    for name in ("x.jfif", "y", "z.0017"):
        Image.fromarray(noise(name)).save(tmp_path / "a" / name, format="JPEG")
    (tmp_path / "a" / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "b" / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "b" / "LICENSE").write_text("all")
    Image.fromarray(noise("stray")).save(tmp_path / "stray.png")
    source, said = _read(tmp_path, capsys)
    assert len(source.train) + len(source.test) == 13
    assert said.count("\n") == 1
    assert "unsupported .heic files (2)" in said
    assert "images outside a class folder (1)" in said
    assert "unsupported files (1)" in said


def test_what_systems_leave_behind_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5, ".git": 1, "__MACOSX": 1, "@eaDir": 1, "lost+found": 1})
    write_folder(tmp_path, {".ipynb_checkpoints": 1, "a/@eaDir": 1, "a/.ipynb_checkpoints": 1})
    for name in ("Thumbs.db", ".DS_Store", "._0.png", "desktop.ini"):
        (tmp_path / "a" / name).write_bytes(b"finder")
    (tmp_path / "b" / "0.png").rename(tmp_path / "b" / "0.PNG")
    source, said = _read(tmp_path, capsys)
    assert (source.classes, said) == (("a", "b"), "")
    assert len(source.train) + len(source.test) == 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path, {"a": 5, "b": 5})
    os.mkfifo(tmp_path / "a" / "pipe.png")
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "a" / "gone.png").symlink_to("nowhere")
    (tmp_path / "a" / "again.png").symlink_to(tmp_path / "b" / "0.png")
    source, said = _read(tmp_path, capsys)
    assert len(source.train) + len(source.test) == 11
    assert "pipes, devices and broken links (4)" in said


def test_accents_in_two_unicode_forms_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    counts = {f"train/{decomposed}": 2, "train/b": 2, "train/cafz": 1}
    counts |= {f"test/{composed}": 3, "test/b": 1, "test/cafz": 1}
    source = read_folder(write_folder(tmp_path / "split", counts))
    assert source.classes == ("b", decomposed, "cafz")
    assert [image.label for image in source.test] == [0, 1, 1, 1, 2]
    counts = {composed: 5, decomposed: 5, "b": 5}
    source = read_folder(write_folder(tmp_path / "flat", counts))
    assert source.classes == ("b", decomposed)
    assert len(source.train + source.test) == 15


def test_names_with_odd_bytes_are_said_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / os.fsdecode(b"odd\xff\n"), {"a": 3, "b": 3})
    (folder / "a" / "notes.txt").write_text("x")
    _, said = _read(folder, capsys)
    assert r"odd\udcff\n" in said and said.count("\n") == 1


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    counts = {"train/a": 2, "train/b": 0, "test/a": 0, "test/c": 1}
    write_folder(tmp_path, counts)
    (tmp_path / "train" / "b" / "x.heic").write_bytes(b"heic")
    parts = ["in train/ with no images: b", "in test/ with no images: a"]
    parts += ["not in all of them: b, c", ".heic"]
    _refused(tmp_path, *parts)


BAD_LAYOUTS = [
    ({}, ["needs two class folders, found: none", "<class>"]),
    ({"set/a": 3, "set/b": 3}, ["needs two class folders, found: set;", "<class>"]),
    ({"a": 1, "b": 0, "c": 2}, ["fewer than two images: a, b;"]),
    ({"train/a": 2, "train/b": 2}, ["has train/ but not both"]),
    ({"val/a": 2, "test/b": 2}, ["has test/ and val/ but not both"]),
    ({"train": 2, "test": 2}, ["folders in train/, found: none", "outside a class folder (4)"]),
    ({"train/a": 1, "test/a": 1}, ["folders in train/, found: a", "folders in test/, found: a"]),
    ({"train/a": 1, "train/b": 1, "test/a": 1, "test/c": 1}, ["not in all of them: b, c"]),
]


@pytest.mark.parametrize(("counts", "parts"), BAD_LAYOUTS)
def test_bad_layout_is_one_line(tmp_path: Path, counts: dict[str, int], parts: list[str]) -> None:
    _refused(write_folder(tmp_path, counts), *parts)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list any folder")
def test_folder_without_rights_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "b").chmod(0)
    with pytest.raises(InputError) as error:
        read_folder(tmp_path)
    (tmp_path / "b").chmod(0o755)
    assert_one_line(error.value, "cannot list", "rights")
