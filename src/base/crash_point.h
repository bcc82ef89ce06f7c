/* Named places where a test build ends the process, as SIGKILL would: one beside every external effect and every write
 * of the journal.
 *
 * In an ordinary build CRASH_POINT() is no code and the names are in no binary (tools/check-hardening proves it). With
 * the meson option crash_points a place counts how often it is reached, and at the chosen hit the process ends with
 * _exit(137): no destructor, no flush, no answer. The names come out of one table, so a misspelt one doesn't compile.
 *
 *     x.before   nothing has happened yet
 *     x.sent     the request is with the kernel; nobody knows what became of it
 *     x.after    the effect has happened, and the daemon has neither noted nor told it
 *
 * tools/check-crash-points finds effects without a place, tools/crash-points ends a daemon at each of them. */
#ifndef SAGAD_BASE_CRASH_POINT_H
#define SAGAD_BASE_CRASH_POINT_H

#include <stdbool.h>
#include <stdint.h>

/* The three operations of Neo4j and Redis stand in the order of enum leg_op: CRASH_POINT_OF() counts from the first. */
#define CRASH_POINTS(X)                                                                                                \
	X(SOCKET_LOCK_AFTER, "socket.lock.after")     /* the lock file is there and locked */                          \
	X(SOCKET_CLEAR_BEFORE, "socket.clear.before") /* a dead daemon's socket file is removed */                     \
	X(SOCKET_CLEAR_AFTER, "socket.clear.after")                                                                    \
	X(SOCKET_BIND_BEFORE, "socket.bind.before") /* the socket's file appears */                                    \
	X(SOCKET_BIND_AFTER, "socket.bind.after")   /* with the umask's mode, and nobody listens */                    \
	X(SOCKET_MODE_AFTER, "socket.mode.after")                                                                      \
	X(SOCKET_REPLACE_BEFORE, "socket.replace.before") /* rename() over the older daemon's socket */                \
	X(SOCKET_REPLACE_AFTER, "socket.replace.after")                                                                \
	X(SOCKET_REMOVE_BEFORE, "socket.remove.before") /* at the stop */                                              \
	X(SOCKET_REMOVE_AFTER, "socket.remove.after")                                                                  \
	X(HANDOVER_ASK_BEFORE, "handover.ask.before") /* the older daemon is asked to stop */                          \
	X(HANDOVER_ASK_AFTER, "handover.ask.after")   /* its answer has been read */                                   \
	X(ANSWER_WRITE_BEFORE, "answer.write.before") /* to a client, on either socket */                              \
	X(ANSWER_WRITE_AFTER, "answer.write.after")                                                                    \
	X(JOURNAL_LOCK_AFTER, "journal.lock.after")       /* the lock file names this process */                       \
	X(JOURNAL_FILE_AFTER, "journal.file.after")       /* an empty file */                                          \
	X(JOURNAL_WAL_AFTER, "journal.wal.after")         /* switched to WAL */                                        \
	X(JOURNAL_SCHEMA_BEFORE, "journal.schema.before") /* all tables in one transaction */                          \
	X(JOURNAL_SCHEMA_COMMIT, "journal.schema.commit")                                                              \
	X(JOURNAL_SCHEMA_AFTER, "journal.schema.after")                                                                \
	X(JOURNAL_BATCH_BEFORE, "journal.batch.before")   /* records wait, the transaction isn't begun */              \
	X(JOURNAL_INTENT_BEFORE, "journal.intent.before") /* in an open transaction; so are the next six */            \
	X(JOURNAL_ABORTED_BEFORE, "journal.aborted.before")                                                            \
	X(JOURNAL_CLOSE_BEFORE, "journal.close.before")                                                                \
	X(JOURNAL_ACCEPT_BEFORE, "journal.accept.before")                                                              \
	X(JOURNAL_JOB_END_BEFORE, "journal.job-end.before")                                                            \
	X(JOURNAL_RESOLVED_BEFORE, "journal.resolved.before")                                                          \
	X(JOURNAL_PRUNE_BEFORE, "journal.prune.before")                                                                \
	X(JOURNAL_COMMIT_BEFORE, "journal.commit.before")                                                              \
	X(JOURNAL_COMMIT_AFTER, "journal.commit.after") /* durable, and the loop hasn't heard of it */                 \
	X(JOURNAL_TOLD_BEFORE, "journal.told.before")   /* on the loop, before what waited for it goes on */           \
	X(JOURNAL_END_BEFORE, "journal.end.before")     /* the last checkpoint */                                      \
	X(JOURNAL_END_AFTER, "journal.end.after")                                                                      \
	X(QDRANT_APPLY_BEFORE, "qdrant.apply.before")                                                                  \
	X(QDRANT_REMOVE_BEFORE, "qdrant.remove.before")                                                                \
	X(QDRANT_APPLY_AFTER, "qdrant.apply.after")                                                                    \
	X(QDRANT_REMOVE_AFTER, "qdrant.remove.after")                                                                  \
	X(QDRANT_INIT_BEFORE, "qdrant.init.before") /* collection, indexes, mark: one request each */                  \
	X(QDRANT_INIT_AFTER, "qdrant.init.after")                                                                      \
	X(NEO4J_APPLY_BEFORE, "neo4j.apply.before")                                                                    \
	X(NEO4J_PUBLISH_BEFORE, "neo4j.publish.before")                                                                \
	X(NEO4J_REMOVE_BEFORE, "neo4j.remove.before")                                                                  \
	X(NEO4J_APPLY_AFTER, "neo4j.apply.after")                                                                      \
	X(NEO4J_PUBLISH_AFTER, "neo4j.publish.after")                                                                  \
	X(NEO4J_REMOVE_AFTER, "neo4j.remove.after")                                                                    \
	X(NEO4J_COLLECT_BEFORE, "neo4j.collect.before") /* entities that nothing mentions, old tombstones */           \
	X(NEO4J_COLLECT_AFTER, "neo4j.collect.after")                                                                  \
	X(NEO4J_INIT_BEFORE, "neo4j.init.before") /* constraints */                                                    \
	X(NEO4J_INIT_AFTER, "neo4j.init.after")                                                                        \
	X(HTTP_REQUEST_BEFORE, "http.request.before") /* connected; the first byte comes next */                       \
	X(HTTP_REQUEST_SENT, "http.request.sent")     /* curl had its turn with a request out */                       \
	X(REDIS_APPLY_BEFORE, "redis.apply.before")                                                                    \
	X(REDIS_PUBLISH_BEFORE, "redis.publish.before")                                                                \
	X(REDIS_REMOVE_BEFORE, "redis.remove.before")                                                                  \
	X(REDIS_APPLY_AFTER, "redis.apply.after")                                                                      \
	X(REDIS_PUBLISH_AFTER, "redis.publish.after")                                                                  \
	X(REDIS_REMOVE_AFTER, "redis.remove.after")                                                                    \
	X(REDIS_INIT_BEFORE, "redis.init.before") /* the probe of the rights */                                        \
	X(REDIS_INIT_AFTER, "redis.init.after")                                                                        \
	X(REDIS_REQUEST_SENT, "redis.request.sent")                 /* greetings count, too */                         \
	X(POSTGRES_CLAIM_LOOK_BEFORE, "postgres.claim-look.before") /* makes the owner's row when it is missing */     \
	X(POSTGRES_CLAIM_LOOK_SENT, "postgres.claim-look.sent")                                                        \
	X(POSTGRES_CLAIM_LOOK_AFTER, "postgres.claim-look.after")                                                      \
	X(POSTGRES_CLAIM_END_BEFORE, "postgres.claim-end.before") /* the older run's backends are ended */             \
	X(POSTGRES_CLAIM_END_SENT, "postgres.claim-end.sent")                                                          \
	X(POSTGRES_CLAIM_END_AFTER, "postgres.claim-end.after")                                                        \
	X(POSTGRES_CLAIM_BUMP_BEFORE, "postgres.claim-bump.before") /* the new epoch */                                \
	X(POSTGRES_CLAIM_BUMP_SENT, "postgres.claim-bump.sent")                                                        \
	X(POSTGRES_CLAIM_BUMP_AFTER, "postgres.claim-bump.after")                                                      \
	X(POSTGRES_PIVOT_BEFORE, "postgres.pivot.before")                                                              \
	X(POSTGRES_PIVOT_SENT, "postgres.pivot.sent")                                                                  \
	X(POSTGRES_PIVOT_AFTER, "postgres.pivot.after")                                                                \
	X(POSTGRES_SETTLE_END_BEFORE, "postgres.settle-end.before") /* the backend in doubt is ended */                \
	X(POSTGRES_SETTLE_END_SENT, "postgres.settle-end.sent")                                                        \
	X(POSTGRES_SETTLE_END_AFTER, "postgres.settle-end.after")                                                      \
	X(POSTGRES_SETTLE_BEFORE, "postgres.settle.before") /* outcomes looked up, `aborted` written */                \
	X(POSTGRES_SETTLE_SENT, "postgres.settle.sent")                                                                \
	X(POSTGRES_SETTLE_AFTER, "postgres.settle.after")                                                              \
	X(POSTGRES_PAY_BEFORE, "postgres.pay.before") /* paid debts are deleted */                                     \
	X(POSTGRES_PAY_SENT, "postgres.pay.sent")                                                                      \
	X(POSTGRES_PAY_AFTER, "postgres.pay.after")                                                                    \
	X(POSTGRES_PRUNE_BEFORE, "postgres.prune.before") /* old rows of the ledger */                                 \
	X(POSTGRES_PRUNE_SENT, "postgres.prune.sent")                                                                  \
	X(POSTGRES_PRUNE_AFTER, "postgres.prune.after")                                                                \
	X(POSTGRES_INIT_BEFORE, "postgres.init.before") /* extension, tables, index: one exchange each */              \
	X(POSTGRES_INIT_SENT, "postgres.init.sent")                                                                    \
	X(POSTGRES_INIT_AFTER, "postgres.init.after")

#define CRASH_POINT_ENUM(id, name) CRASH_##id,
enum crash_point { CRASH_POINTS(CRASH_POINT_ENUM) CRASH_POINT_COUNT };
#undef CRASH_POINT_ENUM

#ifdef SAGAD_CRASH_POINTS

#define CRASH_POINT(id)           crash_point_reach(CRASH_##id)
#define CRASH_POINT_IF(is, id)    ((is) ? crash_point_reach(CRASH_##id) : (void)0)
#define CRASH_POINT_OF(first, op) crash_point_reach((enum crash_point)((unsigned)CRASH_##first + (unsigned)(op)))

/* Counts a hit; at the chosen one the process is gone. Any thread. */
void crash_point_reach(enum crash_point point);

/* Chooses one: "name:hit", hits from 1. False: no such name, or no number. Before any other thread runs. */
bool crash_point_arm(const char *text);

const char *crash_point_name(enum crash_point point);
uint64_t crash_point_hits(enum crash_point point);

#else

#define CRASH_POINT(id)           ((void)CRASH_##id)
#define CRASH_POINT_IF(is, id)    ((void)CRASH_##id)
#define CRASH_POINT_OF(first, op) ((void)CRASH_##first)

#endif
#endif
