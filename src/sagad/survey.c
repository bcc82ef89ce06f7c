#include "survey.h"

#include <string.h>

static void survey_answered(struct store_init_req *req)
{
	struct survey_item *item = container_of(req, struct survey_item, req);
	struct survey *survey = item->survey;

	MUST(!item->is_done && survey->n_out > 0);
	item->is_done = true;
	survey->n_out--;
	if (survey->n_out == 0)
		survey->done(survey);
}

static void ask_truth(struct truth *truth, enum survey_kind kind, struct store_init_req *req)
{
	if (kind == SURVEY_PING)
		truth->ops->ping(truth, req);
	else
		truth->ops->init(truth, req);
}

static void ask_store(struct store *store, enum survey_kind kind, struct store_init_req *req)
{
	if (kind == SURVEY_PING)
		store->ops->ping(store, req);
	else
		store->ops->init(store, req);
}

static struct store_init_req *survey_item_init(struct survey *survey, uint32_t index, const char *name)
{
	struct survey_item *item = &survey->items[index];

	*item = (struct survey_item){.name = name, .survey = survey};
	item->req.schema = &survey->schema;
	item->req.check_only = survey->check_only;
	item->req.done = survey_answered;
	return &item->req;
}

void survey_start(struct survey *survey, struct ports *ports, enum survey_kind kind, const struct store_schema *schema,
		  bool check_only, void (*done)(struct survey *survey))
{
	survey->ports = ports;
	survey->schema = schema != NULL ? *schema : (struct store_schema){0};
	survey->check_only = check_only;
	survey->done = done;
	survey->n_items = ports->n_stores + 1;
	survey->n_out = survey->n_items;
	ask_truth(ports->truth, kind, survey_item_init(survey, 0, "postgresql"));
	for (uint32_t i = 0; i < ports->n_stores; i++)
		ask_store(ports->stores[i], kind, survey_item_init(survey, i + 1, ports->stores[i]->name));
}

bool survey_is_well(const struct survey *survey)
{
	for (uint32_t i = 0; i < survey->n_items; i++)
		if (!survey->items[i].is_done || survey->items[i].req.verdict != VERDICT_OK)
			return false;
	return true;
}

void survey_status(const struct survey *survey, uint32_t index, struct store_status *out_status)
{
	const struct ports *ports = survey->ports;

	memset(out_status, 0, sizeof(*out_status));
	if (index == 0)
		ports->truth->ops->status(ports->truth, out_status);
	else
		ports->stores[index - 1]->ops->status(ports->stores[index - 1], out_status);
}
