/* libsagad against a daemon that lies: any line is an answer or -EPROTO, and every question about an answer is answered
 * with a text that ends. */
#include "feed.h"

#include "client/reply.h"

#include <errno.h>

static void check_reply(const struct sagad_reply *reply)
{
	(void)sagad_reply_id(reply); /* any number will do; so will the next three */
	(void)sagad_reply_is_retriable(reply);
	(void)sagad_reply_retry_after_ms(reply);
	(void)sagad_reply_number(reply, "chunks", 7);
	MUST(sagad_reply_json(reply) != NULL && sagad_reply_line(reply) != NULL);
	MUST(sagad_reply_code(reply) != NULL && sagad_reply_message(reply) != NULL);
	if (!sagad_reply_is_error(reply))
		MUST(sagad_reply_code(reply)[0] == '\0' && sagad_reply_message(reply)[0] == '\0');
	if (sagad_reply_text(reply, "outcome") != NULL)
		MUST(strstr(sagad_reply_json(reply), "outcome") != NULL ||
		     strchr(sagad_reply_json(reply), '\\') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	struct sagad_reply *reply;
	size_t len;
	char *line = feed_rest(&feed, &len);
	int rc = client_reply_parse(line + 1, len, &reply);

	MUST(rc == 0 || rc == -EPROTO);
	if (rc == 0) {
		check_reply(reply);
		sagad_reply_free(reply);
	}
	free(line);
	return 0;
}
