# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "sanitize": the address and the undefined behaviour sanitizer.

The library's tests run in a build with GCC's, QEMU with clang's under all of
tests/qtest.  In the library a report ends the test.  QEMU goes on, so that
one complaint does not hide the rest; its reports go to files, each of which
is a failed case, whatever the test thought of it.  Memory that QEMU has lost
at its end is reported, too.
"""

import shutil
import tempfile
from pathlib import Path

from checklib.library import sanitized
from checklib.programs import run_folder
from checklib.results import failed, passed
from checklib.run import run

BUILD_TIMEOUT = 1500    # seconds; with two processors it takes five minutes
TEST_TIMEOUT = 600      # for one test program

# What a sanitizer prints at the start of QEMU, about coroutines; QEMU tells
# it each time that it changes the stack.
_HARMLESS = "ASan doesn't fully support makecontext/swapcontext"


def _build_qemu(tier, log):
    """Builds it from the same tree; a failed case if that fails."""
    done = run([tier.top / "scripts/build", "--sanitize"], log,
               timeout=BUILD_TIMEOUT, each_line=tier.say)
    if done.status == 0:
        return []
    text = (done.output + done.errors).splitlines()[-60:]
    return [failed("build QEMU with sanitizers", "\n".join(text))]


def _environment(folder):
    """The variables that tell the sanitizers where to report."""
    common = f"log_path={folder}/report:print_stacktrace=1"
    return {"ASAN_OPTIONS": common + ":detect_leaks=1",
            "UBSAN_OPTIONS": common}


def _reports(folder):
    """The cases of what the sanitizers have reported."""
    cases = []
    for path in sorted(Path(folder).glob("report*")):
        lines = [line for line in
                 path.read_text(errors="replace").splitlines()
                 if _HARMLESS not in line]
        if lines:
            cases.append(failed(f"sanitizers: {lines[0]}", "\n".join(lines)))
    return cases or [passed("sanitizers report nothing")]


def _qtest(tier, log):
    """tests/qtest with that QEMU."""
    qemu = (tier.top / "build" / tier.qemu_build.parent.name /
            "build-sanitize/qemu-system-x86_64")
    folder = tempfile.mkdtemp(prefix="sanitize-")
    try:
        return run_folder(
            tier, tier.top / "tests/qtest", log, timeout=TEST_TIMEOUT,
            env={"QTEST_QEMU_BINARY": str(qemu), **_environment(folder)}
        ) + _reports(folder)
    finally:
        shutil.rmtree(folder)


def sanitize(tier, log):
    """The library, and QEMU under tests/qtest, with sanitizers."""
    cases = sanitized(tier, log)
    trouble = _build_qemu(tier, log)
    return cases + (trouble or _qtest(tier, log))
