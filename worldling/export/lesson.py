"""A lesson: a page with a text, a physics scene to try, a plot of what is measured in it, and questions.

    lesson = read_lesson("ramp")                    a bundled one, or a file of one's own
    export_lesson(lesson, "lesson.html")

The real runs are made by the physics engine while the page is written; the dreamed ones by the world in the page. Both
are measured in the picture, by colour, and laid beside what the engine knows.
"""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from worldling.config import finite, from_dict, write_atomic
from worldling.data.simulators import check_scenes
from worldling.errors import ConfigError, ExportError, nearest
from worldling.export.bundle import lesson_page
from worldling.export.check import Agreement
from worldling.export.write import packed_world
from worldling.progress import Progress
from worldling.report.figures import png_url
from worldling.scenes.names import PHYSICS_IDS, SCENARIOS
from worldling.scenes.seen import read
from worldling.types import Episode
from worldling.world import World
from worldling.world_files import load_world

if TYPE_CHECKING:
    from worldling.scenes.env import SceneEnv

LESSONS = Path(__file__).parent / "lessons"
#: Frames that the world is shown before it goes on by itself, without a push.
SHOWN = 4
#: Other scenes of the same kind in which the world's usual error is measured; the share of runs that keep within it.
OTHERS, USUAL = 12, 2 / 3
#: Metres a second, each second.
GRAVITY = 9.81
THINGS = ("red", "yellow")


@dataclass(frozen=True)
class Quantity:
    """Something that is measured. says: what, for the plot; upright: on a plane that stands, else on the floor."""

    says: str
    unit: str
    upright: bool = False


QUANTITIES = {
    "place": Quantity("place to the right", "m"),
    "distance": Quantity("distance from the start", "m"),
    "speed": Quantity("speed", "m/s"),
    "height": Quantity("height", "m", upright=True),
    "energy": Quantity("energy per kilogram", "J/kg", upright=True),
}


@dataclass(frozen=True)
class Choice:
    """One thing to try. label: what the button says; push: to the right and away, each -1 to 1, held all the time."""

    label: str
    push: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Question:
    """A question with its answers; right: the number of the right one, from 1; because: shown when it was chosen."""

    text: str
    answers: tuple[str, ...]
    right: int
    because: str = ""


