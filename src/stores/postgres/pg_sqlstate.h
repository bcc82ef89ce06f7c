/* What PostgreSQL's error codes mean for a saga: one table. Pure. */
#ifndef SAGAD_STORES_POSTGRES_PG_SQLSTATE_H
#define SAGAD_STORES_POSTGRES_PG_SQLSTATE_H

#include "base/str.h"
#include "port/verdict.h"

#include <stdbool.h>

#define PG_SQLSTATE_BYTES 6 /* five characters and a NUL */

/* The class of an error that the server reported, by the longest entry of the table that its code starts with. NULL, ""
 * and codes that the table doesn't have are TRANSIENT: a document is not refused for good over a word we don't know.
 * Source: PostgreSQL 18, appendix A. */
enum verdict pg_sqlstate_verdict(const char *sqlstate);

/* Finds the code in a verbose message ("FATAL:  28P01: password ..."), which is the only place where libpq tells why a
 * connection was refused. False and "" when there is none. */
bool pg_sqlstate_find(const char *message, char out_sqlstate[PG_SQLSTATE_BYTES]);

#endif
