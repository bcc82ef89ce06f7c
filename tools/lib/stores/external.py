"""A store that somebody else runs: named in the environment, never started or stopped from here."""

MARKS = {"postgres": "POSTGRES_HOST", "qdrant": "QDRANT_HOST", "redis": "REDIS_URL", "neo4j": "NEO4J_URL"}

VARIABLES = {
    "postgres": ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),
    "qdrant": ("QDRANT_HOST", "QDRANT_PORT", "QDRANT_API_KEY"),
    "redis": ("REDIS_URL",),
    "neo4j": ("NEO4J_URL", "NEO4J_USER", "NEO4J_PASSWORD", "NEO4J_BOLT_URL"),
}

# What `tools/stores env` printed is not external, though it is in the environment after an eval: this variable
# holds those stores' names with their addresses.
OURS = "SAGAD_STORES_ENV"


def fingerprint(name, variables):
    """How the address in these variables is written down in SAGAD_STORES_ENV."""
    keys = ("POSTGRES_HOST", "POSTGRES_PORT") if name == "postgres" else VARIABLES[name][:2]
    if name in ("redis", "neo4j"):
        keys = keys[:1]
    return name + "=" + ":".join(variables.get(key, "") for key in keys).rpartition("@")[2]


def is_external(name, environ):
    """Whether the environment names a server of this kind that isn't one of ours."""
    return bool(environ.get(MARKS[name])) and fingerprint(name, environ) not in environ.get(OURS, "").split()


class External:
    """Stands in a table of stores for one that is taken from the environment."""

    is_external = True

    def __init__(self, name, environ):
        self.name = name
        self.environ = environ

    def env(self):
        return {key: self.environ[key] for key in VARIABLES[self.name] if key in self.environ}

    def describe(self):
        return {"name": self.name, "state": "external", "address": fingerprint(self.name, self.environ).split("=")[1],
                "pid": None, "version": None, "data": None}
