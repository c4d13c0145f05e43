"""The settings of training, and the sizes of networks that `--size` chooses from.

Every setting has a default that trains on a laptop.
"""

from __future__ import annotations

from dataclasses import dataclass

from worldling.dynamics.keypoints import GROUPS
from worldling.dynamics.model import DynamicsConfig
from worldling.errors import ConfigError, nearest
from worldling.tokenizer.model import TokenizerConfig
from worldling.types import ActionSpace
from worldling.world import WorldConfig

# size: grid, width, head_dim, backbone, head layers
SIZES = {
    "xs": (4, 128, 64, "STS", 1),
    "s": (8, 128, 64, "SSTSST", 1),
    "s+": (8, 192, 64, "SSTSST", 1),
    "m": (8, 256, 64, "SSTSST", 2),
    "l": (8, 384, 64, "SSTSST", 2),
    "g": (16, 384, 64, "SSTSSTSS", 2),
}


@dataclass(frozen=True)
class TrainConfig:
    """How a world is trained. Shares are from 0 to 1; "the second stage" is that of the dynamics."""

    # Budget

    size: str = "s"
    """Networks: xs, s, s+, m, l or g."""
    minutes: float = 0.0
    """Wall-clock time of both stages together, encoding all frames between them included; 0 takes half as much
    again as a playable world of a small game needs on this machine (train/estimate.py), or what the run that is
    resumed was given."""
    steps: int = 0
    """Steps of each stage, if above 0; then `minutes` is ignored."""
    seed: int = 0
    """Random seed of the initial weights and of all sampling."""
    ema: float = 0.998
    """Decay of the exponential moving average of the weights; the averaged weights become the world."""
    compile: str = "auto"
    """torch.compile of the second stage: on, off, or auto (for runs of at least 10 minutes; on a CPU without
    bf16 of 30; on a GPU of 4)."""

    # Tokenizer

    tokenizer_share: float = 0.15
    """Share of `minutes` for the first stage."""
    batch_frames: int = 32
    """Frames per step, in pairs of consecutive ones."""
    pool_frames: int = 60_000
    """Frames of the data set that the first stage uses at most."""
    tokenizer_lr: float = 4e-3
    """Peak learning rate."""
    tokenizer_jitter: float = 0.02
    """Share of latent values moved by one level before the decoder sees them."""
    latent_smoothness: float = 0.17
    """Weight of the loss on a latent's change from frame to frame (tokenizer/loss.py)."""
    levels: int = 8
    """Values that a latent channel can take."""
    tokenizer_levels: int = 8
    """Values that a channel has while the tokenizer learns, if that is fewer than `levels` (tokenizer/loss.py)."""
    grid: int = 0
    """Tokens per side of the grid; 0 takes the default of `size`."""
    merge: int = 1
    """A token is made of merge x merge cells (tokenizer/model.py)."""
    tokenizer_from: str = ""
    """A world whose tokenizer is taken over as it is, so that all minutes go to the dynamics: its name or folder. Its
    pictures must be as large, in as many cells (grid times merge), and its `levels` the same."""
    enlarges: str = ""
    """A world that is to have the larger pictures of these data, its name or folder: its encoder and dynamics are
    taken over as they are, and all minutes go to a decoder. Other settings of the networks are its own."""

    # Dynamics

    passes: int = 1
    """Denoising passes per frame: 1 for a deterministic world; 2 or 4 for a stochastic one."""
    centered_scores: bool = False
    """Whether the head predicts a centre and a width for each channel's logits (dynamics/model.py)."""
    warp: bool = False
    """Whether the head may copy cells from elsewhere in the last frame, by optical flow (dynamics/warp.py)."""
    sparse: str = ""
    """Attention within windows and to a few summaries of the frame, such as "window:4+global:8", or linear attention,
    "linear" (nn/sparse.py); pays from about 500 tokens a frame on. "" is dense."""
    keypoints: int = 0
    """Points that are found in the pictures without labels and predicted before the frame (dynamics/keypoints.py);
    0 for none. About 4 a moving thing."""
    keypoint_groups: int = 8
    """Groups of points that move as one, at most: one for each thing that moves, and some for points that lie now on
    this, now on that."""
    keypoints_from: str = ""
    """A world whose keypoints and their motion are taken over as they are, such as that of the same game in coarser
    pictures: its name or folder. Its actions must be the same, its grid the same or coarser; its `keypoints` and
    `keypoint_groups` count."""
    keypoint_share: float = 0.25
    """Share of `minutes` for finding keypoints and learning their motion, in worlds that have them."""
    keypoint_jitter: float = 0.004
    """Standard deviation of the noise in the keypoints that the dynamics are given, of a picture 2 wide."""
    batch_clips: int = 8
    """Clips per step."""
    clip_frames: int = 19
    """Frames of a clip: the 18 that the memory holds, and the current one."""
    dynamics_lr: float = 6e-3
    """Peak learning rate."""
    weight_decay: float = 0.3
    """Decoupled weight decay of the matrices: the share removed per step and unit of learning rate."""
    prioritized: bool = True
    """Sample clips by how hard they were to predict when last used, else by how much changes in them."""
    mirror: str = ""
    """Reflections that leave the world's dynamics unchanged, such as "x:0,y:1" (learn/reflection.py)."""
    bootstrap_share: float = 0.25
    """Share of the frames on which worlds of several passes learn larger denoising steps from smaller ones."""
    sparse_share: float = 0.0
    """Share of the grid that most steps train on, the cells where most changes; 0 chooses it from the data; 1 is all.
    At least 16 cells; worlds of several passes always use all."""
    dense_every: int = 10
    """One step in this many uses the whole grid."""
    dense_from: float = 0.9
    """Share of the second stage after which every step uses the whole grid."""

    # History augmentation and scheduled sampling

    jitter: float = 0.03
    """Largest share of the latent values of the history that are moved by one level."""
    cutmix: float = 0.7
    """Share of the clips in whose history some cells are replaced by others, from `rollout_from` on
    (learn/augmentation.py)."""
    rollout_from: float = 0.5
    """Share of the second stage after which the model's own roll-outs replace the end of a clip's history."""
    rollout_share: float = 0.5
    """Share of the clips whose history ends with a roll-out."""
    rollout_frames: int = 4
    """Largest number of frames at the end of a clip that a roll-out replaces."""
    rollout_every: int = 48
    """Steps between fresh roll-outs."""
    rollout_reuse: float = 2.0
    """Mean number of times that each roll-out is used before fresh ones are made."""


