"""A signal waits for what must be done whole."""

import signal

import pytest

from worldling.learn.interruption import uninterrupted


def test_a_signal_waits_for_the_end_of_a_step():
    done, before = [], signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("step")
        done.append("after")
    assert done == ["step"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)
