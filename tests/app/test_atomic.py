import json
import os
import time
from pathlib import Path
from typing import IO

import pytest

from app.atomic import check_output, remove_leftovers, write_atomically, write_json, write_text
from app.errors import InputError


def test_text_and_json_arrive_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "τ = 0.5")
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "τ = 0.5"
    write_json(tmp_path / "a.json", {"x": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [1, None]}


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_only_what_killed_writers_have_left_is_removed(tmp_path: Path) -> None:
    left = [".supernet.pt.x.part", "retrained/net/.last.pt.x.part", ".a.db.backup-1.part-journal"]
    for name in (*left, ".front.csv.x.part", "part", ".keep"):
        write_text(tmp_path / name, "half")
        age = 3600 if name != ".front.csv.x.part" else 0  # another process is writing this one
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    kept = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert kept == [".front.csv.x.part", ".keep", "part"]


def test_only_regular_files_are_taken_for_outputs(tmp_path: Path) -> None:
    for path in (tmp_path, Path(os.devnull)):  # which a rename would replace
        with pytest.raises(InputError, match="folder, device or pipe"):
            check_output(path)
    check_output(tmp_path / "new" / "file")
    assert list(tmp_path.iterdir()) == []
