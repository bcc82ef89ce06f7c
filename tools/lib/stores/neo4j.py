"""Neo4j Community 5.26 out of Maven Central's jars, on Java 17 or 21. GPL-3: a process of its own, for tests only.

A class-data archive (AppCDS) is made once beside the jars and halves the start.
"""

import hashlib
import re
import signal
import shutil
import subprocess
import time

from . import fetch, ports, process, wire
from .base import Store, plain_environment
from .errors import StoreError
from .paths import server_ids

VERSION = "5.26.30"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sagad.stores</groupId><artifactId>neo4j</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""

TEST_JVM = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
BENCH_JVM = ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC"]
OPEN_MODULES = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.nio", "java.io", "sun.nio.ch")]

CONFIG = """server.default_listen_address={host}
server.http.listen_address={host}:{http}
server.http.advertised_address={host}:{http}
server.https.enabled=false
server.bolt.enabled=true
server.bolt.listen_address={host}:{bolt}
server.bolt.advertised_address={host}:{bolt}
dbms.usage_report.enabled=false
server.memory.pagecache.size={pagecache}
# The default sets 512 MB aside for the log at once.
db.tx_log.preallocate=false
db.tx_log.rotation.size=16m
# The default waits for ever.
db.lock.acquisition.timeout=10s
db.transaction.timeout=60s
# With the defaults every orderly stop waits twice 5 s for bolt connections that aren't there.
internal.server.bolt.thread_pool_shutdown_wait_time=100ms
internal.server.bolt.connection_shutdown_wait_time=100ms
"""


class Neo4j(Store):
    name = "neo4j"
    n_ports = 2  # HTTP, bolt
    ready_timeout_s = 90
    stop_timeout_s = 30

    def version(self):
        return VERSION

    def fetch(self):
        java = self.java()

        def make(folder):
            (folder / "pom.xml").write_text(POM, encoding="ascii")
            maven = fetch.program("mvn", "maven")
            fetch.run_tool([maven, "-B", "-q", f"{PLUGIN}:copy-dependencies", "-DincludeScope=runtime",
                            "-DoutputDirectory=lib"], folder)
            for path in (folder / "lib").iterdir():
                path.chmod(0o644)
            (folder / "lib").chmod(0o755)

        jars = fetch.once(self.dist, f"neo4j-{VERSION}", make, self.say)
        return jars, fetch.once(self.dist, f"neo4j-{VERSION}-cds-{self._java_name(java)}",
                                self._make_archive, self.say)

    def java(self):
        java = fetch.program("java", "openjdk-17-jre-headless")
        found = re.search(r'version "(\d+)', self._java_banner(java))
        if not found or int(found.group(1)) not in (17, 21):
            raise StoreError(f"Neo4j {VERSION} needs Java 17 or 21, {java} is another; "
                             "run: apt-get install -y openjdk-17-jre-headless")
        return java

    @staticmethod
    def _java_banner(java):
        done = subprocess.run([java, "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=True)
        return done.stdout

    def _java_name(self, java):
        return hashlib.sha256(self._java_banner(java).encode()).hexdigest()[:8]

    def _jvm(self, *options):
        jars = self.dist / f"neo4j-{VERSION}" / "lib"
        return [self.java(), *options, *OPEN_MODULES, "-cp", f"{jars}/*"]

    def _make_archive(self, folder):
        """Run a throw-away server once and let the JVM write down which classes it loaded."""
        scratch = folder / "scratch"
        scratch.mkdir()
        for path in (folder, scratch):
            shutil.chown(path, *(server_ids() or (None, None))) if server_ids() else None
        http, bolt = ports.pick(2)
        self._write_config(scratch, http, bolt, "16m")
        with open(scratch / "neo4j.conf", "a", encoding="utf-8") as config:
            config.write("dbms.security.auth_enabled=false\n")
        archive = folder / "neo4j.jsa"
        argv = [*self._jvm(*TEST_JVM, f"-XX:ArchiveClassesAtExit={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"),
                "org.neo4j.server.CommunityEntryPoint", f"--home-dir={scratch}", f"--config-dir={scratch}"]
        pid, started = process.spawn(argv, scratch / "log", scratch, plain_environment())
        try:
            self._train(pid, started, http, scratch / "log")
            process.send(pid, started, signal.SIGTERM)
            process.wait_gone([(pid, started)], 60)
        finally:
            process.kill_tree(pid, started)
        shutil.rmtree(scratch)
        folder.chmod(0o755)
        if archive.exists():
            archive.chmod(0o644)

    def _train(self, pid, started, http, log):
        end = time.monotonic() + self.ready_timeout_s
        while process.is_alive(pid, started) and time.monotonic() < end:
            try:
                if self._asks(http, "CREATE (a:T {k: 1})-[:R]->(b:T) RETURN a.k"):
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise StoreError(f"Neo4j didn't start; see {log}")

    def _asks(self, port, statement, headers=None):
        status, reply = wire.http_json(port, "POST", "/db/neo4j/tx/commit", {"statements": [{"statement": statement}]},
                                       headers)
        return status == 200 and reply is not None and reply.get("errors") == []

    def _write_config(self, folder, http, bolt, pagecache):
        text = CONFIG.format(host=ports.HOST, http=http, bolt=bolt, pagecache=pagecache)
        return self.write_for_server(folder / "neo4j.conf", text)

    def initialise(self, state):
        self._write_config(self.data, *state["ports"], "128m")
        process.run([*self._jvm("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
                     "org.neo4j.cli.AdminTool", "dbms", "set-initial-password", state["password"]],
                    self.data, plain_environment(NEO4J_HOME=str(self.data), NEO4J_CONF=str(self.data)))

    def command(self, state):
        _, archive = self.fetch()
        self._write_config(self.data, *state["ports"], "512m" if state["is_bench"] else "128m")
        options = [f"-XX:SharedArchiveFile={archive / 'neo4j.jsa'}", "-Xshare:auto", "-Xlog:disable",
                   "-Xlog:all=error:stderr"]
        sizes = BENCH_JVM if state["is_bench"] else TEST_JVM
        return [*self._jvm(*sizes, *options), "org.neo4j.server.CommunityEntryPoint", f"--home-dir={self.data}",
                f"--config-dir={self.data}"], plain_environment()

    def is_ready(self, state):
        return self._asks(state["ports"][0], "RETURN 1", wire.basic_auth("neo4j", state["password"]))

    def variables(self, state):
        http, bolt = state["ports"]
        return {"NEO4J_URL": f"http://{self.host}:{http}", "NEO4J_USER": "neo4j",
                "NEO4J_PASSWORD": state["password"], "NEO4J_BOLT_URL": f"bolt://{self.host}:{bolt}"}
