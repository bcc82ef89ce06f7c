"""What clients and operators do while a daemon is armed."""
from __future__ import annotations

import contextlib
import signal
from typing import Any, Iterator
from urllib.parse import urlsplit

from faultproxy import FaultProxy
from harness import World, eventually
from harness.documents import DIMS, document
from record import Attempt, Job

from .points import Place
from .trial import QUIET_S, START_S, Bench, Broken

# Every document mentions it: what one saga takes back must not touch what another one has.
SHARED = ("everybody's",)


def content(name: str, mark: str = "") -> dict[str, Any]:
    return document(name, n_chunks=2, n_entities=2, mark=mark, shared=SHARED)


class Scenario:
    """One client that sends its jobs at once; the subclasses say which."""

    name = ""
    settings: dict[str, Any] = {}
    # Marks the jobs that PostgreSQL refuses for good.
    poison = "poison"
    # Points are counted from the first job on; the start has a scenario of its own.
    begins_at_start = False
    # Only points whose names begin so, where another scenario has tried the rest.
    only: tuple[str, ...] = ("",)

    @contextlib.contextmanager
    def bench(self, world: World) -> Iterator[Bench]:
        yield Bench(world, self.settings)

    def existing(self, tag: str) -> list[str]:
        """Documents that are there before."""
        return []

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        raise NotImplementedError

    def prepare(self, bench: Bench, tag: str) -> list[Job]:
        """Brings the stores into their state by a daemon that isn't armed, which is gone afterwards."""
        bench.talk([bench.job(name, content(name)) for name in self.existing(tag)])
        bench.settle()
        bench.daemon.kill()
        return self.jobs(bench, tag)

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        """The life that ends at the place, or in peace."""
        bench.launch(place, is_counted=place is None)
        if not bench.await_ready():
            return
        bench.talk(jobs)
        if not bench.await_death(QUIET_S):
            bench.stop()

    def revive(self, bench: Bench) -> None:
        """A daemon that isn't armed, ready."""
        bench.launch()
        if not bench.await_ready():
            raise Broken("it doesn't start after the crash")

    def expect(self, attempt: Attempt) -> None:
        """What is answered once nothing is in the way."""
        if attempt.answer is None:
            raise Broken(f"the key was asked again: {attempt}")
        is_refusal = attempt.job.content is not None and self.poison in attempt.job.content["title"]
        if attempt.outcome != "accepted" and (attempt.answer.code == "store_refused") != is_refusal:
            raise Broken(f"the key was asked again: {attempt}")


class Start(Scenario):
    """Nothing but the start and the stop."""

    name = "start"
    begins_at_start = True

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return []


class FirstStart(Scenario):
    """No journal, no tables: the first start, and `init`."""

    name = "first start"
    begins_at_start = True

    def prepare(self, bench: Bench, tag: str) -> list[Job]:
        bench.daemon.kill()
        bench.forget_everything()
        return []

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        bench.launch(place, is_counted=place is None)
        with contextlib.suppress(RuntimeError):  # it ended while it was asked
            bench.world.init(bench.daemon, DIMS)
            if bench.await_ready():
                bench.stop()
        bench.await_death(START_S)

    def revive(self, bench: Bench) -> None:
        bench.launch()
        bench.world.init(bench.daemon, DIMS)
        if not bench.await_ready():
            raise Broken("it doesn't start after the crash")
        bench.talk([bench.job("the first", content("the first"))])


class Put(Scenario):
    """A document that wasn't there."""

    name = "put"

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a"))]


class Overwrite(Scenario):
    name = "overwrite"

    def existing(self, tag: str) -> list[str]:
        return [f"{tag} a"]

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a", " again"))]


class Delete(Scenario):
    name = "delete"

    def existing(self, tag: str) -> list[str]:
        return [f"{tag} a"]

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", None)]


class Accepted(Scenario):
    """Jobs that are answered from the journal: two of one document, a delete."""

    name = "accepted"

    def existing(self, tag: str) -> list[str]:
        return [f"{tag} b"]

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a"), wait="accepted"),
                bench.job(f"{tag} a", content(f"{tag} a", " again"), wait="accepted"),
                bench.job(f"{tag} b", None, wait="accepted")]


class Refusal(Scenario):
    """A document that PostgreSQL refuses after the others have it, once new and once over another."""

    name = "refusal"

    def existing(self, tag: str) -> list[str]:
        return [f"{tag} b"]

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a", " poison")),
                bench.job(f"{tag} b", content(f"{tag} b", " poison"))]


class Batch(Scenario):
    """Everything at once: what leaves together, and a refusal in the middle of it."""

    name = "batch"

    def existing(self, tag: str) -> list[str]:
        return [f"{tag} {letter}" for letter in "de"]

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        fresh = [bench.job(f"{tag} {letter}", content(f"{tag} {letter}")) for letter in "abc"]
        return [*fresh, bench.job(f"{tag} d", content(f"{tag} d", " again")), bench.job(f"{tag} e", None),
                bench.job(f"{tag} f", content(f"{tag} f", " poison"))]


class InDoubt(Scenario):
    """The answer to COMMIT is lost: the daemon ends the backend and asks the ledger."""

    name = "in doubt"

    @contextlib.contextmanager
    def bench(self, world: World) -> Iterator[Bench]:
        self.proxy = FaultProxy((world.environ["POSTGRES_HOST"], int(world.environ["POSTGRES_PORT"])))
        try:
            yield Bench(world, self.settings, {"POSTGRES_PORT": str(self.proxy.port)})
        finally:
            self.proxy.close()

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a"))]

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        bench.launch(place, is_counted=place is None)
        if not bench.await_ready():
            return
        bench.await_death(0.05)  # the ledger's pruning commits, too
        self.proxy.arm("swallow", request=b"INSERT INTO documents", until=b"COMMIT\0")
        try:
            bench.talk(jobs)
            if not bench.await_death(QUIET_S):
                bench.stop()
        finally:
            self.proxy.passes()


