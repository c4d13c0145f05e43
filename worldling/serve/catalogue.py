"""The worlds that players may choose: the bundled ones, and those in a folder of one's own.

Each is opened when it is asked for. A list of them opens no network: settings and cards are enough for the start page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldling.about import about_world, verdict_of
from worldling.data.fit import picture_of
from worldling.errors import ServeError, WorldlingError, nearest
from worldling.report.preview import write_preview
from worldling.serve.hosted import HostedWorld
from worldling.untrusted import printable, read_bytes
from worldling.world_files import BUNDLED, boundary, bundled_worlds, read_card, read_clips, read_config

#: Worlds that stay open though nobody plays them; worlds of one's own that are listed.
MOST_OPEN, MOST_OWN = 6, 200
#: Largest moving picture that is read, in bytes; frames a second of one made of a world's starts.
MOST_PREVIEW_BYTES, STARTS_FPS = 4 * 2**20, 4


@dataclass(frozen=True)
class Listing:
    """One world on the start page.

    id: names it in addresses; group: "own" or "bundled"; picture_px: width and height; aspect: true width over height;
    trained: a date; verdict: how training said that it plays; problem: why it cannot be played, or nothing.
    """

    id: str
    group: str
    title: str
    what: str = ""
    how: str = ""
    size_px: int = 0
    picture_px: tuple[int, int] = (1, 1)
    aspect: float = 1.0
    fps: float = 0.0
    parameters: int = 0
    trained: str = ""
    verdict: str = ""
    problem: str = ""


class Catalogue:
    """Worlds by id. `host` may be called from any thread, `add` before the server starts.

    open_world: opens the world in a folder, by id and folder; own: the folder whose folders are worlds of one's own.
    """

    def __init__(
        self, open_world: Callable[[str, Path], HostedWorld] | None = None, own: Path = Path("worlds")
    ) -> None:
        self.chosen: str | None = None
        self._open_world, self._own = open_world, own
        self._open: OrderedDict[str, HostedWorld] = OrderedDict()
        self._kept: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, hosted: HostedWorld) -> Catalogue:
        """Return a catalogue of one world, which is open."""
        only = cls()
        only.add(hosted)
        return only

    def add(self, hosted: HostedWorld) -> None:
        """Add an open world, which stays open, and choose it: the page plays it unless another is asked for."""
        self._open[hosted.id] = hosted
        self._kept.add(hosted.id)
        self.chosen = hosted.id

    @property
    def folders(self) -> dict[str, Path]:
        """The folders of worlds that can be opened, by id: one's own first."""
        if self._open_world is None:
            return {}
        own = sorted(path.parent for path in self._own.glob("*/config.json"))[:MOST_OWN]
        return {**{path.as_posix(): path for path in own}, **{name: BUNDLED / name for name in bundled_worlds()}}

    def listings(self) -> list[Listing]:
        """Return all worlds; one that is damaged has a `problem`."""
        folders = self.folders
        extra = [_of_hosted(hosted) for id, hosted in list(self._open.items()) if id in self._kept - set(folders)]
        return extra + [_of_folder(id, path) for id, path in folders.items()]

    def host(self, id: str | None) -> HostedWorld:
        """Return an open world, by its id, or the chosen one; opening one takes seconds.

        Raises `ServeError` if there is none of that id, `CheckpointError` and others if it cannot be opened.
        """
        with self._lock:
            id = id or self.chosen or ""
            if id in self._open:
                self._open.move_to_end(id)
                return self._open[id]
            folders = self.folders
            if id not in folders or self._open_world is None:
                known = list(dict.fromkeys([*self._open, *folders]))
                raise ServeError(
                    f"`world` must be one of the list, got {printable(str(id))[:80]!r}. {nearest(id, known)}"
                )
            hosted = self._open_world(id, folders[id])
            self._open[id] = hosted
            return hosted

    def take_unused(self) -> list[HostedWorld]:
        """Drop worlds that nobody plays, the longest unused first, beyond `MOST_OPEN`; the caller closes them."""
        with self._lock:
            unused = [id for id, hosted in self._open.items() if not hosted.num_sessions and id not in self._kept]
            return [self._open.pop(id) for id in unused[: max(0, len(self._open) - MOST_OPEN)]]

    def all_open(self) -> Sequence[HostedWorld]:
        """Return the worlds that are open."""
        return list(self._open.values())

    def preview(self, id: str) -> bytes:
        """Return the moving picture of a world, WebP: the one in its folder, else one of its starts.

        Raises `ServeError` if there is no such world, `CheckpointError` if it is damaged.
        """
        path = self.folders.get(id)
        if path is None:
            hosted = self.host(id)
            return write_preview(hosted.picture.cut(hosted.world.contexts[0].frames), STARTS_FPS)
        file = path / "preview.webp"
        if file.exists():
            try:
                data = read_bytes(file, MOST_PREVIEW_BYTES, boundary(path))
            except (OSError, ValueError) as error:
                raise ServeError(f"`{printable(str(file))}` must be a picture, got {printable(str(error))}.") from None
            if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
                return data
        config = read_config(path)
        picture = picture_of(read_card(path).get("source", {}), config.tokenizer.size_px)
        clips = read_clips(path, config)
        if not clips:
            raise ServeError(
                f"`{printable(str(path))}` must hold clips to start from, got none. Train the world again."
            )
        return write_preview(picture.cut(clips[0].frames), STARTS_FPS)


def _of_folder(id: str, path: Path) -> Listing:
    group = "bundled" if path.parent == BUNDLED else "own"
    try:
        config, card = read_config(path), read_card(path)
        picture = picture_of(card.get("source", {}), config.tokenizer.size_px)
    except (WorldlingError, OSError) as error:
        return Listing(id, group, printable(path.name), problem=printable(" ".join(str(error).split())))
    about = about_world(card, path.name)
    return Listing(
        id,
        group,
        about.title,
        about.what,
        about.how,
        config.tokenizer.size_px,
        (picture.width, picture.height),
        picture.aspect,
        config.fps,
        sum(card.get("parameters", {}).values()),
        _text(card.get("trained")),
        verdict_of(card),
    )


def _of_hosted(hosted: HostedWorld) -> Listing:
    said = hosted.describe()
    names = ("title", "what", "how", "size_px", "aspect", "fps")
    return Listing(hosted.id, "own", picture_px=tuple(said["picture_px"]), **{name: said[name] for name in names})


def _text(value: Any) -> str:
    return value[:60] if isinstance(value, str) else ""
