/* The stable error codes of the protocol (`data.code`), one table for all that follows from a code.
 * docs/protocol.md lists them; a code's meaning never changes, new ones may come. */
#ifndef SAGAD_BASE_CODE_H
#define SAGAD_BASE_CODE_H

#include <stdbool.h>

enum code {
	CODE_NONE,            /* no error */
	CODE_PARSE_ERROR,     /* not JSON, or not UTF-8 */
	CODE_INVALID_REQUEST, /* JSON, but no JSON-RPC 2.0 request */
	CODE_UNKNOWN_METHOD,
	CODE_UNKNOWN_FIELD,  /* a field that the method doesn't have; named */
	CODE_MISSING_FIELD,  /* named */
	CODE_INVALID_FIELD,  /* wrong type or value; the path is named */
	CODE_LIMIT_EXCEEDED, /* a configured limit; named with its value */
	CODE_LINE_TOO_LONG,  /* the line was skipped, the connection goes on */
	CODE_OVERLOADED,     /* a bound on work in flight; retry after a while */
	CODE_SHUTTING_DOWN,
	CODE_NOT_READY,           /* still starting: recovery, PostgreSQL not reached yet, schema missing */
	CODE_FORBIDDEN,           /* an administration method on the job socket */
	CODE_CONFLICT,            /* `if_version` differs, or another writer's pivot came first */
	CODE_KEY_REUSED,          /* the idempotency key belongs to other content */
	CODE_DEADLINE_EXCEEDED,   /* nothing was kept */
	CODE_STORE_UNAVAILABLE,   /* a store could not be reached in time; nothing was kept */
	CODE_STORE_REFUSED,       /* a store refuses this document for good; nothing was kept */
	CODE_STORE_MISCONFIGURED, /* wrong password, missing table, collection or constraint */
	CODE_IN_DOUBT,            /* PostgreSQL's COMMIT was sent and its answer never came; ask again */
	CODE_TIME_WENT_BACK,      /* PostgreSQL lacks commits that it had confirmed; admission has stopped */
	CODE_JOURNAL_FAILED,
	CODE_SCHEMA_MISMATCH, /* what is there doesn't fit what was asked for */
	CODE_NOT_FOUND,
	CODE_CANCELLED,             /* saga.cancel: what had run was undone */
	CODE_RESOLVED,              /* an operator has given this job up (saga.resolve); nothing was kept */
	CODE_CONFIGURATION_INVALID, /* sagad.reload: the old configuration stays in force */
	CODE_INTERNAL,              /* out of memory and the like; nothing was kept */
	CODE_COUNT
};

enum code_class {
	CODE_CLASS_CALLER,    /* the request's own fault: the same request fails again */
	CODE_CLASS_TRANSIENT, /* a later try may succeed */
	CODE_CLASS_OPERATOR   /* somebody must act first */
};

/* "conflict"; never NULL. */
const char *code_name(enum code code);

/* The code of a name; CODE_INTERNAL for one that is unknown here (a newer daemon's). */
enum code code_of_name(const char *name);

enum code_class code_class(enum code code);

/* "caller", "transient", "operator". */
const char *code_class_name(enum code code);

/* Does the same request, sent again later, have a chance? */
bool code_is_retriable(enum code code);

/* The number for JSON-RPC's `error.code`: the reserved ones where they fit, else -32000. */
int code_jsonrpc(enum code code);

#endif
