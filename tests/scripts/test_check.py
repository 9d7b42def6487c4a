#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does scripts/check count right, and does it leave nothing behind?"""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from io import StringIO
from pathlib import Path
from unittest import mock

from harness import TOP
from harness.cases import Case, rows
from harness.check import results
from harness.check.qemu import build, chosen_paths
from harness.check.run import (run, run_folder, run_program, turn,
                               unittest_command)
from harness.check.sanitize import read_reports
from harness.fork.base import BASES, default_base
from harness.vm.process import wait_until


TIER = mock.Mock()          # what it says is of no interest


class ReadTap(Case):
    """What became of a test program, from what it printed."""

    @rows({
        "all kinds": (
            "# a comment\n1..4\nok 1 /a\nok 2 - with a dash\nnot ok 3 /c\n"
            "ok 4 /d # SKIP no such device\n", 1,
            ["pass prog: /a", "pass prog: with a dash", "fail prog: /c",
             "skip prog: /d"]),
        "reason of a skip": (
            "1..1\nok 1 /d # SKIP too old\n", 0, ["skip prog: /d"], "too old"),
        "plan at the end": ("ok 1 /a\n1..1\n", 0, ["pass prog: /a"]),
        "all skipped": (
            "1..0 # SKIP not here\n", 0, ["skip prog"], "not here"),
        "nothing to run": ("1..0\n", 0, []),
        "printed nothing": ("", 0, ["fail prog"]),
        "ended early": (
            "1..3\nok 1 /a\n", 0, ["pass prog: /a", "fail prog"]),
        "killed": (
            "1..2\nok 1 /a\n", -11, ["pass prog: /a", "fail prog"],
            "signal 11", "what it said"),
        "all passed but status 1": (
            "1..1\nok 1 /a\n", 1, ["pass prog: /a", "fail prog"]),
        "bail out counts once": (
            "1..2\nnot ok /a - what is wrong\nBail out!\n", -6,
            ["fail prog: /a - what is wrong"]),
        "bail out alone": (
            "1..2\nBail out! assertion\n", -6, ["fail prog"]),
        "text before a failure explains it": (
            "1..1\n# because\nnot ok 1 /a\n", 1, ["fail prog: /a"],
            "# because"),
    })
    def check(self, output, status, expected, *words):
        """words: in the text of the last case"""
        cases = results.read_tap("prog", output, status, "what it said")
        self.assertEqual([f"{case.outcome} {case.name}" for case in cases],
                         expected)
        for case in cases[-1:]:
            self.assert_words(case.text, *words)

    def test_count_line(self):
        cases = [results.passed("a"), results.passed("b"),
                 results.failed("c", ""), results.skipped("d", "why")]
        self.assertEqual(results.count_line(cases),
                         "2 passed, 1 failed, 1 skipped")


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
        cases = run_folder(TIER, self.folder, StringIO())
        self.assertEqual(results.count(cases), (2, 1, 1))
        text = {case.outcome: case.text for case in cases}
        self.assertIn("reason of the failure", text["fail"])
        self.assertEqual(text["skip"], "reason of the skip")

    def test_two_at_the_same_time(self):
        """Each waits for the other; in the log none interrupts the other."""
        for name, other in (("a", "b"), ("b", "a")):
            self.write(name, f"""\
                #!/bin/sh
                echo {name} begins
                cd {self.folder} && touch {name}.here
                until test -e {other}.here; do sleep 0.01; done
                echo {name} ends
                """)
        log = StringIO()
        cases = run_folder(TIER, self.folder, log, timeout=10)
        self.assertEqual([case.outcome for case in cases], ["pass", "pass"])
        for name in "ab":
            self.assertIn(f"{name} begins\n{name} ends\n", log.getvalue())

    def test_alone(self):
        """It begins when no other runs any more."""
        for name in "abc":
            self.write(name, f"""\
                #!/bin/sh
                cd {self.folder}
                test ! -e one && touch one || exit 1
                sleep 0.1
                rm one
                """)
        cases = run_folder(TIER, self.folder, StringIO(), alone="ab",
                           timeout=10)
        self.assertEqual([case.outcome for case in cases], ["pass"] * 3)

    def test_broken_unittest_file(self):
        self.write("test_x.py", "import there_is_no_such_module\n")
        case, = run_folder(TIER, self.folder, StringIO())
        self.assertEqual(case.outcome, "fail")
        self.assertIn("there_is_no_such_module", case.text)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
    return state != "Z"


