"""The eight scenes. Each function lays out a tray from random parameters and says how its mover may start.

A scene is a geometry (what stands where) and a motion (how fast what starts, in which direction). The label of a
trial, whether red ever touches yellow, is decided by the motion: the same geometry is used with motions that
end in contact and with motions that do not, so that nothing in the first frame gives the answer away.
Lengths in metres, speeds in m/s and rad/s; x to the right, y away from the camera, z up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from worldling.scenes.draw import Draw
from worldling.scenes.mjcf import RED, YELLOW, Body, Cloth, View

Motion = dict[int, tuple[tuple[float, float, float], tuple[float, float, float]]]  # body: (m/s, rad/s)


@dataclass
class Layout:
    """A geometry: its bodies, the view on them, and `start`, which draws a motion for them."""

    bodies: list[Body | Cloth]
    start: Callable[[Draw], Motion]
    view: View = field(init=False)  # drawn last, by `lay_out`
    free: list[tuple[float, float]] = field(default_factory=list)  # places where a distractor may stand


def lay_out(scenario: str, draw: Draw) -> Layout:
    """Draw the geometry of one scene, with 0 to 2 distractors, at times an occluder, and a view."""
    layout = SCENES[scenario](draw)
    places = list(layout.free)
    for _ in range(min(len(places), draw.whole(0, 2))):
        x, y = places.pop(int(draw.rng.integers(len(places))))
        layout.bodies.append(draw.thing("other", x + draw.place(-0.05, 0.05), y + draw.place(-0.05, 0.05), scale=0.8))
    if draw.chance(0.25):
        x, tall = draw.place(-0.8, 0.8), draw.amount(0.10, 0.18)
        layout.bodies.append(
            Body("fixed", "box", (draw.amount(0.05, 0.09), 0.015, tall), (x, -0.56, tall), rgb=draw.colour())
        )
    layout.view = draw.view()
    return layout


def _toward(x: float, y: float, to_x: float, to_y: float, speed: float, off: float) -> tuple[float, float, float]:
    """A level velocity from (x, y) to (to_x, to_y), turned by `off` radians."""
    angle = math.atan2(to_y - y, to_x - x) + off
    return speed * math.cos(angle), speed * math.sin(angle), 0.0


def _spin(body: Body, velocity: tuple[float, float, float]) -> tuple[float, float, float]:
    """The spin with which a ball of this size rolls at this velocity; things that slide do not spin."""
    if body.shape != "sphere":
        return 0.0, 0.0, 0.0
    return -velocity[1] / body.size[0], velocity[0] / body.size[0], 0.0


def collide(draw: Draw) -> Layout:
    """Red is sent toward yellow and hits it, misses it or stops before it."""
    side = draw.sign()
    x, y = -side * draw.place(0.55, 0.78), draw.place(-0.35, 0.35)
    to_x, to_y = side * draw.place(0.05, 0.6), draw.place(-0.4, 0.4)
    agent, patient = draw.thing("agent", x, y, RED), draw.thing("patient", to_x, to_y, YELLOW)

    def start(d: Draw) -> Motion:
        velocity = _toward(x, y, to_x, to_y, d.amount(1.2, 3.0), d.sign() * d.place(0.0, 0.42))
        return {0: (velocity, _spin(agent, velocity))}

    return Layout([agent, patient], start, free=[(0.0, -0.48), (0.0, 0.48), (-side * 0.2, 0.48), (side * 0.72, -0.48)])


def roll(draw: Draw) -> Layout:
    """Red starts on a ramp, pushed down or up or across, and leaves it toward yellow or past it."""
    side, tilt = draw.sign(), draw.place(16, 26)
    half, thick = draw.place(0.26, 0.34), 0.02
    slope = math.radians(tilt)
    foot = -side * 0.28
    middle = foot - side * half * math.cos(slope)
    ramp_y = draw.place(-0.25, 0.25)
    ramp = Body(
        "fixed",
        "box",
        (half, 0.26, thick),
        (middle, ramp_y, half * math.sin(slope)),
        (0, side * tilt, 0),
        draw.colour(),
    )
    radius = draw.amount(0.09, 0.12)
    along = draw.place(0.1, 0.6) * half  # from the middle up the slope
    lift = radius + thick + 0.002
    agent = Body(
        "agent",
        "sphere",
        (radius,),
        (
            middle - side * (along * math.cos(slope) - lift * math.sin(slope)),
            ramp_y,
            half * math.sin(slope) + along * math.sin(slope) + lift * math.cos(slope),
        ),
        rgb=RED,
    )
    to_x, to_y = side * draw.place(0.15, 0.7), ramp_y + draw.place(-0.3, 0.3)
    patient = draw.thing("patient", to_x, to_y, YELLOW)

    def start(d: Draw) -> Motion:
        down, across = d.amount(-0.3, 0.9), d.place(-0.9, 0.9)
        velocity = (side * down * math.cos(slope), across, -down * math.sin(slope))
        return {0: (velocity, (-across / radius, side * down / radius, 0.0))}

    return Layout([agent, patient, ramp], start, free=[(side * 0.74, -0.48), (side * 0.74, 0.48), (-side * 0.1, -0.48)])


def drop(draw: Draw) -> Layout:
    """Red falls, on yellow or beside it, straight or off a ledge."""
    x, y = draw.place(-0.35, 0.35), draw.place(-0.25, 0.25)
    agent = draw.thing("agent", x, y, RED, z=draw.place(0.62, 0.78))
    agent.euler = (draw.place(-40, 40), draw.place(-40, 40), draw.place(0, 90))
    angle, gap = draw.place(0, 2 * math.pi), draw.place(0.16, 0.42)
    patient = draw.thing("patient", x + gap * math.cos(angle), y + 0.8 * gap * math.sin(angle), YELLOW)
    bodies: list[Body | Cloth] = [agent, patient]
    if draw.chance(0.4):
        ledge = math.pi + angle + draw.place(-0.5, 0.5)
        bodies.append(
            Body(
                "fixed",
                "box",
                (0.10, 0.12, 0.07),
                (x + 0.22 * math.cos(ledge), y + 0.2 * math.sin(ledge), 0.07),
                (0, 0, math.degrees(ledge)),
                draw.colour(),
            )
        )

    def start(d: Draw) -> Motion:
        way, speed = d.place(0, 2 * math.pi), d.amount(0.2, 1.4)
        spin = (d.place(-4, 4), d.place(-4, 4), d.place(-3, 3))
        return {0: ((speed * math.cos(way), speed * math.sin(way), d.place(0.0, 0.8)), spin)}

    return Layout(bodies, start, free=[(-0.74, 0.4), (0.74, 0.4), (-0.74, -0.45), (0.74, -0.45)])


def contain(draw: Draw) -> Layout:
    """Red is thrown at a bowl; yellow waits inside it, or behind it."""
    side = draw.sign()
    x, y = side * draw.place(0.1, 0.4), draw.place(-0.2, 0.2)
    wide, tall, lean = draw.amount(0.22, 0.28), draw.place(0.07, 0.11), draw.place(15, 35)
    walls = []
    for k in range(8):
        angle = math.pi / 4 * k
        walls.append(
            (
                "box",
                (0.016, wide * 0.44, tall),
                (wide * math.cos(angle), wide * math.sin(angle), 0.0),
                (0.0, lean, 0.0),
                angle,
            )
        )
    bowl = Body("fixed", "box", (), (x, y, tall * 0.95), rgb=draw.colour())
    # A wall is turned about z first and then leans outward in its own frame: nested frames in MJCF's intrinsic xyz
    # angles.
    bowl.parts = [(shape, size, pos, _lean_out(angle, lean)) for shape, size, pos, _, angle in walls]
    inside = draw.chance(0.65)
    far = wide + 0.22
    away = draw.place(-0.6, 0.6)
    px, py = (x, y) if inside else (x + side * far * math.cos(away), y + far * math.sin(away))
    patient = draw.thing("patient", px, py, YELLOW, scale=0.75)
    start_x, start_y = -side * draw.place(0.4, 0.7), draw.place(-0.2, 0.2)
    agent = draw.thing("agent", start_x, start_y, RED, z=draw.place(0.4, 0.6), scale=0.8)

    def start(d: Draw) -> Motion:
        speed, lift = d.amount(0.9, 2.4), d.place(0.4, 1.6)
        velocity = _toward(start_x, start_y, x, y, speed, d.place(-0.35, 0.35))
        return {0: ((velocity[0], velocity[1], lift), (d.place(-3, 3), d.place(-3, 3), 0.0))}

    return Layout([agent, patient, bowl], start, free=[(-side * 0.74, -0.48), (-side * 0.74, 0.48), (0.0, -0.48)])


def _lean_out(angle: float, lean: float) -> tuple[float, float, float]:
    """Intrinsic x-y-z degrees of a wall that stands at `angle` (radians) and leans outward by `lean` degrees."""
    a, b = angle, math.radians(lean)
    # R = Rz(a) Ry(b), written as Rx(e1) Ry(e2) Rz(e3).
    r = (
        (math.cos(a) * math.cos(b), -math.sin(a), math.cos(a) * math.sin(b)),
        (math.sin(a) * math.cos(b), math.cos(a), math.sin(a) * math.sin(b)),
        (-math.sin(b), 0.0, math.cos(b)),
    )
    e1, e2, e3 = math.atan2(-r[1][2], r[2][2]), math.asin(r[0][2]), math.atan2(-r[0][1], r[0][0])
    return math.degrees(e1), math.degrees(e2), math.degrees(e3)


def support(draw: Draw) -> Layout:
    """A ball rolls at a tower with red on top; yellow stands where red may fall."""
    side = draw.sign()
    x, y = draw.place(-0.15, 0.15), draw.place(-0.15, 0.15)
    width = draw.amount(0.06, 0.08)
    bodies: list[Body | Cloth] = []
    top = 0.0
    for _ in range(draw.whole(1, 2)):
        tall = draw.place(0.11, 0.15)
        bodies.append(
            Body(
                "other",
                "box",
                (width, width, tall),
                (x + draw.place(-0.02, 0.02), y + draw.place(-0.02, 0.02), top + tall),
                (0, 0, draw.place(-20, 20)),
                draw.colour(),
                density=200,
            )
        )
        top += 2 * tall
    agent = draw.thing("agent", x, y, RED, z=top, scale=0.85, shapes=("box", "cylinder"))
    agent.density = 250
    reach = draw.place(0.19, 0.3)
    away = draw.place(-1.2, 1.2) + (0.0 if draw.chance(0.5) else math.pi)
    patient = draw.thing("patient", x + side * reach * math.cos(away), y + reach * math.sin(away), YELLOW, scale=0.9)
    start_x, start_y = -side * draw.place(0.6, 0.8), y + draw.place(-0.25, 0.25)
    radius = draw.amount(0.09, 0.12)
    ball = Body("mover", "sphere", (radius,), (start_x, start_y, radius), rgb=draw.colour(), density=1500)
    index = 2 + len(bodies)

    def start(d: Draw) -> Motion:
        velocity = _toward(start_x, start_y, x, y, d.amount(1.6, 3.6), d.sign() * d.place(0.0, 0.4))
        return {index: (velocity, _spin(ball, velocity))}

    return Layout(
        [agent, patient, *bodies, ball], start, free=[(side * 0.74, -0.48), (side * 0.74, 0.48), (-side * 0.3, 0.48)]
    )


def dominoes(draw: Draw) -> Layout:
    """A ball rolls at a row of tiles; the last one is red, and yellow stands where it may fall."""
    side, count = draw.sign(), draw.whole(2, 4)
    tall, width, thick = draw.amount(0.15, 0.18), draw.place(0.07, 0.1), 0.028
    gap, bend = draw.place(0.14, 0.2), draw.place(-0.12, 0.12)
    x, y, heading = -side * 0.25, draw.place(-0.2, 0.2), draw.place(-0.15, 0.15)
    start_x, start_y = x - side * draw.place(0.35, 0.5), y
    tiles = []
    for number in range(count):
        last = number == count - 1
        turn = math.degrees(heading) * side
        tiles.append(
            Body(
                "agent" if last else "other",
                "box",
                (thick, width, tall),
                (x, y, tall),
                (0, 0, turn),
                RED if last else draw.colour(),
                density=300,
            )
        )
        if not last:
            x, y, heading = x + side * gap * math.cos(heading), y + gap * math.sin(heading), heading + bend
    reach = draw.place(0.14, 2 * tall + 0.06)
    px, py = x + side * (reach + 0.08) * math.cos(heading), y + (reach + 0.08) * math.sin(heading)
    patient = draw.thing("patient", px, py, YELLOW, scale=0.85)
    radius = draw.amount(0.09, 0.12)
    ball = Body("mover", "sphere", (radius,), (start_x, start_y, radius), rgb=draw.colour(), density=500)
    index = 1 + len(tiles)

    def start(d: Draw) -> Motion:
        velocity = _toward(
            start_x, start_y, -side * 0.25, tiles[0].pos[1], d.amount(0.4, 2.2), d.sign() * d.place(0.0, 0.6)
        )
        return {index: (velocity, _spin(ball, velocity))}

    return Layout(
        [tiles[-1], patient, *tiles[:-1], ball],
        start,
        free=[(-side * 0.6, 0.48), (-side * 0.6, -0.48), (side * 0.76, 0.48)],
    )


def link(draw: Draw) -> Layout:
    """A ball hits a red frame, which slides off, or is held back by a post inside it; yellow lies beyond."""
    side = draw.sign()
    x, y = draw.place(-0.12, 0.12), draw.place(-0.15, 0.15)
    half, bar, tall = draw.amount(0.15, 0.19), 0.028, 0.04
    agent = Body("agent", "box", (), (x, y, tall), (0, 0, draw.place(0, 90)), RED, density=250, friction=0.15)
    agent.parts = [
        ("box", (half, bar, tall), (0, half - bar, 0), (0, 0, 0)),
        ("box", (half, bar, tall), (0, bar - half, 0), (0, 0, 0)),
        ("box", (bar, half - 2 * bar, tall), (half - bar, 0, 0), (0, 0, 0)),
        ("box", (bar, half - 2 * bar, tall), (bar - half, 0, 0), (0, 0, 0)),
    ]
    linked = draw.chance(0.5)
    post_x, post_y = (x, y) if linked else (x + side * draw.place(0.1, 0.4), y + draw.sign() * draw.place(0.35, 0.45))
    post = Body("fixed", "cylinder", (0.03, 0.16), (post_x, post_y, 0.16), rgb=draw.colour())
    gap = draw.place(0.04, 0.09) if linked else draw.place(0.15, 0.4)
    away = draw.place(-0.5, 0.5)
    reach = half * 1.2 + gap + 0.07
    patient = draw.thing("patient", x + side * reach * math.cos(away), y + reach * math.sin(away), YELLOW, scale=0.75)
    radius = draw.amount(0.09, 0.12)
    start_x, start_y = -side * draw.place(0.6, 0.76), y + draw.place(-0.25, 0.25)
    ball = Body("mover", "sphere", (radius,), (start_x, start_y, radius), rgb=draw.colour(), density=800)

    def start(d: Draw) -> Motion:
        velocity = _toward(start_x, start_y, x, y, d.amount(1.0, 3.0), d.sign() * d.place(0.0, 0.45))
        return {3: (velocity, _spin(ball, velocity))}

    return Layout(
        [agent, patient, post, ball], start, free=[(side * 0.74, -0.48), (side * 0.74, 0.48), (-side * 0.74, 0.48)]
    )


def drape(draw: Draw) -> Layout:
    """A red cloth is thrown past a post; yellow stands beyond and is covered or not."""
    side = draw.sign()
    x, y = -side * draw.place(0.35, 0.55), draw.place(-0.2, 0.2)
    cloth = Cloth((x, y, draw.place(0.45, 0.6)))
    away = draw.place(-0.7, 0.7)
    reach = draw.place(0.55, 0.85)
    patient = draw.thing("patient", x + side * reach * math.cos(away), y + 0.8 * reach * math.sin(away), YELLOW)
    post_x = x + side * draw.place(0.25, 0.5)
    tall = draw.amount(0.1, 0.2)
    post = Body(
        "fixed",
        draw.one_of("box", "cylinder"),
        (0.07, 0.07, tall),
        (post_x, y + draw.sign() * draw.place(0.15, 0.4), tall),
        rgb=draw.colour(),
    )
    post.size = post.size if post.shape == "box" else (0.07, tall)

    def start(d: Draw) -> Motion:
        velocity = _toward(x, y, patient.pos[0], patient.pos[1], d.amount(0.4, 2.2), d.sign() * d.place(0.0, 0.9))
        return {0: ((velocity[0], velocity[1], d.place(0.2, 1.2)), (0.0, 0.0, 0.0))}

    return Layout(
        [cloth, patient, post], start, free=[(side * 0.76, -0.48), (-side * 0.76, 0.48), (-side * 0.76, -0.48)]
    )


SCENES: dict[str, Callable[[Draw], Layout]] = {
    "dominoes": dominoes,
    "support": support,
    "collide": collide,
    "contain": contain,
    "drop": drop,
    "link": link,
    "roll": roll,
    "drape": drape,
}
