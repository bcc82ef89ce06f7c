/* The documents of the workload: small, made from a number, and recognisable by the fakes.
 *
 * Document `n` is "doc-n". Its content is made from `number` alone, so that a repeated job is byte for byte the same.
 * What a fake must know of it stands in its title: which store refuses it, and how. */
#ifndef SAGAD_SIM_CONTENT_H
#define SAGAD_SIM_CONTENT_H

#include "base/buf.h"
#include "base/uuid.h"
#include "proto/document.h"

#include <stdbool.h>
#include <stdint.h>

#define DOCS_MAX     16
#define SIM_STORES   3
#define ENTITIES_MAX 6          /* few, so that documents share them */
#define SIM_TRUTH    SIM_STORES /* PostgreSQL, where a store's number is asked for */

enum poison { POISON_NONE, POISON_ALONE, POISON_BATCH, POISON_KILLS };

struct poison_mark {
	enum poison kind;
	uint32_t store; /* 0..SIM_STORES */
};

/* Options that go into a job's JSON. */
struct content_options {
	const char *key; /* NULL: none */
	bool has_if_version;
	struct uuid if_version;
	bool if_absent;
	bool write_unchanged;
	uint64_t deadline_ms; /* 0: none */
	bool is_accepted;
};

/* Appends the params of document.put (is_delete: of document.delete). */
void content_write(struct buf *out, uint32_t doc, uint32_t number, struct poison_mark mark, bool is_delete,
		   const struct content_options *options);

/* 0..DOCS_MAX-1 for "doc-n"; aborts for another text: the engine made it up. */
uint32_t content_doc(struct str document_id);

/* What the title says. */
struct poison_mark content_mark(const struct document *document);

/* Bit i: the document mentions entity i; ... and gives it properties. */
void content_entities(const struct document *document, uint32_t *out_entities, uint32_t *out_properties);

/* Does one of its entities carry properties? The graph must then be published. */
bool content_has_properties(const struct document *document);

#endif
