#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does scripts/check count right, and does it leave nothing behind?"""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from io import StringIO
from pathlib import Path
from unittest import mock

from harness import TOP
from harness.check import results
from harness.check.run import run, run_folder, run_program, turn
from harness.check.sanitize import read_reports
from harness.fork.base import BASES, default_base



class ReadTap(unittest.TestCase):
    """What became of a test program, from what it printed."""

    def outcomes(self, output, status=0):
        cases = results.read_tap("prog", textwrap.dedent(output), status)
        return [(case.name, case.outcome) for case in cases]

    def test_all_kinds(self):
        self.assertEqual(self.outcomes("""\
            # a comment
            1..4
            ok 1 /a
            ok 2 - with a dash
            not ok 3 /c
            ok 4 /d # SKIP no such device
            """, 1), [("prog: /a", "pass"), ("prog: with a dash", "pass"),
                      ("prog: /c", "fail"), ("prog: /d", "skip")])

    def test_reason_of_a_skip(self):
        case, = results.read_tap("prog", "1..1\nok 1 /d # SKIP too old\n", 0)
        self.assertEqual(case.text, "too old")

    def test_plan_at_the_end(self):
        self.assertEqual(self.outcomes("ok 1 /a\n1..1\n"),
                         [("prog: /a", "pass")])

    def test_all_skipped(self):
        case, = results.read_tap("prog", "1..0 # SKIP not here\n", 0)
        self.assertEqual(case, ("prog", "skip", "not here"))

    def test_nothing_to_run(self):
        self.assertEqual(self.outcomes("1..0\n"), [])

    def test_printed_nothing(self):
        self.assertEqual(self.outcomes(""), [("prog", "fail")])

    def test_ended_early(self):
        self.assertEqual(self.outcomes("1..3\nok 1 /a\n"),
                         [("prog: /a", "pass"), ("prog", "fail")])

    def test_killed(self):
        cases = results.read_tap("prog", "1..2\nok 1 /a\n", -11, "what it said")
        self.assertEqual(cases[1].outcome, "fail")
        self.assertIn("signal 11", cases[1].text)
        self.assertIn("what it said", cases[1].text)

    def test_all_passed_but_status_1(self):
        self.assertEqual(self.outcomes("1..1\nok 1 /a\n", 1),
                         [("prog: /a", "pass"), ("prog", "fail")])

    def test_bail_out_counts_once(self):
        self.assertEqual(self.outcomes("""\
            1..2
            not ok /a - what is wrong
            Bail out!
            """, -6), [("prog: /a - what is wrong", "fail")])

    def test_bail_out_alone(self):
        self.assertEqual(self.outcomes("1..2\nBail out! assertion\n", -6),
                         [("prog", "fail")])

    def test_text_before_a_failure_explains_it(self):
        cases = results.read_tap("prog", "1..1\n# because\nnot ok 1 /a\n", 1)
        self.assertIn("# because", cases[0].text)

    def test_count_line(self):
        cases = [results.passed("a"), results.passed("b"),
                 results.failed("c", ""), results.skipped("d", "why")]
        self.assertEqual(results.count_line(cases),
                         "2 passed, 1 failed, 1 skipped")


class Tier:
    def say(self, text):
        pass


