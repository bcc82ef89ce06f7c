/* The document saga, its stores and its source of truth, for Spin. README.md beside this file says how it corresponds
 * to src/core and src/engine, what is left out and why; tools/check-model runs every configuration.
 *
 * One document. Version 0 is there before (with OVERWRITE); sagas 1 and 2 put it, or saga 2 deletes it (DELETES). Daemon 1
 * runs at the start; daemon 2 is its successor: on the same journal after its death, or (ZOMBIE) on a journal of its own
 * while daemon 1 goes on. Requests may be lost before or after their effect, repeated, and delivered late.
 *
 * Every step is one guarded command that can happen whenever its guard holds; all state is global, so a daemon's death
 * between any two steps is a step as well. Faults are not counted: each can happen as often as it likes, but for deaths
 * (CRASHES of them). With CALM, faults end at some moment for good. */

#ifndef CRASHES
#define CRASHES 1
#endif

#define NONE 3 /* no version */
#define QDRANT 0
#define FENCED 1 /* Redis; without a live key (GRAPH) Neo4j */

/* st[]: src/core/saga.h. CLEANING ends where it begins, so it is ABORTED with removals that are due. */
#define IDLE 0
#define PREPARING 1
#define PROJECTING 2
#define PIVOT_READY 3
#define PIVOTING 4
#define IN_DOUBT 5
#define OWING 6
#define ABORTED 7
#define DONE 8
#define LOST 9 /* its daemon died or stopped */

/* ph[]: a daemon's phase. */
#define OFF 0
#define CLAIMING 1
#define RECOVERING 2
#define RUNNING 3
#define DEAD 4

/* J[]: a saga's intent in its daemon's journal. TENDED and CLOSING are OPEN on disk. */
#define WRITING 1
#define OPEN 2
#define TENDED 3 /* background work that will close it has begun */
#define CLOSING 4

/* ap[], rm[], pb[]: a request that is due, out, done; and what follows a removal. */
#define TODO 1
#define OUT 2
#define OK 3
#define PAY 3
#define WINDOW 4 /* waits for the late-write window to pass */
#define TODO_2 5
#define OUT_2 6

/* pv[]: a pivot at PostgreSQL, or the answer to it. */
#define SENT 1
#define LOCKED 2 /* it holds the owner row FOR SHARE */
#define R_COMMITTED 3
#define R_CONFLICT 4
#define R_ERROR 5
#define R_EPOCH 6

/* led[] and ans[] */
#define COMMITTED 1
#define ABORT_ROW 2
#define FAILED 2
#define STORED 3

#ifdef NO_QDRANT
#define FIRST_STORE FENCED
#else
#define FIRST_STORE QDRANT
#endif
#ifdef NO_FENCED
#define LAST_STORE QDRANT
#else
#define LAST_STORE FENCED
#endif
#if !defined(NO_FENCED) && !defined(GRAPH)
#define PUBLISHES
#endif

/* ---- sagas, in their daemon's memory ---- */
byte st[3], own[3], se[3]; /* state, daemon, the epoch under which it runs */
byte repl[3] = NONE;       /* R, as it was read */
bool isread[3], repl_dead[3]; /* R was read; it is a deleted document's tombstone */
byte ap[6];                /* apply(S) at each store: 2 * S + store */
bool sent[6];
bool ended[3]; /* the backend of the pivot in doubt has been ended */
#ifdef ASKS_LEDGER
bool doubted[3]; /* a pivot has been in doubt */
#endif
byte ans[3];

/* ---- daemons; background work: rm[6 * d + 2 * v + store], pb[3 * d + s], d = 0 is daemon 1 ---- */
byte ph[3], ep[3];
bool loaded[3]; /* debts have been loaded */
byte rm[12], pb[6];
byte crashes;

/* ---- journals ---- */
byte J[3];

/* ---- PostgreSQL ---- */
byte ver = NONE, epoch = 1;
bool is_deleted;
byte led[3], pv[3];
bool late_pv[3]; /* a pivot that nobody waits for any more and that a pooler may still deliver */
bool debt[6], pdebt[3];

/* ---- requests on their way, and the stores ---- */
bool na[6], nr[6], np[3];
bool q[3];              /* Qdrant has points of this version */
bool fs[3], fence[3];   /* Redis: staging key; fence of a removal */
byte live = NONE;       /* Redis: the live key's version */

/* ---- for the properties only ---- */
bool rm_sent[3]; /* a removal of this version was sent once */
bool excused[3]; /* its second removal was forgotten by a restart: documented, the sweep's */
#ifdef CALM
bool calm;
#else
#define calm false
#endif

#define IS_DELETE(s) (false DELETES_TOO(s))
#ifdef DELETES
#define DELETES_TOO(s) || (s) == 2
#else
#define DELETES_TOO(s)
#endif

