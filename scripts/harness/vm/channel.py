# SPDX-License-Identifier: GPL-2.0-or-later
"""How we talk to a machine: a shell over virtio-serial, and QMP.

Both are sockets whose other end QEMU holds, so there is no file to clean up
and no moment at which nobody is connected.
"""

import json
import select
import time

from . import VmError
from .process import wait_until


END_TIMEOUT = 10        # seconds, from the end of QEMU's sockets to its own


class Closed(VmError):
    """QEMU has closed its end, and yet it is there."""


class Channel:
    """A socket to QEMU, read line by line with a deadline."""

    def __init__(self, sock, alive, what):
        """`alive` is called while waiting; it raises if QEMU has ended."""
        self.sock = sock
        self.alive = alive
        self.what = what
        self.rest = b""

    def read_line(self, deadline):
        """Return the next line without its end; VmError when it is late."""
        while b"\n" not in self.rest:
            self.alive()
            left = deadline - time.monotonic()
            if left <= 0:
                raise VmError(f"no answer in time from {self.what}")
            if select.select([self.sock], [], [], min(left, 0.5))[0]:
                try:
                    data = self.sock.recv(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    self._closed()
                self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def write(self, data):
        try:
            self.sock.sendall(data)
        except ConnectionError:
            self._closed()

    def _closed(self):
        wait_until(self.alive, END_TIMEOUT)     # its end says more
        raise Closed(f"{self.what} was closed")

    def close(self):
        self.sock.close()


class Shell(Channel):
    """A shell in the machine; one command at a time."""

    count = 0

    def wait_ready(self, timeout):
        """Wait until the machine's init script offers the shell."""
        deadline = time.monotonic() + timeout
        while self.read_line(deadline) != "ready":
            pass

    def run(self, command, timeout=20, line=None):
        """Run a command; return (status, output).

        `line` is called with each line of output as it comes.
        """
        self.count += 1
        mark = f"@@{self.count}:"
        text = (f"(\n{command}\n) </dev/null 2>&1; "
                f"printf '\\n{mark}%d\\n' $?\n")
        self.write(text.encode())
        deadline = time.monotonic() + timeout
        lines = []
        while True:
            this = self.read_line(deadline)
            if this.startswith(mark):
                break
            lines.append(this)
            if line and len(lines) > 1:
                line(lines[-2])     # the last is ours: see the mark
        if line and len(lines) > 1 and lines[-1]:
            line(lines[-1])
        output = "\n".join(lines)
        return int(this[len(mark):]), output.rstrip("\n")


class Asked:
    """What is often asked of a QEMU, for who has qmp()."""

    def rss(self):
        """Return what x-query-rss tells of the first card."""
        return self.qmp("x-query-rss")[0]

    def monitor(self, command):
        """Return what the monitor for people (HMP) says to a command."""
        return self.qmp("human-monitor-command", {"command-line": command})

    def info_rss(self):
        return self.monitor("info rss")

    def migrate(self, uri, timeout=60):
        """Migrate away; return when all is written."""
        self.qmp("migrate", {"uri": uri})

        def ended():
            answer = self.qmp("query-migrate")
            if answer.get("status") == "failed":
                raise VmError("the migration failed: "
                              + answer.get("error-desc", "no reason given"))
            return (answer.get("status") == "completed" and
                    # a moment later, and "cont" is refused before
                    self.qmp("query-status")["status"] != "finish-migrate")

        if not wait_until(ended, timeout, 0.005):
            raise VmError("the migration does not end")


class Qmp(Channel):
    """QEMU's own control channel."""

    def __init__(self, sock, alive):
        super().__init__(sock, alive, "QMP")
        self.events = []
        self.ready = False

    def command(self, name, arguments=None, timeout=10):
        """Run a QMP command and return its answer; VmError if refused."""
        deadline = time.monotonic() + timeout
        if not self.ready:
            self.read_line(deadline)            # the greeting
            self.ready = True
            self.command("qmp_capabilities", timeout=timeout)
        request = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        self.write(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self.read_line(deadline))
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise VmError(f"QMP {name}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait_event(self, name, timeout):
        """Wait until QEMU has told of an event since the last call."""
        def happened():
            self.command("query-status")
            return any(event["event"] == name for event in self.events)

        if not wait_until(happened, timeout, 0.005):
            raise VmError(f"QEMU told of no event {name}")
        self.events.clear()
