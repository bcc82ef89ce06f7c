"""Waiting for conditions, with a bound."""

import time


def eventually(condition, timeout_s=10, pause_s=0.03, what=None):
    """Call `condition` until it gives something true, which is returned; it may raise AssertionError until then."""
    end, last = time.monotonic() + timeout_s, None
    while True:
        try:
            found = condition()
            if found:
                return found
            last = what or f"{getattr(condition, '__name__', 'condition')} stayed {found!r}"
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {last}")
        time.sleep(pause_s)
