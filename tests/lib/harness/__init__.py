"""What the system tests share: a daemon of their own, a raw client, documents, and stores that are emptied between
tests instead of restarted."""

from .client import Answer, Client
from .daemon import Daemon, program
from .operations import Operations
from .waiting import eventually
from .world import World

__all__ = ["Answer", "Client", "Daemon", "Operations", "World", "eventually", "program"]