LEAKS = ("==1==ERROR: LeakSanitizer: detected memory leaks\n\n"
         "Direct leak of 8 byte(s)\n #1 in f tree/migration/file.c:1\n\n"
         "SUMMARY: 8 bytes\n")


class Sanitizers(Case):
    """Which of their reports count."""

    @rows({
        "nothing but a warning": ("==1==WARNING: coroutines\n",
                                  "pass sanitizers report nothing"),
        "undefined behaviour": (
            "==1==WARNING: coroutines\na.c:3:4: runtime error: shift\n #0",
            "fail sanitizers: a.c:3:4: runtime error: shift"),
        "address": ("==1==ERROR: AddressSanitizer: x\n",
                    "fail sanitizers: ==1==ERROR: AddressSanitizer: x"),
        "a leak of QEMU's": (LEAKS, "pass sanitizers report nothing"),
        **{f"a leak of {file}": (LEAKS.replace("migration/file.c", file),
                                 "fail sanitizers: Direct leak of 8 byte(s)")
           for file in ("hw/net/virtio-net-rss.c", "hw/net/xdp-offload.c",
                        "hw/net/bpfhv.c", "net/rss.c", "net/wire_field.h")},
    })
    def check(self, text, expected):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "report.1").write_text(text)
            case, = read_reports(folder)
        self.assertEqual(f"{case.outcome} {case.name}", expected)


class ChosenPaths(unittest.TestCase):
    """QEMU's own tests, by words in their names."""

    def test_lists_of_both_releases(self):
        for begin in ("", "# "):        # Debian 12's GLib, and 13's
            lines = "Start of pc tests", "/pc/e1000e", "/pc/virtio-net"
            listed = "".join(f"{begin}{line}\n" for line in lines)
            self.assertEqual(chosen_paths(listed, ["virtio-net", "vhost"]),
                             ["-p", "/pc/virtio-net"])


