/* The statements of one exchange with PostgreSQL, in order: built first, sent as one pipeline. Pure. */
#ifndef SAGAD_STORES_POSTGRES_PG_SCRIPT_H
#define SAGAD_STORES_POSTGRES_PG_SCRIPT_H

#include "pg_params.h"

#include <stdint.h>

#define PG_SCRIPT_MAX 24

struct pg_statement {
	const char *sql; /* borrowed: static, or kept until the script is sent */
	struct pg_params params;
};

struct pg_script {
	struct pg_statement statements[PG_SCRIPT_MAX];
	uint32_t n;
};

void pg_script_init(struct pg_script *script);

/* Takes NULL and zeroes. */
void pg_script_fini(struct pg_script *script);

/* Adds a statement and returns its empty parameters; at most PG_SCRIPT_MAX of them. */
struct pg_params *pg_script_add(struct pg_script *script, const char *sql);

/* As pg_params_check(), of all statements. */
int pg_script_check(const struct pg_script *script) WARN_UNUSED;

#endif
