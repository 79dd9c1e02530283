import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.interrupt import (
    INTERRUPTED,
    TimeIsUpError,
    stop_at_once,
    stop_between_steps,
    time_limit,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_a_safe_point(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), stop_between_steps() as check:
        check()
        os.kill(os.getpid(), number)
        done.append("rest of the step")
        check()
    assert done == ["rest of the step"]


def test_the_second_signal_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_between_steps():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("still running")


def test_a_hangup_is_ignored_where_the_user_has_said_so() -> None:
    """As under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_at_once(), stop_between_steps() as check:
            os.kill(os.getpid(), signal.SIGHUP)
            check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_between_steps():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_time_limit_ends_the_block_and_nothing_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with time_limit(1e-6), stop_between_steps() as check:
        with pytest.raises(TimeIsUpError):
            check()
        check()
        pytest.fail("still running")
    assert "--timeout" in capsys.readouterr().err
    for seconds in (None, 1e6):
        with time_limit(seconds), stop_between_steps() as check:
            check()
    with stop_between_steps() as check:
        check()


@pytest.mark.slow
def test_an_import_is_not_left_half_done(tmp_path: Path) -> None:
    """PyTorch would abort, or hide the KeyboardInterrupt behind an error of its own."""
    (tmp_path / "half.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "except KeyboardInterrupt:\n    raise ImportError('hidden') from None\n"
    )
    code = f"""
import sys
from app.interrupt import stop_at_once
sys.path.append({str(tmp_path)!r})
with stop_at_once():
    import half
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 130
    assert process.stderr == f"{INTERRUPTED}\n"
