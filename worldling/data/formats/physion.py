"""Read Physion's own stimuli (arXiv 2106.08261), one HDF5 file each, as its simulator writes them.

    Dominoes/pilot_dominoes_4mid_boxroom_0000.hdf5     one scenario, or folders of several
        frames/0000/images/_img                        a picture: the bytes of a JPEG or PNG file
        frames/0000/labels/target_contacting_zone      does the agent (red) touch the patient (yellow)?
        static/stimulus_name

The layout is that of github.com/neuroailab/tdw_physics; newer files call the picture `_img_cam0`. Depth, positions,
collisions and the rest are left where they are. A frame is 0.01 s of the simulation; by default every eighth is kept,
12.5 frames per second as in our own physics scenes. Pictures are kept the way up the files have them.

Beside the data set lies physion.json with the name, scenario and first contact of every stimulus: see `Stimulus`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from worldling.config import from_dict, to_dict
from worldling.data import hdf5
from worldling.data.dataset import DatasetMeta
from worldling.data.fingerprint import files_fingerprint
from worldling.data.fit import Fit
from worldling.data.formats.format import Format, ReadOptions, Source
from worldling.data.store import PIECE_FRAMES
from worldling.errors import ConfigError, DataError, DatasetError
from worldling.types import ActionSpace, Episode
from worldling.untrusted import read_json_file

PHYSION = "physion"  # stands where a recording has its environment's id
FRAME_SECONDS = 0.01
SIDE_PX = 256  # of its pictures
FRAME_SKIP = 8
LICENSE = "MIT (that of Physion's repository, cogtoolslab/physics-benchmarking-neurips2021)"
MOST_COLUMN_BYTES = 64 * 2**20  # of a picture, as a file
PICTURES = ("images/_img", "images/_img_cam0")
FIX = "Download the complete file again, or move it out of the folder."
LABEL = "labels/target_contacting_zone"
#: Scenarios by what begins a word of their names, old names included; "rollingSliding_simple_collision" is a roll.
SCENARIOS = {
    "roll": "roll",
    "link": "link",
    "domino": "dominoes",
    "contain": "contain",
    "colli": "collide",
    "drape": "drape",
    "cloth": "drape",
    "drop": "drop",
    "tower": "support",
    "support": "support",
}


@dataclass(frozen=True)
class Stimulus:
    """One imported stimulus.

    episode: its number in the data set; file: where it was in the folder; frames: those in the file; first: the
    first of them in which the agent touches the patient, or None.
    """

    episode: int
    name: str
    scenario: str
    file: str
    frames: int
    first: int | None

    @property
    def contact(self) -> bool:
        """Whether the agent ever touches the patient: what Physion asks."""
        return self.first is not None


class Physion(Format):
    """Physion's stimuli in a folder and the folders in it, each an episode without actions."""

    name = PHYSION

    def detect(self, path: Path) -> bool:
        """Say whether there are *.hdf5 files, and one of the first has frames/ or is too damaged to say."""
        return any(_seems_ours(file) for file in sorted(_files(path))[:4])

    def read(self, path: Path, options: ReadOptions) -> Stimuli:
        """Open every stimulus once; frame_skip is 8 unless another is given."""
        files = sorted(_files(path))
        if not files:
            raise DataError(
                f"`folder` must hold Physion's stimuli (*.hdf5), got none in {path}. "
                "Check the path, and unpack archives."
            )
        for file in files:  # most damage shows on opening: better now than after an hour
            with _opened(file):
                pass
        return Stimuli(path, files, options)


class Stimuli(Source):
    """The stimuli of a folder.

    The state `touching` of an episode says of each frame whether there is contact in it or in those left out after it.
    """

    unit = "stimuli"

    def __init__(self, folder: Path, files: list[Path], options: ReadOptions) -> None:
        self._folder, self._files, self._fit = folder, files, options.fit
        self._stimuli: list[Stimulus] = []
        self.num_items = len(files)
        frame_skip = options.frame_skip or FRAME_SKIP
        self.meta = DatasetMeta(
            env_id=PHYSION,
            action_space=ActionSpace("none"),
            frame_skip=frame_skip,
            fps=1 / (FRAME_SECONDS * frame_skip),
            policy=PHYSION,
            license=options.license or LICENSE,
            seed=files_fingerprint(folder, files),
            **options.fit.describe(SIDE_PX, SIDE_PX),
        )

    def episodes(self) -> Iterator[Episode]:
        """Yield each stimulus as one episode."""
        self._stimuli.clear()
        for number, file in enumerate(self._files):
            episode, stimulus = _read(self._folder, file, number, self._fit, self.meta.frame_skip)
            self._stimuli.append(stimulus)
            yield episode

    def files_beside(self) -> dict[str, str]:
        """Return physion.json, which `read_stimuli` reads."""
        return {"physion.json": json.dumps({"stimuli": [to_dict(s) for s in self._stimuli]}) + "\n"}

    def tallies(self) -> dict[str, dict[str, int]]:
        """Return the stimuli of each scenario, and those of them with a contact."""
        return {
            name: {"stimuli": len(mine), "contact": sum(s.contact for s in mine)}
            for name, mine in by_scenario(self._stimuli).items()
        }


