#include "work.h"

#include "base/must.h"

#include <stdio.h>

const char *work_state_name(enum work_state state)
{
	static const char *const names[WORK_STATES] = {
		[WORK_RUNNING] = "running",
		[WORK_IN_DOUBT] = "in_doubt",
		[WORK_WAITING] = "waiting",
		[WORK_OWED] = "owed",
		[WORK_PARKED] = "parked",
		[WORK_LATE] = "late",
		[WORK_COMPENSATING] = "compensating",
		[WORK_RESOLVED] = "resolved",
		[WORK_ENDED] = "ended",
	};

	MUST((unsigned)state < WORK_STATES);
	return names[state];
}

const char *work_kind_name(enum work_kind kind)
{
	switch (kind) {
	case WORK_DOCUMENT:
		return "document";
	case WORK_JOB:
		return "job";
	case WORK_BACKGROUND:
		return "background";
	case WORK_STEPS:
		return "steps";
	}
	MUST(!"a kind of work that is none");
	return "";
}

void work_page_name(const struct work_place *place, char out[WORK_PAGE_BYTES])
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&place->id, id);
	(void)snprintf(out, WORK_PAGE_BYTES, "%s.%u", id, place->part); /* fits */
}