#ifdef ZOMBIE
#define MAY_SUCCEED (ph[1] == RUNNING || ph[1] == DEAD)
#define IN_JOURNAL(s, d) (own[s] == d)
#else
#define MAY_SUCCEED (ph[1] == DEAD)
#define IN_JOURNAL(s, d) true
#endif

#define IS_ACTIVE(s) (st[s] >= PREPARING && st[s] <= OWING)
#define RUNS(s, d) (own[s] == d && ph[d] == RUNNING)
#define OTHER(s) (3 - (s))
#define REPLACES(s) (repl[s] != NONE && !repl_dead[s])
#define RM(d, v, k) rm[6 * ((d) - 1) + 2 * (v) + (k)]
#define PB(d, s) pb[3 * ((d) - 1) + (s)]
#define HAS_TASKS(d, v) ((RM(d, v, QDRANT) | RM(d, v, FENCED)) != 0)
#define NEWER(a, b) ((a) != NONE && (a) != (b) && ((b) == 0 || ((a) != 0 && repl[(a) % 3] == (b))))

#ifdef NO_EPOCH
#define EPOCH_OK(s) true
#else
#define EPOCH_OK(s) (se[s] == epoch)
#endif
#ifdef NO_VERSION_COMPARE
#define VERSION_OK(s) true
#else
#define VERSION_OK(s) (ver == repl[s])
#endif
#ifdef SAME_KEY
#define KEY_IS_TAKEN(s) (led[OTHER(s)] == COMMITTED)
#else
#define KEY_IS_TAKEN(s) false
#endif

#ifdef NO_FENCE
#define FENCE(s) false
#else
#define FENCE(s) fence[s]
#endif
#ifdef NO_NEWER
#define NEWER_LIVE(s) false
#else
#define NEWER_LIVE(s) NEWER(live, s)
#endif

/* Promises 1 and 4, at every moment: what PostgreSQL has, every store has. A deleted document has nothing to look for. */
inline check_whole()
{
	if
	:: ver != NONE && !is_deleted ->
#ifndef NO_QDRANT
		assert(q[ver]);
#endif
#ifndef NO_FENCED
		assert(fs[ver] || live == ver);
#endif
	:: else
	fi
}

/* ---- ends of sagas ---- */

inline answer(s, how) /* Promise 3: one answer, and a true one. */
{
	assert(ans[s] == 0);
	assert(how != COMMITTED || led[s] == COMMITTED);
	assert(how != FAILED || led[s] != COMMITTED);
	ans[s] = how;
}

inline forget(s) /* a saga's volatile part, for a smaller state space */
{
	ap[2 * s] = 0;
	ap[2 * s + 1] = 0;
	sent[2 * s] = false;
	sent[2 * s + 1] = false;
	isread[s] = false;
#ifdef ASKS_LEDGER
	doubted[s] = false;
#endif
	ended[s] = false;
}

inline clean(s, d) /* CLEANING, then ABORTED: the removal goes on in the background */
{
	RM(d, s, QDRANT) = (sent[2 * s] -> TODO : 0);
	RM(d, s, FENCED) = (sent[2 * s + 1] -> TODO : 0);
	J[s] = (HAS_TASKS(d, s) -> TENDED : CLOSING);
	st[s] = ABORTED;
	answer(s, FAILED);
	forget(s);
	printf("daemon %d: saga %d is given up: removals are due, the client is told that it failed\n", d, s)
}

inline owe(s, d)
{
	st[s] = OWING;
	if
	:: REPLACES(s) ->
#ifndef NO_QDRANT
		RM(d, repl[s], QDRANT) = TODO;
#endif
#ifndef NO_FENCED
		RM(d, repl[s], FENCED) = TODO;
#endif
	:: else
	fi;
#ifdef PUBLISHES
	PB(d, s) = (IS_DELETE(s) -> 0 : TODO);
#endif
	J[s] = (PB(d, s) != 0 -> TENDED : CLOSING);
	forget(s)
}

/* What a daemon's end leaves of it: the disks. `told`: it could still answer its clients. */
inline drop_saga(s, d, told)
{
	if
	:: own[s] == d && IS_ACTIVE(s) ->
		if
		:: told && st[s] < PIVOTING -> answer(s, FAILED)
		:: told && st[s] == OWING -> answer(s, COMMITTED)
		:: else /* killed; or told that it is in doubt: no answer is the last word */
		fi;
		st[s] = LOST;
		if
		:: pv[s] >= R_COMMITTED -> pv[s] = 0
		:: else
		fi;
		forget(s)
	:: else
	fi;
	if
	:: IN_JOURNAL(s, d) && J[s] == WRITING -> J[s] = 0
	:: IN_JOURNAL(s, d) && J[s] >= TENDED -> J[s] = OPEN
	:: else
	fi
}

