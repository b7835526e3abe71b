# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the benchmarks run on: tools compiled, machine named. tests/lab is on the path."""

import datetime
import os
import platform
import subprocess

from lab import BUILD, ROOT


def build_tool(name):
    """Path of a program of bench/, compiled as the Makefile does when that has not happened yet."""
    source, program = ROOT / f"bench/{name}.c", BUILD / f"bench/{name}"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-pthread",
                        "-o", str(program), str(source)], check=True)
    return program


def machine_facts():
    return {"date": datetime.date.today().isoformat(), "kernel": platform.release().split("-")[0],
            "machine": platform.machine(), "cpus": os.cpu_count()}
