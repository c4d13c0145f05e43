"""A training that has to share the processor says so once."""

import pytest

from worldling.learn import busy


@pytest.mark.parametrize("share, told", [(0.4, True), (0.95, False)])
def test_it_is_said_once_and_only_where_it_is_so(monkeypatch, share, told):
    clock, threads = [0.0], 2
    monkeypatch.setattr(busy.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(busy.time, "process_time", lambda: clock[0] * share * threads)
    monkeypatch.setattr(busy.torch, "get_num_threads", lambda: threads)
    watch = busy.BusyWatch()
    messages = []
    for clock[0] in range(5, 200, 5):
        messages.append(watch.message())
    said = [m for m in messages if m]
    assert len(said) == told and all("40%" in m for m in said)
    assert not any(messages[:3]), "not before it has been measured"
