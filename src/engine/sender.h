/* What goes to one store: a queue for each kind of write, and the requests that are out.
 *
 * Nothing waits for a batch to fill: a pump sends as soon as a request is free.
 *
 * A document that was alone in a request which the store's end of the connection didn't survive is a suspect: it may be
 * the cause, or a neighbour of the cause, or a victim of an outage. From then on it goes out alone: nothing else is
 * with the store, and a harmless write has just been answered. If the store ends the connection then, that is a death,
 * and counts against the document. An outage gives no deaths: the harmless write fails first. */
#ifndef SAGAD_ENGINE_SENDER_H
#define SAGAD_ENGINE_SENDER_H

#include "engine/batch.h"
#include "engine/meter.h"
#include "engine/pace.h"
#include "port/store.h"

#include <stdbool.h>
#include <stdint.h>

struct sender;

enum send_state { SEND_IDLE, SEND_WAITING, SEND_OUT };

/* One write of one saga, or of one piece of background work. Embed it; container_of() leads back. */
struct send {
	struct leg_write write; /* filled in by the owner before sender_push() */
	struct batch_item item; /* keeps its cap from try to try */
	enum send_state state;
	bool is_batched;   /* out: it failed together with others and may be innocent */
	bool is_suspect;   /* in, out: an apply that goes out alone; kept from try to try until one is answered well */
	bool is_death;     /* out: the store died with it, and was well before */
	bool is_abandoned; /* nobody wants it any more: it is not sent again */
	/* It is about to be handed to the store: from here on the store may have it. May be NULL. */
	void (*started)(struct send *send);
	/* It ended; write.verdict and write.err say how. Once for each push, unless it was cancelled. */
	void (*done)(struct send *send);
};

struct sender_slot {
	struct store_req req;
	struct sender *sender;
	uint64_t sent_ns;
	struct batch_item **items; /* max_batch each, allocated once */
	struct leg_write **writes;
	struct list node; /* in `free` */
};

struct sender {
	struct store *store;
	uint64_t timeout_ns;
	struct list waiting[LEG_OPS];
	struct list suspects; /* waiting, and all of them applies */
	struct send *lonely;  /* the suspect that is out, or whose probe is; NULL: none */
	struct send probe;    /* the harmless write: a removal of a saga that never was */
	bool is_probed;       /* it was answered well, and the suspect may go */
	bool is_others_turn;  /* suspects and all others take turns */
	struct pace pace;     /* how many requests may be out */
	uint32_t n_out;
	uint32_t n_waiting;
	uint32_t next_op; /* whose turn it is: no kind of write starves another */
	struct sender_slot *slots;
	uint32_t n_slots;
	struct list free;
	struct list ended; /* requests whose done() came, not looked at yet */
	uint64_t n_requests;
	uint64_t n_writes;
	const struct moment *now;  /* the engine's; NULL: nothing is measured */
	struct meter_store *meter; /* with `now` */
};

/* Allocates the requests. 0 or -ENOMEM; the sender must not move afterwards. */
int sender_init(struct sender *sender, struct store *store, uint64_t timeout_ns) WARN_UNUSED;
void sender_fini(struct sender *sender);

/* Makes a send ready; all zeroes before. */
void send_init(struct send *send, void (*started)(struct send *), void (*done)(struct send *));

/* Queues it. */
void sender_push(struct sender *sender, struct send *send);

/* Gives a send up. True: it was waiting, and done() will not come. False: it is idle, or out, and then done() still
 * comes at the end of the request that is out. */
bool sender_abandon(struct sender *sender, struct send *send);

/* Looks at the requests that ended, delivers their writes' ends. True when there was one. */
bool sender_collect(struct sender *sender);

/* Sends what waits as long as requests are free. */
void sender_pump(struct sender *sender);

#endif
