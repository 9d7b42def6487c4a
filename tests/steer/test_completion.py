#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells complete every command and every option that tap-steer has."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

from rig import TOOL

from harness import TOP
from harness.cases import Case
from harness.check.unittest_tap import run_tests

PATIENCE = 30           # seconds, for a shell's answer
LINES = ["tap-steer"] + [f"tap-steer {command} tap0" for command in (
    "load", "rss", "set", "show", "unload", "top", "try")]
BASH = """
source {tools}/tap-steer.bash
COMP_WORDS=({line} -)
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_tap_steer
echo "${{COMPREPLY[@]}}"
"""
ZSH = f"""PS1= LISTMAX=0 fpath=({TOP / "tools"} $fpath)
bindkey "^T" list-choices; autoload -U compinit && compinit -u -D && echo 're''ady'
"""
KILL_LINE, LIST = b"\x15", b"\x14"      # ^U, ^T


def offered_by_bash(line):
    """Return the options that bash offers behind a line."""
    text = subprocess.run(
        ["bash", "-c", BASH.format(tools=TOP / "tools", line=line)],
        check=True, text=True, capture_output=True).stdout
    return set(re.findall(r"--[a-z-]+", text))


class Zsh:
    """A zsh in a terminal of its own, with our completion."""

    def __init__(self):
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, env=dict(os.environ, TERM="dumb"))
        os.close(theirs)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    def ask(self, keys, words):
        """Type keys; return those of the words that do not come."""
        os.write(self.terminal, keys)
        text, until = "", time.monotonic() + PATIENCE
        while missing := {word for word in words if word not in text}:
            left = max(until - time.monotonic(), 0)
            if not select.select([self.terminal], [], [], left)[0]:
                break
            text += os.read(self.terminal, 65536).decode(errors="replace")
        return missing


class Completion(Case):
    """Each option is offered; by zsh where bash offers it."""

    def test_bash(self):
        text = subprocess.run([TOOL, "--help"], check=True, text=True,
                              capture_output=True).stdout
        self.assertEqual(set().union(*map(offered_by_bash, LINES)),
                         set(re.findall(r"--[a-z-]+", text)))

    def test_zsh(self):
        if not shutil.which("zsh"):
            self.skipTest("there is no zsh")
        zsh = Zsh()
        self.addCleanup(zsh.close)
        self.assertEqual(zsh.ask(ZSH.encode(), ["ready\r\n"]), set())
        self.assertEqual(zsh.ask(b"tap-steer " + LIST, ["unload", "try"]),
                         set())
        for line in LINES:
            keys = KILL_LINE + f"{line} -".encode() + LIST
            self.assertEqual(zsh.ask(keys, offered_by_bash(line)), set(), line)


if __name__ == "__main__":
    run_tests(__file__)
