# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What an interface really sends and receives: captured by AF_PACKET, read by hand."""

import dataclasses
import ipaddress
import socket
import struct

from netns import inside

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
PACKET_OUTGOING = 4
ETHERNET_BYTES = 14
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MPTCP = 30
MP_CAPABLE, MP_JOIN, DSS, MP_FASTCLOSE = 0, 1, 2, 7


@dataclasses.dataclass
class Packet:
    """An IP packet; the TCP fields are there if it is TCP."""

    outgoing: bool
    source: str
    destination: str
    protocol: int
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    options: list = dataclasses.field(default_factory=list)
    payload: bytes = b""
    traffic_class: int = 0

    @property
    def dscp(self):
        return self.traffic_class >> 2

    @property
    def ecn(self):
        return self.traffic_class & 3

    @property
    def mptcp(self):
        """The MPTCP sub-types in its options."""
        return [value[0] >> 4 for kind, value in self.options if kind == MPTCP]

    @property
    def is_syn(self):
        return self.flags & (SYN | ACK) == SYN


def read_options(octets):
    options = []
    while octets and octets[0]:
        if octets[0] == 1:
            octets = octets[1:]
            continue
        options.append((octets[0], octets[2:octets[1]]))
        octets = octets[octets[1]:]
    return options


def read_packet(frame, outgoing):
    """None for what is not IP, or less than its header."""
    ether_type, = struct.unpack_from("!H", frame, 12)
    ip = frame[ETHERNET_BYTES:]
    if ether_type == 0x0800 and len(ip) >= 20:
        header, protocol = (ip[0] & 15) * 4, ip[9]
        l4 = ip[header:struct.unpack_from("!H", ip, 2)[0]]
        addresses, traffic_class = (ip[12:16], ip[16:20]), ip[1]
    elif ether_type == 0x86dd and len(ip) >= 40:
        protocol = ip[6]
        l4 = ip[40:40 + struct.unpack_from("!H", ip, 4)[0]]
        addresses, traffic_class = (ip[8:24], ip[24:40]), (ip[0] << 4 | ip[1] >> 4) & 0xff
    else:
        return None
    packet = Packet(outgoing, *(str(ipaddress.ip_address(a)) for a in addresses), protocol,
                    traffic_class=traffic_class)
    if protocol == socket.IPPROTO_TCP:
        packet.sport, packet.dport, packet.seq, packet.ack, offset, packet.flags = \
            struct.unpack_from("!HHIIBB", l4)
        packet.options = read_options(l4[20:(offset >> 4) * 4])
        packet.payload = l4[(offset >> 4) * 4:]
    return packet


class Capture:
    """All IP packets of an interface from now on, both directions. For tests that send little:
    frames wait in the socket's buffer until packets() is called; loss is an error."""

    def __init__(self, lab, node, interface):
        with inside(lab, node):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((interface, ETH_P_ALL))
        self._socket.setblocking(False)
        self._packets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def packets(self):
        """Everything seen so far."""
        while True:
            try:
                frame, address = self._socket.recvfrom(1 << 17)
            except BlockingIOError:
                break
            packet = read_packet(frame, address[2] == PACKET_OUTGOING)
            if packet:
                self._packets.append(packet)
        _, lost = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert not lost, f"{lost} packets were not captured"
        return list(self._packets)

    def tcp(self, port=None):
        """TCP segments, of one port if given."""
        return [packet for packet in self.packets() if packet.protocol == socket.IPPROTO_TCP
                and port in (None, packet.sport, packet.dport)]

    def syns(self, port=None):
        return [packet for packet in self.tcp(port) if packet.is_syn]