/* The second removal of a replaced version isn't kept over a restart (docs/guarantees.md): what it would have taken away
 * is the sweep's. */
inline drop_work(v, d)
{
	if
	:: RM(d, v, QDRANT) >= WINDOW && (v == 0 || led[v] == COMMITTED) -> excused[v] = true
	:: else
	fi;
	RM(d, v, QDRANT) = 0;
	RM(d, v, FENCED) = 0;
	PB(d, v) = 0
}

inline drop_daemon(d, told)
{
	drop_saga(1, d, told);
	drop_saga(2, d, told);
	drop_work(0, d);
	drop_work(1, d);
	drop_work(2, d);
	loaded[d] = false;
	ph[d] = DEAD
}

inline halt(d)
{
	printf("daemon %d: another daemon is the owner: stops, removes nothing\n", d);
	drop_daemon(d, true)
}

/* ---- a saga's steps at its daemon; each is possible whenever its guard holds ---- */

#ifdef NO_LOCK
#define IS_LOCKED(s, d) false
#else
#define IS_LOCKED(s, d) (own[OTHER(s)] == d && IS_ACTIVE(OTHER(s)))
#endif
#ifdef ONE_SAGA
#define TAKES_PART(s) (s == 1)
#else
#define TAKES_PART(s) true
#endif
#define MAY_START(s, d) (ph[d] == RUNNING && st[s] == IDLE && TAKES_PART(s) && !IS_LOCKED(s, d))

inline saga_begins(s, d) /* the document's lock is granted */
{
	d_step {
		MAY_START(s, d) ->
		st[s] = PREPARING;
		own[s] = d;
		se[s] = ep[d];
		J[s] = WRITING;
		printf("daemon %d: saga %d begins under epoch %d\n", d, s, se[s])
	}
}

inline intent_is_durable(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PREPARING && J[s] == WRITING ->
		J[s] = OPEN;
		printf("daemon %d: the intent of saga %d is durable\n", d, s)
	}
}

inline reads(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PREPARING && !isread[s] ->
		isread[s] = true;
		repl[s] = ver;
		repl_dead[s] = is_deleted;
		printf("daemon %d: saga %d reads version %d (3: none)\n", d, s, repl[s]);
		if
		:: KEY_IS_TAKEN(s) -> /* the answer that the key has; nothing of this saga is left to do */
			st[s] = DONE;
			ans[s] = STORED;
			J[s] = CLOSING;
			forget(s)
		:: else
		fi
	}
}

inline gives_up_untouched(s, d) /* PREPARING: the deadline, or PostgreSQL can't be read */
{
	d_step {
		RUNS(s, d) && st[s] == PREPARING ->
		st[s] = ABORTED;
		J[s] = CLOSING;
		answer(s, FAILED);
		forget(s);
		printf("daemon %d: saga %d ends untouched\n", d, s)
	}
}

inline decides(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PREPARING && isread[s] && J[s] == OPEN ->
		if
		:: IS_DELETE(s) && !REPLACES(s) ->
			st[s] = DONE;
			ans[s] = STORED;
			J[s] = CLOSING;
			forget(s)
		:: IS_DELETE(s) && REPLACES(s) -> st[s] = PIVOT_READY
		:: else ->
			st[s] = PROJECTING;
#ifndef NO_QDRANT
			ap[2 * s + QDRANT] = TODO;
#endif
#ifndef NO_FENCED
			ap[2 * s + FENCED] = TODO;
#endif
		fi
	}
}

inline sends_apply(s, d, k)
{
	d_step {
		RUNS(s, d) && st[s] == PROJECTING && ap[2 * s + k] == TODO ->
		ap[2 * s + k] = OUT;
		sent[2 * s + k] = true;
		na[2 * s + k] = true;
		printf("daemon %d: sends apply(%d) to store %d\n", d, s, k)
	}
}

/* In doubt: sent again. The first request may still be on its way: as a copy, see ARRIVES. */
inline misses_answer_of_apply(s, d, k)
{
	d_step {
		RUNS(s, d) && st[s] == PROJECTING && ap[2 * s + k] == OUT && !na[2 * s + k] ->
		ap[2 * s + k] = TODO;
		printf("daemon %d: no answer to apply(%d) of store %d\n", d, s, k)
	}
}

inline has_applied(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PROJECTING && (ap[2 * s] == 0 || ap[2 * s] == OK) &&
			(ap[2 * s + 1] == 0 || ap[2 * s + 1] == OK) ->
		st[s] = PIVOT_READY
	}
}

/* The code gives up directly: the backend of an earlier doubt was ended, so nothing of it can commit. With a pooler that
 * isn't enough; with ASKS_LEDGER a saga that was ever in doubt gives up through the ledger's row only. */
#ifdef ASKS_LEDGER
#define MUST_ASK(s) doubted[s]
#else
#define MUST_ASK(s) false
#endif

