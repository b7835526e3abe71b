# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What `make check` asks of Debian's kernels, and of vmtest/run itself."""

import pathlib
import subprocess

RUN = pathlib.Path(__file__).resolve().parent / "run"
# They load the two roles' BPF objects and the lab's weather.
BONDED = ("tests/e2e/test_transfer.py::test_T1_A1_upload[v4]",
          "tests/e2e/test_transfer.py::test_T1_each_subflow_leaves_from_its_own_link[v4]",
          "tests/e2e/test_loss.py::test_T5_middlebox_that_strips_syn_payload[v4]")


def vmtest(*words):
    done = subprocess.run([RUN, "--timeout", "120", *words], check=False, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def processes():
    return subprocess.run(["ps", "-eo", "args"], check=True, text=True,
                          capture_output=True).stdout


def test_debian_12_with_backports_bonds():
    status, said, complaint = vmtest("6.12", "/usr/bin/python3", "-m", "pytest", "-q",
                                     "-p", "no:cacheprovider", *BONDED)
    assert (status, complaint) == (0, ""), said + complaint
    assert f"{len(BONDED)} passed" in said


def test_debian_12_with_backports_takes_the_programs_of_datagram_mode():
    """Its verifier sees less than later ones."""
    status, said, complaint = vmtest("6.12", "build/bpf-tests", "--color=never",
                                     "--filter", "datagram_order/U3_in_order_nothing_waits")
    assert (status, complaint) == (0, ""), said + complaint
    assert "Tested: 1 | Passing: 1" in said


def test_debian_12_without_is_refused_in_one_line():
    status, said, complaint = vmtest("6.1", "build/plaitd -c configs/cpe-plain.yaml")
    assert (status, complaint) == (1, "")
    line, = said.splitlines()
    assert line.startswith("plaitd: kernel 6.1.")
    assert line.endswith(" is too old: plait needs Linux 6.6 or newer (tcx)")


def test_time_runs_out_and_nothing_is_left():
    memory = "1234"
    status, said, complaint = vmtest("--timeout", "1", "--memory", memory, "6.12", "sleep 60")
    assert (status, said) == (124, "")
    assert complaint.startswith("vmtest/run: no end after 1 s")
    assert f"size={memory}M" not in processes()


def test_a_kernel_that_is_not_there():
    status, said, complaint = vmtest("/boot/vmlinuz-none", "true")
    assert (status, said) == (125, "")
    assert complaint.startswith("vmtest/run: /boot/vmlinuz-none is neither ")
