"""How the demonstration prints: acts with times, tables, answers."""

import os
import sys
import time


class Failed(Exception):
    """The demonstration did not show what it claims."""


class Stage:
    def __init__(self):
        self.started = time.monotonic()
        self.is_colourful = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.is_colourful else text

    def act(self, title):
        stamp = f"{time.monotonic() - self.started:5.1f} s"
        print(f"\n{self._paint('1', '── ' + title + ' ' + '─' * max(2, 84 - len(title)))} {stamp}", flush=True)

    def say(self, text):
        print(text, flush=True)

    def good(self, text):
        print(f"{self._paint('32', '✓')} {text}", flush=True)

    def command(self, words):
        print(self._paint("2", "$ " + " ".join(words)), flush=True)

    def detail(self, text):
        print(self._paint("2", f"  {text}"), flush=True)

    def hush(self, text):
        """The stores tell when they are up; the rest is for --verbose."""
        if " up " in text or "stand-in" in text:
            self.detail(text)

    def table(self, rows):
        """Rows of texts, the first is the head."""
        widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
        for number, row in enumerate(rows):
            line = "  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip()
            print(self._paint("1", line) if number == 0 else line, flush=True)

    def expect(self, claim, text):
        """The demonstration is a test, too: a claim that doesn't hold ends it."""
        if not claim:
            raise Failed(f"this should be so, and is not: {text}")
        self.good(text)