inline gives_up_by_ledger(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PIVOT_READY && MUST_ASK(s) ->
		st[s] = IN_DOUBT;
		ended[s] = false;
		printf("daemon %d: saga %d was in doubt once; asks the ledger before it gives up\n", d, s)
	}
}

inline gives_up(s, d) /* a permanent error, out of tries, the deadline */
{
	d_step {
		RUNS(s, d) && (st[s] == PROJECTING || st[s] == PIVOT_READY) && !MUST_ASK(s) ->
		clean(s, d)
	}
}

inline sends_pivot(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PIVOT_READY && pv[s] == 0 ->
		st[s] = PIVOTING;
		pv[s] = SENT;
		printf("daemon %d: sends the pivot of saga %d, which expects version %d\n", d, s, repl[s])
	}
}

inline hears_of_pivot(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PIVOTING && pv[s] >= R_COMMITTED ->
		if
		:: pv[s] == R_COMMITTED -> pv[s] = 0; owe(s, d)
		:: pv[s] == R_CONFLICT -> pv[s] = 0; clean(s, d)
		:: pv[s] == R_ERROR -> pv[s] = 0; st[s] = PIVOT_READY
		:: pv[s] == R_EPOCH -> pv[s] = 0; halt(d)
		fi
	}
}

inline misses_answer_of_pivot(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == PIVOTING && (!calm || pv[s] == 0) ->
		if
		:: pv[s] >= R_COMMITTED -> pv[s] = 0
		:: else
		fi;
		st[s] = IN_DOUBT;
#ifdef ASKS_LEDGER
		doubted[s] = true;
#endif
		ended[s] = false;
		printf("daemon %d: no answer to the pivot of saga %d: in doubt\n", d, s)
	}
}

/* pg_terminate_backend(), and the backend is gone. What a pooler still holds has no backend yet. */
inline ends_backend(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == IN_DOUBT && !ended[s] && pv[s] != SENT ->
		pv[s] = 0;
		ended[s] = true;
		printf("daemon %d: has ended the backend of saga %d\n", d, s)
	}
}

inline ends_backend_that_waits(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == IN_DOUBT && !ended[s] && pv[s] == SENT ->
		pv[s] = 0;
		ended[s] = true;
		printf("daemon %d: has ended the connection of saga %d before its pivot ran\n", d, s)
	}
}

inline leaves_pivot_in_pooler(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == IN_DOUBT && !ended[s] && pv[s] == SENT && !calm ->
		pv[s] = 0;
		late_pv[s] = true;
		ended[s] = true;
		printf("daemon %d: finds no backend of saga %d; a pooler still holds its pivot\n", d, s)
	}
}

inline settles(s, d) /* the ledger has an outcome */
{
	d_step {
		RUNS(s, d) && st[s] == IN_DOUBT && ended[s] && (led[s] != 0 || !EPOCH_OK(s)) ->
		if
		:: !EPOCH_OK(s) -> halt(d)
		:: else ->
			if
			:: led[s] == COMMITTED ->
				printf("daemon %d: the ledger has saga %d as committed\n", d, s);
				owe(s, d)
			:: else -> clean(s, d)
			fi
		fi
	}
}

inline settles_absent(s, d) /* no row, time is left */
{
	d_step {
		RUNS(s, d) && st[s] == IN_DOUBT && ended[s] && led[s] == 0 && EPOCH_OK(s) ->
		st[s] = PIVOT_READY;
		ended[s] = false;
		printf("daemon %d: the ledger has no row of saga %d: the pivot goes out again\n", d, s)
	}
}

/* No row, and no time is left: the backend has been ended, and the row `aborted` keeps out whatever may still come. */
#ifdef NO_ABORT_ROW
#define MAY_GIVE_UP(s) true
#else
#define MAY_GIVE_UP(s) (ended[s] && EPOCH_OK(s))
#endif

inline settles_late(s, d)
{
	d_step {
		RUNS(s, d) && st[s] == IN_DOUBT && led[s] == 0 && MAY_GIVE_UP(s) ->
#ifndef NO_ABORT_ROW
		led[s] = ABORT_ROW;
		printf("daemon %d: writes an aborted row for saga %d\n", d, s);
#endif
		clean(s, d)
	}
}

inline answers_committed(s, d) /* all is paid, or the deadline has passed: the rest goes on without its client */
{
	d_step {
		RUNS(s, d) && st[s] == OWING ->
		st[s] = DONE;
		answer(s, COMMITTED);
		printf("daemon %d: answers that saga %d is committed\n", d, s)
	}
}

inline closes_intent(s, d) /* the journal is written behind */
{
	d_step {
		ph[d] >= RECOVERING && ph[d] != DEAD && J[s] == CLOSING && (IN_JOURNAL(s, d)) ->
		J[s] = 0;
		printf("daemon %d: the intent of saga %d is closed\n", d, s)
	}
}

