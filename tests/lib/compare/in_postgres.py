"""Reads every document from PostgreSQL and checks the tables for themselves."""
import collections

import numpy as np
from psycopg import pq

from . import model

STORE = "postgres"
ROWS = ("chunks", "entities", "relationships")


def _vector(text):
    """pgvector's "[1,2]" or an array's "{1,2}", as float32."""
    inside = text[1:-1]
    numbers = inside.split(",") if inside else []
    return np.array(numbers, dtype=np.float64).astype(np.float32)


def _chunk(row):
    return model.Chunk(row[2], row[3], row[4], _vector(row[5]))


def _entity(row):
    return model.Entity(row[2], row[3], row[4] or {})


def _relationship(row):
    return model.Relationship((row[2], row[3]), row[4], (row[5], row[6]),
                              row[7] or {})


SELECTS = {
    "chunks": ("SELECT document_id, ordinal, chunk_id, text, metadata,"
               " embedding::text FROM chunks ORDER BY 1, 2", _chunk),
    "entities": ("SELECT document_id, ordinal, type, name, properties"
                 " FROM entities ORDER BY 1, 2", _entity),
    "relationships": ("SELECT document_id, ordinal, from_type, from_name, type,"
                      " to_type, to_name, properties"
                      " FROM relationships ORDER BY 1, 2", _relationship),
}


def _rows(cursor, report, table):
    """The table's rows by document; their ordinals must be 0, 1, 2, ..."""
    select, make = SELECTS[table]
    found = collections.defaultdict(list)
    for row in cursor.execute(select):
        if row[1] != len(found[row[0]]):
            report.add(STORE, row[0], table + ": ordinal",
                       len(found[row[0]]), row[1])
        found[row[0]].append(make(row))
    report.count("rows in " + table, sum(map(len, found.values())))
    return found


def _tombstone(report, row, parts):
    fields = ("title", "source", "content", "metadata", "content_hash")
    for field, value in zip(fields, row[2:7]):
        if value is not None:
            report.add(STORE, row[0], "deleted, but " + field, None, str(value))
    for table in ROWS:
        if parts[table].pop(row[0], None):
            report.add(STORE, row[0], "deleted, but " + table, model.NOTHING,
                       model.Words("rows"))


def _document(report, row, parts):
    name, version, title, source, content, metadata, content_hash, status = row
    if status != "COMPLETED":
        report.add(STORE, name, "ingestion_status", "COMPLETED", status)
    if content_hash is None:
        report.add(STORE, name, "content_hash", model.Words("a hash"), None)
    document = model.Document(
        name, str(version), title, source, content, metadata,
        *(parts[table].pop(name, []) for table in ROWS))
    ends = {(e.type, e.name) for e in document.entities}
    for r in document.relationships:
        for end in (r.start, r.end):
            if end not in ends:
                report.add(STORE, name, "relationship %s: end" % r.type,
                           model.Words("one of its entities"), list(end))
    return document


def _ledger(cursor, report):
    """A version's ledger row, while it is remembered, says committed."""
    rows = cursor.execute(
        "SELECT d.id, l.outcome FROM documents d JOIN sagad_ledger l"
        " ON l.saga_id = d.version WHERE l.outcome <> 'committed'")
    for name, outcome in rows.fetchall():
        report.add(STORE, name, "outcome in the ledger", "committed", outcome)


def read(connection, report):
    """Documents by id, without those deleted.

    Inside the caller's transaction it reads what that one sees, else one
    snapshot of all tables.
    """
    documents, deleted = {}, 0
    is_first = connection.info.transaction_status == pq.TransactionStatus.IDLE
    with connection.transaction(), connection.cursor() as cursor:
        if is_first:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        parts = {table: _rows(cursor, report, table) for table in ROWS}
        rows = cursor.execute(
            "SELECT id, version, title, source, content, metadata, content_hash,"
            " ingestion_status FROM documents ORDER BY id").fetchall()
        for row in rows:
            if row[7] == "DELETED":
                _tombstone(report, row, parts)
                deleted += 1
            else:
                documents[row[0]] = _document(report, row, parts)
        _ledger(cursor, report)
        report.owed = cursor.execute(
            "SELECT count(*) FROM sagad_debts").fetchone()[0]
    for table in ROWS:
        for name, left in parts[table].items():
            report.add(STORE, name, table + " without a document",
                       model.NOTHING, model.Words("%d rows" % len(left)))
    report.count("documents", len(documents))
    if deleted:
        report.count("deleted documents", deleted)
    return documents
