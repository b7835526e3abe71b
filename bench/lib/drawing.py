# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the charts of the benchmarks are drawn with.

Plain SVG without scripts or fonts of its own. The background is left out and the text follows
the reader's colour scheme, in a grey between the two where the viewer knows of none.
"""

import html

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #7d8590 }
text.title { font-weight: 600 }
text.value { font-size: 11px }
line { stroke: #7d8590; stroke-opacity: 0.35 }
@media (prefers-color-scheme: light) {
  text { fill: #57606a }
  text.title { fill: #24292f }
}
@media (prefers-color-scheme: dark) {
  text { fill: #9aa4af }
  text.title { fill: #e6edf3 }
}"""


def text(x, y, content, kind="", anchor="middle"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
            f"{html.escape(content)}</text>")


def short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def round_up(value):
    """The next round number, for the top of an axis."""
    power = 1e-6
    while True:
        for step in (1, 1.5, 2, 3, 4, 5, 6, 8):
            if step * power >= value:
                return step * power
        power *= 10


def grid(left, right, base, height, top, ticks):
    parts = []
    for i in range(ticks + 1):
        y = base - height * i / ticks
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(left - 6, y + 4, short(top * i / ticks), anchor="end"))
    return parts


def legend(colours):
    """{name: colour}, in a row on top."""
    parts, x = [], 60
    for name, colour in colours.items():
        parts.append(f'<rect x="{x}" y="16" width="14" height="14" rx="2" fill="{colour}"/>')
        parts.append(text(x + 20, 28, name, anchor="start"))
        x += 120
    return parts


def document_of(width, height, label, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                      f'role="img" aria-label="{label}">', f"<style>{STYLE}</style>", *parts,
                      "</svg>", ""])
