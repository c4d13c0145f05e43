"""The physics exam: the same seeds make the same trials, and what was cut off is made again."""

import json

import numpy as np
import pytest
from judge_worlds import SMALL_EXAM

from worldling.data.store import open_dataset
from worldling.errors import DatasetError
from worldling.judge.truth.exam import Exam, make_exam


def test_pairs_share_their_first_frame_and_not_their_end(exam):
    trials = exam.trials("drop", "test")
    assert len(trials) == 20 and sum(t.contact for t in trials) == 10
    for yes, no in zip(trials[::2], trials[1::2], strict=True):
        a, b = exam.frames(yes), exam.frames(no)
        assert yes.contact and not no.contact and np.array_equal(a[0], b[0]) and not np.array_equal(a[-1], b[-1])
        touching = exam.state(yes, "touching")
        assert touching.argmax() == yes.first and not exam.state(no, "touching").any()


def test_what_is_there_is_not_made_again_and_what_was_cut_off_is(exam, tmp_path):
    before = {p.name: p.stat().st_mtime_ns for p in exam.path.glob("shard-*.h5")}
    again = make_exam(exam.path, SMALL_EXAM, scenarios=["drop"], workers=1, quiet=True)
    assert {p.name: p.stat().st_mtime_ns for p in exam.path.glob("shard-*.h5")} == before
    assert again.checksums() == exam.checksums()


def test_an_exam_is_the_same_in_a_folder_that_holds_more(exam):
    part = make_exam(exam.path, {**SMALL_EXAM, "outside": 0}, scenarios=["drop"], workers=1, quiet=True)
    assert not part.trials("drop", "outside") and part.trials("drop", "test") == exam.trials("drop", "test")
    assert part.tally()["drop"]["pairs"] == 20 < exam.tally()["drop"]["pairs"]
    assert part.checksums() != exam.checksums() == Exam(exam.path).checksums()


def test_an_unfinished_chunk_is_made_again_with_the_same_pixels(exam, tmp_path):
    import shutil

    copy = tmp_path / "exam"
    shutil.copytree(exam.path, copy)
    about = json.loads((copy / "exam.json").read_text())
    lost = max(about["chunks"], key=int)
    del about["chunks"][lost]  # as if killed between the shard and exam.json
    (copy / "exam.json").write_text(json.dumps(about))
    assert make_exam(copy, SMALL_EXAM, scenarios=["drop"], workers=1, quiet=True).checksums() == exam.checksums()


@pytest.mark.parametrize(
    "damage, words", [("{", "exam"), ('{"size_px": 128, "seed": 1000000, "chunks": {}}', "128 px")]
)
def test_a_damaged_or_other_exam_is_named(exam, tmp_path, damage, words):
    import shutil

    copy = tmp_path / "exam"
    shutil.copytree(exam.path, copy)
    (copy / "exam.json").write_text(damage)
    with pytest.raises(DatasetError, match=words):
        make_exam(copy, SMALL_EXAM, scenarios=["drop"], quiet=True)
    assert len(list(copy.glob("shard-*.h5"))) == len(list(exam.path.glob("shard-*.h5")))


def test_an_exam_is_an_ordinary_data_set(exam):
    dataset = open_dataset(exam.path)
    assert len(dataset) == 60 and "touching" in dataset.state_names
    dataset.close()
    assert Exam(exam.path).about["seed"] == dataset.meta.seed


def test_an_exam_cut_off_between_a_shard_and_its_labels_is_told(exam, tmp_path):
    import shutil

    copy = tmp_path / "exam"
    shutil.copytree(exam.path, copy)
    about = json.loads((copy / "exam.json").read_text())
    about["chunks"].popitem()
    (copy / "exam.json").write_text(json.dumps(about))
    with pytest.raises(DatasetError, match="unfinished"):
        Exam(copy)


def test_a_data_set_is_not_turned_into_an_exam(squares):
    with pytest.raises(DatasetError, match="another data set"):
        make_exam(squares.path, SMALL_EXAM, quiet=True)
