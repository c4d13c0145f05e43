"""Writing MuJoCo models: a tray seen by a camera, and the bodies that stand in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

TRAY_X, TRAY_Y, RIM, GLASS = 0.92, 0.64, 0.05, 0.8  # metres: half width, half depth, half heights of rim and glass
TIMESTEP = 0.004

RED, YELLOW = (0.85, 0.07, 0.07), (0.97, 0.83, 0.05)
#: Colours of everything else: none of them is near red or yellow.
Colour = tuple[float, float, float]  # red, green, blue in 0..1
COLOURS: tuple[Colour, ...] = (
    (0.13, 0.38, 0.80),
    (0.10, 0.55, 0.35),
    (0.48, 0.26, 0.66),
    (0.12, 0.60, 0.66),
    (0.28, 0.30, 0.36),
    (0.78, 0.80, 0.84),
    (0.36, 0.45, 0.62),
    (0.22, 0.66, 0.50),
)
UNSEEN_COLOURS: tuple[Colour, ...] = ((0.05, 0.05, 0.06), (0.72, 0.36, 0.72), (0.55, 0.70, 0.92))
FLOORS: tuple[Colour, ...] = ((0.52, 0.54, 0.57), (0.40, 0.42, 0.46), (0.60, 0.62, 0.60), (0.46, 0.52, 0.56))
UNSEEN_FLOORS: tuple[Colour, ...] = ((0.30, 0.36, 0.33), (0.70, 0.70, 0.74))


#: One geom of a body of several: shape, size, place, and turn in degrees.
Part = tuple[str, tuple[float, ...], tuple[float, float, float], tuple[float, float, float]]


@dataclass
class Body:
    """One thing in the tray.

    role: "agent" (red), "patient" (yellow), "mover" (starts with a motion), "other" or "fixed" (does not
    move). shape: box, sphere, cylinder, capsule or ellipsoid with MuJoCo's `size` (half extents, metres), or several
    `parts` (shape, size, pos, euler). pos, euler (degrees): where it stands. density: kg / m3.
    """

    role: str
    shape: str
    size: tuple[float, ...]
    pos: tuple[float, float, float]
    euler: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rgb: tuple[float, float, float] = (0.5, 0.5, 0.5)
    density: float = 400.0
    friction: float = 0.5
    parts: list[Part] = field(default_factory=list)


@dataclass
class Cloth:
    """A square cloth of `count` x `count` points, `spacing` metres apart, level about `pos` until turned by `euler`.

    held: numbers of points that hang on a body called `hand`, which is moved by mocap and starts at `hand`; second: the
    colour of every other quarter.
    """

    pos: tuple[float, float, float]
    count: int = 9
    spacing: float = 0.07
    mass: float = 0.15
    role: str = "agent"
    rgb: tuple[float, float, float] = RED
    euler: tuple[float, float, float] = (0.0, 0.0, 0.0)
    held: tuple[int, ...] = ()
    hand: tuple[float, float, float] = (0.0, 0.0, 0.0)
    second: tuple[float, float, float] | None = None


@dataclass
class View:
    """Where the camera stands (degrees, metres), how high above the floor it looks, and what the room looks like."""

    azimuth: float
    elevation: float
    distance: float
    floor: tuple[float, float, float]
    rim: tuple[float, float, float]
    height: float = 0.12


def write(bodies: list[Body | Cloth], view: View) -> str:
    """Return the MJCF text; body i is called `b{i}`, a cloth `cloth`, the camera `eye`."""
    cloth = any(isinstance(body, Cloth) for body in bodies)
    option = (
        'solver="CG" iterations="50" integrator="implicitfast"'
        if cloth
        else 'cone="elliptic" iterations="30" integrator="implicitfast"'
    )
    held = "".join(_held(b) for b in bodies if isinstance(b, Cloth))
    things = "".join(_cloth(b) if isinstance(b, Cloth) else _body(i, b) for i, b in enumerate(bodies))
    return (
        f'<mujoco><compiler angle="degree"/>{_sky(view)}<option timestep="{TIMESTEP}" {option}/><size memory="8M"/>'
        '<visual><quality shadowsize="256" offsamples="0"/><global offwidth="1024" offheight="1024"/>'
        '<map znear="0.05" zfar="20" shadowclip="1.6"/>'
        '<headlight ambient=".45 .45 .45" diffuse=".25 .25 .25" specular="0 0 0"/></visual>'
        '<default><geom condim="6" friction=".5 .004 .0004" solref=".01 1"/></default>'
        f"<worldbody>{_room(view)}{things}</worldbody>{held}</mujoco>"
    )


def _room(view: View) -> str:
    azimuth, elevation = math.radians(view.azimuth), math.radians(view.elevation)
    away = np.array(
        [math.sin(azimuth) * math.cos(elevation), math.cos(azimuth) * math.cos(elevation), -math.sin(elevation)]
    )
    target = np.array([0.0, 0.0, view.height])
    eye = target - view.distance * away
    right = np.array([math.cos(azimuth), -math.sin(azimuth), 0.0])
    up = np.cross(right, away)
    axes = _text((*right, *up))
    # Above the rim the walls go on as glass: what happens in the tray stays in the tray.
    walls = "".join(
        f'<geom type="box" pos="{x} {y} {RIM}" size="{w} {h} {RIM}" rgba="{_text(view.rim)} 1"/>'
        f'<geom type="box" pos="{x} {y} {GLASS}" size="{w} {h} {GLASS}" rgba="0 0 0 0"/>'
        for x, y, w, h in (
            (-TRAY_X - 0.03, 0, 0.03, TRAY_Y + 0.06),
            (TRAY_X + 0.03, 0, 0.03, TRAY_Y + 0.06),
            (0, -TRAY_Y - 0.03, TRAY_X, 0.03),
            (0, TRAY_Y + 0.03, TRAY_X, 0.03),
        )
    )
    return (
        '<light pos="0 0 4" dir="0 0 -1" directional="true" diffuse=".55 .55 .55" specular="0 0 0"/>'
        f'<camera name="eye" pos="{_text(eye)}" xyaxes="{axes}" fovy="45"/>'
        f'<geom name="floor" type="plane" size="1.3 1 .1" rgba="{_text(view.floor)} 1"/>{walls}'
    )


def _sky(view: View) -> str:
    colour = _text(np.asarray(view.floor) * 0.8)
    return (
        f'<asset><texture type="skybox" builtin="flat" rgb1="{colour}" rgb2="{colour}" width="8" height="48"/></asset>'
    )


def _body(index: int, body: Body) -> str:
    parts = body.parts or [(body.shape, body.size, (0, 0, 0), (0, 0, 0))]
    geoms = "".join(
        f'<geom type="{shape}" size="{_text(size)}" pos="{_text(pos)}" euler="{_text(euler)}" '
        f'rgba="{_text(body.rgb)} 1" density="{body.density:.6g}" '
        f'friction="{body.friction:.4g} .004 .0004" priority="1"/>'
        for shape, size, pos, euler in parts
    )
    joint = "" if body.role == "fixed" else "<freejoint/>"
    return f'<body name="b{index}" pos="{_text(body.pos)}" euler="{_text(body.euler)}">{joint}{geoms}</body>'


def _cloth(cloth: Cloth) -> str:
    paint = 'material="cloth"' if cloth.second else f'rgba="{_text(cloth.rgb)} 1"'
    hand = (
        f'<body name="hand" mocap="true" pos="{_text(cloth.hand)}"><geom type="sphere" size=".035" rgba=".1 .1 .1 1" '
        'contype="0" conaffinity="0"/></body>'
        if cloth.held
        else ""
    )
    return hand + (
        f'<flexcomp name="cloth" type="grid" dim="2" count="{cloth.count} {cloth.count} 1" '
        f'euler="{_text(cloth.euler)}" spacing="{cloth.spacing} {cloth.spacing} {cloth.spacing}" '
        f'pos="{_text(cloth.pos)}" mass="{cloth.mass}" radius=".012" {paint}><edge equality="true" damping=".01"/>'
        '<contact condim="3" solref=".01 1" selfcollide="none" friction=".5"/></flexcomp>'
    )


def _held(cloth: Cloth) -> str:
    """What stands beside the bodies for a cloth that is held or has two colours."""
    ties = "".join(
        f'<connect body1="hand" body2="cloth_{point}" anchor="0 0 0" solref=".008 1" solimp=".99 .99 .001"/>'
        for point in cloth.held
    )
    paint = (
        f'<asset><texture name="cloth" type="2d" builtin="checker" rgb1="{_text(cloth.rgb)}" '
        f'rgb2="{_text(cloth.second)}" width="64" height="64"/><material name="cloth" texture="cloth"/></asset>'
        if cloth.second
        else ""
    )
    return paint + (f"<equality>{ties}</equality>" if ties else "")


def _text(values: tuple[float, ...] | np.ndarray) -> str:
    return " ".join(f"{v:.6g}" for v in values)
