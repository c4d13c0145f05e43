"""Pictures of any shape in square frames: where they lie, what is kept, and how a data set and a world remember it."""

import numpy as np
import pytest

from worldling.config import to_dict
from worldling.data.environment import open_environment, shrink
from worldling.data.fit import Picture, fit_of, make_fit, picture_of
from worldling.data.formats.registry import import_data
from worldling.data.record import record
from worldling.data.store import open_dataset, read_meta
from worldling.errors import ConfigError, DatasetError

TOY = "toy_environments:worldling_toy/Square-v0"  # draws 48 high, 40 wide
GROUND = (10, 20, 40)


@pytest.mark.parametrize(
    "size, sides", [(64, (64, 64)), ("64", (64, 64)), ("96x72", (96, 72)), (" 72 X 96", None), ((72, 96), (72, 96))]
)
def test_sizes_are_read(size, sides):
    if sides is None:
        with pytest.raises(ConfigError, match="96x72"):
            make_fit(size)
        return
    fit = make_fit(size)
    assert (fit.width, fit.height, fit.side) == (*sides, max(sides))


@pytest.mark.parametrize("size", ["", "x", "64x", "64x64x3", "-64", "4", "64x4", 4096, (64, 64, 64), "1e3"])
def test_other_sizes_are_errors(size):
    with pytest.raises(ConfigError, match="`size_px` must be"):
        make_fit(size)


@pytest.mark.parametrize(
    "size, kind, shape, place",
    [
        (64, "pad", (300, 400), (0, 8, 64, 48)),
        (64, "pad", (400, 300), (8, 0, 48, 64)),
        (64, "pad", (128, 128), (0, 0, 64, 64)),
        (64, "crop", (300, 400), (0, 0, 64, 64)),
        (64, "squeeze", (300, 400), (0, 0, 64, 64)),
        ("96x72", "pad", (300, 400), (0, 12, 96, 72)),
        ("96x72", "pad", (400, 400), (12, 12, 72, 72)),
        ("96x72", "crop", (400, 400), (0, 12, 96, 72)),
        ("96x72", "squeeze", (400, 400), (0, 12, 96, 72)),
        (64, "pad", (10, 2000), (0, 31, 64, 1)),
    ],
)
def test_where_a_picture_lies(size, kind, shape, place):
    fit = make_fit(size, kind)
    found = fit.place(*shape)
    assert (found.left, found.top, found.width, found.height) == place
    frame = fit.apply(np.full((*shape, 3), 200, np.uint8))
    inside = found.cut(frame)
    assert frame.shape == (fit.side, fit.side, 3) and (inside == 200).all() and frame.sum() == inside.sum()


def test_padding_keeps_the_shape_of_things_and_cropping_their_middle():
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 30:50] = 255  # a square in the middle
    padded = make_fit(80, "pad").apply(picture)
    assert (padded.any(-1).any(0).sum(), padded.any(-1).any(1).sum()) == (20, 20)
    squeezed = make_fit(80, "squeeze").apply(picture)
    assert squeezed.any(-1).any(1).sum() > 1.2 * squeezed.any(-1).any(0).sum()
    cropped = make_fit(60, "crop").apply(picture)
    assert np.array_equal(cropped, picture[:, 10:70])


@pytest.mark.parametrize("kind", ["pad", "crop", "squeeze"])
def test_square_pictures_are_what_they_were(kind):
    picture = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    assert np.array_equal(make_fit(64, kind).apply(picture), shrink(picture, 64))
    assert make_fit(64, kind).sentence(96, 96) == ""


@pytest.mark.parametrize(
    "size, fit, place, aspect",
    [
        (24, "pad", (2, 0, 20, 24), 40 / 48),
        (24, "crop", (), 1.0),
        (24, "squeeze", (), 40 / 48),
        ("20x24", "pad", (2, 0, 20, 24), 40 / 48),
        ("32x24", "pad", (6, 4, 20, 24), 40 / 48),
        ("32x24", "crop", (0, 4, 32, 24), 32 / 24),
    ],
)
def test_a_recording_remembers_where_its_pictures_lie(tmp_path, capsys, size, fit, place, aspect):
    record(TOY, tmp_path / "d", frames=20, size_px=size, fit=fit)
    meta = read_meta(tmp_path / "d")
    assert meta.picture_px == place and meta.fit == fit and meta.aspect == pytest.approx(aspect, abs=1e-3)
    assert capsys.readouterr().err.count("pictures of 40x48 are") == 1, "said once"
    at = picture_of(to_dict(meta), meta.size_px)
    frames = open_dataset(tmp_path / "d").frames(0)
    assert at.cut(frames).min() >= 10, "the ground is not black"
    outside = frames.astype(int).sum() - at.cut(frames).astype(int).sum()
    assert outside == 0, "the padding is"
    again = open_environment(TOY, meta.box_px or meta.size_px, fit=meta.fit)
    assert np.array_equal(again.reset(open_dataset(tmp_path / "d").episode_meta(0)["seed"]), frames[0])
    assert fit_of(to_dict(meta), meta.size_px) == again.fit


def test_workers_fit_alike_and_a_resumed_recording_must(tmp_path):
    record(TOY, tmp_path / "d", frames=40, size_px="32x24", workers=2, quiet=True)
    with pytest.raises(DatasetError, match="`fit` must be 'pad' to resume"):
        record(TOY, tmp_path / "d", frames=60, size_px="32x24", fit="crop", workers=2, resume=True, quiet=True)
    with pytest.raises(DatasetError, match=r"`size_px`|`box_px`"):
        record(TOY, tmp_path / "d", frames=60, size_px=32, workers=2, resume=True, quiet=True)
    record(TOY, tmp_path / "d", frames=60, size_px="32x24", workers=2, resume=True, quiet=True)
    assert open_dataset(tmp_path / "d").num_frames == 60


def test_a_padded_recording_made_smaller_is_padded_alike(tmp_path):
    record(TOY, tmp_path / "d", frames=20, size_px=48, quiet=True)
    import_data(tmp_path / "d", tmp_path / "small", 24, quiet=True)
    before, after = (read_meta(tmp_path / name) for name in ("d", "small"))
    assert before.picture_px == (4, 0, 40, 48) and after.picture_px == (2, 0, 20, 24) and after.fit == "pad"
    frames = open_dataset(tmp_path / "small").frames(0)
    assert not frames[:, :, :2].any() and frames[:, :, 2:22].min() >= 9


def test_old_worlds_have_the_whole_frame():
    assert picture_of({"env_id": "Some-v0"}, 64) == Picture(0, 0, 64, 64, 1.0)
    assert fit_of({}, 64).kind == "squeeze"


@pytest.mark.parametrize(
    "source",
    [
        {"picture_px": [0, 0, 65, 64]},
        {"picture_px": [-1, 0, 32, 32]},
        {"picture_px": [0, 0, 0, 64]},
        {"picture_px": [0, 0, 64]},
        {"picture_px": "abcd"},
        {"picture_px": [0.5, 0, 32, 32]},
        {"aspect": float("nan")},
        {"aspect": 0},
        {"aspect": "wide"},
    ],
)
def test_what_does_not_lie_in_the_frame_is_refused(source):
    with pytest.raises(ConfigError, match="`picture_px` must"):
        picture_of(source, 64)