/* ---- background work ---- */

#define WORKS(d) (ph[d] == RECOVERING || ph[d] == RUNNING)

inline work_is_done(v, d)
{
	if
	:: v != 0 && led[v] != COMMITTED && J[v] == TENDED && !HAS_TASKS(d, v) -> J[v] = CLOSING
	:: else
	fi
}

inline sends_removal(v, d, k)
{
	d_step {
		WORKS(d) && (RM(d, v, k) == TODO || RM(d, v, k) == TODO_2) ->
		assert(ver != v || is_deleted); /* promise 4 */
		RM(d, v, k)++;
		nr[2 * v + k] = true;
		rm_sent[v] = true;
		printf("daemon %d: sends remove(%d) to store %d\n", d, v, k)
	}
}

inline misses_answer_of_removal(v, d, k)
{
	d_step {
		WORKS(d) && (RM(d, v, k) == OUT || RM(d, v, k) == OUT_2) && !nr[2 * v + k] ->
		RM(d, v, k)--;
		printf("daemon %d: no answer to remove(%d) of store %d\n", d, v, k)
	}
}

/* The debt, if there is one, is deleted by its exact key. Then what aborted is removed once more everywhere, what was
 * replaced only where no fence keeps a late write out. */
inline pays(v, d, k)
{
	d_step {
		WORKS(d) && RM(d, v, k) == PAY ->
		debt[2 * v + k] = false;
#ifdef NO_SECOND_REMOVAL
		RM(d, v, k) = 0;
#else
		RM(d, v, k) = ((k == QDRANT || (v != 0 && led[v] != COMMITTED)) -> WINDOW : 0);
#endif
		work_is_done(v, d)
	}
}

/* The late-write window is longer than any request can be on its way: when it has passed none is left. */
inline window_passes(v, d, k)
{
	d_step {
		WORKS(d) && RM(d, v, k) == WINDOW && !na[2 * v + k] ->
		RM(d, v, k) = TODO_2
	}
}

inline sends_publish(s, d)
{
	d_step {
		WORKS(d) && PB(d, s) == TODO ->
		assert(led[s] == COMMITTED);
		PB(d, s) = OUT;
		np[s] = true;
		printf("daemon %d: sends publish(%d)\n", d, s)
	}
}

inline misses_answer_of_publish(s, d)
{
	d_step {
		WORKS(d) && PB(d, s) == OUT && !np[s] ->
		PB(d, s) = TODO;
		printf("daemon %d: no answer to publish(%d)\n", d, s)
	}
}

inline pays_publish(s, d)
{
	d_step {
		WORKS(d) && PB(d, s) == PAY ->
		pdebt[s] = false;
		PB(d, s) = 0;
		if
		:: J[s] == TENDED && (IN_JOURNAL(s, d)) -> J[s] = CLOSING
		:: else
		fi
	}
}

/* ---- start and end of a daemon ---- */

inline claims(d) /* the bump of the epoch waits for pivots that hold the owner row */
{
	d_step {
		ph[d] == CLAIMING && pv[1] != LOCKED && pv[2] != LOCKED ->
		epoch++;
		ep[d] = epoch;
		ph[d] = RECOVERING;
		printf("daemon %d: is the owner under epoch %d\n", d, epoch)
	}
}

inline recovers_intent(s, d)
{
	d_step {
		ph[d] == RECOVERING && J[s] == OPEN && (IN_JOURNAL(s, d)) ->
		printf("daemon %d: finds the intent of saga %d; the ledger says %d (0: no row, 1: committed)\n", d, s, led[s]);
		if
		:: led[s] == COMMITTED && !IS_DELETE(s) ->
#ifdef PUBLISHES
			PB(d, s) = TODO;
			J[s] = TENDED
#else
			J[s] = CLOSING
#endif
		:: led[s] != COMMITTED && !IS_DELETE(s) ->
			J[s] = TENDED;
#ifndef NO_QDRANT
			RM(d, s, QDRANT) = TODO;
#endif
#ifndef NO_FENCED
			RM(d, s, FENCED) = TODO;
#endif
		:: else -> J[s] = CLOSING
		fi
	}
}

inline load_debt(v, d, k)
{
	if
	:: debt[2 * v + k] && RM(d, v, k) == 0 -> RM(d, v, k) = TODO
	:: else
	fi
}

inline load_publish_debt(s, d)
{
	if
	:: pdebt[s] && PB(d, s) == 0 -> PB(d, s) = TODO
	:: else
	fi
}

inline loads_debts(d)
{
	d_step {
		ph[d] == RECOVERING && !loaded[d] ->
		loaded[d] = true;
		load_debt(0, d, QDRANT);
		load_debt(0, d, FENCED);
		load_debt(1, d, QDRANT);
		load_debt(1, d, FENCED);
		load_debt(2, d, QDRANT);
		load_debt(2, d, FENCED);
		load_publish_debt(1, d);
		load_publish_debt(2, d);
		printf("daemon %d: has loaded the debts\n", d)
	}
}

