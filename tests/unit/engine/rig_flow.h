/* The rig's part for clients' own sagas: two targets and a journal that a restart finds again. Allocates nothing. */
#ifndef SAGAD_TESTS_UNIT_ENGINE_RIG_FLOW_H
#define SAGAD_TESTS_UNIT_ENGINE_RIG_FLOW_H

#include "engine/flows.h"
#include "port/journal.h"
#include "port/target.h"

#define RIG_TARGETS    2 /* postgresql with a barrier, and the service payments without */
#define RIG_FLOWS_MAX  3
#define RIG_FLOW_STEPS 8
#define RIG_TEXT_BYTES 256
#define RIG_SENT_BYTES 4096
#define RIG_SPEC_BYTES 8192

/* Parameters of saga.run, for rig_saga_submit(). */
#define PG(name, more)                                                                                                 \
	"{'name':'" name "','store':'postgresql','do':{'sql':'do " name "'},'undo':{'sql':'undo " name "'}" more "}"
#define PAY(name, more)                                                                                                \
	"{'name':'" name "','service':'payments','do':{'method':'POST','path':'/do/" name                              \
	"'},'undo':{'method':'POST','path':'/undo/" name "'}" more "}"
#define CHECK   ",'check':{'method':'GET','path':'/check'}"
#define SAGA(x) "{'steps':[" x "]}"
#define THREE   SAGA(PG("a", "") "," PG("b", "") "," PG("c", ""))

struct rig;

struct rig_target {
	struct target target;
	struct list out;
	bool is_held; /* answer nothing */
	/* What the next answers are: by kind, unless the body has `sick` in it. */
	enum verdict verdicts[3];
	const char *sick; /* NULL: none */
	enum verdict sick_verdict;
	uint64_t retry_after_ms;
	const char *result; /* of each do */
	uint32_t n_asked[3];
	uint32_t max_out; /* seen */
	uint64_t timeout_ns;
};

struct rig_flow_step {
	char state[24], result[RIG_TEXT_BYTES], error[RIG_TEXT_BYTES], reason[RIG_TEXT_BYTES];
	bool has_result, has_error, has_reason;
};

/* What is durable of a flow. */
struct rig_flow {
	bool is_used;
	struct uuid id;
	char state[24], code[48], reason[RIG_TEXT_BYTES], key[64], spec[RIG_SPEC_BYTES];
	bool has_key;
	uint8_t hash[32];
	uint32_t uid, n_records;
	int64_t began_unix_ms, deadline_unix_ms, ended_unix_ms;
	struct rig_flow_step steps[RIG_FLOW_STEPS];
};

struct rig_flows {
	struct rig_target targets[RIG_TARGETS];
	struct target *ports[RIG_TARGETS];
	uint32_t n_targets; /* the first so many are configured */
	struct flow_config config;
	struct list records, finds;
	bool is_journal_held;
	int journal_rc;
	struct rig_flow kept[RIG_FLOWS_MAX];
	uint32_t n_records;
	/* Every call as it is sent, " do:a undo:b check:c" */
	char sent[RIG_SENT_BYTES];
};

/* A saga with the answer it got. */
struct rig_saga {
	struct engine_flow flow;
	unsigned n_answers;
	enum code code;
	struct uuid id;
	enum flow_state state;
	enum code failure;
	bool is_stored;
	char error[ERR_TEXT_BYTES], failed_step[64];
	char steps[2048]; /* "a=done b=undone" */
	char results[512];
};

void rig_flow_init(struct rig_flows *flows);
int rig_flow_set_targets(struct rig *rig);
bool rig_flow_answer(struct rig *rig);

void rig_flow_journal(struct journal *journal, struct journal_flow_req *req);
void rig_flow_find(struct journal *journal, struct journal_flow_find_req *req);
int rig_flow_load(struct journal *journal, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
		  struct err *err);

/* Calls with this text in their body end so. */
void rig_sicken(struct rig_target *target, const char *body, enum verdict verdict);

/* Parses the parameters of saga.run (quotes may be written as ') and submits them. */
void rig_saga_submit(struct rig *rig, struct rig_saga *saga, const char *json);

/* ... and lets it go as far as it goes without time passing. */
void rig_saga_run(struct rig *rig, struct rig_saga *saga, const char *json);

/* saga.get or saga.cancel: into `saga`, code and all. */
void rig_saga_ask(struct rig *rig, struct rig_saga *saga, const struct uuid *id, bool is_cancel);

/* The process dies here: what isn't durable is lost. The next one starts. */
void rig_restart(struct rig *rig);

struct flow_stats rig_flow_stats(const struct rig *rig);

#endif
