"""Pictures of the conversation's benchmark, and of what each setting does, as SVG.

python -m bench.conversation_picture docs/turns.svg
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from media_server.agents import PRESETS
from media_server.call.bargein import ANSWER_S, QUESTION_S
from media_server.call.completeness import READING_OUT, pause_ms

__all__ = ["results", "settings"]

Preset = Literal["fast", "balanced", "patient"]
LEFT, ROW, TOP, WIDTH = 170, 24, 56, 760
COLOURS: Mapping[Preset, str] = {"fast": "#ea580c", "balanced": "#2563eb", "patient": "#0f766e"}
TEXT, QUIET, LINE = "#1e293b", "#64748b", "#e2e8f0"


class Treated(Protocol):
    """What became of one caller."""

    @property
    def wrong(self) -> str: ...
    @property
    def delay_ms(self) -> float | None: ...


def results(outcomes: Mapping[str, Sequence[Treated]]) -> str:
    """For each kind of caller, how many were treated rightly and wrongly, and every delay as a dot."""
    height = TOP + ROW * len(outcomes) + 30
    bar, dots, longest = 150, LEFT + 190, 3000.0
    scale = (WIDTH - dots - 30) / longest
    out = [*_head(height, "How callers are treated"), _text(LEFT, TOP - 12, "treated rightly, wrongly")]
    for ms in range(0, int(longest) + 1, 500):
        x = dots + ms * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{height - 26}" stroke="{LINE}"/>')
        out.append(_text(x, height - 10, f"{ms} ms", "middle"))
    for i, (kind, found) in enumerate(outcomes.items()):
        y = TOP + i * ROW
        right = bar * sum(not o.wrong for o in found) / max(1, len(found))
        out.append(_text(LEFT - 10, y + 12, kind, "end", TEXT))
        out.append(f'<rect x="{LEFT}" y="{y}" width="{right:.1f}" height="{ROW - 8}" fill="#0f766e"/>')
        out.append(
            f'<rect x="{LEFT + right:.1f}" y="{y}" width="{bar - right:.1f}" height="{ROW - 8}" fill="#dc2626"/>'
        )
        for o in found:
            if o.delay_ms is not None:
                x = dots + min(longest, o.delay_ms) * scale
                out.append(f'<circle cx="{x:.1f}" cy="{y + 8}" r="3.5" fill="#2563eb" fill-opacity="0.6"/>')
    return "\n".join([*out, "</svg>", ""])


def settings() -> str:
    """What the settings of turns do: the pause by completeness, and who is cut off by how long he stops to think."""
    out = [*_head(620, "What decides when a turn is over, and when the agent stops")]
    at = np.linspace(0, 1, 21)
    waits = {name: [(c, pause_ms(PRESETS[name], float(c))) for c in at] for name in COLOURS}
    out += _chart(60, "pause that ends a turn, by how complete it seems", waits, (0, 1), (0, 2600), "ms")
    out.append(_text(LEFT + 10, 76, f"an unknown number counts as {READING_OUT} complete at most"))
    pauses = np.linspace(0, 3000, 61)
    cut = {
        name: [(ms, 100 * float(np.mean([pause_ms(PRESETS[name], float(c)) < ms for c in np.linspace(0, 1, 101)])))
               for ms in pauses]
        for name in COLOURS
    }  # fmt: skip
    out += _chart(250, "words on which a pause of this length is taken for the end (of 100, all equally complete)", cut,
                  (0, 3000), (0, 100), "%")  # fmt: skip
    left = np.linspace(0, 3, 61)
    answers: dict[Preset, list[tuple[float, float]]] = {
        "balanced": [(s, 100.0 * (s <= ANSWER_S)) for s in left],
        "patient": [(s, 100.0 * (s <= QUESTION_S)) for s in left],
    }
    out += _chart(440, "“yes” is an answer with less than this left, in s: of a sentence (blue), a question (green)",
                  answers, (0, 3), (0, 100), "%")  # fmt: skip
    return "\n".join([*out, "</svg>", ""])


def _chart(
    top: int,
    title: str,
    lines: Mapping[Preset, Sequence[tuple[float, float]]],
    across: tuple[float, float],
    up: tuple[float, float],
    unit: str,
) -> list[str]:
    height, left, width = 120, 70, WIDTH - 190
    out = [_text(left, top - 8, title, colour=TEXT)]
    for share in (0.0, 0.5, 1.0):
        y = top + height * (1 - share)
        out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}" stroke="{LINE}"/>')
        out.append(_text(left - 8, y + 4, f"{up[0] + share * (up[1] - up[0]):.0f} {unit}", "end"))
        x = left + width * share
        out.append(_text(x, top + height + 16, f"{across[0] + share * (across[1] - across[0]):g}", "middle"))
    for i, (name, points) in enumerate(lines.items()):
        path = " ".join(
            f"{left + width * (x - across[0]) / (across[1] - across[0]):.1f},"
            f"{top + height * (1 - (y - up[0]) / (up[1] - up[0])):.1f}"
            for x, y in points
        )
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        if len(lines) == len(COLOURS):
            out.append(_text(left + width + 12, top + 14 + 18 * i, name, colour=COLOURS[name]))
    return out


def _head(height: int, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold" fill="{TEXT}">{title}</text>',
    ]


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = QUIET) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(settings())