#define HAS_OPEN(d) ((J[1] == OPEN && (IN_JOURNAL(1, d))) || (J[2] == OPEN && (IN_JOURNAL(2, d))))

inline runs(d)
{
	d_step {
		ph[d] == RECOVERING && loaded[d] && !HAS_OPEN(d) ->
		ph[d] = RUNNING;
		printf("daemon %d: runs\n", d)
	}
}

/* A daemon that has nothing to do may die unnoticed: that state is at rest, and is looked at as such. */
#define IS_BUSY(d) (ph[d] == CLAIMING || ph[d] == RECOVERING || (own[1] == d && (IS_ACTIVE(1) || J[1] != 0)) || \
	(own[2] == d && (IS_ACTIVE(2) || J[2] != 0)) || HAS_TASKS(d, 0) || HAS_TASKS(d, 1) || HAS_TASKS(d, 2) || \
	PB(d, 1) != 0 || PB(d, 2) != 0)

inline dies(d)
{
	d_step {
		!calm && crashes < CRASHES && ph[d] != OFF && ph[d] != DEAD && IS_BUSY(d) ->
		crashes++;
		printf("daemon %d: killed\n", d);
		drop_daemon(d, false)
	}
}

inline starts(d)
{
	d_step {
		d == 2 && ((ph[2] == OFF && MAY_SUCCEED) || ph[2] == DEAD) ->
		ph[2] = CLAIMING;
		printf("daemon 2: starts\n")
	}
}

proctype sagad(byte d)
{
end:	do
	:: saga_begins(1, d)
	:: saga_begins(2, d)
	:: intent_is_durable(1, d)
	:: intent_is_durable(2, d)
	:: reads(1, d)
	:: reads(2, d)
	:: gives_up_untouched(1, d)
	:: gives_up_untouched(2, d)
	:: decides(1, d)
	:: decides(2, d)
#ifndef NO_QDRANT
	:: sends_apply(1, d, QDRANT)
	:: sends_apply(2, d, QDRANT)
	:: misses_answer_of_apply(1, d, QDRANT)
	:: misses_answer_of_apply(2, d, QDRANT)
#endif
#ifndef NO_FENCED
	:: sends_apply(1, d, FENCED)
	:: sends_apply(2, d, FENCED)
	:: misses_answer_of_apply(1, d, FENCED)
	:: misses_answer_of_apply(2, d, FENCED)
#endif
	:: has_applied(1, d)
	:: has_applied(2, d)
	:: gives_up(1, d)
	:: gives_up(2, d)
	:: gives_up_by_ledger(1, d)
	:: gives_up_by_ledger(2, d)
	:: sends_pivot(1, d)
	:: sends_pivot(2, d)
	:: hears_of_pivot(1, d)
	:: hears_of_pivot(2, d)
	:: misses_answer_of_pivot(1, d)
	:: misses_answer_of_pivot(2, d)
	:: ends_backend(1, d)
	:: ends_backend(2, d)
	:: ends_backend_that_waits(1, d)
	:: ends_backend_that_waits(2, d)
#ifdef POOLER
	:: leaves_pivot_in_pooler(1, d)
	:: leaves_pivot_in_pooler(2, d)
#endif
	:: settles(1, d)
	:: settles(2, d)
	:: settles_absent(1, d)
	:: settles_absent(2, d)
	:: settles_late(1, d)
	:: settles_late(2, d)
	:: answers_committed(1, d)
	:: answers_committed(2, d)
	:: closes_intent(1, d)
	:: closes_intent(2, d)
#define REMOVALS(k) \
	:: sends_removal(0, d, k) \
	:: sends_removal(1, d, k) \
	:: sends_removal(2, d, k) \
	:: misses_answer_of_removal(0, d, k) \
	:: misses_answer_of_removal(1, d, k) \
	:: misses_answer_of_removal(2, d, k) \
	:: pays(0, d, k) \
	:: pays(1, d, k) \
	:: pays(2, d, k) \
	:: window_passes(0, d, k) \
	:: window_passes(1, d, k) \
	:: window_passes(2, d, k)
#ifndef NO_QDRANT
	REMOVALS(QDRANT)
#endif
#ifndef NO_FENCED
	REMOVALS(FENCED)
#endif
#ifdef PUBLISHES
	:: sends_publish(1, d)
	:: sends_publish(2, d)
	:: misses_answer_of_publish(1, d)
	:: misses_answer_of_publish(2, d)
	:: pays_publish(1, d)
	:: pays_publish(2, d)
#endif
	:: starts(d)
	:: claims(d)
	:: recovers_intent(1, d)
	:: recovers_intent(2, d)
	:: loads_debts(d)
	:: runs(d)
	:: dies(d)
	od
}