def world_config(name: str, train: TrainConfig, size_px: int, action_space: ActionSpace, fps: float) -> WorldConfig:
    """Return the networks of size `train.size` for pictures of `size_px`. Raises `ConfigError`."""
    if train.size not in SIZES:
        raise ConfigError(f"`size` must be one of {', '.join(SIZES)}, got {train.size!r}. {nearest(train.size, SIZES)}")
    grid, width, head_dim, backbone, head_layers = SIZES[train.size]
    grid = train.grid or grid
    cells = grid * train.merge
    channels = 12 if size_px <= 4 * cells else 32 if cells >= 8 else 96
    tokenizer = TokenizerConfig(size_px, grid, channels * train.merge**2, train.levels, train.merge)
    dynamics = DynamicsConfig(
        action_size=action_space.size,
        grid=grid,
        channels=tokenizer.channels,
        levels=tokenizer.levels,
        width=width,
        head_dim=head_dim,
        backbone=backbone,
        head_layers=head_layers,
        passes=train.passes,
        centered_scores=train.centered_scores,
        warp=train.merge if train.warp else 0,
        keypoints=train.keypoints,
        keypoint_groups=train.keypoint_groups if train.keypoints and train.keypoint_groups != GROUPS else 0,
        sparse=train.sparse,
    )
    return WorldConfig(name, train.size, tokenizer, dynamics, action_space, fps)
