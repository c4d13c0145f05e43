"""Keypoints: a few places in the picture that follow the things in it, found without labels and predicted first.

    points  = finder(picture)                      of a real frame
    points' = motion(points, before, action)       of the next frame
    hint    = painter(points')                     what the head is told of each cell

A grid of latents knows no things: each cell guesses its part of one, and where they disagree the thing melts. A few
points know where each thing is once. Finder and painter are trained as an autoencoder of pictures whose whole code is
the points (Jakab et al., arXiv 1806.07823; Minderer et al., arXiv 1906.07889), the motion on points that the finder
gives. Ours differs in that points are fixed to their things (train/keypoint_stage.py) and move in groups, each by one
rotation and one shift, so that what is rigid stays rigid however long it is dreamed, and in that the points are a hint
to a head over latents, which draws as without them what is no thing (a road, a score). The sines in which places are
given to the painter come in one octave after the other, or they mislead the finder (as Lin et al. found for cameras,
arXiv 2104.06405).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldling.types import frames_to_float

#: Most points of a world: each group looks at all of them.
MOST_POINTS = 64
#: Pictures are looked at in this size, in pixels a side, whatever the world's.
SEEN_PX = 64
#: Side of the maps in which the finder looks for points.
MAP_SIDE = 16
#: Octaves of sines in which places are given: the longest period is twice the picture's side.
OCTAVES = 6
#: Octaves with which the painter begins.
FIRST_OCTAVES = 2.5
#: Size of the painter's features of a cell, which are the hint.
HINT_SIZE = 256
#: Groups of points that move as one, where nothing else is said; most of them.
GROUPS, MOST_GROUPS = 4, 16
#: The middle nine tenths of a normal distribution, in standard deviations.
MIDDLE = 3.29
#: Points belong together if their distance varies by less than this (half a picture's side is 1).
SAME_THING = 0.05
#: A shift (half a picture's side), or a turn in radians, for an output of one, per frame.
MOTION_SCALE = 0.1
#: A group whose front is shorter than this faces to the right, as a single point does.
SMALLEST_FRONT = 0.003


class Guess(NamedTuple):
    """What is said of the next frame before it is drawn.

    points `[B, 2, K, 2]`: the points of the next frame and of the current one, x and y in [-1, 1] from the left and
    upper edge; hint `[B, N, E]`: what the head is told of each cell, None from a backend that says it of some cells
    later (backends/delta.py).
    """

    points: Tensor
    hint: Tensor | None


class Keypoints(nn.Module):
    """Finder, painter and motion of K = `count` points in `groups`, for a grid of N = grid x grid cells."""

    def __init__(self, count: int, grid: int, action_size: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.finder = Finder(count)
        self.painter = Painter(count, grid)
        self.motion = Motion(count, action_size, groups)

    def forward(self, points: Float[Tensor, "B 2 K 2"], action: Float[Tensor, "B A"]) -> Guess:
        """Guess the next points from those of the current frame and of the one before `[B, 2, K, 2]`."""
        following = self.move(points, action)
        return Guess(following, self.painter(following[:, 0]))

    def move(self, points: Float[Tensor, "B 2 K 2"], action: Float[Tensor, "B A"]) -> Float[Tensor, "B 2 K 2"]:
        """Return `Guess.points` alone."""
        now, before = points.unbind(1)
        following, _ = self.motion(now, before, action)
        return torch.stack([following, now], 1)

    @torch.inference_mode()
    def find(self, clips: np.ndarray) -> Float[Tensor, "B T 2 K 2"]:
        """Return the points of each frame of clips uint8 `[B, T, H, W, 3]`, and those of the frame before it.

        The first frame of a clip has itself before it.
        """
        device = self.motion.facing.device
        flat = torch.from_numpy(np.ascontiguousarray(clips)).flatten(0, 1)
        found = torch.cat([self.finder(frames_to_float(part.to(device))) for part in flat.split(64)])
        points = found.unflatten(0, clips.shape[:2])
        return torch.stack([points, torch.cat([points[:, :1], points[:, :-1]], 1)], 2)


def centres(side: int) -> Float[Tensor, "N 2"]:
    """Return the centre of each of side x side cells, x and y in [-1, 1]."""
    along = (torch.arange(side) * 2 + 1) / side - 1
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y], -1).view(-1, 2)


class Sines(nn.Module):
    """Give each number with its sines and cosines in `OCTAVES` octaves: `[..., n]` to `[..., n * SIZE]`."""

    SIZE = 1 + 2 * OCTAVES
    octaves: Tensor
    share: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("octaves", torch.pi * 2.0 ** torch.arange(-1, OCTAVES - 1), persistent=False)
        self.register_buffer("share", torch.ones(OCTAVES), persistent=False)

    def use(self, octaves: float) -> None:
        """Fade out all but the first `octaves`, the next by the fraction."""
        left = (octaves - torch.arange(OCTAVES)).clamp(0, 1)
        self.share.copy_((1 - torch.cos(torch.pi * left)) / 2)

    def forward(self, x: Tensor) -> Tensor:
        angle = x[..., None] * self.octaves
        return torch.cat([x, (angle.sin() * self.share).flatten(-2), (angle.cos() * self.share).flatten(-2)], -1)


class Finder(nn.Module):
    """Find K points: each is the mean place in a map of where it may be (soft argmax)."""

    centres: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        pixels = 3 * (SEEN_PX // MAP_SIDE) ** 2
        self.enter = nn.Conv2d(pixels, 64, 3, padding=1)
        self.down = nn.Conv2d(64, 96, 3, stride=2, padding=1)
        self.far = nn.ModuleList(nn.Conv2d(96, 96, 3, padding=1) for _ in range(2))
        self.join = nn.Conv2d(64 + 96, 64, 1)
        self.maps = nn.Conv2d(64, count, 3, padding=1)
        self.register_buffer("centres", centres(MAP_SIDE), persistent=False)

    def forward(self, picture: Float[Tensor, "B 3 H H"]) -> Float[Tensor, "B K 2"]:
        """Return points `[B, K, 2]` of pictures `[B, 3, H, H]` in [-1, 1]."""
        near = gelu(self.enter(F.pixel_unshuffle(seen(picture), SEEN_PX // MAP_SIDE)))
        far = gelu(self.down(near))
        for layer in self.far:
            far = far + gelu(layer(far))
        joined = torch.cat([near, F.interpolate(far, scale_factor=2.0, mode="nearest")], 1)
        chance = self.maps(gelu(self.join(joined))).float().flatten(2).softmax(-1)
        return chance @ self.centres


class Painter(nn.Module):
    """Describe and paint cells from points: each cell sees where every point lies from its own centre."""

    centres: Tensor

    def __init__(self, count: int, grid: int) -> None:
        super().__init__()
        self.sines, self.patch_px = Sines(), SEEN_PX // grid
        self.rise = nn.Linear(2 * count * Sines.SIZE, HINT_SIZE)
        self.place = nn.Parameter(0.02 * torch.randn(grid**2, HINT_SIZE))
        self.middle, self.fall = nn.Linear(HINT_SIZE, HINT_SIZE), nn.Linear(HINT_SIZE, HINT_SIZE)
        self.out = nn.Linear(HINT_SIZE, 3 * self.patch_px**2)
        self.register_buffer("centres", centres(grid), persistent=False)

    def forward(self, points: Float[Tensor, "B K 2"], cells: Int[Tensor, "B N"] | None = None) -> Tensor:
        """Return features `[B, N, E]` of each cell, given points `[B, K, 2]`; cells `[B, M]`: the only ones (N = M)."""
        centre, place = self.centres[None], self.place[None]
        if cells is not None:
            centre, place = self.centres[cells], self.place[cells]
        away = torch.tanh(1.5 * (points[:, None] - centre[:, :, None])).flatten(2)
        x = gelu(self.rise(self.sines(away)) + place)
        x = x + gelu(self.middle(x))
        return x + gelu(self.fall(x))

    def paint(self, features: Float[Tensor, "B N E"]) -> Float[Tensor, "B N P"]:
        """Return what cells differ from the usual picture, from `forward`'s features: pixels as of `patches`."""
        return 2 * torch.tanh(self.out(features))