/* ---- PostgreSQL ---- */

/* The answer goes nowhere when nobody waits for it. */
inline reply(s, what)
{
	pv[s] = (st[s] == PIVOTING -> what : 0)
}

inline commit(s)
{
	assert(ans[s] != FAILED); /* promise 3 */
	assert(!rm_sent[s]);      /* promises 4 and 5: what is being removed never becomes what readers accept */
	led[s] = COMMITTED;
	ver = s;
	is_deleted = IS_DELETE(s);
	if
	:: REPLACES(s) ->
#ifndef NO_QDRANT
		debt[2 * repl[s] + QDRANT] = true;
#endif
#ifndef NO_FENCED
		debt[2 * repl[s] + FENCED] = true;
#endif
#ifdef PUBLISHES
		pdebt[s] = !IS_DELETE(s);
#endif
	:: else
	fi;
	printf("postgresql: COMMIT of saga %d\n", s);
	check_whole()
}

inline pivot_begins(s)
{
	d_step {
		pv[s] == SENT ->
		if
		:: EPOCH_OK(s) -> pv[s] = LOCKED
		:: else -> reply(s, R_EPOCH)
		fi
	}
}

inline pivot_ends(s)
{
	d_step {
		pv[s] == LOCKED ->
		if
		:: led[s] == 0 && VERSION_OK(s) && !KEY_IS_TAKEN(s) -> commit(s); reply(s, R_COMMITTED)
		:: led[s] == COMMITTED -> reply(s, R_COMMITTED) /* an own row: an earlier copy had committed */
		:: else ->
			printf("postgresql: no row for saga %d\n", s);
			reply(s, R_CONFLICT)
		fi
	}
}

inline pivot_fails(s) /* an error of any kind: rolled back */
{
	d_step {
		!calm && (pv[s] == SENT || pv[s] == LOCKED) ->
		reply(s, R_ERROR);
		printf("postgresql: rolls saga %d back\n", s)
	}
}

inline pivot_is_lost(s)
{
	d_step {
		!calm && pv[s] == SENT ->
		pv[s] = 0;
		printf("network: loses the pivot of saga %d\n", s)
	}
}

inline pivot_comes_late(s)
{
	d_step {
		late_pv[s] ->
		late_pv[s] = false;
		printf("network: the pooler delivers an old pivot of saga %d\n", s);
		if
		:: EPOCH_OK(s) && led[s] == 0 && VERSION_OK(s) && !KEY_IS_TAKEN(s) -> commit(s)
		:: else
		fi
	}
}

active proctype postgresql()
{
end:	do
	:: pivot_begins(1)
	:: pivot_begins(2)
	:: pivot_ends(1)
	:: pivot_ends(2)
	:: pivot_fails(1)
	:: pivot_fails(2)
	:: pivot_is_lost(1)
	:: pivot_is_lost(2)
#ifdef POOLER
	:: pivot_comes_late(1)
	:: pivot_comes_late(2)
#endif
	od
}

/* ---- the other stores and the network to them ----
 *
 * An effect is answered, or the answer is lost (the daemon's step misses_answer_of_...); the request may come again. */

#define WAITS_FOR_APPLY(s, k) (st[s] == PROJECTING && ap[2 * s + k] == OUT)

inline apply_at_qdrant(s, heard)
{
	q[s] = true;
	if
	:: heard && WAITS_FOR_APPLY(s, QDRANT) -> ap[2 * s + QDRANT] = OK
	:: else
	fi;
	printf("qdrant: apply(%d)\n", s)
}

inline apply_at_fenced(s, heard)
{
	if
	:: FENCE(s) -> printf("redis: apply(%d) finds the fence\n", s)
	:: else ->
		if
		:: live != s -> fs[s] = true
		:: else
		fi;
		if
		:: heard && WAITS_FOR_APPLY(s, FENCED) -> ap[2 * s + FENCED] = OK
		:: else
		fi;
		printf("redis: apply(%d)\n", s)
	fi
}

inline publish_at_fenced(s, heard)
{
	if
	:: FENCE(s) || live == s || NEWER_LIVE(s) -> fs[s] = false
	:: else ->
		live = s;
		fs[s] = false
	fi;
	if
	:: heard && PB(1, s) == OUT -> PB(1, s) = PAY
	:: else
	fi;
	if
	:: heard && PB(2, s) == OUT -> PB(2, s) = PAY
	:: else
	fi;
	printf("redis: publish(%d)\n", s);
	check_whole()
}

inline removal_is_answered(v, d, k, heard)
{
	if
	:: heard && RM(d, v, k) == OUT -> RM(d, v, k) = PAY
	:: heard && RM(d, v, k) == OUT_2 ->
		RM(d, v, k) = 0;
		work_is_done(v, d)
	:: else
	fi
}