class Outage(Scenario):
    """Neo4j goes away: what the others have is taken back while it can't be reached; it is there again afterwards."""

    name = "outage"

    @contextlib.contextmanager
    def bench(self, world: World) -> Iterator[Bench]:
        address = urlsplit(world.environ["NEO4J_URL"])
        self.proxy = FaultProxy((address.hostname, address.port))
        try:
            yield Bench(world, self.settings, {"NEO4J_URL": f"http://127.0.0.1:{self.proxy.port}"})
        finally:
            self.proxy.close()

    def existing(self, tag: str) -> list[str]:
        return [f"{tag} b"]

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a")), bench.job(f"{tag} b", content(f"{tag} b", " again"))]

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        bench.launch(place, is_counted=place is None)
        if not bench.await_ready():
            return
        self.proxy.refuse()
        try:
            bench.talk(jobs)
            self.while_out(bench)
            if not bench.await_death(QUIET_S):
                bench.stop()
        finally:
            self.proxy.passes()

    def while_out(self, bench: Bench) -> None:
        """What is done once the clients have their answers."""


class Resolved(Outage):
    """The same, and an operator gives an accepted job up, which may be done or not when the daemon crashes on it."""

    name = "resolved"
    only = ("journal.", "answer.")

    def existing(self, tag: str) -> list[str]:
        return []

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        self.document = f"{tag} a"
        return []

    def while_out(self, bench: Bench) -> None:
        attempt = bench.record.sent(bench.job(self.document, content(self.document), wait="accepted"), "the operator")
        bench.record.lost(attempt, "whatever is answered: it is given up")
        with contextlib.suppress(OSError), bench.daemon.admin() as client:
            answer = client.answer(attempt.job.send(client))
            client.call("saga.resolve", id=answer.result["job"], reason="the store is gone for good")

    def revive(self, bench: Bench) -> None:
        super().revive(bench)
        bench.settle()
        bench.talk([bench.job(self.document, None)])


class HandOver(Scenario):
    """The next version takes the sockets, and crashes while it does."""

    name = "hand-over"
    begins_at_start = True

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} {letter}", content(f"{tag} {letter}")) for letter in "abc"]

    def prepare(self, bench: Bench, tag: str) -> list[Job]:
        return self.jobs(bench, tag)

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        older = bench.daemon
        bench.daemon = bench.twin()
        bench.launch(place, is_counted=place is None, options=("--replace",))
        bench.talk(jobs)
        if bench.await_ready() and not bench.await_death(QUIET_S):
            bench.stop()
        # Nobody may have asked the older one to stop; where its sockets are gone a signal still reaches it.
        older.terminate()
        if older.wait_exit(START_S) != 0:
            raise Broken(f"the older daemon ended with {older.process.returncode}:\n{older.log()[-1500:]}")


class HandOverOlder(HandOver):
    """The older daemon crashes while the next one takes its place."""

    name = "hand-over, older"
    begins_at_start = False
    only = ("socket.", "journal.", "answer.")

    def prepare(self, bench: Bench, tag: str) -> list[Job]:
        bench.daemon.kill()
        return self.jobs(bench, tag)

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        bench.launch(place, is_counted=place is None)
        if not bench.await_ready():
            return
        older, newer = bench.daemon, bench.twin()
        newer.launch("--replace")
        bench.talk(jobs)
        eventually(lambda: older.process.poll() is not None, START_S, what="the older daemon didn't end")
        newer.kill()


class TakeOver(Scenario):
    """Another machine's daemon, with a journal of its own, becomes the owner of a database whose owner hangs."""

    name = "take-over"
    begins_at_start = True
    only = ("postgres.claim", "journal.schema", "socket.bind")

    def jobs(self, bench: Bench, tag: str) -> list[Job]:
        return [bench.job(f"{tag} a", content(f"{tag} a"))]

    def prepare(self, bench: Bench, tag: str) -> list[Job]:
        bench.settle()
        return self.jobs(bench, tag)

    def live(self, bench: Bench, jobs: list[Job], place: Place | None) -> None:
        older, bench.daemon = bench.daemon, bench.stranger()
        older.process.send_signal(signal.SIGSTOP)
        bench.launch(place, is_counted=place is None, options=("--take-over",))
        if bench.await_ready():
            bench.talk(jobs)
            if not bench.await_death(QUIET_S):
                bench.stop()
        older.kill()

    def revive(self, bench: Bench) -> None:
        bench.launch(options=("--take-over",))
        if not bench.await_ready():
            raise Broken("it doesn't start after the crash")


ALL = {scenario.name: scenario for scenario in (
    FirstStart(), Start(), Put(), Overwrite(), Delete(), Accepted(), Refusal(), Batch(), InDoubt(), Outage(),
    Resolved(), HandOver(), HandOverOlder(), TakeOver())}

# Crashes whose recovery is crashed again at every point: nothing committed, committed and not published, an abort
# under way, accepted jobs, many at once.
RECOVERIES = [("put", Place("neo4j.apply.after", 1)), ("overwrite", Place("postgres.pivot.after", 1)),
              ("refusal", Place("journal.commit.after", 2)), ("accepted", Place("postgres.pivot.sent", 1)),
              ("batch", Place("postgres.pivot.sent", 1))]
