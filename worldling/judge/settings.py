"""The settings of a judgement."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worldling.errors import JudgeError

#: The longest that anybody plays, in seconds.
MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class Settings:
    """The settings of a judgement. Raises `JudgeError` if one is impossible."""

    starts: int = 500
    """Points of the data to roll out from."""
    seed: int = 0
    """Chooses the starts and everything else at random."""
    horizons: tuple[int, ...] = (1, 5, 10, 25, 50)
    """Frames ahead at which predictions are tabled."""
    rollouts: int = 16
    """Long roll-outs of the stability suite."""
    lengths: tuple[int, ...] = (1000, 10000)
    """Frames after which long roll-outs are summed up."""
    resamples: int = 1000
    """Resamples of the bootstrap."""
    exam: str = "data/physics-exam"
    """Folder of the physics exam, made where it is missing."""
    trials: int = 400
    """Trials of the exam per scene; the surprise suite draws a pair of each edit for every 40."""
    scenes: tuple[str, ...] = ()
    """Physics scenes to be judged on; none named for all that fit the world."""
    physion: str = ""
    """Data set of Physion's own stimuli, if any."""
    chaos: str = "data/chaos"
    """Folder of the clips of chaotic environments, made where they are missing."""

    players: int = 64
    """Scripted players of the play suite."""
    seconds: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0)
    """Seconds of play at which the play suite looks."""
    hands: tuple[str, ...] = ()
    """Kinds of scripted player; none named for all that fit the world's actions."""

    def __post_init__(self) -> None:
        for name in ("horizons", "lengths"):
            values = tuple(sorted({int(v) for v in getattr(self, name)}))
            if not values or values[0] < 1:
                raise JudgeError(f"`{name}` must be whole numbers of at least 1, got {values}. Give frames ahead.")
            object.__setattr__(self, name, values)
        seconds = tuple(sorted({float(v) for v in self.seconds}))
        if not seconds or not 0 < seconds[0] <= seconds[-1] <= MOST_SECONDS:
            raise JudgeError(f"`seconds` must be more than 0 and at most {MOST_SECONDS}, got {seconds}. Give 1,5,20.")
        object.__setattr__(self, "seconds", seconds)
        for name in ("scenes", "hands"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("exam", "physion", "chaos"):
            object.__setattr__(self, name, str(getattr(self, name) or ""))
        if self.seed < 0:
            raise JudgeError(f"`seed` must be at least 0, got {self.seed}. Use 0.")
        for name in ("starts", "rollouts", "resamples", "trials", "players"):
            if getattr(self, name) < 2:
                raise JudgeError(f"`{name}` must be at least 2, got {getattr(self, name)}. Intervals need several.")

    def within(self, frames: int) -> Settings:
        """Return these with only the horizons of up to so many frames; as they are, if none is."""
        return replace(self, horizons=tuple(h for h in self.horizons if h <= frames) or self.horizons)
