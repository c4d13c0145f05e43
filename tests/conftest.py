"""The tiny world every test may play with: untrained, but with scores of its own, so that it moves."""

import os

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # two processes share two cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config):
    """Let built graphs be cached in pytest's own cache folder, not in the user's."""
    os.environ["WORLDLING_CACHE"] = str(config.cache.mkdir("worldling"))


#: A physics exam, and the reports of suites that fit readouts or film long episodes.
SLOW_FIXTURES = {"exam", "physion_reports", "horizon_values"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Count among the slow tests what needs a fixture that takes long to make."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def build_world(passes=1, grid=8, size_px=64, seed=0, warp=0, clips=False, keypoints=0, sparse=""):
    """Return an untrained world of 64 tokens and width 32, whose frames still depend on everything it is given.

    warp: of so many parts a side of each token's place its head says where they come from; clips: it has contexts to
    start from, those of `tiny_clip`, as a trained world has; keypoints: so many, which turn and shift; sparse: the
    pattern of its attention.
    """
    import torch

    from worldling.dynamics.model import Dynamics, DynamicsConfig
    from worldling.tokenizer.model import Tokenizer, TokenizerConfig
    from worldling.types import ActionSpace, Episode
    from worldling.world import World, WorldConfig

    torch.manual_seed(seed)
    space = ActionSpace("discrete", (3,), names=("stay", "up", "down"))
    tokens = TokenizerConfig(size_px=size_px, grid=grid, channels=8, merge=warp or 1)
    shape = DynamicsConfig(
        action_size=3,
        grid=grid,
        channels=8,
        width=32,
        head_dim=16,
        backbone="STST",
        window=6,
        sinks=2,
        passes=passes,
        warp=warp,
        keypoints=keypoints,
        sparse=sparse,
    )
    dynamics = Dynamics(shape)
    if keypoints:
        for network in (*dynamics.keypoints.motion.free, *dynamics.keypoints.motion.touch):
            torch.nn.init.normal_(network.out.weight, std=0.02)
        torch.nn.init.normal_(dynamics.head.hint_in.weight, std=0.5)
    torch.nn.init.normal_(dynamics.head.scores.weight, std=0.5)
    tokenizer = Tokenizer(tokens)
    if warp:
        torch.nn.init.normal_(dynamics.head.warp.flow.weight, std=0.2)
        for layer in (
            tokenizer.encoder[0],
            tokenizer.decoder[0],
            tokenizer.decoder[-1],
        ):  # pictures with something to fetch in them
            torch.nn.init.normal_(layer.weight, std=0.1)
    config = WorldConfig("tiny", "tiny", tokens, shape, space, fps=10.0)
    card = {"source": {"env_id": "test/Tiny-v0", "size_px": size_px, "action_space": {"kind": "discrete", "nvec": [3]}}}
    nothing = np.zeros(4)
    rest = (nothing, nothing.astype(bool), nothing.astype(bool))
    contexts = (
        [Episode(frames, actions, *rest) for frames, actions in zip(*build_clip(), strict=False)] if clips else []
    )
    return World(config, tokenizer, dynamics, card, contexts)


def build_clip():
    """Return frames uint8 [3, 5, 64, 64, 3] and actions [3, 4]: noise."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 5, 64, 64, 3), dtype=np.uint8), rng.integers(0, 3, (3, 4))


@pytest.fixture(scope="session")
def make_world():
    """The function that builds one, for tests that want another seed or more passes."""
    return build_world


@pytest.fixture(scope="session")
def tiny_world():
    return build_world()


@pytest.fixture(scope="session")
def tiny_clip():
    """Frames uint8 [3, 5, 64, 64, 3] and actions [3, 4] to start from."""
    return build_clip()


@pytest.fixture(scope="session")
def square_data(tmp_path_factory):
    """A data set of a square that goes where it is told, in 4 episodes of 20 frames."""
    from worldling.data.store import DatasetMeta, DatasetWriter
    from worldling.types import ActionSpace, Episode

    folder, rng = tmp_path_factory.mktemp("data") / "square", np.random.default_rng(0)
    with DatasetWriter(folder, DatasetMeta("test/Square-v0", 64, ActionSpace("discrete", (3,)), fps=10.0)) as writer:
        for number in range(4):
            actions, x, frames = rng.integers(0, 3, 19), 28, []
            for t in range(20):
                frame = np.zeros((64, 64, 3), np.uint8)
                frame[28:36, x : x + 8] = 255
                frames.append(frame)
                if t < 19:
                    x = int(np.clip(x + 4 * (actions[t] - 1), 0, 56))
            flags = np.zeros(19, bool)
            writer.write(
                Episode(np.stack(frames), actions, np.zeros(19, np.float32), flags, flags, meta={"seed": number})
            )
    return folder


@pytest.fixture
def unchecked_shapes():
    """Let functions run without their shape checks, which torch.compile cannot look into."""
    import jaxtyping

    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def world(make_world):
    """The tiny world with clips to start from, as a trained world has them."""
    return make_world(clips=True)


@pytest.fixture(scope="session")
def warping(make_world):
    """One whose head fetches cells from elsewhere in the picture."""
    return make_world(warp=2, clips=True)


@pytest.fixture(scope="session")
def pointed(make_world):
    """One with keypoints."""
    return make_world(keypoints=5, clips=True)
