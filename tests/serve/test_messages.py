"""The wire: what is packed is unpacked, and what is not in the table is refused in one line."""

import re

import numpy as np
import pytest

from worldling.errors import ServeError
from worldling.player import PAGE
from worldling.serve import messages


def test_a_frame_survives_the_wire():
    fields = dict(seq=7, index=70, input_id=5, mse=2.5, num_branches=3, score=1.5, flags=messages.OVER)
    data = messages.pack_frame(b"dream", b"real!", **fields)
    header, dream, real = messages.unpack_frame(data)
    assert (dream, real) == (b"dream", b"real!")
    assert header == messages.FrameHeader(messages.OVER, 3, 7, 70, 5, 2.5, 5, 5, 1.5)


def test_a_frame_without_a_real_one():
    header, dream, real = messages.unpack_frame(
        messages.pack_frame(b"x", None, seq=1, index=0, input_id=0, mse=float("nan"))
    )
    assert dream == b"x" and real is None and np.isnan(header.mse)


WHOLE = messages.pack_frame(b"ab", None, seq=1, index=0, input_id=0, mse=0)


@pytest.mark.parametrize("data", [b"", b"\x09" * 40, WHOLE[:-1], WHOLE + b"c"])
def test_a_cut_or_foreign_frame_is_refused(data):
    with pytest.raises(ServeError, match="`frame` must"):
        messages.unpack_frame(data)


def test_the_page_reads_the_same_header():
    page = (PAGE / "link.js").read_text()
    for name, value in [
        ("HEADER_BYTES", messages.HEADER.size),
        ("VERSION", messages.VERSION),
        ("PEEK", messages.PEEK),
        ("LOADING", messages.LOADING),
        ("DRIFT", messages.DRIFT),
        ("OVER", messages.OVER),
    ]:
        assert re.search(rf"\b{name} = {value}\b", page), name


def test_every_message_is_in_the_table():
    rows = re.findall(r"^\| (\w+) +\|", messages.__doc__, re.MULTILINE)
    assert set(messages._FIELDS) <= set(rows)


@pytest.mark.parametrize(
    "text, says",
    [
        ("{", "must be json"),
        ("[" * 30000, "must be json"),
        ("3", "known message"),
        ("{}", "known message"),
        ('{"type": []}', "known message"),
        ('{"type": "rewindd"}', "Did you mean 'rewind'"),
        ('{"type": "ack"}', "`ack.seq` must be int"),
        ('{"type": "ack", "seq": true}', "must be int"),
        ('{"type": "pause", "on": 1}', "must be bool"),
        ('{"type": "branch", "index": -1}', "must be in 0"),
        ('{"type": "return"}', "`return.branch` must be int"),
        ('{"type": "input", "id": 4294967296, "action": 0}', "must be in 0"),
        ('{"type": "input", "id": 1, "action": [[1], [1, 2]]}', "list of numbers"),
    ],
)
def test_bad_messages_are_one_clear_line(text, says):
    with pytest.raises(ServeError, match=re.escape(says)) as error:
        messages.parse(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_jpeg_keeps_small_things():
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[30:32, 40:42] = (250, 40, 40)
    back = messages.decode_jpeg(messages.encode_jpeg(frame))
    assert back.shape == frame.shape and np.abs(back.astype(int) - frame).max() < 24
