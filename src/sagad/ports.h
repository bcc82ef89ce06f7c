/* The journal, PostgreSQL and the projection stores of this daemon: the only place that names concrete adapters. A new
 * store is a line in ports.c. */
#ifndef SAGAD_SAGAD_PORTS_H
#define SAGAD_SAGAD_PORTS_H

#include "base/err.h"
#include "base/log.h"
#include "port/journal.h"
#include "port/store.h"
#include "port/target.h"
#include "port/truth.h"
#include "sagad/config.h"

#include <uv.h>

struct ports {
	struct journal *journal;
	struct truth *truth;
	struct store *stores[STORES_MAX];
	uint32_t n_stores;
	struct target *targets[TARGETS_MAX]; /* what steps of clients' own sagas run on: stores, then services */
	uint32_t n_targets;
	bool has_documents; /* may steps be documents? */
	uint32_t n_open;    /* private: while they are closed */
	void (*closed)(struct ports *ports);
};

/* Opens the journal (exclusively; blocking) and makes the adapters, which connect later by themselves. The
 * configuration is borrowed for the call, `log` until the ports are closed. 0; -EBUSY: another daemon has the journal;
 * -EINVAL: an adapter refuses its configuration; or the journal's error. After a failure what was opened stays open:
 * the process is about to end. */
int ports_open(struct ports *ports, uv_loop_t *loop, const struct config *config, struct log *log,
	       struct err *err) WARN_UNUSED;

/* ports_targets.c: those that the section `sagas` names. Errors as above. */
int ports_open_targets(struct ports *ports, uv_loop_t *loop, const struct config *config, struct log *log,
		       struct err *err) WARN_UNUSED;

/* Is a store of this name among them? */
bool ports_has_target(const struct ports *ports, struct str name);

/* Gives the store of this section of the configuration its new password or key; says so in the log when it can't. */
void ports_renew_secret(struct ports *ports, const struct config *config, const char *section, struct log *log);

/* Times of `config` that the adapters themselves go by. */
void ports_renew_timeouts(struct ports *ports, const struct config *config);

/* Closes the stores, PostgreSQL, and when they are closed the journal; then calls closed(). */
void ports_close(struct ports *ports, void (*closed)(struct ports *ports));

#endif