inline remove_at_qdrant(v, heard)
{
	q[v] = false;
#ifdef NO_NAME
	q[0] = false; /* "everything of this document" */
	q[1] = false;
	q[2] = false;
#endif
	removal_is_answered(v, 1, QDRANT, heard);
	removal_is_answered(v, 2, QDRANT, heard);
	printf("qdrant: remove(%d)\n", v);
	check_whole()
}

inline remove_at_fenced(v, heard)
{
	fs[v] = false;
	live = (live == v -> NONE : live);
	fence[v] = true;
	removal_is_answered(v, 1, FENCED, heard);
	removal_is_answered(v, 2, FENCED, heard);
	printf("redis: remove(%d)\n", v);
	check_whole()
}

/* One request: done and answered; done, and the answer is lost; the same twice with a copy that comes later, however
 * late; lost. */
#define ARRIVES(what, effect, of) \
	:: d_step { what -> what = false; effect(of, true) } \
	:: d_step { what && !calm -> what = false; effect(of, false) } \
	:: d_step { what && !calm -> effect(of, true) } \
	:: d_step { what && !calm -> effect(of, false) } \
	:: d_step { what && !calm -> what = false; printf("network: loses a request\n") }

active proctype stores()
{
end:	do
#ifndef NO_QDRANT
	ARRIVES(na[2], apply_at_qdrant, 1)
	ARRIVES(na[4], apply_at_qdrant, 2)
	ARRIVES(nr[0], remove_at_qdrant, 0)
	ARRIVES(nr[2], remove_at_qdrant, 1)
	ARRIVES(nr[4], remove_at_qdrant, 2)
#endif
#ifndef NO_FENCED
	ARRIVES(na[3], apply_at_fenced, 1)
	ARRIVES(na[5], apply_at_fenced, 2)
	ARRIVES(nr[1], remove_at_fenced, 0)
	ARRIVES(nr[3], remove_at_fenced, 1)
	ARRIVES(nr[5], remove_at_fenced, 2)
#endif
#ifdef PUBLISHES
	ARRIVES(np[1], publish_at_fenced, 1)
	ARRIVES(np[2], publish_at_fenced, 2)
#endif
	od
}

/* ---- at rest: nothing that is not a fault can happen any more ---- */

#define IS_NOW(v) (ver == v && !is_deleted)
/* Another journal's open intent lists what its saga has left (a zombie's, that nobody has started again). */
#define IS_LISTED(s) (J[s] == OPEN && ph[own[s]] == DEAD)

inline check_rest_of_saga(s)
{
	assert(!IS_ACTIVE(s)); /* promise 8 */
	assert(st[s] == IDLE || st[s] == LOST || ans[s] != 0);
	assert(ans[s] != COMMITTED || led[s] == COMMITTED); /* promise 2 */
	assert(ans[s] != FAILED || led[s] != COMMITTED);    /* promise 3 */
	assert(J[s] == 0 || IS_LISTED(s));
	assert(!q[s] || IS_NOW(s) || excused[s] || IS_LISTED(s)); /* promises 1 and 5 */
	assert(!fs[s] || IS_NOW(s) || IS_LISTED(s));
	assert(!pdebt[s])
}

inline check_rest()
{
	check_rest_of_saga(1);
	check_rest_of_saga(2);
	assert(!q[0] || IS_NOW(0) || excused[0]);
	assert(live == NONE || IS_NOW(live));
	assert(!(debt[0] || debt[1] || debt[2] || debt[3] || debt[4] || debt[5]));
	check_whole()
#ifdef SAME_KEY
	;
	assert(!(led[1] == COMMITTED && led[2] == COMMITTED)) /* promise 3 */
#endif
}

active proctype rest()
{
end:	timeout ->
	printf("at rest: PostgreSQL has version %d (deleted: %d), Qdrant has %d%d%d, Redis serves %d\n", ver, is_deleted,
	       q[0], q[1], q[2], live);
#ifdef REACHES
	assert(!(REACHES))
#else
	d_step { check_rest() }
#endif
}

#ifdef CALM
active proctype faults()
{
end:	calm = true
}

/* A run in which faults have ended, and that never ends itself: promise 8 broken. */
never {
S0:	do
	:: true
	:: calm -> break
	od;
accept:	do
	:: calm
	od
}
#endif

init {
	atomic {
		ph[1] = RUNNING;
		ep[1] = 1;
#ifdef OVERWRITE
		ver = 0;
		led[0] = COMMITTED;
#ifndef NO_QDRANT
		q[0] = true;
#endif
#ifdef PUBLISHES
		live = 0;
#else
#ifndef NO_FENCED
		fs[0] = true;
#endif
#endif
#endif
		run sagad(1);
		run sagad(2)
	}
}