class Motion(nn.Module):
    """Predict the next points: each group turns and shifts as one, and each point a little on its own.

    First each group goes where it would by itself, told only its own place and the action. Then it is touched: told
    where all points are and where they want to go, seen from the group, so that what is learnt of a push holds for
    every place and angle. The networks of the groups are separate; the buffer `groups` `[K, G]`: of `rigid_groups`.
    """

    groups: Tensor

    def __init__(
        self, count: int, action_size: int, groups: int = GROUPS, free_width: int = 64, touch_width: int = 128
    ) -> None:
        super().__init__()
        self.sines = Sines()
        self.register_buffer("groups", torch.eye(groups)[torch.arange(count) % groups])
        self.facing = nn.Parameter(torch.randn(count, groups))
        free, touch = (2 + action_size) * Sines.SIZE + 5, 4 * count * Sines.SIZE + 4
        self.free = nn.ModuleList(Layers(free, free_width, 2, 4) for _ in range(groups))
        self.touch = nn.ModuleList(Layers(touch, touch_width, 3, 4 + 2 * count) for _ in range(groups))

    def forward(
        self, points: Float[Tensor, "B K 2"], before: Float[Tensor, "B K 2"], action: Float[Tensor, "B A"]
    ) -> tuple[Float[Tensor, "B K 2"], Float[Tensor, "B K 2"]]:
        """Return the points after `action`, and how far each went on its own; before: the points a frame ago."""
        centre, facing = self.stand(points)
        was, faced = self.stand(before)
        cos, sin = facing.split(1, -1)
        spin = faced[..., :1] * sin - faced[..., 1:] * cos
        own = self.sines(torch.cat([centre, action[:, None].expand(-1, self.groups.shape[1], -1)], -1))
        wants = torch.cat([own, facing, (centre - was) / MOTION_SCALE, spin / MOTION_SCALE], -1)
        shift, turn, _ = _moves(self.free, wants)
        wanted = self.move(points, centre, shift, turn)
        seen_now, seen_then = (
            turned(there[:, None] - centre[:, :, None], cos[:, :, None], -sin[:, :, None]).flatten(2)
            for there in (points, wanted)
        )
        told = torch.cat([self.sines(seen_now), self.sines(seen_then), centre, facing], -1)
        shift, turn, alone = _moves(self.touch, told)
        alone = turned(alone.unflatten(-1, (-1, 2)), cos[:, :, None], sin[:, :, None])  # [B, G, K, 2]
        alone = (alone * self.groups.t()[:, :, None]).sum(1)
        touched = self.move(wanted, self.stand(wanted)[0], turned(shift, cos, sin), turn)
        return touched + alone, alone

    def stand(self, points: Float[Tensor, "B K 2"]) -> tuple[Float[Tensor, "B G 2"], Float[Tensor, "B G 2"]]:
        """Return each group's centre and where it faces, a direction that turns with it (to the right for a point)."""
        share = self.groups / self.groups.sum(0).clamp(min=1)
        centre = share.t() @ points
        front = (self.facing * share).t() @ points - (self.facing * share).sum(0)[:, None] * centre
        length = front.square().sum(-1, keepdim=True).add(1e-12).sqrt()
        return centre, torch.where(length < SMALLEST_FRONT, front.new_tensor([1.0, 0.0]), front / length)

    def move(self, points: Tensor, centre: Tensor, shift: Tensor, turn: Tensor) -> Float[Tensor, "B K 2"]:
        """Return points, each moved with its groups: shift `[B, G, 2]`, and turn `[B, G, 1]` around their centres."""
        away = points[:, None] - centre[:, :, None]  # [B, G, K, 2]
        moved = turned(away, turn[:, :, None].cos(), turn[:, :, None].sin()) - away + shift[:, :, None]
        return points + (moved * self.groups.t()[:, :, None]).sum(1)


