# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel can break, with the kernels of Debian: tiers "kernels", which
takes them all, and "kernel-of-turn", which takes another one for each commit.
"""

import re
import time

from harness.check.library import build_lib
from harness.check.results import FAIL, count_line, skipped
from harness.check.run import run_program, turn

TIMEOUT = 5400      # seconds, for one kernel
FRAMES = 20000      # for each XDP program, where all kernels are tried
PACKETS = 20000     # through cards under load, where one is

# Suite of the host's kernel -> suite of the guest's.  Guests of 5.10 have no
# RSS; those of bookworm on bookworm are in the tier "functional".
KERNELS = {
    "bullseye": "bookworm",
    "bookworm": "trixie",
    "trixie": "sid",
    "sid": "sid",
}


def _run(tier, log, suites, env=None):
    if not tier.qemu.exists():
        return [skipped("kernels", tier.NOT_BUILT)]
    cases = build_lib(tier, log)
    rows = []
    for suite in suites:
        guest = KERNELS[suite]
        tier.say(f"host {suite}, guest {guest}")
        version = "?"

        def show(line):
            nonlocal version
            if match := re.match(r"# Linux (\S+)", line):
                version = match[1]
            if re.match("# [^ ]|\\[host\\]", line):
                tier.say("  " + line.removeprefix("# "))

        start = time.monotonic()
        these = run_program(
            f"kernel of {suite}",
            [tier.top / "tests/kernels/run_in_kernel.py", suite, guest,
             tier.top / "build/lib", tier.qemu],
            log, env=env, timeout=TIMEOUT, each_line=show)
        good = "NO" if any(case.outcome == FAIL for case in these) else "yes"
        rows.append(f"{suite:9} {version:22} {good:4} {count_line(these)}, "
                    f"{time.monotonic() - start:.0f} s")
        cases += these
    for row in rows:
        tier.say(row)
    return cases


def kernels(tier, log):
    """The library's tests of a kernel, and vhost=on, with Debian's kernels."""
    return _run(tier, log, KERNELS, {"XDP_FRAMES": str(FRAMES)})


def of_turn(tier, log):
    """One kernel of the tier kernels, by the number of commits."""
    return _run(tier, log, [turn(list(KERNELS))],
                {"RSS_TEST_PACKETS": str(PACKETS)})
