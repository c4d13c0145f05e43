"""The drift alarm in the server: its result is sent to the page with the frame it belongs to."""

from types import SimpleNamespace

import pytest
from dot_world import DotWorld, actions_of, play, run_through

from worldling.serve.session import Session


class AlarmFromThirdFrame:
    """An alarm and its monitor: raised from the third frame on; counts frames, starts and gaps."""

    def __init__(self):
        self.frames = self.starts = self.gaps = 0

    def monitor(self, world, frames):
        assert frames.ndim == 4
        self.frames, self.starts = 0, self.starts + 1
        return self

    def update(self, frame):
        self.frames += 1
        return SimpleNamespace(raised=self.frames >= 3)

    def forget_previous(self):
        self.gaps += 1


def test_every_frame_is_checked_once_and_stored_with_the_result():
    session = Session(DotWorld(), 10, alarm=AlarmFromThirdFrame())
    frames = play(session, actions_of(5))
    assert not session.history.get(0).drift and [frame.drift for frame in frames] == [False, False, True, True, True]
    run_through(session.branch(2))
    assert session.alarm.gaps == 1 and session.alarm.frames == 5, "replayed frames are not checked again"
    assert [session.peek(i).drift for i in range(3)] == [False, False, False]
    session.reset()
    assert session.alarm.starts == 2 and not session.current.drift


def test_an_alarm_changes_no_frame():
    with_alarm, without = (Session(DotWorld(), 10, alarm=alarm) for alarm in (AlarmFromThirdFrame(), None))
    frames = [[frame.jpeg for frame in play(session, actions_of(6))] for session in (with_alarm, without)]
    assert frames[0] == frames[1]


def test_the_page_is_told_with_the_frame():
    pytest.importorskip("aiohttp")
    from page import drive

    from worldling.serve.messages import DRIFT

    async def work(page):
        await page.paused()
        await page.send("reset", start=None)
        await page.frame(index=0)
        for index in (1, 2):
            await page.send("step")
            await page.frame(index=index)
        await page.send("step")
        assert (await page.frame(index=3, flags=DRIFT))[0].flags == DRIFT

    drive(work, alarm=AlarmFromThirdFrame())
