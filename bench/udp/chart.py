# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Draws udp.svg: one-way delay of each datagram of a steady flow while one link loses 1 %."""

from drawing import document_of, grid, round_up, text

WIDTH, ROW, HEIGHT, LEFT = 960, 150, 100, 60
COLOUR = "#2f81f7"


def delays(delays_ms):
    """{contender: delays in ms, in order of arrival}"""
    shown = {name: values for name, values in delays_ms.items() if values}
    top = round_up(max((max(values) for values in shown.values()), default=1))
    parts = [text(LEFT, 24, "one-way delay in ms, each datagram; link 1 loses 1 %", "title",
                  "start")]
    for number, (name, values) in enumerate(shown.items()):
        base = 40 + (number + 1) * ROW - 30
        parts += grid(LEFT, WIDTH - 20, base, HEIGHT, top, 2)
        parts.append(text(LEFT, base - HEIGHT - 6, name, anchor="start"))
        step = (WIDTH - 20 - LEFT) / max(len(values), 1)
        parts += [f'<circle cx="{LEFT + i * step:.1f}" cy="{base - HEIGHT * value / top:.1f}" '
                  f'r="1" fill="{COLOUR}"/>' for i, value in enumerate(values)]
    return document_of(WIDTH, 40 + ROW * len(shown), "UDP delays with loss on one link", parts)
