import os
import signal

import pytest

from app.interrupt import stop_at_once, stop_between_steps


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
