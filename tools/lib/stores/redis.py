"""Redis: the `redis-server` of the machine, with a password. Writes go to an append-only file, so that tests of
lost data have a server that keeps it; `--bench` keeps nothing on disk."""

import subprocess

from . import fetch, wire
from .base import Store, plain_environment


class Redis(Store):
    name = "redis"

    def program(self):
        return fetch.program("redis-server", "redis-server")

    def version(self):
        done = subprocess.run([self.program(), "--version"], capture_output=True, text=True, check=True)
        return done.stdout.split("v=")[1].split()[0]

    def fetch(self):
        self.program()

    def command(self, state):
        keeps = "no" if state["is_bench"] else "yes"
        config = self.write_for_server(self.data / "redis.conf", "\n".join([
            f"bind {self.host}", f"port {state['ports'][0]}", f"requirepass {state['password']}", f"dir {self.data}",
            "daemonize no", "save \"\"", f"appendonly {keeps}", "appendfsync everysec",
            "maxmemory-policy noeviction", "maxmemory 1gb" if state["is_bench"] else "maxmemory 256mb", ""]))
        return [self.program(), config], plain_environment()

    def is_ready(self, state):
        return wire.redis_command(state["ports"][0], state["password"], "PING") == b"+PONG"

    def variables(self, state):
        return {"REDIS_URL": f"redis://:{state['password']}@{self.host}:{state['ports'][0]}/0"}
