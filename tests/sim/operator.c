/* An operator who looks at what is open page by page, and lets it be tried now, whatever else goes on. */
#include "sim.h"

#include "engine/roster.h"

#define LOOK_EVERY  7 /* ticks */
#define RETRY_EVERY 23
#define PAGE_ROWS   5

struct look {
	struct roster_list list;
	struct sim *sim;
	uint64_t n_rows, n_on_page;
	struct uuid last;
};

static void on_row(struct roster_list *list, const struct work_row *row)
{
	struct look *look = container_of(list, struct look, list);

	if (uuid_compare(&row->id, &look->last) < 0)
		facts_violate(&look->sim->facts, 12, "the list of open work is out of order at %s", trace_id(&row->id));
	if ((row->document_id.len == 0 && row->kind != WORK_STEPS) || row->op == NULL || row->step == NULL ||
	    row->error == NULL)
		facts_violate(&look->sim->facts, 12, "a row of the list of open work lacks something");
	look->last = row->id;
	look->n_rows++;
	look->n_on_page++;
}

static void look_through(struct sim *sim, const struct daemon *daemon)
{
	struct work_filter filter = {.limit = PAGE_ROWS, .states = UINT32_MAX};
	struct look look = {.list = {.filter = &filter, .row = on_row}, .sim = sim};
	uint64_t n_counted = 0, n_parked_flows;
	struct flow_stats flows;

	engine_flow_stats(daemon->engine, &flows);
	n_parked_flows = flows.n_parked;
	do {
		look.n_on_page = 0;
		MUST(roster_list(daemon->engine, &look.list) == 0);
		filter.after = look.list.next;
	} while (look.list.has_more && look.n_on_page == PAGE_ROWS);
	for (unsigned i = 0; i < WORK_STATES; i++)
		n_counted += look.list.n_by_state[i];
	if (look.n_rows != n_counted)
		facts_violate(&sim->facts, 12, "the pages of open work hold %llu rows, counted are %llu",
			      (unsigned long long)look.n_rows, (unsigned long long)n_counted);
	if (look.list.n_by_state[WORK_PARKED] != daemon->stats.n_parked + n_parked_flows)
		facts_violate(&sim->facts, 12, "listed as parked are %llu, counted %llu",
			      (unsigned long long)look.list.n_by_state[WORK_PARKED],
			      (unsigned long long)(daemon->stats.n_parked + n_parked_flows));
}

void operator_acts(struct sim *sim)
{
	static const struct work_order all = {.is_all = true};
	struct daemon *daemon = sim->current;

	sim->n_ticks++;
	if (daemon == NULL || daemon->is_dead || daemon->is_asleep || daemon->doom != DOOM_NONE)
		return;
	engine_stats(daemon->engine, &daemon->stats);
	if (sim->n_ticks % LOOK_EVERY == 0)
		look_through(sim, daemon);
	if (sim->n_ticks % RETRY_EVERY == 0 && roster_retry(daemon->engine, &all) > 0)
		daemon_touch(daemon);
}