class NothingLeft(unittest.TestCase):
    """A command that is ended takes its children with it."""

    def wait_gone(self, pid):
        self.assertTrue(wait_until(lambda: not is_running(pid), 10),
                        "it still runs")

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

    def test_folder_of_a_test(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "test_x.py")
            path.write_text(textwrap.dedent("""\
                import tempfile, time, unittest

                class X(unittest.TestCase):
                    def test_long(self):
                        with tempfile.TemporaryDirectory() as folder:
                            print(folder, flush=True)
                            time.sleep(600)
                """))
            done = run(unittest_command(path), StringIO(), timeout=5)
        self.assertTrue(done.timed_out)
        self.assertFalse(Path(done.output.split()[0]).exists())

    def terminate(self, call, how_many):
        """Have a process call something, and end it when so many run."""
        program = f"""
import signal, sys
sys.path.insert(0, {str(TOP / "scripts")!r})
from harness.check.run import each, run

def wait(_item, log):
    run(["sh", "-c", "sleep 600 & echo $!; wait"], log,
        each_line=lambda line: print(line + "\\n", end="", flush=True))

signal.signal(signal.SIGTERM, signal.default_int_handler)
{call}
"""
        process = subprocess.Popen([sys.executable, "-c", program], text=True,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        pids = [int(process.stdout.readline()) for _ in range(how_many)]
        for pid in pids:
            self.assertTrue(is_running(pid))
        process.terminate()
        process.wait(30)
        self.assertEqual(process.stdout.read(), "")     # no other was begun
        for pid in pids:
            self.wait_gone(pid)

    def test_terminated(self):
        self.terminate("wait(0, sys.stderr)", 1)

    def test_two_are_terminated(self):
        self.terminate("each(wait, range(3), sys.stderr)", 2)


class Ci(unittest.TestCase):
    """.ci/run, in a folder with a made-up configure, git and make."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / ".ci").mkdir()
        shutil.copy(TOP / ".ci/run", self.folder / ".ci")
        self.write("configure", 'echo configured "$@"')
        self.write("make", "echo seed ${RSS_TEST_SEED-none}")
        self.write("git", "echo 7ca9b3ef01234567")

    def write(self, name, line):
        (self.folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.folder / name).chmod(0o755)

    def run_ci(self):
        return subprocess.run(
            [self.folder / ".ci/run"], check=True, text=True,
            stdout=subprocess.PIPE,
            env={"PATH": f"{self.folder}:/usr/bin:/bin"}).stdout.splitlines()

    def test_seed_comes_from_the_commit(self):
        self.assertEqual(self.run_ci()[-1], f"seed {0x7ca9b3e}")

    def test_seed_is_new_without_git(self):
        self.write("git", "exit 1")
        self.assertEqual(self.run_ci()[-1], "seed none")

    def test_what_is_configured_stays(self):
        self.assertEqual(self.run_ci()[0], "configured -- --disable-debug-info")
        (self.folder / "build").mkdir()
        (self.folder / "build/config").write_text("")
        self.assertEqual(len(self.run_ci()), 1)


class Arguments(unittest.TestCase):
    """scripts/check itself, and scripts/compare-stock."""

    def check(self, *words, top=TOP):
        return subprocess.run([f"{top}/scripts/check", *words], text=True,
                              capture_output=True,
                              env={**os.environ, "COLUMNS": "9999"})

    def test_unknown_tier(self):
        done = self.check("--tier", "nonsense,packages@tixie,build@0.0,lib@")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no such tier: nonsense, packages@tixie, build@0.0,"
                      " lib@;", done.stderr)

    def test_other_base(self):
        """Its QEMU is looked for where that base is built; all is timed."""
        top = self.enterContext(tempfile.TemporaryDirectory())
        shutil.copytree(TOP / "scripts", f"{top}/scripts")
        done = self.check("--tier", "qtest@10.2", top=top)
        self.assertEqual(done.returncode, 1)
        self.assertIn("QEMU 10.2 is not built: run"
                      " \"scripts/build --base=10.2\"", done.stdout)
        self.assertRegex(done.stdout, r"Time:\n  qtest@10\.2 +0 min +\d+ s\n")
        self.assertTrue(done.stdout.endswith("\n0 passed, 0 failed, 1 skipped"
                                             "\n"))

    def test_base_without_a_source(self):
        """It is skipped, and what goes wrong is said."""
        case, = build(mock.Mock(top=TOP, base="0.0"), StringIO())
        self.assertEqual(case.outcome, results.SKIP)
        self.assertIn("QEMU 0.0 is not known", case.text)

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

    def test_qemu_without_a_name(self):
        """scripts/compare-stock runs nothing then."""
        done = subprocess.run([TOP / "scripts/compare-stock", "--qemu=/bin"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/bin is not NAME=FILE", done.stderr)

    def test_help(self):
        done = self.check("--help")
        self.assertEqual(done.returncode, 0)
        for tier in ("lib", "nobpf", "scripts", "qtest", "base", "demo",
                     "functional", "kernel-of-turn", "build", "stock"):
            self.assertIn(tier + ":", done.stdout)
        for base in set(BASES) - {default_base()}:
            for tier in ("build", "qtest", "demo", "functional", "sanitize"):
                self.assertIn(f"{tier}@{base}", "".join(done.stdout.split()))


if __name__ == "__main__":
    unittest.main()
