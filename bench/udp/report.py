# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Makes udp.md of the figures."""

from tables import measured_on, ratio, target_table

COLUMNS = (("rate", "pps", "carried, 1/s", "{:,.0f}"),
           ("rate", "cpu_us", "CPU a datagram, µs", "{:.1f}"),
           ("bursts", "pps", "in bursts, 1/s", "{:,.0f}"),
           ("bursts", "cpu_us", "CPU, µs", "{:.1f}"),
           ("single", "p50_us", "one-way delay p50, µs", "{:.0f}"),
           ("single", "p99_us", "p99, µs", "{:.0f}"),
           ("lossy", "p50_ms", "1 % loss: delay p50, ms", "{:.1f}"),
           ("lossy", "p99_ms", "p99, ms", "{:.1f}"),
           ("lossy", "arrived_percent", "arrived, %", "{:.1f}"))


def figure_of(figures, name, key, figure):
    return figures.get(name, {}).get(key, {}).get(figure)


def row(contender, figures):
    cells = [figure_of(figures, contender.name, key, figure) for key, figure, _, _ in COLUMNS]
    return "| " + " | ".join([contender.title, *(
        "–" if value is None else shape.format(value)
        for value, (_, _, _, shape) in zip(cells, COLUMNS))]) + " |"


def page(facts, chosen, figures):
    def beside(key):
        return ratio(*(figure_of(figures, name, key, "pps") for name in ("plait", "openvpn")))

    def added(figure):
        here, routed = (figure_of(figures, name, "single", figure)
                        for name in ("datagram", "routed"))
        return None if here is None or routed is None else here - routed

    what = "stream mode: datagrams of 200 octets, beside OpenVPN over TCP"
    targets = [(f"{what}, one by one", beside("rate"), 3, "x", True),
               (f"{what}, in bursts", beside("bursts"), 3, "x", True),
               ("datagram mode: one-way delay beside routed, p99", added("p99_us"), 50, "µs",
                False)]
    return "\n".join([
        "# UDP", "",
        "Medians of the rounds. Carried is the highest rate of which 99 % arrive; CPU is the whole "
        "machine's at that rate, host and server included.",
        "", *target_table(targets), "",
        "| | " + " | ".join(title for _, _, title, _ in COLUMNS) + " |",
        "| --- |" + " ---: |" * len(COLUMNS), *(row(each, figures) for each in chosen), "",
        "![delay of each datagram](udp.svg)", "", *measured_on(facts), ""])
