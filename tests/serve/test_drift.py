"""The drift alarm in the player: what it says reaches the page with the frame it is about."""

from types import SimpleNamespace

import pytest
from dot_world import DotWorld, actions_of, play

from worldling.serve.session import Session


class RingsAt:
    """An alarm, and its own watch: rings on every look from the third on; counts its starts and cuts."""

    def __init__(self):
        self.looks = self.starts = self.cuts = 0

    def watch(self, world, frames):
        assert frames.ndim == 4
        self.looks, self.starts = 0, self.starts + 1
        return self

    def look(self, frame):
        self.looks += 1
        return SimpleNamespace(rings=self.looks >= 3)

    def cut(self):
        self.cuts += 1


def test_every_frame_is_looked_at_once_and_remembers_the_answer():
    session = Session(DotWorld(), 10, alarm=RingsAt())
    shots = play(session, actions_of(5))
    assert not session.history.get(0).drift and [shot.drift for shot in shots] == [False, False, True, True, True]
    session.branch(2)
    assert session.alarm.cuts == 1 and session.alarm.looks == 5, "replaying is not looking"
    assert [session.peek(i).drift for i in range(3)] == [False, False, False]
    session.reset()
    assert session.alarm.starts == 2 and not session.shot.drift


def test_an_alarm_changes_no_frame():
    with_alarm, without = (Session(DotWorld(), 10, alarm=alarm) for alarm in (RingsAt(), None))
    frames = [[shot.jpeg for shot in play(session, actions_of(6))] for session in (with_alarm, without)]
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

    drive(work, alarm=RingsAt())
