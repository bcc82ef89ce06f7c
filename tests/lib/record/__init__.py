"""What clients sent and what they were told, and whether the stores bear it out.

    record = Record(path)                      # each event is written to the file as it comes
    job = record.job("name", content)          # one job; content None: a delete
    attempt = record.sent(job, "client 1")     # just before it goes out
    record.answered(attempt, answer)           # or record.lost(attempt, "connection closed")
    ...                                        # the same job again, with its key: another attempt of it
    findings = judge(record, world, daemon)    # at rest; [] when every answer was true

The judge reads the stores with their official clients and shares no code with sagad. It takes the answers for what
they say: what was acknowledged must be there, what was refused must not, one key has one outcome, and what nobody
knows is there whole or not at all.
"""
from .attempt import ANY_VERSION, Attempt, Job
from .judge import Finding, judge
from .record import Record

__all__ = ["ANY_VERSION", "Attempt", "Finding", "Job", "Record", "judge"]
