"""How the fidelity suite's figures are shown to people."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldling.judge.case import Case
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Figure, Section, Table, Text, show

_SOLID = ("world",)


def page(
    case: Case,
    values: dict[str, Any],
    examples: dict[int, dict[str, np.ndarray]],
    words: dict[str, str],
    timing: dict[str, Any],
) -> Section:
    """Lay out figures, curves, tables and film strips. words: what each condition is called."""
    horizons = case.settings.horizons
    blocks: list[Any] = [Text(_intro(case, values))]
    if values["n"] < values["asked"]:
        blocks.append(Text(f"{values['asked']} starts were asked for; the data hold only {values['n']}.", warning=True))
    blocks.append(_films(case, examples, horizons))
    blocks += _state_tables(values["state"], words, horizons)
    blocks.append(_curve(values, words))
    blocks += _picture_tables(values, words, horizons)
    return Section("Fidelity: does the dream follow reality?", values, timing, _headlines(values, horizons), blocks)


def _intro(case: Case, values: dict[str, Any]) -> str:
    return (
        f"From {values['n']} points in {values['episodes']} recorded episodes the world was shown "
        f"{values['context']} real frames and then dreamed on by itself, under the actions that were really "
        f"taken, without seeing another real frame. “{max(case.settings.horizons)} ahead” means that many "
        f"dreamed frames later ({max(case.settings.horizons) / case.data.meta.fps:.1f} s of real time)."
    )


def _films(case: Case, examples: dict[int, dict[str, np.ndarray]], horizons: tuple[int, ...]) -> Figure:
    columns = ["last given", *(f"{h} ahead" for h in horizons)]
    names = {"truth": "truth", "world": "dream", "shuffled_actions": "other actions"}
    strips = "".join(
        film([(names[key], frames) for key, frames in rows.items()], columns) for rows in examples.values()
    )
    return Figure(
        "Film strips: truth over dream",
        strips,
        "Starts drawn by the seed, not picked by hand. “Other actions” is the same start under the actions "
        "of another start: where the actions matter it should go elsewhere.",
    )


def _curve(values: dict[str, Any], words: dict[str, str]) -> Figure:
    curve = values["psnr_curve_db"]
    lines = [
        Line(words[name], curve["step"], points["value"], points["low"], points["high"], dashed=name not in _SOLID)
        for name, points in curve.items()
        if name != "step"
    ]
    return Figure(
        "Nearness to the true picture",
        line_chart(lines, "frames ahead", "PSNR (dB)"),
        "Higher is nearer; 6 dB more means half the error. The shade is the 95 % interval.",
    )


def _picture_tables(values: dict[str, Any], words: dict[str, str], horizons: tuple[int, ...]) -> list[Table]:
    columns = [f"{h} ahead" for h in horizons]

    def rows(key: str) -> list[list[Any]]:
        return [[words[name], *(by[h] for h in horizons)] for name, by in values[key].items()]

    lead = {
        "copy_last": "better than holding the last frame by",
        "mean_frame": "better than showing the mean frame by",
        "shuffled_actions": "worse by, when given another start's actions",
    }
    return [
        Table(
            "What the world gains",
            ["dB of PSNR", *columns],
            [
                [text, *(values["lead_db"][name][h] for h in horizons)]
                for name, text in lead.items()
                if name in values["lead_db"]
            ],
            "Differences start by start. A world that has learnt something is above zero in each row; the "
            "last row says how much the actions matter to it. An interval that includes zero is no proof.",
            "dB",
        ),
        Table(
            "PSNR",
            ["dB, higher is nearer", *columns],
            rows("psnr_db"),
            "Peak signal-to-noise ratio of each frame, then averaged over the starts; equal frames count "
            f"as {values['psnr_limit_db']:.1f} dB. The last row is the best that this world's tokenizer "
            f"could show. Mean frame: {values['mean_frame']}.",
            "dB",
        ),
        Table(
            "SSIM",
            ["1 is equal", *columns],
            rows("ssim"),
            "Structural similarity with a 7 x 7 window (Wang et al., 2004), averaged over the starts.",
        ),
    ]


def _state_tables(state: dict[str, Any], words: dict[str, str], horizons: tuple[int, ...]) -> list[Any]:
    columns, scores = [f"{h} ahead" for h in horizons], state["scores"].values()
    blocks: list[Any] = [_share_chart(state, horizons)]
    for name in ("world", "shuffled_actions", "copy_last", "reencoded"):
        rows = [[s["label"], *({**s[name][h], "unit": s["unit"]} for h in horizons)] for s in scores if name in s]
        if name == "world":
            note = f"{state['about']} The truth is the same reader on the true frame."
            blocks.append(Table("What is in the picture", [words[name], *columns], rows, note))
        elif rows:
            blocks.append(Table(f"The same for: {words[name]}", [words[name], *columns], rows, folded=True))
    counts = [[s["label"], *(f"{s['world'][h]['n']} of {s['world'][h]['eligible']}" for h in horizons)] for s in scores]
    blocks.append(
        Table(
            "How many starts were counted",
            ["counted, of those eligible at the start", *columns],
            counts,
            "Counted: the truth shows the thing at that horizon. Eligible: it could have, judging by the "
            "start (for a ball: it was visible in the last given frame).",
            folded=True,
        )
    )
    if state["own_error"]:
        blocks.append(_own_error_table(state["own_error"]))
    return blocks


def _share_chart(state: dict[str, Any], horizons: tuple[int, ...]) -> Figure:
    shares = [s for key, s in state["scores"].items() if s["unit"] == "share" and "missing" not in key]
    lines = []
    for score in shares:
        points = [score["world"][h] for h in horizons]
        value, low, high = (
            [np.nan if point[key] is None else 100.0 * point[key] for point in points]
            for key in ("value", "low", "high")
        )
        lines.append(Line(score["label"], horizons, value, low, high, dots=True))
    return Figure(
        f"Share of dreams that are right ({state['reader']})",
        line_chart(lines, "frames ahead", "share of starts (%)"),
        "Pictures can be near in dB and yet miss what matters; here things are looked for and measured.",
    )


def _own_error_table(errors: list[dict[str, Any]]) -> Table:
    rows = [
        [e["quantity"], show(e["median"], e["unit"]), show(e["p90"], e["unit"]), show(e["missed"], "share"), e["n"]]
        for e in errors
    ]
    return Table(
        "The reader's own error on real frames",
        ["against the engine's record", "median", "9 in 10 below", "not seen", "frames"],
        rows,
        "No dream can be judged more finely than this.",
    )


def _headlines(values: dict[str, Any], horizons: tuple[int, ...]) -> list[tuple[str, str, str]]:
    middle = 10 if 10 in horizons else horizons[-1]
    psnr = values["psnr_db"]
    tiles = [
        (
            f"PSNR, {middle} frames ahead",
            f"{show(psnr['world'][middle]['value'], 'dB')} dB",
            f"last frame {show(psnr['copy_last'][middle]['value'], 'dB')}, mean frame "
            f"{show(psnr['mean_frame'][middle]['value'], 'dB')}",
        )
    ]
    if "shuffled_actions" in values["lead_db"]:
        loss = values["lead_db"]["shuffled_actions"][middle]["value"]
        tiles.append(
            (f"Wrong actions cost, {middle} ahead", f"{show(loss, 'dB')} dB", "0 means it ignores its actions")
        )
    for score in [values["state"]["scores"][key] for key in values["state"]["headlines"]]:
        held = score["copy_last"][middle]["value"]
        tiles.append(
            (
                f"{score['label']}, {middle} ahead",
                show(score["world"][middle]["value"], "share"),
                f"last frame held still: {show(held, 'share')}",
            )
        )
    return tiles
