"""Draws how long an answer takes at each throughput, as an SVG."""

from collections.abc import Iterable, Mapping
from html import escape

from inference.tuning.load import Figures, Load

LEFT, TOP, RIGHT, BOTTOM = 60, 70, 700, 400
COLOURS = ("#c05000", "#0b62c4")
STEPS = 5


def draw(curves: Mapping[str, Figures], others: Iterable[Figures]) -> str:
    """Draw a line for each curve, its points labelled with their clients, and dots for others."""
    dots = [load for figures in others for load in figures.values()]
    loads = [*dots, *(load for figures in curves.values() for load in figures.values())]
    widest = max(load.throughput for load in loads) * 1.05
    highest = max(load.p50_ms for load in loads) * 1.05

    def place(load: Load) -> tuple[float, float]:
        x, y = load.throughput / widest, load.p50_ms / highest
        return LEFT + (RIGHT - LEFT) * x, BOTTOM - (BOTTOM - TOP) * y

    parts = [f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="black"/>']
    parts.append(_text(LEFT, BOTTOM + 36, "answers a second; vertical axis: median milliseconds"))
    for step in range(STEPS + 1):
        mark = Load(widest * step / STEPS, highest * step / STEPS)
        x, y = place(mark)
        parts.append(_text(x, BOTTOM + 18, f"{mark.throughput:.5g}"))
        parts.append(_text(8, y, f"{mark.p50_ms:.5g}"))
    for x, y in map(place, dots):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#bbb"/>')
    for line, (name, figures) in enumerate(curves.items()):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, figures.values()))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[line]}"/>')
        parts += [_text(*place(load), str(n), COLOURS[line]) for n, load in figures.items()]
        parts.append(_text(LEFT, 24 + 20 * line, name, COLOURS[line]))
    start = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 450" font-size="13">'
    return "\n".join([start, '<rect width="760" height="450" fill="white"/>', *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(text)}</text>'
