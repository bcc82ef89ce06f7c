/* How an operation on a store, on PostgreSQL or on the journal ended, in the classes on which the engine decides. */
#ifndef SAGAD_PORT_VERDICT_H
#define SAGAD_PORT_VERDICT_H

enum verdict {
	VERDICT_OK,        /* done and durable as far as the store promises */
	VERDICT_TRANSIENT, /* not done, or done in part; the same request may succeed later (deadlock, rate limit) */
	VERDICT_OUTAGE,    /* not sent: no connection, or the store says that it is loading or shutting down */
	VERDICT_DOUBT,     /* sent, and no answer: time-out, reset, half a reply */
	VERDICT_PERMANENT, /* the document's own fault; the same request fails for ever. Parts may have been applied */
	VERDICT_MISCONFIGURED /* the store's fault that only an operator ends: wrong password, table or collection
				 missing */
};

#endif
