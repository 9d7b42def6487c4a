# SPDX-License-Identifier: GPL-2.0-or-later
"""Tier "sanitize": the address and the undefined behaviour sanitizer.

The library's tests run in a build with GCC's, QEMU with clang's under all of
tests/qtest.  In the library a report ends the test.  QEMU goes on, so that
one complaint does not hide the rest; its reports go to files, each of which
is a failed case, whatever the test thought of it.

So is memory that was lost when QEMU ends, if a function of ours has it on the
stack.  QEMU itself loses some where it leaves a coroutine by exit(), as it
does when a migration stream is no good.
"""

import re
import tempfile
from pathlib import Path

from harness import TOP
from harness.check.library import build_lib, sanitized
from harness.check.qemu import build_qemu
from harness.check.results import FAIL, failed, passed, skipped
from harness.check.run import run, run_folder

TEST_TIMEOUT = 600      # seconds, for one test program
RANDOM_SECONDS = "20"   # for each random test with each of three engines

# Where clang has what this takes, it misses nothing but a main().
_TRY_CLANG = ["clang", "-fsanitize=address,undefined", "-o", "/dev/null",
              "-x", "c", "/dev/null"]

_COMPLAINT = re.compile(r".*(runtime error:|ERROR: AddressSanitizer| leak of )"
                        r".*")

# A file in a trace of the stack; the leaks of those that are here, too, count.
_FILE = re.compile(r"/((?:hw|net|ebpf)/[\w/-]+\.[ch])\b")


def _build_qemu(tier, log):
    """Builds it from the same tree; a case if that fails or cannot be."""
    if "undefined reference to `main'" not in run(_TRY_CLANG, log).errors:
        return [skipped("QEMU with sanitizers", "clang has none: install"
                        " libclang-rt-dev")]
    case = build_qemu(tier, log, "--sanitize")
    return [case] if case.outcome == FAIL else []


def _environment(folder):
    common = f"log_path={folder}/report:print_stacktrace=1"
    return {"ASAN_OPTIONS": common + ":detect_leaks=1",
            "UBSAN_OPTIONS": common}


def _matters(paragraph):
    """Whether a paragraph of a report is a complaint about what counts."""
    complaint = _COMPLAINT.search(paragraph)
    if complaint and " leak of " in complaint[0]:
        return any((TOP / file).exists() for file
                   in _FILE.findall(paragraph))
    return bool(complaint)


def read_reports(folder):
    """The cases of what the sanitizers have reported."""
    cases = []
    for path in sorted(Path(folder).glob("report*")):
        text = path.read_text(errors="replace")
        bad = [each for each in text.split("\n\n") if _matters(each)]
        if bad:
            title = _COMPLAINT.search(bad[0])[0]
            cases.append(failed(f"sanitizers: {title}", "\n\n".join(bad)))
    return cases or [passed("sanitizers report nothing")]


def _qtest(tier, log):
    """tests/qtest with that QEMU."""
    qemu = (tier.top / "build" / tier.qemu_build.parent.name /
            "build-sanitize/qemu-system-x86_64")
    with tempfile.TemporaryDirectory(prefix="sanitize-") as folder:
        env = {"QTEST_QEMU_BINARY": str(qemu),
               "RSS_TEST_SECONDS": RANDOM_SECONDS, **_environment(folder)}
        return run_folder(tier, tier.top / "tests/qtest", log,
                          timeout=TEST_TIMEOUT, env=env) + read_reports(folder)


def sanitize(tier, log):
    """The library, and QEMU under tests/qtest, with sanitizers."""
    cases = [*build_lib(tier, log), *([] if tier.base
                                      else sanitized(tier, log))]
    trouble = _build_qemu(tier, log)
    return cases + (trouble or _qtest(tier, log))
