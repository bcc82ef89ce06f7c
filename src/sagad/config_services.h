/* The HTTP services that sagas may use: the one value of the configuration that is a list of groups.
 *
 * As every value it has a form as text, "payments url=http://127.0.0.1:8080 connections=64; stock url=...", which
 * options hand in and which is shown; the file's groups are turned into it. Secrets stand in files of their own and are
 * not part of it. */
#ifndef SAGAD_SAGAD_CONFIG_SERVICES_H
#define SAGAD_SAGAD_CONFIG_SERVICES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/must.h"
#include "base/str.h"
#include "sagad/config_ids.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_SERVICES_MAX 26 /* with the stores, no more than a saga's engine has targets */

/* All texts are owned and never NULL; an empty one means "not given". */
struct config_service {
	char *name; /* letters, digits, '_', '-', '.'; no store's */
	char *url;
	char *ca_file;
	char *cert_file;
	char *key_file;
	char *tls_verify;     /* "full", "ca" or "none" */
	char *secret_file;    /* a file with the secret that is sent along; a relative name is a systemd credential */
	char *secret_header;  /* in this header; empty: Authorization, with "Bearer " before it */
	char *secret;         /* what the file held */
	uint64_t connections; /* 1..1024 */
	uint64_t connect_timeout_ms;
	uint64_t idle_ms;
	struct config_ids uids; /* who may use it, of those who may run sagas; none: all of them */
};

struct config_services {
	struct config_service *at; /* owned */
	uint32_t n;
};

/* Replaces `services` by what the text says. 0, -EINVAL (the text says what is wrong) or -ENOMEM, with `services` as
 * they were. */
int config_services_set(struct config_services *services, struct str text, struct err *err) WARN_UNUSED;

void config_services_append(const struct config_services *services, struct buf *out);

/* The service of that name; NULL: there is none. */
const struct config_service *config_services_find(const struct config_services *services, struct str name);

/* Is this a key of a service, and is its value a list of users? False in *out_is_users for all others. */
bool config_services_has_key(struct str name, bool *out_is_users);

/* The key that is most like this one; NULL when none is near. */
const char *config_services_nearest(struct str name);

/* Frees all; secrets are wiped. Takes zeroes. */
void config_services_fini(struct config_services *services);

#endif
