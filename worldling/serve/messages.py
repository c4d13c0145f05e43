"""The wire protocol between server and page. Text messages are json objects, frames are binary.

Client to server (json; `type` says which message it is):

| type   | fields                   | meaning                                                                |
|--------|--------------------------|------------------------------------------------------------------------|
| input  | id: int, action: any     | hold this raw action; ids increase; frames carry the last id included  |
| ack    | seq: int                 | frame `seq` was drawn; at most `MAX_IN_FLIGHT` are sent without an ack |
| pause  | on: bool                 | stop or start the clock                                                |
| step   |                          | pause, then make one frame                                             |
| speed  | value: number or null    | factor on the world's frame rate; null is as fast as possible          |
| reset  | start: int or null       | start again from this start, or (null) from the same one               |
| peek   | index: int or null       | stop and show a stored frame; null ends this and restarts the clock    |
| branch | index: int               | continue from that frame; what came later is left, see `others`        |
| return | branch: int              | continue a branch that was left, at its newest frame                   |
| rewind | frames: int              | branch this many frames back, or at the oldest frame kept              |
| record | on: bool                 | start or stop a recording                                              |
| finish |                          | end the data set that is recorded, where a game is played              |

Server to client (json):

| type    | fields                                                                                        |
|---------|-----------------------------------------------------------------------------------------------|
| welcome | session: str, for `/api/recording`; world: object, as `/api/world`                            |
| status  | fps_made, latency_ms: {p50, p95} or null (input received to frame sent), dropped, oldest,     |
|         | newest, branches: [index], num_branches, paused, speed, start, held, recording, recorded, note,|
|         | score: number or null, over: whether the game ended (the server has paused), own_picture: bool, |
|         | others: [{id, at, newest}], branches that were left, with the last frame shared and their newest|
| error   | message: one line; the connection stays open                                                    |

Server to client (binary): a frame, `HEADER` (little endian, 32 bytes), then one or two JPEGs:

| offset | type    | field        | meaning                                                                  |
|--------|---------|--------------|--------------------------------------------------------------------------|
| 0      | uint8   | version      | `VERSION`                                                                |
| 1      | uint8   | flags        | bit 0 `PEEK`: stored, sent in answer to peek; bit 1 `LOADING`: shown     |
|        |         |              | while the session starts; bit 2 `DRIFT`: the drift alarm is raised;      |
|        |         |              | bit 3 `OVER`: the game ended in this frame or an earlier one             |
| 2      | uint16  | num_branches | how often this session has branched                                      |
| 4      | uint32  | seq          | number of this message, to be acknowledged                               |
| 8      | uint32  | index        | frames made since the start                                              |
| 12     | uint32  | input_id     | the last input this frame includes                                       |
| 16     | float32 | mse          | squared error to the real frame, 0 to 65025; NaN without one             |
| 20     | uint32  | dream_size   | bytes of the dream's JPEG, which follows the header                      |
| 24     | uint32  | real_size    | bytes of the real frame's JPEG, which follows the dream's; 0 without one |
| 28     | float32 | score        | sum of the predicted rewards; NaN where the world predicts none          |
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldling.errors import ServeError, nearest

VERSION = 2
PEEK, LOADING, DRIFT, OVER = 1, 2, 4, 8
MAX_IN_FLIGHT = 2
HEADER = struct.Struct("<BBHIIIfIIf")

_NUMBER, _INT, _NULL = (int, float), (int,), type(None)
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "input": {"id": _INT, "action": (int, float, list)},
    "ack": {"seq": _INT},
    "pause": {"on": (bool,)},
    "step": {},
    "speed": {"value": (*_NUMBER, _NULL)},
    "reset": {"start": (*_INT, _NULL)},
    "peek": {"index": (*_INT, _NULL)},
    "branch": {"index": _INT},
    "return": {"branch": _INT},
    "rewind": {"frames": _INT},
    "record": {"on": (bool,)},
    "finish": {},
}


@dataclass(frozen=True)
class FrameHeader:
    """The fixed part of a frame message; see the table above."""

    flags: int
    num_branches: int
    seq: int
    index: int
    input_id: int
    mse: float
    dream_size: int
    real_size: int
    score: float


def parse(text: str | bytes) -> dict[str, Any]:
    """Read one client message and check its type and fields.

    Raises `ServeError` with one line for the player when it is not in the table.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ServeError(f"`message` must be json, got {text[:40]!r}. Send an object.") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ServeError(f"`type` must be a known message, got {kind!r}. {nearest(str(kind), _FIELDS)}")
    for name, types in _FIELDS[kind].items():
        value = message.get(name)
        # Python's bool is an int, but `true` is not a frame number.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join("null" if t is _NULL else t.__name__ for t in types)
            raise ServeError(f"`{kind}.{name}` must be {wanted}, got {value!r}. See messages.py.")
        if types[0] is int and float not in types and isinstance(value, int) and not 0 <= value < 2**32:
            raise ServeError(f"`{kind}.{name}` must be in 0..{2**32 - 1}, got {value}. Count from 0.")
        if isinstance(value, list) and not all(isinstance(item, _NUMBER) for item in value):
            raise ServeError(f"`{kind}.{name}` must be a list of numbers, got {value!r:.40}. Flatten it.")
    return message


def pack_frame(
    jpeg: bytes,
    real_jpeg: bytes | None,
    *,
    seq: int,
    index: int,
    input_id: int,
    mse: float,
    num_branches: int = 0,
    score: float = float("nan"),
    flags: int = 0,
) -> bytes:
    """Build a binary frame message."""
    real = real_jpeg or b""
    sizes, branches = (len(jpeg), len(real)), num_branches & 0xFFFF
    return HEADER.pack(VERSION, flags, branches, seq, index, input_id, mse, *sizes, score) + jpeg + real


def unpack_frame(data: bytes) -> tuple[FrameHeader, bytes, bytes | None]:
    """Parse a binary frame message: header, dream JPEG, real JPEG or None. Raises `ServeError`."""
    if len(data) < HEADER.size or data[0] != VERSION:
        raise ServeError(f"`frame` must have a version {VERSION} header, got {data[:4]!r}. Reload the page.")
    _, flags, branches, seq, index, input_id, mse, dream, real, score = HEADER.unpack_from(data)
    body = data[HEADER.size :]
    if len(body) != dream + real:
        raise ServeError(f"`frame` must hold {dream + real} bytes of JPEG, got {len(body)}. Send it again.")
    header = FrameHeader(flags, branches, seq, index, input_id, mse, dream, real, score)
    return header, body[:dream], body[dream:] if real else None


def encode_jpeg(frame: np.ndarray) -> bytes:
    """Encode a frame uint8 `[H, W, 3]`; colour is not subsampled, since a ball may be two pixels.

    Small frames get the highest quality: the page enlarges them, and JPEG artefacts with them.
    """
    from PIL import Image

    out = io.BytesIO()
    quality = 98 if frame.shape[0] <= 128 else 90
    Image.fromarray(frame).save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decode a JPEG into a frame uint8 `[H, W, 3]`."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