class Layers(nn.Module):
    """A perceptron with residual layers, whose outputs are zero at first."""

    def __init__(self, size: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.rise = nn.Linear(size, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "B n"]) -> Float[Tensor, "B m"]:
        x = gelu(self.rise(x))
        for layer in self.layers:
            x = x + gelu(layer(x))
        return self.out(x)


def _moves(networks: nn.ModuleList, told: Float[Tensor, "B G n"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift `[B, G, 2]`, turn `[B, G, 1]` and what is left `[B, G, m]` of each group, through one gate each."""
    out = torch.stack([network(told[:, group]) for group, network in enumerate(networks)], 1)
    gate = MOTION_SCALE * out[..., :1].sigmoid()  # what stands still is shut
    return out[..., 1:3] * gate, out[..., 3:4] * gate, out[..., 4:] * gate


def turned(away: Float[Tensor, "*n 2"], cos: Tensor, sin: Tensor) -> Float[Tensor, "*n 2"]:
    """Turn vectors, x and y; cos, sin `[..., 1]`: of the angle."""
    right, down = away.split(1, -1)
    return torch.cat([cos * right - sin * down, sin * right + cos * down], -1)


def apart(points: Float[Tensor, "F K 2"]) -> Float[Tensor, "K K"]:
    """Return how far each two points are from keeping their distance: its spread over frames.

    That of the middle nine tenths, as a standard deviation: in a few frames a point may lie on something else.
    """
    distance = (points[:, :, None] - points[:, None]).norm(dim=-1)
    low, high = distance.quantile(distance.new_tensor([0.05, 0.95]), dim=0)
    return (high - low) / MIDDLE


def rigid_groups(points: Float[Tensor, "F K 2"], most: int = GROUPS) -> Float[Tensor, "K G"]:
    """Return which points move as one, as zeros and ones: those that keep their distances in all frames.

    Average-linkage clustering of `apart`, until no two groups are nearer than `SAME_THING` and there are at most
    `most`. Points that never move are a group, too.
    """
    distance, members = apart(points.double()), [[k] for k in range(points.shape[1])]

    def between(pair: tuple[int, int]) -> float:
        one, other = (members[number] for number in pair)
        return float(distance[one][:, other].mean())

    while len(members) > 1:
        pair = min(itertools.combinations(range(len(members)), 2), key=between)
        if len(members) <= most and between(pair) > SAME_THING:
            break
        members[pair[0]] += members.pop(pair[1])
    groups = points.new_zeros(points.shape[1], most)
    for number, group in enumerate(members):
        groups[group, number] = 1.0
    return groups


def gelu(x: Tensor) -> Tensor:
    """Return the tanh approximation of GELU."""
    return F.gelu(x, approximate="tanh")


def seen(picture: Float[Tensor, "B 3 H H"]) -> Float[Tensor, "B 3 S S"]:
    """Return pictures in the size in which points are found."""
    return picture if picture.shape[-1] == SEEN_PX else F.adaptive_avg_pool2d(picture, SEEN_PX)


def patches(picture: Float[Tensor, "B 3 S S"], grid: int) -> Float[Tensor, "B N P"]:
    """Cut pictures of `seen` into the pixels of grid x grid cells `[B, N, P]`."""
    return F.pixel_unshuffle(picture, SEEN_PX // grid).flatten(2).transpose(1, 2)
