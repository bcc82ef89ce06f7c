"""What operators find in the log: the story of what went wrong, once; under systemd in fields of their own."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import eventually
from harness.documents import document

JOURNALD = Path("/lib/systemd/systemd-journald")
# A journal of the test's own: systemd-journald as a plain process under a /run that only its mount namespace has.
# systemd-cat gives the daemon a standard error that leads there; JOURNAL_STREAM is what a unit would have besides.
OWN_JOURNAL = r"""
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal || exit 70
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\nForwardToSyslog=no\n' >/run/journald.conf
mount --bind /run/journald.conf /etc/systemd/journald.conf
{JOURNALD} & journald=$!
for _ in $(seq 100); do [ -S /run/systemd/journal/stdout ] && break; sleep 0.05; done
systemd-cat -t sagad bash -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) exec "$@"' cat "$@" & daemon=$!
trap 'kill -TERM $daemon' TERM
wait $daemon; wait $daemon; code=$?
journalctl -D /run/log/journal --sync 2>/dev/null; sleep 0.5
journalctl -D /run/log/journal -o json >"$OUT"
kill $journald; wait $journald 2>/dev/null
exit $code
"""
FAILING = {"log.level": "info", "timeouts.park_after": "1s", "timeouts.parked_retry": "1s"}


def parse(line):
    """A line of logfmt as a dict."""
    return dict(part.split("=", 1) for part in shlex.split(line))


def lines(daemon, word):
    return [parse(line) for line in daemon.log().splitlines() if word in line]


@pytest.fixture
def through(world):
    """(daemon, proxies): each store behind a proxy that can fail."""
    with world.proxies() as (proxies, environ):
        daemon = world.running({"log.level": "info"}, environ)
        yield daemon, proxies
        daemon.kill()


def configure(daemon, settings):
    """Other settings in force; waits for the reload."""
    daemon.settings.update(settings)
    daemon.write_config()
    with daemon.admin() as client:
        assert client.call("sagad.reload").is_ok


def test_a_failed_saga_is_one_line_with_its_whole_story(through):
    daemon, proxies = through
    proxies["neo4j"].refuse()
    with daemon.jobs() as client:
        refused = client.put(document("lost"))
    assert refused.code == "store_unavailable"
    found = lines(daemon, "document=lost")
    assert len(found) == 1, found
    story = found[0]
    assert story["level"] == "warn" and story["msg"] == "saga failed"
    assert story["saga"] == refused.data["saga_id"] and story["code"] == "store_unavailable"
    assert story["store"] == "neo4j" and story["tries"] == "3" and "neo4j" in story["reason"]
    stages = dict(part.rsplit(" ", 1) for part in story["stages"].split(", "))
    assert {"preparing", "projecting"} <= stages.keys() and "pivoting" not in stages, story["stages"]
    spent = sum(float(took.removesuffix("ms")) for took in stages.values())
    assert spent == pytest.approx(float(story["took"].removesuffix("ms")), abs=1.0)
    told = dict(part.split(": ", 1) for part in story["stores"].split("; "))
    assert {told["qdrant"], told["redis"]} <= {"applied", "sent"}, told  # as far as they came
    assert "3 failed tries" in told["neo4j"], told


def test_a_success_is_silent_unless_asked_for(through):
    daemon, _ = through
    with daemon.jobs() as client:
        assert client.put(document("quiet")).outcome == "committed"
        configure(daemon, {"log.successes": True})
        assert client.put(document("told")).outcome == "committed"
        configure(daemon, {"log.successes": False, "log.level": "debug"})
        assert client.put(document("debugged")).outcome == "committed"
    assert not lines(daemon, "document=quiet")
    assert [line["level"] for line in lines(daemon, "document=told")] == ["info"]
    assert [line["level"] for line in lines(daemon, "document=debugged")] == ["debug"]
    assert lines(daemon, "document=told")[0]["msg"] == "saga committed"


def test_a_slow_saga_says_where_its_time_went(through):
    daemon, proxies = through
    configure(daemon, {"log.slow_saga": "300ms"})
    with daemon.jobs() as client:
        assert client.put(document("fast")).outcome == "committed"
        proxies["qdrant"].arm("delay", seconds=0.5)
        assert client.put(document("slow")).outcome == "committed"
        configure(daemon, {"log.slow_saga": "0"})
        assert client.put(document("nobody-minds")).outcome == "committed"
    found = lines(daemon, "slow saga")
    assert [line["document"] for line in found] == ["slow"]
    stages = dict(part.rsplit(" ", 1) for part in found[0]["stages"].split(", "))
    assert float(stages["projecting"].removesuffix("ms")) >= 450, stages
    assert float(stages["preparing"].removesuffix("ms")) < 300, stages


def test_parked_work_is_told_once_and_its_end_as_well(world):
    with world.proxies() as (proxies, environ):
        daemon = world.running(FAILING, environ)
        with daemon.jobs() as client:
            assert client.put(document("old")).outcome == "committed"
            proxies["qdrant"].refuse()
            eventually(lambda: client.call("document.delete", id="old").is_ok, 10)
        eventually(lambda: lines(daemon, "msg=parked"), 15)
        parked = lines(daemon, "msg=parked")
        assert parked[0]["level"] == "error" and parked[0]["store"] == "qdrant" and parked[0]["op"] == "remove"
        assert parked[0]["document"] == "old" and int(parked[0]["tries"]) > 1 and parked[0]["reason"]
        proxies["qdrant"].passes()
        eventually(lambda: lines(daemon, "no longer parked"), 15)
        assert len(lines(daemon, "msg=parked")) == 1
        daemon.kill()


def test_repeats_are_summed_up_and_none_is_lost(through):
    daemon, proxies = through
    configure(daemon, {"log.repeats": 3})
    proxies["redis"].refuse()
    with daemon.jobs() as client:
        failed = [client.put(document(f"many-{n}")) for n in range(20)]
    assert {answer.code for answer in failed} == {"store_unavailable"}
    assert daemon.stop() == 0
    written = lines(daemon, 'msg="saga failed"')
    sums = [line for line in lines(daemon, "more like this") if "saga failed" in line["msg"]]
    counted = sum(int(re.search(r"\.\.\. (\d+) more like this", line["msg"]).group(1)) for line in sums)
    assert len(written) + counted == 20 and counted >= 11, (len(written), sums)
    assert {(line["code"], line["store"]) for line in sums} == {("store_unavailable", "redis")}


def test_trouble_with_a_store_bears_its_name(through):
    daemon, proxies = through
    with daemon.jobs() as client:
        assert client.put(document("before")).outcome == "committed"
        proxies["postgresql"].refuse()
        client.put(document("during"))
    eventually(lambda: lines(daemon, "is down:"), 10)
    assert {line["store"] for line in lines(daemon, "is down:")} == {"postgresql"}


def test_json_lines_are_json(through):
    daemon, proxies = through
    configure(daemon, {"log.format": "json"})
    before = len(daemon.log())
    proxies["neo4j"].refuse()
    with daemon.jobs() as client:
        client.put(document('name "with" \n everything \\ ü'))
    made = [json.loads(line) for line in daemon.log()[before:].splitlines() if line.startswith("{")]
    failed = [line for line in made if line["msg"] == "saga failed"]
    assert len(failed) == 1 and failed[0]["document"] == 'name "with" \n everything \\ ü'
    assert failed[0]["store"] == "neo4j" and failed[0]["time"].endswith("Z")


SECRETS = ("s3cret-title", "s3cret-content", "s3cret-chunk", "s3cret-meta", "s3cret-name", "s3cret-prop", "0.1234567")


def telling(name, **change):
    """A document whose every text can be told when it is seen."""
    made = document(name, n_chunks=2)
    made.update(title="s3cret-title", content="s3cret-content", metadata={"k": "s3cret-meta"})
    for chunk in made["chunks"]:
        chunk.update(text="s3cret-chunk", metadata={"k": "s3cret-meta"})
        chunk["embedding"][0] = 0.1234567
    made["entities"][0]["properties"] = {"p": "s3cret-prop"}
    made["entities"].append({"type": "T", "name": "s3cret-name"})
    made.update(change)
    return made


def test_no_text_no_embedding_and_no_secret_is_ever_logged(world):
    """At level debug, whatever happens: success, refusals for each reason, stores that refuse, that fail, that lie."""
    with world.proxies() as (proxies, environ):
        daemon = world.running({"log.level": "debug", "log.successes": True}, environ)
        password = environ["REDIS_URL"].split(":")[2].split("@")[0]
        with daemon.jobs() as client:
            assert client.put(telling("well")).outcome == "committed"
            assert client.put(telling("well", if_version="0192f0c4-7d1b-7a52-8f4e-3f6f0c3f1a11")).code == "conflict"
            # What each store refuses by itself.
            world.readers.postgres.execute("ALTER TABLE documents ADD CONSTRAINT c CHECK (title <> 's3cret-title')"
                                           " NOT VALID")
            assert not client.put(telling("refused-by-postgresql")).is_ok
            world.readers.postgres.execute("ALTER TABLE documents DROP CONSTRAINT c")
            for wrong in ({"title": 7}, {"unknown": "s3cret-meta"}, {"metadata": "s3cret-meta"},
                          {"chunks": [{"text": "s3cret-chunk", "embedding": [0.1234567]}]},
                          {"entities": [{"type": "T", "name": "s3cret-name" * 2000}]}):
                assert not client.put(telling("refused", **wrong)).is_ok
            client.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"title":"s3cret-title}\n')
            client.receive()
            for name, proxy in proxies.items():
                proxy.refuse()
                assert not client.put(telling(f"{name}-down")).is_ok
                proxy.passes()
                world.warm_up() if name == "neo4j" else None
                eventually(lambda: client.put(telling("well", id=f"after-{name}")).is_ok, 20)
        daemon.stop()
        shown = daemon.log()
        passwords = {password, environ.get("POSTGRES_PASSWORD"), world.environ.get("NEO4J_PASSWORD")} - {None, ""}
        for secret in (*SECRETS, *passwords):
            assert secret not in shown, [line for line in shown.splitlines() if secret in line][:3]


@pytest.mark.skipif(not JOURNALD.exists() or shutil.which("systemd-cat") is None, reason="systemd isn't installed")
@pytest.mark.skipif(os.getuid() != 0, reason="a /run of its own needs root")
def test_the_journal_gets_fields_of_its_own(world, tmp_path):
    """A real systemd-journald, read back with journalctl."""
    with world.proxies() as (proxies, environ):
        daemon = world.running({"log.level": "info", "log.repeats": 5}, environ)
        daemon.stop()
        out = tmp_path / "journal.json"
        daemon.environ["OUT"] = str(out)
        script = OWN_JOURNAL.replace("{JOURNALD}", str(JOURNALD))
        daemon.prefix = ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "own-journal"]
        daemon.start()
        proxies["neo4j"].refuse()
        with daemon.jobs() as client:
            refused = client.put(document('lost "ü"\nline'))
            for n in range(9):
                client.put(document(f"more-{n}"))
        assert daemon.stop() == 0, daemon.log()
    entries = [json.loads(line) for line in out.read_text().splitlines()]
    mine = [entry for entry in entries if entry.get("SAGA_ID") == refused.data["saga_id"]]
    assert len(mine) == 1, entries
    entry = mine[0]
    assert entry["DOCUMENT_ID"] == 'lost "ü"\nline' and entry["STORE"] == "neo4j"
    assert entry["CODE"] == "store_unavailable" and entry["PRIORITY"] == "4" and entry["TRIES"] == "3"
    assert entry["MESSAGE"].startswith("saga failed") and "store=neo4j" in entry["MESSAGE"]
    assert entry["_TRANSPORT"] == "journal" and entry["SYSLOG_IDENTIFIER"] == "sagad"
    assert len(entry["MESSAGE_ID"]) == 32 and "CODE_FILE" not in entry
    told = [each for each in entries if "more like this" in each["MESSAGE"] and "saga failed" in each["MESSAGE"]]
    same = [each for each in entries if each.get("MESSAGE_ID") == entry["MESSAGE_ID"]]
    assert len(same) == 5 and told[0]["CODE"] == "store_unavailable", (same, told)
    assert [each["PRIORITY"] for each in entries if "started: pid" in each["MESSAGE"]] == ["6"]
