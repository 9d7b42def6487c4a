#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest with RSS migrates, also from and to the distribution's QEMU.

The guest boots once and is saved in a file; each test begins with that file,
as often as it needs.  Both sides have a tap of their own.  The other side
must have the configuration before it delivers a packet: it is looked at while
it is still paused, and the first packets wait in its tap by then.
"""

import tempfile
import threading
import time
from pathlib import Path

from harness.functional.guests import (
    AUTOMATIC, EBPF, NO_HELPER, SOFTWARE, VHOST, Case, IncomingGuest, RssGuest,
    Unprivileged, VmError, flows, histogram, predicted, run_tests, steering,
    tested_qemu, traffic, wait_until, why_not)
from harness.qtest.machine import stock_qemu

TIMEOUT = 60
COUNT = 64          # packets, the first that a guest receives
PACE = 0.002        # seconds between two packets of steady traffic


def arrived(guest):
    """Wait until `guest` has read the whole stream."""
    def ended():
        return guest.qmp("query-status")["status"] != "inmigrate"

    if not wait_until(ended, TIMEOUT, 0.01):
        raise VmError("the incoming migration does not end")


class Traffic(threading.Thread):
    """Sends frames, one after the other, until it is told to end."""

    def __init__(self, frames, sockets):
        super().__init__(daemon=True)
        self.frames = frames
        self.sockets = sockets
        self.sent = 0
        self.ending = False

    def run(self):
        while not self.ending:
            frame = self.frames[self.sent % len(self.frames)]
            for sock in self.sockets:
                traffic.send(sock, [frame])
            self.sent += 1
            time.sleep(PACE)

    def stop(self):
        self.ending = True
        self.join()


class Migrating:
    """Ways to save a guest, and to go on with it."""

    options = ""
    engine = EBPF

    @classmethod
    def make_folder(cls):
        cls.folder = Path(cls.enterClassContext(
            tempfile.TemporaryDirectory(prefix="qemu-ebpf-migration-")))

    @classmethod
    def save(cls, guest, name):
        """Save `guest` in a file, and leave it stopped.

        Stopped before: with TCG, QEMU before 9.0 loses some of what a guest
        writes while it is saved (cpu_physical_memory_sync_dirty_bitmap()
        clears whole words of dirty pages, and leaves in the TLB that they
        are dirty), and what is restored then has memory of two moments.
        """
        path = cls.folder / name
        guest.qmp("stop")
        guest.migrate(f"exec:cat > {path}")
        return path

    def incoming(self, **how):
        """Return a QEMU that waits for a guest and will not start it."""
        how.setdefault("options", self.options)
        return self.enterContext(IncomingGuest(arguments=["-S"], **how))

    def restored(self, path, **how):
        """Return the guest of a file, still paused."""
        guest = self.incoming(**how)
        guest.qmp("migrate-incoming", {"uri": f"exec:cat {path}"})
        arrived(guest)
        return guest

    def assert_goes_on(self, guest, engine, config, before):
        """The configuration is there before the first packet, and it steers.

        before: what each queue had received when the guest was saved
        """
        rss = self.assert_query(engine, config, guest)
        self.assertTrue(rss["negotiated"])
        frames = self.frames(COUNT)
        if not VHOST:
            traffic.send(guest.sender, frames)  # they wait in the tap
        guest.qmp("cont")
        if VHOST:       # else QEMU itself takes one from each queue, for good
            traffic.send(guest.sender, frames)
        seen = histogram.wait_for_packets(guest, before, COUNT)
        self.assertEqual(seen, predicted(frames, config.queue),
                         "the first packets per queue")
        self.assert_each_received(frames, config.queue, guest)

    def frames(self, count):
        return flows(count)

    def set_another(self, guest):
        """The guest changes its mind; returns what it has set."""
        guest.set_key(6)
        guest.shell("ethtool -N eth0 rx-flow-hash udp6 sdfn")
        guest.shell("ethtool -X eth0 weight 0 2 1 1")
        return guest.config()


class MigrationCase(Migrating, Case):
    """One guest boots for all tests of a class, and is saved."""

    @classmethod
    def setUpClass(cls):
        if why_not():
            return
        cls.make_folder()
        with RssGuest(cls.options) as guest:
            guest.set_key(4)
            guest.shell("ethtool -K eth0 rxhash on")
            guest.shell("ethtool -N eth0 rx-flow-hash udp6 sd")
            guest.shell("ethtool -X eth0 weight 4 1 2 1")
            cls.config = guest.config()
            cls.received = steering.rx_packets(guest)
            cls.saved = cls.save(guest, "saved")

    def restored(self, path=None, **how):
        """Return the guest of a file, still paused."""
        return super().restored(path or self.saved, **how)


class Migration(MigrationCase):
    """vhost=off, our QEMU on both sides."""

    def test_file_to_eBPF(self):
        guest = self.restored()
        self.assert_goes_on(guest, EBPF, self.config, self.received)
        config = self.set_another(guest)
        self.assert_query(EBPF, config, guest)
        self.assert_received(flows(64), config.queue, guest)

    def test_counters_on_the_other_side(self):
        """They begin anew, and count each packet once."""
        guest = self.restored(options="rss-counters=on")
        frames = flows(64)
        traffic.send(guest.sender, frames)
        guest.qmp("cont")
        self.assert_received(frames, self.config.queue, guest)
        counters = guest.rss()["counters"]
        self.assertEqual(counters["queues"],
                         predicted(frames * 2, self.config.queue))

    def test_file_to_software(self):
        guest = self.restored(options="rss-engine=software")
        self.assertEqual(guest.warnings(), [])
        self.assert_goes_on(guest, SOFTWARE, self.config, self.received)

    def test_file_from_software_to_eBPF(self):
        source = self.restored(options="rss-engine=software")
        path = self.save(source, "from-software")
        source.stop()
        self.assert_goes_on(self.restored(path), EBPF, self.config,
                            self.received)

    def test_file_to_a_host_without_eBPF(self):
        """Software, one warning with the reason, nothing else changes."""
        guest = self.restored(options=NO_HELPER,
                              qemu=Unprivileged(tested_qemu()))
        self.assert_one_warning(guest.warnings(), "not permitted")
        self.assert_goes_on(guest, SOFTWARE, self.config, self.received)
        self.assertEqual(len(guest.warnings()), 1)

    def test_the_source_goes_on_after_a_failed_migration(self):
        """Nobody listens: its steering is as before."""
        guest = self.restored()
        guest.qmp("cont")
        with self.assertRaises(VmError):
            guest.migrate(f"unix:{self.folder}/nobody")
        self.assert_query(EBPF, self.config, guest)
        self.assert_received(flows(), self.config.queue, guest)

    def live(self, both):
        """Migrate by socket under traffic for queue 2 alone.

        both: packets go to both taps all the time, as from a switch that
        does not know where the guest is; else to the source until the guest
        runs on the other side, as from one that does.
        """
        frames = [frame for frame in flows(256, seed=2)
                  if self.config.queue(frame) == 2]
        source, guest = self.restored(), self.incoming()
        source.qmp("cont")
        uri = f"unix:{self.folder}/socket-{both}"
        guest.qmp("migrate-incoming", {"uri": uri})
        stream = Traffic(frames, [source.sender] +
                         ([guest.sender] if both else []))
        self.addCleanup(stream.stop)
        stream.start()
        source.migrate(uri)
        arrived(guest)
        self.assert_query(EBPF, self.config, guest)
        stream.sockets = [guest.sender]
        start = stream.sent
        guest.qmp("cont")
        self.assertTrue(wait_until(lambda: stream.sent > start + 100, 10))
        stream.stop()
        least = stream.sent - start - 1
        wait_until(lambda: steering.rx_packets(guest)[2] >=
                   self.received[2] + least, 30)
        seen = histogram.wait_for_packets(
            guest, self.received, stream.sent * (2 if both else 1), 1)
        self.assertEqual([count for queue, count in enumerate(seen)
                          if queue != 2], [0, 0, 0], f"queue 2: {seen[2]}")
        self.assertGreaterEqual(seen[2], least)
        self.assert_received(flows(64), self.config.queue, guest)

    def test_socket_under_traffic(self):
        self.live(both=False)

    def test_socket_under_traffic_to_both_sides(self):
        self.live(both=True)


class MigrationStock(MigrationCase):
    """From and to the distribution's own QEMU of the same version.

    Its software engine takes packets that must not be fragmented for
    fragments in places, so none of them is sent.
    """

    def frames(self, count):
        return [frame for frame in flows(2 * count, seed=3)
                if frame[20:22] != b"\x40\0"][:count]

    def test_to_stock_and_back(self):
        stock = self.restored(qemu=stock_qemu())
        self.assert_stock_goes_on(stock, self.config, self.received)
        config = self.set_another(stock)
        self.assert_received(self.frames(32), config.queue, stock)
        before = steering.rx_packets(stock)
        path = self.save(stock, "from-stock")
        stock.stop()
        self.assert_goes_on(self.restored(path), self.engine, config, before)

    def test_to_stock_and_back_with_RSS_off(self):
        """Off in the stream of both."""
        guest = self.restored()
        guest.qmp("cont")
        guest.shell("ethtool -X eth0 equal 1")
        guest.shell("ethtool -L eth0 combined 3")
        stock = self.restored(self.save(guest, "off"), qemu=stock_qemu())
        guest.stop()
        back = self.restored(self.save(stock, "off-again"))
        stock.stop()
        self.assert_query(AUTOMATIC, guest=back)
        back.qmp("cont")
        seen = self.receive(flows(64, seed=1), back)
        self.assertGreater(sum(1 for count in seen if count), 1, seen)

    def assert_stock_goes_on(self, guest, config, before):
        """Stock QEMU has nothing to query, but its packets tell."""
        frames = self.frames(COUNT)
        guest.qmp("cont")
        traffic.send(guest.sender, frames)
        seen = histogram.wait_for_packets(guest, before, COUNT)
        self.assertEqual(seen, predicted(frames, config.queue))


class MigrationStockHash(MigrationStock):
    """The same, and hashes are reported."""

    options = "hash=on"
    engine = SOFTWARE


if __name__ == "__main__":
    run_tests(__file__)