def read_stimuli(path: str | Path) -> list[Stimulus]:
    """Read physion.json of an imported data set. Raises `DatasetError`."""
    file = Path(path) / "physion.json"
    try:
        return [from_dict(Stimulus, values, "stimulus") for values in read_json_file(file)["stimuli"]]
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise DatasetError(
            f"`{path}` must be a data set of Physion's stimuli with physion.json, got a foreign or damaged one "
            f"({error}). Make it with `worldling import FOLDER --out OUT --format physion`."
        ) from None


def by_scenario(stimuli: Iterable[Stimulus]) -> dict[str, list[Stimulus]]:
    """Sort stimuli into their scenarios, these by name."""
    stimuli = list(stimuli)
    return {name: [s for s in stimuli if s.scenario == name] for name in sorted({s.scenario for s in stimuli})}


def scenario_of(name: str, file: Path) -> str:
    """Tell a stimulus's scenario by its name, else by those of its `file` (in the imported folder) and its folders."""
    for text in (name, file.stem, *(parent.name for parent in file.parents)):
        for sign, scenario in SCENARIOS.items():
            if re.search(f"(?<![a-z]){sign}", text, re.IGNORECASE):
                return scenario
    return "unknown"


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*.hdf5") if not file.name.startswith("."))


def _seems_ours(file: Path) -> bool:
    try:
        with hdf5.open_file(file) as opened:
            return isinstance(hdf5.item(opened, "frames"), h5py.Group)
    except OSError:
        return True  # reading says what is wrong with it


def _read(folder: Path, file: Path, number: int, fit: Fit, frame_skip: int) -> tuple[Episode, Stimulus]:
    with _opened(file) as opened:
        names = sorted(opened["frames"])
        kept = names[::frame_skip]
        if not 2 <= len(kept) <= PIECE_FRAMES:
            change = "Lower" if len(kept) < 2 else "Raise"
            raise DataError(
                f"`{file}` must give 2 to {PIECE_FRAMES} frames, got {len(kept)} of its {len(names)} with a frame_skip "
                f"of {frame_skip}. {change} frame_skip, or move the file out of the folder."
            )
        touching = np.array([np.any(_entry(file, opened, name, (LABEL,))[()]) for name in names])
        frames = np.stack([_picture(file, opened, name, fit) for name in kept])
        label = hdf5.item(opened, "static/stimulus_name")
        called = label[()] if isinstance(label, h5py.Dataset) and label.size == 1 else b""
    name = (called.decode("utf-8", "replace") if isinstance(called, bytes) else "") or file.stem
    first = int(touching.argmax()) if touching.any() else None
    still = np.zeros(len(kept) - 1)
    ended = still.astype(bool)
    truncated = ended.copy()
    truncated[-1] = True
    episode = Episode(
        frames,
        np.zeros((len(still), 0), np.float32),
        still.astype(np.float32),
        ended,
        truncated,
        {"touching": np.logical_or.reduceat(touching, np.arange(0, len(names), frame_skip))},
        {"number": number, "name": name},
    )
    inside = file.relative_to(folder.parent)
    return episode, Stimulus(number, name, scenario_of(name, inside), str(file.relative_to(folder)), len(names), first)


@contextmanager
def _opened(file: Path) -> Iterator[h5py.File]:
    """Open a stimulus; damage found then or while it is read becomes one `DataError` that names the file."""
    try:
        with hdf5.open_file(file) as opened:
            if not isinstance(hdf5.item(opened, "frames"), h5py.Group):
                raise DataError(
                    f"`{file}` must be a stimulus of Physion with frames/0000 and so on, "
                    f"got an HDF5 file without. {FIX}"
                )
            yield opened
    except PermissionError:
        raise
    except (OSError, KeyError, RuntimeError) as error:
        why = str(error).strip("\"'")
        raise DataError(f"`{file}` must be a whole HDF5 file, got a damaged or cut-off one ({why}). {FIX}") from None


def _entry(file: Path, opened: h5py.File, frame: str, names: tuple[str, ...]) -> h5py.Dataset:
    """Return the first of `names` that a frame has."""
    for name in names:
        column = hdf5.item(opened, f"frames/{frame}/{name}")
        if isinstance(column, h5py.Dataset):
            if column.nbytes > MOST_COLUMN_BYTES:
                raise hdf5.ForeignColumn(f"its {name} has {column.nbytes:,} bytes")
            return column
    raise DataError(f"`{file}` must have {' or '.join(names)} in every frame, got none in frame {frame}. {FIX}")


def _picture(file: Path, opened: h5py.File, frame: str, fit: Fit) -> np.ndarray:
    data = np.asarray(_entry(file, opened, frame, PICTURES)[()]).tobytes()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return fit.apply(np.asarray(picture.convert("RGB")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError(
            f"`{file}` must hold JPEG or PNG pictures, got one that cannot be decoded in frame {frame}. {FIX}"
        ) from None
