import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from app.data import memory
from app.errors import InputError
from tests.app.data.helpers import CPU, assert_one_line


def test_free_memory_is_a_part_of_the_machine() -> None:
    everything = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.free_memory(CPU) <= everything


def test_half_of_the_free_memory_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    assert memory.fits(500, CPU)
    assert not memory.fits(501, CPU)


@pytest.mark.parametrize("in_memory", [True, False])
def test_allocated_pixels_can_be_written_and_read(tmp_path: Path, in_memory: bool) -> None:
    pixels = memory.allocate(5, 16, in_memory, tmp_path / "cache")
    assert pixels.shape == (5, 3, 16, 16)
    values = torch.arange(pixels.numel()).remainder(251).to(torch.uint8).view(pixels.shape)
    pixels.copy_(values)
    assert torch.equal(pixels, values)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_mapped_file_lies_in_the_cache_and_leaves_nothing(tmp_path: Path) -> None:
    pixels = memory.allocate(5, 16, False, tmp_path)
    assert str(tmp_path) in Path("/proc/self/maps").read_text()
    assert list(tmp_path.iterdir()) == []
    del pixels
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(InputError) as error:
        memory.allocate(5, 16, False, tmp_path)
    assert_one_line(error.value, str(tmp_path), "not enough disk space", "smaller image size")


def test_cache_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError) as error:
        memory.allocate(5, 16, False, tmp_path / "cache")
    assert_one_line(error.value, str(tmp_path / "cache"))
