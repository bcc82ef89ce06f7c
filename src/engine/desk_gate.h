/* The desk's gate: after an outage nothing is read, written or settled before the last commits that this daemon heard
 * of have been found in the ledger. For desk.c only. */
#ifndef SAGAD_ENGINE_DESK_GATE_H
#define SAGAD_ENGINE_DESK_GATE_H

#include "engine/desk.h"

void desk_gate_init(struct desk *desk);

/* True: more than the gate's own question may go out. Otherwise that one is asked, unless it is out or waits. */
bool desk_gate_is_open(struct desk *desk);

/* While the gate pauses, settlements that wait are told so. True: some were. */
bool desk_gate_tell_settles(struct desk *desk);

static inline struct settle_item *desk_settle_of(struct list *node)
{
	return container_of(container_of(node, struct batch_item, node), struct settle_item, item);
}

#endif
