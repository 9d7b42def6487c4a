# SPDX-License-Identifier: GPL-2.0-or-later
"""Tiers "lib", "nobpf" and "long": the library alone."""

import json

from harness.check.results import FAIL, failed, read_program, skipped
from harness.check.run import run

TESTS_TIMEOUT = 5400    # seconds, for all; meson.build has a limit for each

# Whether clang has what -Dfuzz=true needs.
_TRY_FUZZER = ["clang", "-fsanitize=fuzzer,address", "-o", "/dev/null", "-x",
               "c", "/dev/null"]


def _build(tier, build, options, log):
    """Configures and compiles the library; the failed case if that fails."""
    setup = ["meson", "setup", build, tier.top] + options
    if (build / "build.ninja").exists():
        setup[2:2] = ["--reconfigure"]
    for what, command in (("configure", setup),
                          ("compile", ["ninja", "-C", build, "all",
                                       "meson-test-prereq"])):
        tier.say(f"{what} {build.relative_to(tier.top)}")
        done = run(command, log)
        if done.status != 0:
            return [failed(f"{what} the library", done.output + done.errors)]
    return []


def _read_test_log(tier, build):
    """The cases in the log that "meson test" leaves.

    Lines "# | ..." are for people: tables of what was measured.
    """
    cases = []
    for line in (build / "meson-logs" / "testlog.json").open():
        test = json.loads(line)
        output = test.get("stdout") or ""
        cases += read_program(test["name"].split(" / ")[-1],
                              test["returncode"], output,
                              test.get("stderr") or "",
                              test["result"] == "TIMEOUT")
        for text in output.splitlines():
            if text.startswith("# | "):
                tier.say(text[4:])
    return cases


def _meson_test(tier, build, options, log):
    def show(line):
        if line[:1].isdigit() or line.lstrip()[:1].isdigit():
            tier.say(line.strip())

    (build / "meson-logs" / "testlog.json").unlink(missing_ok=True)
    done = run(["meson", "test", "-C", build, "--no-rebuild"] + options, log,
               timeout=TESTS_TIMEOUT, each_line=show)
    if (done.timed_out
            or not (build / "meson-logs" / "testlog.json").exists()):
        return [failed("meson test", done.output + done.errors)]
    log.write((build / "meson-logs" / "testlog.txt").read_text())
    return _read_test_log(tier, build)


def build_lib(tier, log):
    """Builds build/lib; returns failed or skipped cases if it is not whole."""
    cases = []
    fuzz = run(_TRY_FUZZER, log).errors.find("undefined reference to `LLVM") > 0
    if not fuzz:
        cases.append(skipped("fuzzers", "clang has no libFuzzer: install"
                             " libclang-rt-dev"))
    options = ["--werror", f"-Dfuzz={'true' if fuzz else 'false'}"]
    return cases + _build(tier, tier.top / "build/lib", options, log)


def _test_lib(tier, log, options):
    cases = build_lib(tier, log)
    if all(case.outcome != FAIL for case in cases):
        cases += _meson_test(tier, tier.top / "build/lib", options, log)
    return cases


def lib(tier, log):
    """The library and its tests: unit, bpf, tap, differential, fuzz."""
    return _test_lib(tier, log, ["--no-suite", "steer"])


def steer(tier, log):
    """tap-steer, as its users run it, on taps and on veth."""
    cases = _test_lib(tier, log, ["--suite", "steer"])
    if not (tier.top / "build/lib/tools/tap-steer").exists():
        cases.append(skipped("tap-steer", "it was not built: that takes libmnl"
                             " and ncurses (scripts/deps library)"))
    return cases


def long(tier, log):
    """Those tests of the library that take minutes."""
    return _test_lib(tier, log, ["--suite", "long"])


def sanitized(tier, log):
    """The library's tests where sanitizers watch, which end what they spot."""
    build = tier.top / "build/lib-sanitize"
    options = ["--werror", "-Db_sanitize=address,undefined",
               "-Dc_args=-fno-sanitize-recover=all"]
    return (_build(tier, build, options, log) or
            _meson_test(tier, build, [], log))


def nobpf(tier, log):
    """The library without eBPF: it builds, and its unit tests pass."""
    build = tier.top / "build/lib-nobpf"
    return (_build(tier, build, ["-Dbpf=disabled"], log) or
            _meson_test(tier, build, ["--suite", "unit"], log))
