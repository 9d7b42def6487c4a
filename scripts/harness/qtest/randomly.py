# SPDX-License-Identifier: GPL-2.0-or-later
"""What random tests share: a seed to repeat them, and how long they take.

RSS_TEST_SEED=N     the same run again
RSS_TEST_SECONDS=N  for so long (default 3 for each engine)
"""

import contextlib
import os
import random
import time

SECONDS = float(os.environ.get("RSS_TEST_SECONDS") or 3)
TRAIL = 12              # steps that a failure shows


class Steps:
    """Random steps until the time is over; the last of them are kept."""

    def __init__(self, test):
        seed = int(os.environ.get("RSS_TEST_SEED")
                   or random.randrange(1 << 32))
        print(f"# {test}: RSS_TEST_SEED={seed} repeats this run", flush=True)
        self.random = random.Random(seed)
        self.trail = []
        self.count = 0

    def __iter__(self):
        """Give the number of each step."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.count += 1
            yield self.count

    @contextlib.contextmanager
    def told(self):
        """What goes wrong in a step is told with those before it."""
        try:
            yield
        except Exception as error:
            raise AssertionError(f"{error}\n{self}") from error

    def note(self, text):
        self.trail = self.trail[1 - TRAIL:] + [f"{self.count}: {text}"]

    def __str__(self):
        return "the last steps:\n" + "\n".join(self.trail)

    def chance(self, probability):
        return self.random.random() < probability

    def bytes(self, most):
        return self.random.randbytes(self.random.randint(0, most))

    def damaged(self, data):
        """Return bytes that differ a little."""
        data = bytearray(data)
        for _ in range(self.random.choice((1, 1, 1, 2, 5))):
            place = self.random.randrange(len(data) + 1)
            what = self.random.randrange(4)
            if what == 0:
                del data[place:]
            elif what == 1:
                data[place:place] = self.bytes(4)
            elif place < len(data):
                data[place] = self.random.choice(
                    (0, 1, 127, 255, data[place] ^ 1 << place % 8))
        return bytes(data)
