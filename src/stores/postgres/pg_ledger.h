/* Rows of the ledger as statements return them. */
#ifndef SAGAD_STORES_POSTGRES_PG_LEDGER_H
#define SAGAD_STORES_POSTGRES_PG_LEDGER_H

#include "port/truth.h"

#include <libpq-fe.h>

/* For a SELECT list, of the ledger as `l`; ends with a space. */
#define PG_LEDGER_COLUMNS "l.saga_id, l.outcome, l.content_hash, l.is_delete, l.code, l.reason "

/* Reads these columns, of which `column` is the first. ABSENT when they are NULL. */
void pg_ledger_read(const PGresult *result, int row, int column, struct ledger_row *out_row);

#endif
