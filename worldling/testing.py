"""Contract suites that you can inherit: `WorldContract` holds the laws that any world must keep.

    from worldling.testing import WorldContract

    class TestMine(WorldContract):            # run it with pytest
        def make_world(self):
            return Mine("weights.safetensors")

What a world is made of is written in protocol.py. That the action matters is not a law: that is judged.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from worldling.errors import ActionError, WorldlingError
from worldling.protocol import WorldModel, check_world

Clip = tuple[np.ndarray, np.ndarray]


class WorldContract:
    """The laws of a world, one test each. Inherit it, write `make_world`, and `make_clip` if you have real frames.

    A test asks for a world once; where making one is slow, return the same one each time.

    tolerance: the share of pixel values that may be off by more than one level where a batch is held against its rows
    alone: other batch sizes round differently, in half precision visibly (.02 then). steps: how far the laws are
    followed.
    """

    tolerance = 1e-3
    steps = 6

    def make_world(self) -> WorldModel:
        """Return the world to be tested."""
        raise NotImplementedError("`make_world` must return a world, got nothing. Write it in your test class.")

    def make_clip(self, world: WorldModel) -> Clip:
        """Return frames uint8 `[B >= 2, T > context, H, W, 3]` and their raw actions `[B, T - 1, ...]`: noise here."""
        rng, count = np.random.default_rng(0), world.config.context + 2
        frames = rng.integers(0, 256, (3, count, world.size_px, world.size_px, 3), dtype=np.uint8)
        return frames, self._actions(world, 3, count - 1)

    def test_it_has_what_is_asked_of_a_world(self) -> None:
        world = self.make_world()
        check_world(world)
        assert world.config.context >= 1, "`config.context` counts real frames: at least one"

    def test_frames_and_latents_have_the_promised_shapes(self) -> None:
        world, frames, actions, then = self._given()
        rows, side = len(frames), (world.size_px, world.size_px, 3)
        latents = world.encode(frames)
        assert tuple(latents.shape[:2]) == frames.shape[:2] and latents.ndim == 4, "`encode` keeps the leading axes"
        assert latents.is_floating_point(), "`encode` gives a tensor of floats"
        _check(world.decode(latents), frames.shape, "`decode`")
        _check(world.decode(latents[0]), frames[0].shape, "`decode` of fewer axes")
        state = world.start(frames, actions)
        for index in (1, 2):
            step = world.step(state, then[:, index - 1])
            _check(step.frame, (rows, *side), "`step`")
            assert step.latent.shape == latents[:, 0].shape, "`step` gives a latent as `encode` does"
            assert step.index == index, "`step.index` counts frames since `start`"
        _check(world.rollout(state, then), (rows, self.steps, *side), "`rollout`")
        made = world.rollout(state, then, decode=False)
        assert made.shape == (rows, self.steps, *latents.shape[2:]), "`rollout` with decode=False gives latents"

    def test_rollout_equals_steps(self) -> None:
        world, frames, actions, then = self._given()
        _equal(
            world.rollout(world.start(frames, actions), then),
            self._steps(world, frames, actions, then),
            "`rollout` must give the frames that `step` gives one by one",
        )

    def test_latents_decode_to_the_frames_shown(self) -> None:
        world, frames, actions, then = self._given()
        shown = world.rollout(world.start(frames, actions), then)
        unwatched = world.rollout(world.start(frames, actions), then, decode=False)
        self._near(world.decode(unwatched), shown, "latents must decode to the frames shown, watched or not")
        state = world.start(frames, actions)
        stepped = [world.decode(world.step(state, then[:, t], decode=False).latent) for t in range(self.steps)]
        self._near(np.stack(stepped, 1), shown, "`step` with decode=False must make the same frames")

    def test_batch_equals_alone(self) -> None:
        world, frames, actions, then = self._given()
        seeds = list(range(7, 7 + len(frames)))
        together = world.rollout(world.start(frames, actions, seeds), then)
        for row in range(len(frames)):
            one = slice(row, row + 1)
            alone = world.rollout(world.start(frames[one], actions[one], seeds[one]), then[one])
            self._near(alone, together[one], "a row's frames must not depend on who shares its batch")

    def test_same_seed_same_frames(self) -> None:
        world, frames, actions, then = self._given()
        for seed in (3, list(range(len(frames)))):
            first, again = (world.rollout(world.start(frames, actions, seed), then) for _ in range(2))
            _equal(first, again, f"seed {seed} and the same actions must give the same frames")

    def test_inputs_are_left_as_they_are(self) -> None:
        world, frames, actions, then = self._given()
        kept = [array.copy() for array in (frames, actions, then)]
        state = world.start(frames, actions)
        world.step(state, then[:, 0])
        world.rollout(state, then)
        world.encode(frames)
        for array, before in zip((frames, actions, then), kept, strict=False):
            assert np.array_equal(array, before), "a world must not write into what it is given"

    def test_any_length_of_context_is_taken_or_refused(self) -> None:
        world, frames, actions, then = self._given()
        for count in range(1, frames.shape[1] + 1):
            try:
                state = world.start(frames[:, :count], actions[:, : count - 1])
            except WorldlingError as error:
                if count == world.config.context:
                    raise AssertionError(f"{count} frames are its own `config.context`, yet: {error}") from None
                continue
            _check(world.step(state, then[:, 0]).frame, frames[:, 0].shape, f"a step after {count} frames")

    def test_wrong_actions_are_told(self) -> None:
        world, frames, actions, then = self._given()
        for wrong in _wrong(world, actions):
            _refuses(partial(world.start, frames, wrong), f"`start` must raise ActionError for actions {_about(wrong)}")
        state, after = world.start(frames, actions), self._steps(world, frames, actions, then)
        for wrong in _wrong(world, then[:, 0]):
            _refuses(partial(world.step, state, wrong), f"`step` must raise ActionError for actions {_about(wrong)}")
        _equal(world.rollout(state, then), after, "a refused action must leave the state as it was")

    def test_states_do_not_disturb_each_other(self) -> None:
        world, frames, actions, then = self._given()
        wanted = self._steps(world, frames, actions, then)
        one, other = world.start(frames, actions), world.start(frames[::-1].copy(), actions[::-1].copy(), seed=1)
        made = []
        for t in range(self.steps):
            made.append(np.array(world.step(one, then[:, t]).frame))
            world.step(other, then[::-1, t].copy())
        _equal(np.stack(made, 1), wanted, "a state must step as if no other were there")

    def test_fork_equals_original(self) -> None:
        world, frames, actions, then = self._given()
        state = world.start(frames, actions)
        world.step(state, then[:, 0])
        fork, kept = state.fork(), state.fork()
        wanted = world.rollout(state, then)
        _equal(world.rollout(fork, then), wanted, "a fork must step as its original")
        _equal(world.rollout(kept.fork(), then), wanted, "a fork must not move when another one steps")
        wide, each = kept.fork(2), np.repeat(then, 2, axis=0)
        assert (wide.batch, wide.index) == (2 * len(frames), 1), "`fork(2)` must give two rows for each"
        self._near(world.rollout(wide, each), np.repeat(wanted, 2, axis=0), "rows of `fork(2)` must be b0 b0 b1 b1 ...")

    def test_surprise_has_one_figure_for_each_next_frame(self) -> None:
        """Holds for worlds that can tell it; others give None."""
        world, frames, actions, _ = self._given()
        found = world.surprise(frames, actions)
        if found is None:
            return
        found = np.asarray(found)
        wanted = (len(frames), frames.shape[1] - 1)
        assert found.shape == wanted, f"`surprise` must give [B, T - 1] = {wanted}, got {found.shape}"
        assert np.isfinite(found).all(), "`surprise` must give finite figures"

    def _given(self) -> tuple[WorldModel, np.ndarray, np.ndarray, np.ndarray]:
        """Return the world, frames and actions to start from, and actions `[B, steps, ...]` to go on with."""
        world = self.make_world()
        frames, actions = self.make_clip(world)
        return world, frames, actions, self._actions(world, len(frames), self.steps)

    def _actions(self, world: WorldModel, rows: int, count: int) -> np.ndarray:
        rng, space = np.random.default_rng(1), world.action_space
        return np.stack([space.sample(rng) for _ in range(rows * count)]).reshape(rows, count, *space.shape)

    def _steps(self, world: WorldModel, frames: np.ndarray, actions: np.ndarray, then: np.ndarray) -> np.ndarray:
        state = world.start(frames, actions)
        return np.stack([np.array(world.step(state, then[:, t]).frame) for t in range(then.shape[1])], 1)

    def _near(self, made: np.ndarray, wanted: np.ndarray, law: str) -> None:
        share = (np.abs(made.astype(int) - wanted) > 1).mean()
        assert share <= self.tolerance, f"{law}: {share:.2%} of the pixel values differ"


def _equal(made: np.ndarray, wanted: np.ndarray, law: str) -> None:
    assert np.array_equal(made, wanted), f"{law}: {(made != wanted).mean():.2%} of the pixel values differ"


def _check(frames: Any, shape: tuple[int, ...], who: str) -> None:
    got = f"{getattr(frames, 'dtype', type(frames).__name__)} {list(np.shape(frames))}"
    fits = isinstance(frames, np.ndarray) and frames.dtype == np.uint8 and frames.shape == tuple(shape)
    assert fits, f"{who} must give frames uint8 {list(shape)}, got {got}"


def _wrong(world: WorldModel, right: np.ndarray) -> list[np.ndarray]:
    """Return actions like `right`, but of another shape, for fewer rows, or out of bounds."""
    space = world.action_space
    wrong = [right[..., None], np.repeat(right, 2, axis=0)]
    if space.kind == "box":
        return [*wrong, right + 2 * np.subtract(space.high, space.low, dtype=right.dtype), right * np.nan]
    return wrong if space.kind == "none" else [*wrong, right - right.max() - 1, right + max(space.nvec)]


def _about(actions: np.ndarray) -> str:
    return (
        f"{list(actions.shape)} from {actions.min():g} to {actions.max():g}"
        if actions.size
        else f"{list(actions.shape)}"
    )


def _refuses(call: Any, law: str) -> None:
    try:
        call()
    except ActionError:
        return
    raise AssertionError(law)
