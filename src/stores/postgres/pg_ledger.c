#include "pg_ledger.h"

#include "pg_catalog.h"
#include "pg_value.h"

enum ledger_column { LEDGER_SAGA, LEDGER_OUTCOME, LEDGER_HASH, LEDGER_DELETE, LEDGER_CODE, LEDGER_REASON };

void pg_ledger_read(const PGresult *result, int row, int column, struct ledger_row *out_row)
{
	*out_row = (struct ledger_row){.outcome = LEDGER_ABSENT};
	if (PQgetisnull(result, row, column + LEDGER_SAGA))
		return;
	/* Any other word than `committed` must never be taken for a commit. */
	out_row->outcome = str_is_equal(pg_catalog_value(result, row, column + LEDGER_OUTCOME), str_of("committed"))
				   ? LEDGER_COMMITTED
				   : LEDGER_ABORTED;
	out_row->saga = pg_value_uuid(pg_catalog_value(result, row, column + LEDGER_SAGA));
	pg_value_bytes(pg_catalog_value(result, row, column + LEDGER_HASH), out_row->content_hash,
		       sizeof(out_row->content_hash));
	out_row->is_delete = pg_value_bool(pg_catalog_value(result, row, column + LEDGER_DELETE));
	pg_value_text(pg_catalog_value(result, row, column + LEDGER_CODE), out_row->code, sizeof(out_row->code));
	pg_value_text(pg_catalog_value(result, row, column + LEDGER_REASON), out_row->reason.text,
		      sizeof(out_row->reason.text));
}
