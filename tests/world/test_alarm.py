"""The drift alarm: it is raised on what real frames never do, and on real frames as rarely as asked."""

from types import SimpleNamespace

import numpy as np
import pytest

from worldling.alarm import DriftAlarm, conformal_limit
from worldling.errors import CheckpointError, ShapeError

#: A world whose latents are the pixels: frames are compared as they are.
PIXELS = SimpleNamespace(size_px=32, encode=lambda frames: frames, decode=lambda frames: frames)
LENGTH = 12


def clip(seed, length=LENGTH, still=False, gone_at=None):
    """A red and a blue square that never stand still, on a grey floor with a line; the red one may vanish."""
    rng = np.random.default_rng(seed)
    places, moves = rng.integers(4, 20, (2, 2)), rng.choice([-2, -1, 1, 2], (2, 2))
    frames = np.full((length, 32, 32, 3), 120 + rng.integers(20), np.uint8)
    frames[:, :, 30] = 40
    for t in range(length):
        for k, colour in enumerate([(210, 20, 20), (30, 60, 200)]):
            x, y = places[k]
            if k or gone_at is None or t < gone_at:
                frames[t, y : y + 6, x : x + 6] = colour
            if not still or t < 2:
                moves[k] = np.where((places[k] + moves[k] < 0) | (places[k] + moves[k] > 24), -moves[k], moves[k])
                places[k] += moves[k]
    return frames


@pytest.fixture(scope="module")
def alarm():
    return DriftAlarm.fit(PIXELS, [clip(seed) for seed in range(100)], rate=0.02)


def test_of_a_new_clip_no_more_frames_are_above_the_limit_than_asked_on_average():
    rng, above = np.random.default_rng(0), []
    for _ in range(300):
        # Frames of one clip resemble each other, and any shape will do.
        scores = rng.standard_cauchy((400, 1)) + 0.1 * rng.standard_normal((400, 10))
        above.append((scores[100:] > conformal_limit(scores[:100], 0.05)).mean())
    assert 0.04 < np.mean(above) <= 0.05
    few = np.arange(20.0).reshape(10, 2)
    assert conformal_limit(few, 0.05) == 19.0, "too few clips to promise more than the largest"
    assert conformal_limit(few, 0.5) == 10.0, "(11 / 2 - 1) clips of 2 frames: 9 scores above"


def test_held_out_real_frames_rarely_raise_it(alarm):
    assert (alarm.scores(np.stack([clip(seed) for seed in range(100, 300)])) > 1).mean() <= 0.02


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda frames: clip(7, gone_at=4),
        lambda frames: clip(7, still=True),
        lambda frames: np.clip(frames + np.random.default_rng(0).normal(0, 40, frames.shape), 0, 255).astype(np.uint8),
        lambda frames: np.full_like(frames, 128),
    ],
    ids=["vanished", "frozen", "noise", "grey"],
)
def test_drift_raises_it(alarm, corrupt):
    frames = corrupt(clip(7))
    frames[0] = clip(7)[0]
    assert (alarm.scores(frames[None])[0, 4:] > 1).all()


def test_frame_by_frame_gives_the_scores_of_the_clip(alarm):
    clips = np.stack([clip(7), clip(8, gone_at=4), clip(9, still=True)])
    scores = alarm.scores(clips)
    together = alarm.monitor(PIXELS, clips[:, :1])
    for number, frames in enumerate(clips):
        alone = alarm.monitor(PIXELS, frames[:1])
        assert [alone.update(frame).score for frame in frames[1:]] == pytest.approx(scores[number])
    for t in range(1, LENGTH):
        found = together.update(clips[:, t])
        assert found.score == pytest.approx(scores[:, t - 1]) and (found.raised == (found.score > 1)).all()


def test_an_update_changes_neither_frame_nor_alarm(alarm):
    frames, monitor = clip(9), alarm.monitor(PIXELS, clip(9)[:1])
    before = frames.copy(), alarm.starts.copy(), alarm.deviations.copy()
    first = monitor.update(frames[1])
    monitor.forget_previous()
    again = monitor.update(frames[1])  # its change is not checked now, and nothing else is out of range
    assert again.score <= first.score and not again.raised
    assert all(np.array_equal(a, b) for a, b in zip(before, (frames, alarm.starts, alarm.deviations), strict=False))


def test_frames_that_do_not_follow_each_other_have_no_change(alarm):
    still = clip(9, still=True)[None]
    assert (alarm.scores(still) > 1).any() and not (alarm.scores(still, steps=range(0, 2 * LENGTH, 2)) > 1).any()


def test_saved_and_loaded_it_is_the_same(alarm, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"one")
    alarm.save(tmp_path)
    clips = np.stack([clip(7), clip(8, gone_at=4)])
    loaded = DriftAlarm.load(tmp_path)
    assert np.array_equal(loaded.scores(clips), alarm.scores(clips)) and loaded.rate == alarm.rate
    (tmp_path / "weights.safetensors").write_bytes(b"another")
    with pytest.raises(CheckpointError, match="must have been fitted to the weights"):
        DriftAlarm.load(tmp_path)
    with pytest.raises(CheckpointError, match="`alarm` must be fitted"):
        DriftAlarm.load(tmp_path / "elsewhere")


def test_too_few_clips_are_told(alarm):
    with pytest.raises(ShapeError, match="`clips` must be at least 8 clips"):
        DriftAlarm.fit(PIXELS, [clip(0)] * 7)


def test_it_is_fitted_on_a_data_set(tiny_world, tmp_path):
    from worldling.data.store import DatasetMeta, DatasetWriter, open_dataset
    from worldling.types import Episode

    with DatasetWriter(tmp_path, DatasetMeta("test/Tiny-v0", 64, tiny_world.action_space)) as writer:
        for seed in range(3):
            frames = np.repeat(np.repeat(clip(seed), 2, 1), 2, 2)
            none = np.zeros(LENGTH - 1)
            writer.write(
                Episode(frames, none.astype(int), none.astype(np.float32), none.astype(bool), none.astype(bool))
            )
    dataset = open_dataset(tmp_path)
    alarm, frames = DriftAlarm.fit_on(tiny_world, tmp_path), dataset.frames(0)
    monitor = alarm.monitor(tiny_world, frames[:4])
    assert not monitor.update(tiny_world.decode(tiny_world.encode(frames[4]))).raised
    assert monitor.update(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).raised
    with pytest.raises(ShapeError, match="`data` must hold 32 px frames"):
        DriftAlarm.fit_on(PIXELS, tmp_path)
