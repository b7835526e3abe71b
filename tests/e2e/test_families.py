# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A1: every row of plain-mode-08 §6's table of address families, and a connection's families
together on two links."""

import contextlib
import hashlib
import ipaddress
import os
import threading

import pytest

from conftest import PlaitLab, both_families, running, server_address
from netns import Server, connect, digest, echo, eventually, read_all, read_exactly, text_of

LEGS = {"v4": (4, 4), "v6": (6, 6), "mixed": (4, 6)}  # the family of each access network
FILE_BYTES = 24 << 20


@pytest.fixture(scope="module", params=LEGS)
def legs(request):
    """A lab whose access networks each speak one family only."""
    with PlaitLab() as lab:
        for link, family in enumerate(LEGS[request.param], 1):
            other = {4: "-6", 6: "-4"}[family]
            lab.run("cpe", ["ip", other, "addr", "flush", "dev", f"w{link}", "scope", "global"])
        lab.plaitd("conc")
        lab.plaitd("cpe")
        yield lab, LEGS[request.param]


def family_of_end(end):
    return ipaddress.ip_address(end.rpartition(":")[0].strip("[]")).version


def subflows(lab, role, port):
    """Both, and None while there are not two."""
    session, = lab.sessions(role, port)
    found = session["subflows"]
    assert all(family_of_end(s["local"]) == family_of_end(s["remote"]) for s in found)
    return found if session["mptcp"] and len(found) == 2 else None


def families_by_link(lab, port):
    """Of the connection's two subflows, once there are two."""
    found = eventually(lambda: subflows(lab, "cpe", port), what="a second subflow")
    by_link = {subflow["link"]: family_of_end(subflow["local"]) for subflow in found}
    return by_link.get("dsl"), by_link.get("lte")


def check_families(lab, port, expected):
    assert families_by_link(lab, port) == expected
    far = eventually(lambda: subflows(lab, "conc", port), what="a second subflow")
    assert sorted(family_of_end(s["local"]) for s in far) == sorted(expected)


@contextlib.contextmanager
def both_links_carry(lab, received):
    """`received`: index of interface_bytes()."""
    def counted():
        return [lab.interface_bytes("cpe", f"w{link}")[received] for link in (1, 2)]

    before = counted()
    yield
    carried = [now - then for now, then in zip(counted(), before)]
    assert sum(carried) > FILE_BYTES and all(share > 1 << 20 for share in carried), carried


def in_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def check_peer(lab, family, client, server_side):
    """plain-mode-08 §6: by default the host's own address for IPv6 only."""
    peer = text_of(server_side.getpeername())
    if family == "v6":
        assert peer == text_of(client.getsockname())
    else:
        assert peer.startswith(f"{lab.CONC_NET_V4}:")


@both_families
def test_A1_upload_over_links_of(legs, family):
    lab, expected = legs
    address, block, whole = server_address(lab, family), os.urandom(1 << 20), hashlib.sha256()
    with Server(lab, "server", address) as server, \
            connect(lab, "host", address, server.port) as client, server.take() as far:
        check_peer(lab, family, client, far)
        far.sendall(b"ready")
        read_exactly(client, 5)
        check_families(lab, server.port, expected)
        with both_links_carry(lab, 1):
            answer = in_thread(lambda: digest(far))
            for _ in range(FILE_BYTES >> 20):
                client.sendall(block)
                whole.update(block)
            client.shutdown(1)
            assert read_exactly(client, 64).decode() == whole.hexdigest()
            answer.join()


@both_families
def test_A1_download_over_links_of(legs, family):
    lab, expected = legs
    address, block = server_address(lab, family), os.urandom(1 << 20)
    with Server(lab, "server", address) as server, \
            connect(lab, "host", address, server.port) as client, server.take() as far:
        client.sendall(b"please")
        assert read_exactly(far, 6) == b"please"
        far.sendall(b"ready")
        read_exactly(client, 5)
        check_families(lab, server.port, expected)
        with both_links_carry(lab, 0):
            def send():
                for _ in range(FILE_BYTES >> 20):
                    far.sendall(block)
                far.shutdown(1)

            writer = in_thread(send)
            assert hashlib.sha256(read_all(client)).digest() == \
                hashlib.sha256(block * (FILE_BYTES >> 20)).digest()
            writer.join()


@pytest.mark.parametrize("link", [1, 2])
@both_families
def test_A1_link_that_loses_a_connections_family_goes_on_with_the_other(family, link):
    with running() as lab:
        address = server_address(lab, family)
        with Server(lab, "server", address, echo) as server, \
                connect(lab, "host", address, server.port) as client:
            def ask():
                client.sendall(b"x")
                return read_exactly(client, 1) == b"x"

            assert ask()
            own, other = {"v4": (4, 6), "v6": (6, 4)}[family]
            check_families(lab, server.port, (own, own))
            lab.run("cpe", ["ip", f"-{own}", "addr", "flush", "dev", f"w{link}",
                            "scope", "global"])
            expected = (other, own) if link == 1 else (own, other)
            eventually(lambda: ask() and families_by_link(lab, server.port) == expected,
                       what="the other family")
