"""A log-log plot as SVG: points, their least-squares line, its slope."""

import math
from collections.abc import Sequence

_WIDTH, _HEIGHT, _MARGIN = 640, 420, 64


def log_log_svg(points: Sequence[tuple[float, float]], slope: float, *, x: str, y: str) -> str:
    """Draw points ``(x, y)``, both positive, and the line of the given slope through their middle.

    Args:
        points: at least two.
        slope: of the line, as fitted to the logarithms.
        x, y: names of the axes, with units.
    """
    xs, ys = [math.log10(a) for a, _ in points], [math.log10(b) for _, b in points]
    x0, x1 = math.floor(min(xs)), math.ceil(max(xs))
    y0, y1 = math.floor(min(ys)), max(math.ceil(max(ys)), math.floor(min(ys)) + 1)
    x1 = max(x1, x0 + 1)

    def at(a: float, b: float) -> tuple[float, float]:
        return (
            _MARGIN + (a - x0) / (x1 - x0) * (_WIDTH - 2 * _MARGIN),
            _HEIGHT - _MARGIN - (b - y0) / (y1 - y0) * (_HEIGHT - 2 * _MARGIN),
        )

    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for decade in range(x0, x1 + 1):
        (ax, ay), (bx, by) = at(decade, y0), at(decade, y1)
        parts.append(_line(ax, ay, bx, by, "#ddd"))
        parts.append(_text(ax, ay + 20, _power(decade), "middle"))
    for decade in range(y0, y1 + 1):
        (ax, ay), (bx, by) = at(x0, decade), at(x1, decade)
        parts.append(_line(ax, ay, bx, by, "#ddd"))
        parts.append(_text(ax - 8, ay + 4, _power(decade), "end"))
    ends = [at(a, middle_y + slope * (a - middle_x)) for a in (min(xs), max(xs))]
    parts.append(_line(*ends[0], *ends[1], "#1f5f8b", 2))
    for a, b in zip(xs, ys, strict=True):
        px, py = at(a, b)
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4.5" fill="#c0392b"/>')
    parts.append(_text(_WIDTH / 2, _HEIGHT - 18, x, "middle"))
    parts.append(
        f'<text transform="translate(18 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">{y}</text>'
    )
    parts.append(_text(_MARGIN + 14, _MARGIN + 6, f"slope {slope:.2f}", "start"))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _line(ax: float, ay: float, bx: float, by: float, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _power(decade: int) -> str:
    return f'10<tspan dy="-5" font-size="9">{decade}</tspan>'
