/* One question to PostgreSQL and all stores at the same time: are you there (ping), or: create your schema (init). */
#ifndef SAGAD_SAGAD_SURVEY_H
#define SAGAD_SAGAD_SURVEY_H

#include "port/store.h"
#include "sagad/ports.h"

#include <stdbool.h>
#include <stdint.h>

#define SURVEY_MAX (STORES_MAX + 1)

enum survey_kind { SURVEY_PING, SURVEY_INIT };

struct survey;

struct survey_item {
	struct store_init_req req; /* its verdict, err and report are the answer once is_done */
	const char *name;          /* "postgresql", or the store's; static */
	bool is_done;
	struct survey *survey;
};

/* Embed it; it must stay where it is until done(). */
struct survey {
	struct ports *ports;                  /* borrowed */
	struct survey_item items[SURVEY_MAX]; /* PostgreSQL first, then the stores in their order */
	uint32_t n_items;
	uint32_t n_out;
	struct store_schema schema;          /* INIT */
	bool check_only;                     /* INIT */
	void (*done)(struct survey *survey); /* once, later, when all have answered */
};

/* Asks. `schema` is copied; NULL with PING. Each adapter has a time limit of its own, so done() comes. */
void survey_start(struct survey *survey, struct ports *ports, enum survey_kind kind, const struct store_schema *schema,
		  bool check_only, void (*done)(struct survey *survey));

/* Have all said OK? */
bool survey_is_well(const struct survey *survey);

/* What the adapter of an item knows of its store. */
void survey_status(const struct survey *survey, uint32_t index, struct store_status *out_status);

#endif
