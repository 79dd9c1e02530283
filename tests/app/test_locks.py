"""The locks of a study on SQLite; those on a server are tested in `test_worker`."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from app import locks
from app.database import sqlite_url

HOLD = """
import sys, time
from pathlib import Path
from app import locks
from app.database import sqlite_url
with locks.searching(sqlite_url(Path(sys.argv[1])), "s"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_any_number_of_processes_search_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "a.db")
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with locks.searching(url, "s"):
            assert locks.is_searched(url, "s")
        assert locks.is_searched(url, "s") and not locks.is_searched(url, "another")
        process.kill()
    assert not locks.is_searched(url, "s")


def test_a_second_process_waits_until_the_study_is_prepared(tmp_path: Path) -> None:
    url, order = sqlite_url(tmp_path / "a.db"), []

    def second() -> None:
        with locks.preparing(url, "s"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locks.preparing(url, "s"):
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_one_process_claims_a_folder(tmp_path: Path) -> None:
    with locks.writing(tmp_path / "x"), locks.claiming(tmp_path / "x") as ours:
        assert not ours
    with locks.claiming(tmp_path / "x") as ours:
        assert ours
