"""One comparison of all four stores."""
from . import in_neo4j, in_postgres, in_qdrant, in_redis, jobs as in_jobs
from .model import Report


def run(stores, jobs=None, partial=False):
    """Compares everything and returns a Report.

    jobs: what read_jobs() gives; PostgreSQL must then hold exactly that, or,
    with `partial`, a part of it (of a load that was made to fail).
    """
    report = Report()
    documents = in_postgres.read(stores.postgres, report)
    if jobs is not None:
        in_jobs.compare(report, documents, jobs, partial)
    for store in (in_qdrant, in_neo4j, in_redis):
        store.compare(stores, report, documents)
    return report
