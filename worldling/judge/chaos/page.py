"""How the chaos suite's figures are shown to people."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldling.judge.truth.chaos_clips import SHARES
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Figure, Section, Table, Text, show

_FILMS = {"truth": "truth", "world": "dream", "0.001": "off by 0.1 %", "0.01": "off by 1 %", "0.1": "off by 10 %"}


def page(
    values: dict[str, Any],
    films: dict[str, np.ndarray],
    moments: np.ndarray,
    words: dict[str, str],
    timing: dict[str, Any],
) -> Section:
    """Lay out tables, curves and film strips. films: of one start, at `moments` (frames ahead); words: what each condition is called."""
    words = {name: text for name, text in words.items() if name in values["valid_frames"]}
    blocks = [
        Text(_intro(values)),
        _valid_table(values, words),
        Figure(
            "Film strips of the first start",
            film(
                [(text, films[name]) for name, text in _FILMS.items() if name in films], [f"{t} ahead" for t in moments]
            ),
            "All rows go through the same actions. The simulators part from the truth as well: that is chaos, not a fault.",
        ),
        _curves(values, words),
        _lyapunov_table(values),
    ]
    if "state" in values:
        state = values["state"]
        blocks.append(
            Table(
                "The same, by what is read from the frames",
                ["frames valid", "ball's place"],
                [[words[name], state["valid_frames"][name] | {"unit": "frames"}] for name in words],
                "x, y and z are read by colour from dreamed and simulated frames and compared with the engine's true ones; lost when "
                f"they are off by more than {values['limit']:g} of their spread. The world reaches {show(state['of_ceiling']['value'], 'share')} of the ceiling so.",
            )
        )
    if "overlap" in values:
        blocks.append(
            _moments(
                "Outline of the cloth",
                "intersection over union with the true one",
                values["overlap"],
                words,
                "1 is the same outline.",
            )
        )
    blocks.append(
        _moments(
            "VRMSE",
            "grey frames, not blurred",
            values["vrmse"],
            words,
            "Root mean squared error over the true frame's own standard deviation (The Well, arXiv 2412.00568).",
        )
    )
    blocks.append(
        Table(
            "Does it still look like it?",
            ["second half of the time", "difference of log10 power"],
            [[words[name], values["spectrum"][name]] for name in words],
            "The spectrum of grey frames, scale by scale, against the truth's: small when there is as much of every scale, wherever it is. "
            "Another real run is the floor: a dream that lost the truth but still looks real comes near it.",
            folded=True,
        )
    )
    return Section("Chaos: for how long is the dream true?", values, timing, _headlines(values), blocks)


def _times(values: dict[str, Any], frames: float | None) -> float | None:
    """Lyapunov times that so many frames are."""
    length = values["lyapunov"]["frames"]
    return None if frames is None or length is None else frames / length


def _off(share: float) -> str:
    """How far a simulator is off, in words; the ladder of simulators says nothing beyond its ends."""
    if share >= 0.999 * SHARES[-1]:
        return f"off by {SHARES[-1] * 100:g} % or more"
    return f"off by {SHARES[0] * 100:g} % or less" if share <= 1.001 * SHARES[0] else f"off by {share * 100:.2g} %"


def _intro(values: dict[str, Any]) -> str:
    length, eye = values["lyapunov"]["frames"], values["eye"]
    unit = (
        "No Lyapunov time could be fitted: jolted copies do not part"
        if length is None
        else f"A Lyapunov time is {length:.1f} frames here"
    )
    return (
        f"{values['env_id']} is chaotic: the smallest difference grows, so nobody can predict it for long. From each of {values['n']} starts the "
        f"world was shown {values['context']} frames and dreamed {values['frames_ahead']} more under the true actions. A dream is valid until its error "
        f"exceeds {values['limit']:g}, where 1 is the standard deviation that the actions leave open and 1.41 is what another real run under the "
        f"same actions scores; frames are blurred by a sixteenth of the picture first. {unit} ({values['lyapunov']['source']}). Beside the world: the "
        "true simulator itself, its state moved at the start by a known share of its spread. The one off by 0.1 % (less than a picture "
        f"can show) is the ceiling. This world's own eye, its tokenizer, errs as much as a simulator {_off(eye['share'])} does when it starts."
    )


def _valid_table(values: dict[str, Any], words: dict[str, str]) -> Table:
    rows = []
    for name, text in words.items():
        frames = values["valid_frames"][name]
        times = {**frames, **{key: _times(values, frames[key]) for key in ("value", "low", "high")}}
        seconds = show(None if frames["value"] is None else frames["value"] / values["fps"])
        rows.append(
            [
                text,
                frames | {"unit": "frames"},
                seconds,
                times,
                values["never_lost"][name] | {"unit": "share"},
                frames["n"],
            ]
        )
    return Table(
        "Valid-prediction time",
        ["mean over the starts", "frames", "seconds of play", "Lyapunov times", "valid to the end", "starts"],
        rows,
        f"Starts that are valid to the end count {values['frames_ahead']} frames. The world is valid for as long as a simulator "
        f"{_off(values['as_good_as_off_by'])} (read between the simulators' rows, on a logarithmic scale).",
    )


def _curves(values: dict[str, Any], words: dict[str, str]) -> Figure:
    curve = values["curve"]
    lines = []
    for name, text in words.items():
        if name == "other":
            continue  # it stays about 1.41, which the introduction says
        y, low, high = ([np.nan if v is None else v for v in curve[name][key]] for key in ("value", "low", "high"))
        lines.append(Line(text, curve["frame"], y, low, high, dashed=name != "world"))
    return Figure(
        "Error over time",
        line_chart(lines, "frames ahead", "normalised error", band=(0.0, values["limit"])),
        "Valid while inside the green band. The shade is the 95 % interval over the starts.",
    )


def _lyapunov_table(values: dict[str, Any]) -> Table:
    lyapunov = values["lyapunov"]
    fit = lyapunov["growth_per_frame"]
    rows = [["growth of copies off by 0.1 %, per frame", fit]]
    note = f"Copies: slope of the mean logarithm of their distance from the truth, frames {fit['from']} to {fit['to']}."
    if "literature" in lyapunov:
        rows = [
            ["literature, per unit of time", f"{lyapunov['literature']:g}"],
            ["measured without a hand", lyapunov["free"]],
            ["measured under the actions of these starts", lyapunov["steered"]],
            [
                f"sum of all three exponents (exactly {lyapunov['sum_known']:.3f})",
                f"{lyapunov['sum_of_exponents']:.3f}",
            ],
            *rows,
        ]
        note += f" The others: the method of Benettin et al. (1980) on the environment's own equations; a frame is {lyapunov['frame_time']:g} units."
    return Table("How chaotic it is", ["largest Lyapunov exponent", ""], rows, note)


def _moments(title: str, heading: str, table: dict[str, dict[int, Any]], words: dict[str, str], note: str) -> Table:
    moments = list(table["world"])
    rows = [[words[name], *(table[name][t] for t in moments)] for name in words]
    return Table(title, [heading, *(f"{t} ahead" for t in moments)], rows, note, folded=True)


def _headlines(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    world, ceiling = values["valid_frames"]["world"]["value"], values["valid_frames"]["0.001"]["value"]
    ratio, times = values["of_ceiling"], _times(values, world)
    return [
        (
            "True for",
            f"{world:.0f} frames" if times is None else f"{times:.1f} Lyapunov times",
            f"{world:.0f} frames; a simulator off by 0.1 %: {ceiling:.0f}",
        ),
        (
            "Share of that ceiling",
            show(ratio["value"], "share"),
            f"{show(ratio['low'], 'share')} to {show(ratio['high'], 'share')}; as good as a simulator {_off(values['as_good_as_off_by'])}",
        ),
    ]
