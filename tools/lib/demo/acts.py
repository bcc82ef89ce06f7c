"""The acts: each does one thing to sagad and shows what the four stores hold afterwards."""

import json
import lzma
import re
import subprocess
import threading
import time
from pathlib import Path

import compare
from harness.daemon import program
from harness.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT / "tests/corpus/postgresql-doc.jsonl.xz"
QUESTIONS = ROOT / "tests/corpus/questions.jsonl"
COPIES = 2  # a load that is worth interrupting


def read_corpus():
    with lzma.open(CORPUS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_jobs(path, jobs):
    path.write_text("".join(json.dumps(job, ensure_ascii=False) + "\n" for job in jobs), encoding="utf-8")


def copies_of(jobs, name):
    """The same pages under other ids: more documents that share their entities."""
    return [{**job, "id": f"{name}-{copy}/{job['id']}"} for copy in range(COPIES) for job in jobs]


class Show:
    def __init__(self, stage, stores, daemon, environ, folder):
        self.stage, self.stores, self.daemon, self.environ, self.folder = stage, stores, daemon, environ, folder
        self.readers = None
        self.corpus = read_corpus()
        self.jobs = {job["id"]: job for job in self.corpus}  # what should be there in the end

    def close(self):
        if self.readers is not None:
            self.readers.close()

    def connect(self):
        """Official clients; connected again after a store was away."""
        self.close()
        self.readers = compare.connect(self.environ)

    # ---- sagactl ----

    def ctl(self, *words, **options):
        sockets = ["--socket", str(self.daemon.jobs_path), "--admin-socket", str(self.daemon.admin_path)]
        self.stage.command(["sagactl", *(Path(word).name if str(word).startswith("/") else str(word) for word in words)])
        return subprocess.Popen([str(program("sagactl")), *map(str, words), *sockets], **options)

    def ctl_wait(self, *words, expect=0):
        """Run it in front of everybody; its output is the demonstration's."""
        code = self.ctl(*words).wait()
        if code != expect:
            self.stage.say(self.daemon.log()[-2000:])
            self.stage.expect(False, f"sagactl {words[0]} ends with {expect} (it was {code})")

    def load_and(self, jobs, name, strike, *options):
        """Start a load, and call strike() when a third of it is done. Returns what sagactl said."""
        path = self.folder / f"{name}.jsonl"
        write_jobs(path, jobs)
        before = self.daemon.stats()["committed_total"]
        process = self.ctl("load", path, "--window", "16", *options, stderr=subprocess.PIPE, text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
        reader.start()
        while process.poll() is None and self.daemon.stats()["committed_total"] - before < len(jobs) // 3:
            time.sleep(0.02)
        strike()
        process.wait()
        reader.join(5)
        return "".join(lines)

    # ---- the acts ----

    def _listens(self):
        """The socket is there; until `init` has made the tables the daemon refuses jobs."""
        try:
            with self.daemon.admin(2):
                return True
        except OSError:
            return False

    def start(self):
        self.daemon.launch()
        eventually(self._listens, 10, what=self.daemon.log)
        self.ctl_wait("init", "--dims", "384")
        self.daemon.wait_ready()
        self.ctl_wait("stores")
        self.connect()
        self.stage.say("  There is no Qdrant in any package registry: unless a real one is on PATH, a stand-in puts its REST "
                       "dialect\n  in front of Qdrant's own storage engine (tools/qdrant-edge-server). The others are the "
                       "real servers.")

    def load(self):
        self.stage.act(f"{len(self.corpus)} pages of PostgreSQL's manual")
        path = self.folder / "postgresql-doc.jsonl"
        write_jobs(path, self.corpus)
        self.ctl_wait("load", path)

    def look(self):
        self.stage.act("The same documents in all four")
        cursor = self.readers.postgres.cursor()
        rows, chunks = cursor.execute(
            "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)").fetchone()
        self.stage.say(f"PostgreSQL  {rows} rows in documents, {chunks} in chunks")
        self._nearest(cursor)
        self._path()
        self._cached()

    def _nearest(self, cursor):
        question = json.loads(QUESTIONS.read_text(encoding="utf-8").splitlines()[0])
        self.stage.say(f"Question    {question['text']}")
        points = self.readers.qdrant.query_points("documents", query=question["embedding"], limit=3,
                                                  with_payload=True).points
        found = [(point.payload["document_id"], point.payload["chunk_index"], point.score) for point in points]
        for document, ordinal, score in found:
            self.stage.say(f"Qdrant      {score:.3f}  {document}, chunk {ordinal}")
        rows = cursor.execute(
            "SELECT document_id, ordinal, 1 - (embedding <=> %s::vector) FROM chunks ORDER BY embedding <=> %s::vector "
            "LIMIT 3", [json.dumps(question["embedding"])] * 2).fetchall()
        for document, ordinal, score in rows:
            self.stage.say(f"pgvector    {score:.3f}  {document}, chunk {ordinal}")
        self.stage.expect([row[:2] for row in found] == [tuple(row[:2]) for row in rows],
                          "Qdrant and pgvector name the same nearest chunks")

    def _path(self):
        start, end = "postgresql-15/sql-vacuum.html", "postgresql-15/ddl-rowsecurity.html"
        with self.readers.neo4j.session() as session:
            found = session.run(
                "MATCH p = shortestPath((a:Document {id: $start})-[*..8]-(b:Document {id: $end})) "
                "RETURN [n IN nodes(p) | coalesce(n.id, n.type + ' ' + n.name)] AS nodes, "
                "[r IN relationships(p) | type(r)] AS types", start=start, end=end).single()
        self.stage.expect(found is not None, "Neo4j knows a path between two documents:")
        text = found["nodes"][0]
        for kind, node in zip(found["types"], found["nodes"][1:]):
            text += f" –{kind}– {node}"
        self.stage.say(f"Neo4j       {text}")

    def _cached(self):
        document = self.corpus[0]["id"]
        key = f"sagad:doc:{{{document}}}"
        value = json.loads(self.readers.redis.get(key))
        self.stage.say(f"Redis       {key}\n            \"{value['title']}\", {len(value['content'])} characters, "
                       f"version {value['version']}, gone in {self.readers.redis.ttl(key)} s")

    def _expected(self):
        path = self.folder / "expected.jsonl"
        write_jobs(path, self.jobs.values())
        return compare.read_jobs(str(path))

    def _report(self, partial=False):
        self.daemon.settle(30)
        self.connect()
        return compare.run(self.readers, self._expected(), partial)

    def _expect_same(self, report, text):
        if report.differences:
            self.stage.say(report.text())
        self.stage.expect(not report.differences, text)

    def store_fails(self):
        self.stage.act("Neo4j stops in the middle of a load")
        jobs = copies_of(self.corpus, "during-outage")
        failed = self.folder / "failed.jsonl"
        said = self.load_and(jobs, "more", self.stores["neo4j"].kill, "--retries", "0", "--failed", failed)
        answers = [line for line in said.splitlines() if "neo4j" in line]
        self.stage.expect(answers, "the client is told which store, and that nothing was kept:")
        self.stage.say("  " + answers[0].strip()[:400])
        lost = {json.loads(line)["id"] for line in failed.read_text(encoding="utf-8").splitlines()}
        self.jobs.update((job["id"], job) for job in jobs if job["id"] not in lost)
        self.stage.expect(0 < len(lost) < len(jobs),
                          f"{len(jobs) - len(lost)} documents were committed, {len(lost)} failed")
        self.stores["neo4j"].start()
        self._expect_same(self._report(), "Neo4j is back: the failed ones left nothing behind in any store")
        self.ctl_wait("load", failed)
        self.jobs.update((job["id"], job) for job in jobs)

    def daemon_is_killed(self):
        self.stage.act("The daemon is killed with SIGKILL in the middle of a load")
        jobs = copies_of(self.corpus, "during-crash")
        self.load_and(jobs, "crash", self.daemon.kill, "--retries", "0", "--reconnect", "0",
                      "--failed", self.folder / "unanswered.jsonl")
        self.jobs.update((job["id"], job) for job in jobs)
        started = time.monotonic()
        self.daemon.start()
        found = re.findall(r"(recovered [^\n\"]*)", self.daemon.log())
        self.stage.say(f"  started again in {time.monotonic() - started:.2f} s: {found[-1] if found else ''}")
        self._expect_same(self._report(partial=True),
                          "each document is in all four stores or in none, and nothing else is left")
        path = self.folder / "crash.jsonl"
        self.ctl_wait("load", path)

    def prove(self):
        self.stage.act("A comparison that proves itself")
        self._expect_same(self._report(), "all four stores are the same, document by document and field by field")
        proofs, left = compare.prove(self.readers, self._expected(), one_each=True)
        for proof in proofs:
            self.stage.expect(proof.found, f"an error planted in {proof.store} is found: {proof.planted.what}")
        self.stage.expect(not left, "and each was put back")

    def compare_everything(self):
        self.stage.act("All four stores, document by document and field by field")
        report = self._report()
        self.stage.table([["what was compared", "count"]] + [[what, number] for what, number in report.counts.items()])
        self._expect_same(report, f"{len(self.jobs)} documents are the same in all four, and nothing else is there")
