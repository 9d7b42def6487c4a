# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells complete every command and every option that a program has.

    class Completion(completion.Shells):
        TOOL, LINES, COMMANDS = ...
"""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

from harness import TOP
from harness.cases import Case

PATIENCE = 30           # seconds, for a shell's answer
BASH = """
source {tools}/{name}.bash
COMP_WORDS=({line} -)
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_{function}
echo "${{COMPREPLY[@]}}"
"""
ZSH = f"""PS1= LISTMAX=0 fpath=({TOP / "tools"} $fpath)
bindkey "^T" list-choices; autoload -U compinit && compinit -u -D && echo 're''ady'
"""
KILL_LINE, LIST = b"\x15", b"\x14"      # ^U, ^T


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


class Shells(Case):
    """Each option is offered; by zsh where bash offers it.

    TOOL: the program; LINES: beginnings of command lines, behind which all
    options are offered; COMMANDS: that are offered behind the program's name
    """

    TOOL, LINES, COMMANDS = None, (), ()

    def offered_by_bash(self, line):
        """Return the options that bash offers behind a line."""
        name = Path(self.TOOL).name
        text = subprocess.run(
            ["bash", "-c", BASH.format(tools=TOP / "tools", name=name,
                                       function=name.replace("-", "_"),
                                       line=line)],
            check=True, text=True, capture_output=True).stdout
        return set(re.findall(r"--[a-z-]+", text))

    def test_bash(self):
        text = subprocess.run([self.TOOL, "--help"], check=True, text=True,
                              capture_output=True).stdout
        self.assertEqual(set().union(*map(self.offered_by_bash, self.LINES)),
                         set(re.findall(r"--[a-z-]+", text)))

    def test_zsh(self):
        if not shutil.which("zsh"):
            self.skipTest("there is no zsh")
        zsh = Zsh()
        self.addCleanup(zsh.close)
        self.assertEqual(zsh.ask(ZSH.encode(), ["ready\r\n"]), set())
        keys = f"{Path(self.TOOL).name} ".encode() + LIST
        self.assertEqual(zsh.ask(keys, self.COMMANDS), set())
        for line in self.LINES:
            keys = KILL_LINE + f"{line} -".encode() + LIST
            self.assertEqual(zsh.ask(keys, self.offered_by_bash(line)), set(),
                             line)
