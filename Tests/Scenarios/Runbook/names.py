"""The cluster's name server: headless Services have the addresses of their ready pods."""

import ipaddress
import socket
import struct
import threading

ADDRESS, NONE_SUCH = 1, 3


class NameServer:
    """Over UDP, on a loopback address. `look_up` gives the addresses of a name, or None if there is no such name."""

    def __init__(self, host, look_up):
        self.look_up = look_up
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address = "%s:%d" % self.socket.getsockname()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            try:
                self.socket.sendto(self.answer(query), peer)
            except (IndexError, UnicodeDecodeError, struct.error):
                pass

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        found = self.look_up(".".join(labels).lower())
        records = b""
        count = 0
        for address in found or [] if kind == ADDRESS else []:
            records += b"\xc0\x0c" + struct.pack("!HHIH", ADDRESS, 1, 5, 4) + ipaddress.IPv4Address(address).packed
            count += 1
        # A Service without a ready pod has no name either.
        flags = 0x8400 | (0 if found else NONE_SUCH)
        return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + records
