/* The params of saga.list, saga.get, saga.retry and saga.resolve. Private to src/proto/. */
#ifndef SAGAD_PROTO_WORK_READ_H
#define SAGAD_PROTO_WORK_READ_H

#include "proto/reader.h"
#include "proto/work.h"

/* Texts are the reader's. `params` may be NULL. */
int work_read_list(struct reader *reader, yyjson_val *params, struct work_filter *out_filter) WARN_UNUSED;
/* `method` is saga.get or saga.cancel, for messages. */
int work_read_get(struct reader *reader, yyjson_val *params, const char *method,
		  struct work_filter *out_filter) WARN_UNUSED;
int work_read_retry(struct reader *reader, yyjson_val *params, struct work_order *out_order) WARN_UNUSED;
int work_read_resolve(struct reader *reader, yyjson_val *params, struct work_order *out_order) WARN_UNUSED;

#endif
