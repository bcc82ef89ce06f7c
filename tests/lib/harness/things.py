"""An HTTP service as docs/examples asks for one: it keeps things, and the keys of what it has done."""

import threading

from .web import Seen, WebService


class ThingService(WebService):
    """PUT and POST make a thing, answered with a receipt; DELETE takes it away, or finds it gone; GET answers it, or 404.

    A call whose Idempotency-Key it has seen changes nothing and gets the first answer again; after SAGA/STEP/undo a late
    SAGA/STEP/do is refused. `things` is what it holds by path, `done` the keys under which something was done, in order.
    A test that sets `answer` may call behave() in it."""

    def __init__(self, name: str):
        self.name = name
        self.things: dict[str, object] = {}
        self.done: list[str] = []
        self.refused_paths: set[str] = set()
        self._answers: dict[str, tuple[int, object]] = {}
        self._guard = threading.Lock()
        super().__init__(self.behave)

    def forget(self) -> None:
        """As new."""
        self.clear()
        with self._guard:
            self.things.clear(), self.done.clear(), self.refused_paths.clear(), self._answers.clear()

    def has_answered(self, end_of_key: str) -> bool:
        with self._guard:
            return any(key.endswith(end_of_key) for key in self._answers)

    def behave(self, seen: Seen) -> tuple[int, object]:
        with self._guard:
            if seen.method == "GET":
                return (200, self.things[seen.path]) if seen.path in self.things else (404, {"error": "no such thing"})
            if seen.key not in self._answers:
                answer = self._change(seen)
                if not seen.key:
                    return answer
                self._answers[seen.key] = answer
            return self._answers[seen.key]

    def _change(self, seen: Seen) -> tuple[int, object]:
        if seen.key.endswith("/do"):
            if seen.path in self.refused_paths:
                return 409, {"error": "not this one"}
            if seen.key.removesuffix("do") + "undo" in self._answers:
                return 409, {"error": "this was taken back before it came"}
        self.done.append(seen.key)
        if seen.method == "DELETE":
            return 200, {"gone": self.things.pop(seen.path, None) is not None}
        made = {"receipt": f"{self.name}-{len(self.done)}", "of": seen.body}
        self.things[seen.path] = made
        return 201, made
