"""The plots of a run, as SVG."""

from html import escape
from typing import Any

from benchmarks.spread import spread

OURS, OTHERS, INK = "#0b62c4", "#9a9a9a", "black"
NAMES, WIDE, BAR = 280, 420, 22  # pixels: the names beside the bars, the longest bar, a row
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 600, 360


def plot_throughput(loads: dict[str, Any]) -> str:
    """Draw each model's contenders as bars, with least and greatest as a line."""
    parts, y = [], 24
    for model, contenders in loads.items():
        parts.append(_text(8, y, f"{model}: answers a second", INK))
        spreads = {name: spread(rounds, "throughput") for name, rounds in contenders.items()}
        scale = WIDE / max(s.greatest for s in spreads.values())
        for name, s in spreads.items():
            y += BAR
            colour = OURS if "EdgeLens" in name else OTHERS
            parts.append(_text(8, y, name, INK))
            parts.append(_bar(y, s.median * scale, colour))
            parts.append(_line([(NAMES + x * scale, y - 5) for x in (s.least, s.greatest)], INK))
            parts.append(_text(NAMES + 8 + s.greatest * scale, y, f"{s.median:.1f}", INK))
        y += 2 * BAR
    return _svg(NAMES + WIDE + 80, y, parts)


def plot_replicas(replicas: dict[str, Any]) -> str:
    """Draw throughput over replicas, and a straight line beside it."""
    counts = [int(count) for count in replicas]
    rates = [load["throughput"] for load in replicas.values()]
    linear = [rates[0] / counts[0] * count for count in counts]
    highest = max(*rates, *linear)

    def place(values: list[float]) -> list[tuple[float, float]]:
        return [
            (
                LEFT + (RIGHT - LEFT) * count / counts[-1],
                BOTTOM - (BOTTOM - TOP) * value / highest,
            )
            for count, value in zip(counts, values, strict=True)
        ]

    parts = [_line([(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], INK)]
    parts += [_line(place(linear), OTHERS), _line(place(rates), OURS)]
    for count, rate, (x, y) in zip(counts, rates, place(rates), strict=True):
        parts += [_text(x - 4, BOTTOM + 18, str(count), INK), _text(x + 4, y + 16, f"{rate:.1f}")]
    parts.append(_text(LEFT, 20, "answers a second, by replicas of a model that sleeps"))
    parts.append(_text(LEFT + 8, TOP + 14, "linear", OTHERS))
    return _svg(RIGHT + 60, BOTTOM + 30, parts)


def _svg(width: float, height: float, parts: list[str]) -> str:
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    background = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join(
        [f'{start}font-family="sans-serif" font-size="13">', background, *parts, "</svg>\n"]
    )


def _bar(y: float, width: float, colour: str) -> str:
    return f'<rect x="{NAMES}" y="{y - 12}" width="{width:.1f}" height="14" fill="{colour}"/>'


def _line(points: list[tuple[float, float]], colour: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _text(x: float, y: float, text: str, colour: str = OURS) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(text)}</text>'
