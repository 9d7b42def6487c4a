# SPDX-License-Identifier: GPL-2.0-or-later
"""A host for xdp-offload, by docs/xdp_offload_wire.rst alone.

It has maps, but runs nothing. Its port is a pseudo-terminal.
"""

import contextlib
import os
import pty
import select
import struct
import threading
import tty

(HELLO, MAP_CREATE, PROG_SET, PROG_UNSET, LOOKUP, UPDATE, DELETE, NEXT,
 STATS, MAP_TYPED) = range(1, 11)
ANSWER = 0x8000
TX, TYPES = 4, 8        # features
HEADER = struct.Struct("<4sHHII")
ENOENT, E2BIG, EBADF, EEXIST = 2, 7, 9, 17
PER_CPU = (5, 6)        # types of maps
PROCESSORS = 3          # unlike any machine that runs the tests


class Map:
    """One of the guest's, with what is in it.

    types: the numbers of the key's and the value's type, and the BTF
    """

    def __init__(self, body, types=None):
        (self.type, self.key, self.value, self.entries,
         self.flags) = struct.unpack_from("<5I", body)
        self.name = body[20:36].rstrip(b"\0").decode()
        self.types = types
        self.content = {}
        self.value_len = (-(-self.value // 8) * 8 * PROCESSORS
                          if self.type in PER_CPU else self.value)


class Host(threading.Thread):
    """Answers until it is closed.

    requests: [(operation, body)]
    refuse: {operation: (errno, text)}; silent: operations without an answer
    before: called with each operation before it is answered
    features: what it says in HELLO
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.requests, self.refuse, self.silent = [], {}, set()
        self.features = TX
        self.before = lambda op: None
        self.maps, self.program, self.garbage = [], None, b""
        self.stopped = threading.Event()
        self.start()

    def close(self):
        """Hang up."""
        self.stopped.set()
        self.join()
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def run(self):
        data = b""
        while not self.stopped.is_set():
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            data += os.read(self.master, 65536)
            while len(data) >= HEADER.size:
                magic, version, op, sequence, size = HEADER.unpack_from(data)
                assert (magic, version) == (b"XDPO", 1), data[:16]
                if len(data) < HEADER.size + size:
                    break
                body = data[HEADER.size:HEADER.size + size]
                data = data[HEADER.size + size:]
                self.serve(op, sequence, body)

    def serve(self, op, sequence, body):
        """Answer one request."""
        self.before(op)
        self.requests.append((op, body))
        if op in self.silent:
            return
        error, answer = self.refuse.get(op) or self.answer(op, body)
        if isinstance(answer, str):
            answer = answer.encode()
        frame = struct.pack("<I", error) + answer
        frame = self.garbage + HEADER.pack(b"XDPO", 1, op | ANSWER, sequence,
                                           len(frame)) + frame
        self.garbage = b""
        while frame and not self.stopped.is_set():
            frame = frame[os.write(self.master, frame[:2048]):]

    def answer(self, op, body):
        """Return an error and what is behind it."""
        if op == HELLO:
            self.maps, self.program = [], None
            return 0, struct.pack("<5IQI", self.features, 4096, 16, 512, 4096, 1 << 24,
                                  PROCESSORS)
        if op == MAP_CREATE:
            self.maps.append(Map(body))
            return 0, struct.pack("<I", len(self.maps) - 1)
        if op == MAP_TYPED:
            self.maps.append(Map(body[:36], (
                *struct.unpack_from("<2I", body, 36), body[44:])))
            return 0, struct.pack("<I", len(self.maps) - 1)
        if op == PROG_SET:
            self.program = Program(body)
            return 0, b""
        if op == PROG_UNSET:
            self.maps, self.program = [], None
            return 0, b""
        if op == STATS:
            return 0, struct.pack("<6Q", 10, 20, 30, 40, 4096,
                                  5 * 10**9 if self.program else 0)
        return self.entries(op, body)

    def entries(self, op, body):
        """The same for operations on a map."""
        handle, flags, count = struct.unpack_from("<3I", body)
        if handle >= len(self.maps):
            return EBADF, "no such map"
        there, data, out, done = self.maps[handle], body[12:], b"", 0
        size = there.key + (there.value_len if op == UPDATE else 0)
        if op == NEXT:
            keys = list(there.content)
            keys = keys[0 if flags & 1 else keys.index(data) + 1:][:count]
            out = b"".join(key + there.content[key] for key in keys)
            done = len(keys)
        else:
            assert len(data) == size * count, (op, count, len(data))
        for at in range(0, len(data), size) if op != NEXT else ():
            key = data[at:at + there.key]
            if op == UPDATE:
                if flags & 2 and key in there.content:
                    return EEXIST, ""
                there.content[key] = data[at + there.key:at + size]
            elif key not in there.content:
                break
            elif op == LOOKUP:
                out += there.content[key]
            else:
                del there.content[key]
            done += 1
        return (0, struct.pack("<3I", handle, flags, done) + out) if done \
            else (ENOENT, "")

    def map(self, name):
        """Return the map of this name."""
        return next(one for one in self.maps if one.name == name)


class Program:
    """What PROG_SET has."""

    def __init__(self, body):
        self.flags, self.ifindex, self.count = struct.unpack_from("<3I", body)
        self.name = body[12:28].rstrip(b"\0").decode()
        self.code = body[28:]

    def handles(self):
        """Return the maps that the instructions name."""
        found, at = set(), 0
        while at < len(self.code):
            code, registers, _, imm = struct.unpack_from("<BBhi", self.code,
                                                         at)
            if code == 0x18 and registers >> 4 in (1, 2):
                found.add(imm)
            at += 16 if code == 0x18 else 8
        return found