class Programs(unittest.TestCase):
    """Folders of test programs."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, name, text, mode=0o755):
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        path.chmod(mode)
        return path

    def test_exit_status(self):
        for status, outcome in ((0, "pass"), (1, "fail"), (77, "skip")):
            path = self.write("prog", f"#!/bin/sh\necho why\nexit {status}\n")
            case, = run_program("prog", [path], StringIO())
            self.assertEqual(case.outcome, outcome)
        self.write("prog", "#!/bin/sh\necho some\necho why\nexit 77\n")
        case, = run_program("prog", [path], StringIO())
        self.assertEqual(case.text, "why")

    def test_folder(self):
        self.write("helper.py", "raise SystemExit('not a test')\n")
        self.write("data", "not a program", 0o644)
        self.write("shell", "#!/bin/sh\necho 1..1\necho ok 1 /a\n")
        self.write("test_x.py", """\
            import unittest

            class X(unittest.TestCase):
                def test_good(self):
                    pass

                def test_bad(self):
                    self.fail("reason of the failure")

                @unittest.skip("reason of the skip")
                def test_not(self):
                    pass
            """)
        cases = run_folder(Tier(), self.folder, StringIO())
        self.assertEqual(results.count(cases), (2, 1, 1))
        text = {case.outcome: case.text for case in cases}
        self.assertIn("reason of the failure", text["fail"])
        self.assertEqual(text["skip"], "reason of the skip")

    def test_broken_unittest_file(self):
        self.write("test_x.py", "import there_is_no_such_module\n")
        case, = run_folder(Tier(), self.folder, StringIO())
        self.assertEqual(case.outcome, "fail")
        self.assertIn("there_is_no_such_module", case.text)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
    return state != "Z"


class Sanitizers(unittest.TestCase):
    """Which of their reports count."""

    def outcomes(self, text):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "report.1").write_text(text)
            return [(case.outcome, case.name) for case in
                    read_reports(folder)]

    def test_nothing_but_a_warning(self):
        self.assertEqual(self.outcomes("==1==WARNING: coroutines\n"),
                         [("pass", "sanitizers report nothing")])

    def test_undefined_behaviour(self):
        self.assertEqual(self.outcomes("==1==WARNING: coroutines\n"
                                       "a.c:3:4: runtime error: shift\n #0"),
                         [("fail", "sanitizers: a.c:3:4: runtime error: "
                           "shift")])

    def test_address(self):
        self.assertEqual(self.outcomes("==1==ERROR: AddressSanitizer: x\n"),
                         [("fail", "sanitizers: ==1==ERROR: "
                           "AddressSanitizer: x")])

    def test_leaks_count_if_they_are_ours(self):
        leaks = ("==1==ERROR: LeakSanitizer: detected memory leaks\n\n"
                 "Direct leak of 8 byte(s)\n #1 in f tree/migration/file.c:1"
                 "\n\nSUMMARY: 8 bytes\n")
        self.assertEqual(self.outcomes(leaks)[0][0], "pass")
        ours = leaks.replace("migration/file.c", "hw/net/virtio-net-rss.c")
        self.assertEqual(self.outcomes(ours),
                         [("fail", "sanitizers: Direct leak of 8 byte(s)")])


class NothingLeft(unittest.TestCase):
    """A command that is ended takes its children with it."""

    def wait_gone(self, pid):
        end = time.monotonic() + 10
        while is_running(pid):
            self.assertLess(time.monotonic(), end, "it still runs")
            time.sleep(0.01)

    def test_too_slow(self):
        done = run(["sh", "-c", "sleep 600 & echo $!; wait"], StringIO(),
                   timeout=5)
        self.assertTrue(done.timed_out)
        self.wait_gone(int(done.output))

    def test_background_process(self):
        done = run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"],
                   StringIO())
        self.assertEqual(done.status, 0)
        self.wait_gone(int(done.output))

    def test_terminated(self):
        scripts = str(TOP / "scripts")
        program = (f"import signal, sys; sys.path.insert(0, {scripts!r})\n"
                   "from harness.check.run import run\n"
                   "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
                   "run(['sh', '-c', 'sleep 600 & echo $!; wait'],"
                   " sys.stderr, each_line=lambda x: print(x, flush=True))")
        process = subprocess.Popen([sys.executable, "-c", program], text=True,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        pid = int(process.stdout.readline())
        self.assertTrue(is_running(pid))
        process.terminate()
        process.wait()
        self.wait_gone(pid)


class Seed(unittest.TestCase):
    """The CI's random tests are the same for the same commit."""

    def seed(self, git):
        """Return what .ci/run has as RSS_TEST_SEED when it runs make."""
        with tempfile.TemporaryDirectory() as folder:
            for name, line in (("git", git),
                               ("make", "echo ${RSS_TEST_SEED-none}")):
                program = Path(folder) / name
                program.write_text(f"#!/bin/sh\n{line}\n")
                program.chmod(0o755)
            return subprocess.run(
                [TOP / ".ci/run"], check=True, text=True,
                stdout=subprocess.PIPE,
                env={"PATH": f"{folder}:/usr/bin:/bin"}).stdout.strip()

    def test_comes_from_the_commit(self):
        self.assertEqual(self.seed("echo 7ca9b3ef01234567"),
                         str(0x7ca9b3e))

    def test_is_new_without_git(self):
        self.assertEqual(self.seed("exit 1"), "none")


class Arguments(unittest.TestCase):
    """scripts/check itself."""

    def test_unknown_tier(self):
        done = subprocess.run([TOP / "scripts/check", "--tier", "nonsense"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no such tier: nonsense", done.stderr)

    def test_other_base(self):
        """Its QEMU is looked for where that base is built; all is timed."""
        done = subprocess.run([TOP / "scripts/check", "--tier", "qtest@0.0"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("QEMU is not built", done.stdout)
        self.assertRegex(done.stdout, r"Time:\n  qtest@0\.0 +0 min +\d+ s\n")
        self.assertTrue(done.stdout.endswith("\n0 passed, 0 failed, 1 skipped"
                                             "\n"))

    def test_base_without_a_source(self):
        """It is skipped, and what goes wrong is said."""
        done = subprocess.run([TOP / "scripts/check", "--tier", "build@0.0"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("QEMU 0.0 is not known", done.stdout)

    def test_turns(self):
        """Three commits in a row meet each of three."""
        met = []
        for number in ("4\n", "5\n", "6\n"):
            with mock.patch("subprocess.run") as git:
                git.return_value.stdout = number
                met.append(turn("abc"))
        self.assertEqual(sorted(met), ["a", "b", "c"])

    def test_no_git(self):
        """A machine need not have it: the archive of a release will do."""
        with mock.patch.dict(os.environ, PATH="/nonexistent"):
            self.assertEqual(turn("abc"), "a")

    def test_help(self):
        done = subprocess.run([TOP / "scripts/check", "--help"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        for tier in ("lib", "nobpf", "scripts", "qtest", "base", "demo",
                     "functional", "kernel-of-turn", "build"):
            self.assertIn(tier + ":", done.stdout)
        for base in set(BASES) - {default_base()}:
            for tier in ("build", "qtest", "demo", "functional", "sanitize"):
                self.assertIn(f"{tier}@{base}", "".join(done.stdout.split()))


if __name__ == "__main__":
    unittest.main()