@dataclass(frozen=True)
class Lesson:
    """What a lesson's file says. Raises `ConfigError` for what cannot be.

    title, text: what the page says, paragraphs between empty lines; scene: one of `SCENARIOS`; seed: of its look;
    world: name or folder; thing: red or yellow; quantity: one of `QUANTITIES`; seconds: length of a run; choice: at
    least one; question: as many as wanted.
    """

    title: str
    text: str
    scene: str
    quantity: str
    choice: tuple[Choice, ...]
    seed: int = 0
    world: str = "physics"
    thing: str = "red"
    seconds: float = 1.6
    question: tuple[Question, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, value, known in (
            ("scene", self.scene, SCENARIOS),
            ("quantity", self.quantity, tuple(QUANTITIES)),
            ("thing", self.thing, THINGS),
        ):
            if value not in known:
                raise ConfigError(f"`{name}` must be one of {', '.join(known)}, got {value!r}. {nearest(value, known)}")
        if not 0.4 <= self.seconds <= 3.2:
            raise ConfigError(f"`seconds` must be from 0.4 to 3.2, got {self.seconds:g}. Worlds are trained on 3.2.")
        if not self.choice:
            raise ConfigError("`choice` must be given at least once, got none. Add [[choice]] with a label and a push.")
        if self.seed < 0:
            raise ConfigError(f"`seed` must be 0 or more, got {self.seed}. Any other one draws another scene.")
        for choice in self.choice:
            if max(map(abs, choice.push)) > 1:
                raise ConfigError(f"`choice.push` must be from -1 to 1, got {list(choice.push)}. Make it smaller.")
        for question in self.question:
            if not 1 <= question.right <= len(question.answers):
                raise ConfigError(
                    f"`question.right` must be from 1 to the number of answers, {len(question.answers)}, got "
                    f"{question.right}. It says which one is right."
                )


@dataclass(frozen=True)
class Runs:
    """Runs of one scene, one for each choice: the engine's, and the world's under the same pushes.

    frames uint8 `[C, T, H, W, 3]`: real ones, from the last that the world was shown; true, real, dreamed `[C, T]`: the
    quantity as the engine knows it, as read in real frames, and as read in the world's (NaN where nothing is seen);
    to_plane `[3, 3]`: of `Camera.to_plane`; clip: what the world was shown.
    """

    frames: np.ndarray
    true: np.ndarray
    real: np.ndarray
    dreamed: np.ndarray
    to_plane: np.ndarray
    clip: Episode

    @property
    def error(self) -> np.ndarray:
        """How far the world's run lies from the engine's, `[C, T]`; infinite where the thing is lost."""
        return np.nan_to_num(np.abs(self.dreamed - self.true), nan=np.inf)


@dataclass(frozen=True)
class ExportedLesson:
    """What was written, and how far it can be trusted.

    file; bytes; agreement: of the page's frames with the reference's; unit: of the errors, each a mean over a run:
    reading: in real frames, against the engine; error: the world's, by choice; usual: what two thirds of runs in other
    scenes of the kind keep within.
    """

    file: str
    bytes: int
    agreement: Agreement
    unit: str
    reading: float
    error: dict[str, float]
    usual: float


def bundled_lessons() -> list[str]:
    """Return the names of the lessons that come with Worldling."""
    return sorted(file.stem for file in LESSONS.glob("*.toml"))


def read_lesson(name: str | Path) -> Lesson:
    """Read a lesson: a TOML file, or the name of a bundled one. Raises `ConfigError`."""
    file = Path(name)
    if not file.is_file() and str(name) in bundled_lessons():
        file = LESSONS / f"{name}.toml"
    if not file.is_file():
        known = ", ".join(bundled_lessons())
        raise ConfigError(f"`lesson` must be a TOML file or one of {known}, got {str(name)!r}. Write for example ramp.")
    try:
        return from_dict(Lesson, tomllib.loads(file.read_text()), "lesson")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{file}` must be TOML, got: {error}. Mend that line.") from None


def export_lesson(lesson: Lesson, file: str | Path, bits: int = 16, quiet: bool = True) -> ExportedLesson:
    """Write `lesson` as a page of one file. Raises `ConfigError`, `EnvError` or `ExportError`.

    bits: of a weight, 32, 16 or 8. Cost: a minute, most of it to compare the page's world with the reference.
    """
    world = load_world(lesson.world)
    if world.card.get("source", {}).get("env_id") not in PHYSICS_IDS:
        raise ConfigError(f"`world` must be one of physics scenes, got {lesson.world!r}. Use physics.")
    check_scenes()
    from worldling.scenes.env import SceneEnv

    scene = SceneEnv(lesson.scene)
    try:
        runs = run(lesson, world, scene, lesson.seed)
        usual = usual_error(lesson, world, scene, quiet)
    finally:
        scene.close()
    shown = copy.copy(world)
    shown.contexts = [runs.clip]
    packed, agreement = packed_world(shown, "lesson", bits, quiet)
    write_atomic(file, lesson_page(packed, lesson.title, told(lesson, runs, usual, world.config.fps or 1)))
    errors = runs.error.mean(1)
    return ExportedLesson(
        str(file),
        Path(file).stat().st_size,
        agreement,
        QUANTITIES[lesson.quantity].unit,
        float(np.nanmean(np.abs(runs.real - runs.true))),
        {choice.label: float(error) for choice, error in zip(lesson.choice, errors, strict=True)},
        float(usual.mean()),
    )


def run(lesson: Lesson, world: World, scene: SceneEnv, seed: int) -> Runs:
    """Run the scene of `seed` once for each choice, with the engine and in `world`."""
    pushes = np.array([choice.push for choice in lesson.choice], np.float32)
    fps = world.config.fps or 1
    steps = round(lesson.seconds * fps)
    films, places = [], []
    for push in pushes:
        frame, _ = scene.reset(seed=seed)
        frames, where = [frame], [_place(lesson, scene)]
        for t in range(SHOWN - 1 + steps):
            frame, *_ = scene.step(push if t >= SHOWN - 1 else np.zeros(2, np.float32))
            frames.append(frame)
            where.append(_place(lesson, scene))
        films.append(frames)
        places.append(where)
    film, place = np.array(films), np.array(places)
    rest = np.zeros((len(pushes), SHOWN - 1, 2), np.float32)
    state = world.start(film[:, :SHOWN], rest)
    dream = world.rollout(state, np.repeat(pushes[:, None], steps, axis=1))
    dream = np.concatenate([film[:, SHOWN - 1 : SHOWN], dream], axis=1)
    upright = QUANTITIES[lesson.quantity].upright
    origin = np.array([0.0, place[0, SHOWN - 1, 1], 0.0]) if upright else np.array([0.0, 0.0, place[0, SHOWN - 1, 2]])
    to_plane = scene.camera.to_plane(
        origin, np.array([1.0, 0, 0]), np.array([0.0, 0, 1]) if upright else np.array([0, 1.0, 0])
    )
    true = place[:, SHOWN - 1 :, [0, 2 if upright else 1]]
    none = np.zeros(SHOWN - 1, np.float32)
    never = none.astype(bool)
    return Runs(
        film[:, SHOWN - 1 :],
        measured(lesson.quantity, true, fps),
        measured(lesson.quantity, on_plane(_seen(lesson, film[:, SHOWN - 1 :]), to_plane), fps),
        measured(lesson.quantity, on_plane(_seen(lesson, dream), to_plane), fps),
        to_plane,
        Episode(film[0, :SHOWN], rest[0], none, never, never),
    )


def usual_error(lesson: Lesson, world: World, scene: SceneEnv, quiet: bool) -> np.ndarray:
    """Return what `USUAL` of the runs in other scenes keep within, at each time `[T]`. Raises `ExportError`."""
    errors = []
    with Progress("measuring the world in other scenes", OTHERS, "scenes", quiet) as progress:
        for number in range(OTHERS):
            errors.append(run(lesson, world, scene, lesson.seed + 1 + number).error)
            progress.update(number + 1)
    usual: np.ndarray = np.quantile(np.concatenate(errors), USUAL, axis=0, method="higher")
    if not np.isfinite(usual).all():
        raise ExportError(
            f"`world` must keep {lesson.thing} in sight in two of three scenes, got fewer for {lesson.seconds:g} s of "
            f"{lesson.scene}. Make `seconds` smaller."
        )
    return usual


def _place(lesson: Lesson, scene: SceneEnv) -> np.ndarray:
    return scene.trial.agent_place() if lesson.thing == "red" else scene.trial.patient_place()


def _seen(lesson: Lesson, frames: UInt8[np.ndarray, "C T H W 3"]) -> Float[np.ndarray, "C T 2"]:
    things = read(frames)
    return things.agent if lesson.thing == "red" else things.patient


def on_plane(seen: Float[np.ndarray, "*n 2"], to_plane: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "*n 2"]:
    """Return places of the picture, in shares of it, as metres on a plane (`Camera.to_plane`)."""
    found = np.concatenate([seen, np.ones_like(seen[..., :1])], -1) @ to_plane.T
    return np.asarray(found[..., :2] / found[..., 2:])


def measured(quantity: str, places: Float[np.ndarray, "*n T 2"], fps: float) -> Float[np.ndarray, "*n T"]:
    """Return a quantity over time, of a thing at `places` in metres; measure.js does the same in the page.

    Speeds are those of the two frames around each, at the ends of the two last and first ones.
    """
    if quantity == "place":
        return places[..., 0]
    if quantity == "height":
        return places[..., 1]
    if quantity == "distance":
        return np.asarray(np.linalg.norm(places - places[..., :1, :], axis=-1))
    speed = np.linalg.norm(np.gradient(places, 1 / fps, axis=-2), axis=-1)
    return np.asarray(speed if quantity == "speed" else GRAVITY * places[..., 1] + speed**2 / 2)


def told(lesson: Lesson, runs: Runs, usual: np.ndarray, fps: float) -> dict[str, Any]:
    """Return what the page knows of the lesson, as json."""
    quantity = QUANTITIES[lesson.quantity]
    choices = [
        {"label": choice.label, "push": list(choice.push), "true": true.tolist(), "film": [png_url(f) for f in frames]}
        for choice, true, frames in zip(lesson.choice, runs.true, runs.frames, strict=True)
    ]
    found: dict[str, Any] = finite(
        {
            "title": lesson.title,
            "text": [" ".join(part.split()) for part in lesson.text.split("\n\n") if part.strip()],
            "thing": lesson.thing,
            "quantity": lesson.quantity,
            "says": quantity.says,
            "unit": quantity.unit,
            "fps": fps,
            "toPlane": runs.to_plane.ravel().tolist(),
            "usual": usual.tolist(),
            "choices": choices,
            "questions": [
                {"text": q.text, "answers": list(q.answers), "right": q.right - 1, "because": q.because}
                for q in lesson.question
            ],
        }
    )
    return found
