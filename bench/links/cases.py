# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The cases of bench/links: the weather of two links, and how it changes in a measurement."""

import dataclasses

from weather import CLEAR, Weather

THROTTLED_MBIT = 1
# What may happen to a link in mid-transfer.
HAPPENINGS = {
    "cut": lambda lab, link: lab.cut(link),
    "mend": lambda lab, link: lab.mend(link),
    "throttle": lambda lab, link: lab.set_rate(link, THROTTLED_MBIT),
    "silence": lambda lab, link: lab.set_weather(link, black_hole=True),
}


@dataclasses.dataclass(frozen=True)
class Sky:
    """One link: its weather in both directions, and what happens when."""

    weather: Weather = CLEAR
    changes: tuple = ()  # (share of the measurement's length, key of HAPPENINGS)


@dataclasses.dataclass(frozen=True)
class Case:
    title: str
    skies: tuple
    sum_wanted: float = 0.85  # of what the links give alone, one after the other
    stall_wanted_s: float | None = None  # of a running download

    def changes(self):
        """(share of the length, happening, link), in order."""
        return sorted((when, what, link) for link, sky in enumerate(self.skies, 1)
                      for when, what in sky.changes)


def clear(mbit, delay_ms=0):
    return Sky(Weather(rate_mbit=mbit, delay_ms=delay_ms))


def lossy(percent):
    return Sky(Weather(rate_mbit=50, loss_percent=percent))


def changing(*changes):
    return Sky(Weather(rate_mbit=50), changes)


FIFTY = clear(50)
POOR = Sky(Weather(rate_mbit=1, burst_bytes=64 << 10, queue_ms=500))
FLAPS = [(number / 6 + offset, what) for number in range(1, 5)
         for offset, what in ((0, "cut"), (1 / 12, "mend"))]

CASES = {
    "even": Case("50 + 50 Mbit/s", (FIFTY, FIFTY), sum_wanted=0.95),
    "uneven": Case("100 + 20 Mbit/s", (clear(100), clear(20))),
    # 20 and 80 ms are round trips.
    "delays": Case("50 Mbit/s, 20 ms + 5 Mbit/s, 80 ms", (clear(50, 10), clear(5, 40))),
    "poor": Case("100 + 1 Mbit/s, burst 64 KB, queue 500 ms", (clear(100), POOR)),
    "loss1": Case("50 + 50 Mbit/s with 1 % loss", (FIFTY, lossy(1))),
    "loss5": Case("50 + 50 Mbit/s with 5 % loss", (FIFTY, lossy(5))),
    "throttle": Case("50 + 50, then 1 Mbit/s", (FIFTY, changing((1 / 3, "throttle"))),
                     stall_wanted_s=0.5),
    "cut": Case("50 (cut, restored) + 50 Mbit/s",
                (changing((1 / 3, "cut"), (2 / 3, "mend")), FIFTY), stall_wanted_s=0.3),
    "hole": Case("50 (then a black hole) + 50 Mbit/s", (changing((1 / 3, "silence")), FIFTY),
                 stall_wanted_s=1.5),
    "flapping": Case("50 + 50 Mbit/s (flapping)", (FIFTY, changing(*FLAPS)), stall_wanted_s=0.3),
}
