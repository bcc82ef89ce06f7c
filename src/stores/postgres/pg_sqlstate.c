#include "pg_sqlstate.h"

#include "base/must.h"

#include <string.h>

/* A prefix of a code: two characters are a class, five one code. */
static const struct {
	const char *prefix;
	enum verdict verdict;
} states[] = {
	{"08", VERDICT_OUTAGE},        /* connection exceptions, also those that a pooler makes up */
	{"0A", VERDICT_MISCONFIGURED}, /* feature not supported: an extension or a version is missing */
	{"21", VERDICT_PERMANENT},     /* cardinality violation */
	{"22", VERDICT_PERMANENT},     /* data exceptions: a bad jsonb, pgvector's "expected 384 dimensions, not 4" */
	{"23", VERDICT_PERMANENT},     /* constraints, an operator's own included */
	{"25006", VERDICT_OUTAGE},     /* read-only: a standby, for instance after a failover */
	{"25", VERDICT_TRANSIENT},     /* transaction state, 25P04 transaction_timeout among them */
	{"28", VERDICT_MISCONFIGURED}, /* wrong password, no entry in pg_hba.conf */
	{"3D", VERDICT_MISCONFIGURED}, /* no such database */
	{"3F", VERDICT_MISCONFIGURED}, /* no such schema */
	{"40", VERDICT_TRANSIENT},     /* serialization failure, deadlock */
	{"42", VERDICT_MISCONFIGURED}, /* missing table or column, missing right */
	{"53100", VERDICT_OUTAGE},     /* disk full */
	{"53300", VERDICT_OUTAGE},     /* too many connections */
	{"53400", VERDICT_MISCONFIGURED}, /* configuration limit */
	{"53", VERDICT_TRANSIENT},        /* out of memory */
	{"54", VERDICT_PERMANENT},        /* program limits: an index key, a row or a jsonb that is too large */
	{"55", VERDICT_TRANSIENT},        /* lock not available, object in use */
	{"57014", VERDICT_TRANSIENT},     /* statement_timeout, or somebody's cancel */
	{"57P04", VERDICT_MISCONFIGURED}, /* the database was dropped */
	{"57", VERDICT_OUTAGE},           /* shutting down, crashed, starting up */
	{"58", VERDICT_OUTAGE},           /* input/output errors outside of PostgreSQL */
	{"P0", VERDICT_PERMANENT},        /* an operator's trigger raised an exception about the document */
	{"XX001", VERDICT_MISCONFIGURED}, /* data corrupted */
	{"XX002", VERDICT_MISCONFIGURED}, /* index corrupted */
};

enum verdict pg_sqlstate_verdict(const char *sqlstate)
{
	enum verdict found = VERDICT_TRANSIENT;
	size_t longest = 0;

	for (size_t i = 0; sqlstate != NULL && i < ARRAY_LEN(states); i++) {
		size_t len = strlen(states[i].prefix);

		if (len > longest && strncmp(sqlstate, states[i].prefix, len) == 0) {
			longest = len;
			found = states[i].verdict;
		}
	}
	return found;
}

static bool pg_sqlstate_is_code(const char *at)
{
	for (size_t i = 0; i < PG_SQLSTATE_BYTES - 1; i++)
		if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'A' && at[i] <= 'Z')))
			return false;
	return at[PG_SQLSTATE_BYTES - 1] == ':';
}

bool pg_sqlstate_find(const char *message, char out_sqlstate[PG_SQLSTATE_BYTES])
{
	/* The severity before the two spaces may be translated, the spaces are not: fe-protocol3.c,
	 * pqBuildErrorMessage3(). */
	for (const char *at = message; (at = strstr(at, ":  ")) != NULL; at++)
		if (pg_sqlstate_is_code(at + 3)) {
			memcpy(out_sqlstate, at + 3, PG_SQLSTATE_BYTES - 1);
			out_sqlstate[PG_SQLSTATE_BYTES - 1] = '\0';
			return true;
		}
	out_sqlstate[0] = '\0';
	return false;
}
