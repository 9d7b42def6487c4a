# SPDX-License-Identifier: GPL-2.0-or-later
"""Test cases and what became of them; reading them from TAP output."""

import collections
import re

PASS, FAIL, SKIP = "pass", "fail", "skip"

# One test case. text: why it was skipped, or what it printed when it failed.
Case = collections.namedtuple("Case", "name outcome text")

_LINE = re.compile(r"(not )?ok\b\s*(\d+)?\s*(?:-\s+)?(.*)$")
_PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*SKIP\b\s*(.*))?$", re.IGNORECASE)
_SKIP = re.compile(r"\s*#\s*SKIP\b\s*(.*)$", re.IGNORECASE)
_TODO = re.compile(r"\s*#\s*TODO\b", re.IGNORECASE)


def passed(name):
    return Case(name, PASS, "")


def failed(name, text):
    return Case(name, FAIL, text)


def skipped(name, reason):
    return Case(name, SKIP, reason or "no reason given")


def is_tap(output):
    return any(line.startswith(("ok ", "not ok ", "1..", "Bail out!"))
               for line in output.splitlines())


SKIPPED = 77        # exit status


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def read_program(name, status, output, errors, timed_out):
    """The cases of a program that prints TAP, or says by its exit status.

    0 is passed, 77 skipped (the last line it printed says why), else failed.
    """
    if timed_out:
        return [failed(name, output + errors)]
    if is_tap(output):
        return read_tap(name, output, status, errors)
    if status == 0:
        return [passed(name)]
    if status == SKIPPED:
        return [skipped(name, _last_line(output) or _last_line(errors))]
    return [failed(name, f"exit status {status}\n{output}{errors}")]


def read_tap(program, output, status, errors=""):
    """The cases of one test program, from what it printed (TAP).

    A program that crashed, or ran fewer tests than it announced, has one
    failed case more.  errors: what it printed elsewhere, for the reader.
    """
    cases = []
    plan = None
    since = []          # lines since the last result: they explain a failure
    bailed = False
    for line in output.splitlines():
        plan_line = _PLAN.match(line)
        result = _LINE.match(line)
        if plan_line:
            plan = int(plan_line[1])
            if plan_line[2] is not None and plan == 0:
                cases.append(skipped(program, plan_line[2]))
        elif result:
            cases.append(_case(program, result, since, errors))
            since = []
        else:
            bailed = bailed or line.startswith("Bail out!")
            since.append(line)
    return cases + _trouble(program, cases, plan, bailed, status,
                            "\n".join(since + [errors]))


def _case(program, result, since, errors):
    """The case that one "ok" or "not ok" line tells of."""
    text = result[3]
    skip = _SKIP.search(text)
    if skip:
        return skipped(f"{program}: {text[:skip.start()]}", skip[1])
    name = f"{program}: {text}"
    if result[1] and not _TODO.search(text):
        return failed(name, "\n".join(since + [errors]))
    return passed(name)


def _trouble(program, cases, plan, bailed, status, text):
    """What a test program did wrong beside its cases, as failed cases."""
    have_failure = any(case.outcome == FAIL for case in cases)
    ran = len([case for case in cases if case.name != program])
    if status in (0, 1) and plan is not None and plan == ran and not bailed:
        if status == 0 or have_failure:
            return []
    elif status == 0 and plan == 0:
        return []
    if status == 0 and not cases and plan is None:
        return [failed(program, "printed no test results\n" + text)]
    if have_failure and bailed:
        return []       # that failure is what stopped it
    if status < 0:
        what = f"killed by signal {-status}"
    elif plan is not None and plan != ran:
        what = f"ended after {ran} of {plan} tests, exit status {status}"
    else:
        what = f"exit status {status}"
    return [failed(program, f"{what}\n{text}")]


def print_tap(cases):
    """Print cases as TAP; return the exit status."""
    for number, case in enumerate(cases, 1):
        word = "not ok" if case.outcome == FAIL else "ok"
        reason = f" # SKIP {case.text}" if case.outcome == SKIP else ""
        if case.outcome == FAIL:
            print("\n".join("# " + line for line in case.text.splitlines()))
        print(f"{word} {number} {case.name}{reason}")
    print(f"1..{len(cases)}", flush=True)
    return 1 if any(case.outcome == FAIL for case in cases) else 0


def count(cases):
    """(passed, failed, skipped) of a list of cases."""
    outcomes = collections.Counter(case.outcome for case in cases)
    return outcomes[PASS], outcomes[FAIL], outcomes[SKIP]


def count_line(cases):
    """The counts as people read them; the last line of scripts/check."""
    return "%d passed, %d failed, %d skipped" % count(cases)
