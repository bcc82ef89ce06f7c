#include "pg_script.h"

#include "base/must.h"

void pg_script_init(struct pg_script *script)
{
	script->n = 0;
}

void pg_script_fini(struct pg_script *script)
{
	if (script == NULL)
		return;
	for (uint32_t i = 0; i < script->n; i++)
		pg_params_fini(&script->statements[i].params);
	script->n = 0;
}

struct pg_params *pg_script_add(struct pg_script *script, const char *sql)
{
	struct pg_statement *added;

	MUST(script->n < PG_SCRIPT_MAX);
	added = &script->statements[script->n++];
	added->sql = sql;
	pg_params_init(&added->params);
	return &added->params;
}

int pg_script_check(const struct pg_script *script)
{
	for (uint32_t i = 0; i < script->n; i++) {
		int rc = pg_params_check(&script->statements[i].params);

		if (rc != 0)
			return rc;
	}
	return 0;
}
