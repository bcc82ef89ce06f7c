"""An oracle of its own: do all four stores hold the same documents?

    stores = compare.connect()            # addresses from the environment
    report = compare.run(stores, jobs=compare.read_jobs("jobs.jsonl"))
    assert not report.differences, report.text()

It reads with the official clients only and shares no code with sagad.
PostgreSQL is the source of truth; the others are held against it, and
PostgreSQL against the jobs when they are given. What a reader accepts must be
there field by field, and nothing else may be left. The stores must be at rest.
"""
from .comparison import run
from .jobs import read_jobs
from .model import Difference, Document, Report
from .plant import PLANTS, NothingToPlant, prove
from .stores import CLIENT_ERRORS, Stores, connect

__all__ = ["CLIENT_ERRORS", "Difference", "Document", "NothingToPlant",
           "PLANTS", "Report", "Stores", "connect", "prove", "read_jobs", "run"]
