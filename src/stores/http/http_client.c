/* The client's beginning and end. */
#include "http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- beginning ---- */

/* A line break in a configured text would become a header of its own. */
static bool http_text_is_clean(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static bool http_host_is_clean(const char *host)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";

	return host[0] != '\0' && strlen(host) <= 255 && strspn(host, allowed) == strlen(host);
}

static int http_config_check(const struct http_config *config, struct err *err)
{
	if (config->host == NULL || !http_host_is_clean(config->host))
		return err_set(err, -EINVAL, "%s: the host \"%.80s\" is neither a name nor an address", config->store,
			       config->host != NULL ? config->host : "");
	if (config->port == 0)
		return err_set(err, -EINVAL, "%s: the port must be 1 to 65535", config->store);
	if (!http_text_is_clean(config->user) || !http_text_is_clean(config->password) ||
	    !http_text_is_clean(config->header))
		return err_set(err, -EINVAL,
			       "%s: user, password or key has a control character (a line break?); take it out",
			       config->store);
	if (config->user != NULL && strchr(config->user, ':') != NULL)
		return err_set(err, -EINVAL, "%s: the user's name has a colon, which HTTP can't carry", config->store);
	return 0;
}

enum http_verify http_verify_of(const char *word)
{
	if (word == NULL || strcmp(word, "full") == 0)
		return HTTP_VERIFY_FULL;
	return strcmp(word, "ca") == 0 ? HTTP_VERIFY_CA : HTTP_VERIFY_NONE;
}

static int http_copy_text(const char **text)
{
	if (*text == NULL)
		return 0;
	*text = strdup(*text);
	return *text != NULL ? 0 : -ENOMEM;
}

/* All are tried, so that each pointer is the client's own or NULL afterwards. */
static int http_config_copy(struct http_config *config)
{
	int rc = http_copy_text(&config->host);

	rc = http_copy_text(&config->ca_file) != 0 ? -ENOMEM : rc;
	rc = http_copy_text(&config->cert_file) != 0 ? -ENOMEM : rc;
	rc = http_copy_text(&config->key_file) != 0 ? -ENOMEM : rc;
	rc = http_copy_text(&config->user) != 0 ? -ENOMEM : rc;
	rc = http_copy_text(&config->password) != 0 ? -ENOMEM : rc;
	return http_copy_text(&config->header) != 0 ? -ENOMEM : rc;
}

static void http_config_free(const struct http_config *config)
{
	free((void *)(uintptr_t)config->host);
	free((void *)(uintptr_t)config->ca_file);
	free((void *)(uintptr_t)config->cert_file);
	free((void *)(uintptr_t)config->key_file);
	free((void *)(uintptr_t)config->user);
	free((void *)(uintptr_t)config->password);
	free((void *)(uintptr_t)config->header);
}

static int http_add_header(struct http_client *client, const char *line)
{
	struct curl_slist *grown = curl_slist_append(client->headers, line);

	if (grown == NULL)
		return -ENOMEM;
	client->headers = grown;
	return 0;
}

/* An empty Expect keeps curl from waiting up to a second for a "100 Continue" before a long body. */
static int http_add_headers(struct http_client *client)
{
	if (http_add_header(client, "Content-Type: application/json") != 0 ||
	    http_add_header(client, "Accept: application/json") != 0 || http_add_header(client, "Expect:") != 0)
		return -ENOMEM;
	return client->config.header != NULL ? http_add_header(client, client->config.header) : 0;
}

/* curl keeps a pointer to a request's headers, not a copy: those of requests that are out live as long as the client.
 */
static int http_headers_retire(struct http_client *client)
{
	size_t n_bytes = (client->n_old_headers + 1) * sizeof(*client->old_headers);
	struct curl_slist **grown = realloc((void *)client->old_headers, n_bytes);

	if (grown == NULL)
		return -ENOMEM;
	client->old_headers = grown;
	grown[client->n_old_headers++] = client->headers;
	client->headers = NULL;
	return 0;
}

static int http_renew_text(const char **own, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return -ENOMEM;
	if (*own != NULL)
		explicit_bzero((void *)(uintptr_t)*own, strlen(*own));
	free((void *)(uintptr_t)*own);
	*own = copy;
	return 0;
}

int http_client_renew(struct http_client *client, const char *password, const char *header)
{
	int rc = 0;

	if (!http_text_is_clean(password) || !http_text_is_clean(header))
		return -EINVAL;
	if (password != NULL && client->config.user == NULL)
		return -ENOTSUP; /* the first password brings the user along */
	if (password != NULL)
		rc = http_renew_text(&client->config.password, password);
	if (rc == 0 && header != NULL)
		rc = http_renew_text(&client->config.header, header);
	if (rc == 0 && header != NULL)
		rc = http_headers_retire(client);
	if (rc == 0 && header != NULL)
		rc = http_add_headers(client);
	return rc;
}

static void http_client_init_address(struct http_client *client)
{
	const char *host = client->config.host;
	bool is_v6 = strchr(host, ':') != NULL;
	unsigned char address[sizeof(struct in6_addr)];

	client->is_numeric = inet_pton(is_v6 ? AF_INET6 : AF_INET, host, address) == 1;
	if (client->is_numeric)
		(void)snprintf(client->address, sizeof(client->address), "%s", host);
	(void)snprintf(client->endpoint, sizeof(client->endpoint), "%s%s%s:%u", is_v6 ? "[" : "", host,
		       is_v6 ? "]" : "", client->config.port);
}

static void http_client_free(struct http_client *client)
{
	curl_slist_free_all(client->headers);
	for (size_t i = 0; i < client->n_old_headers; i++)
		curl_slist_free_all(client->old_headers[i]);
	free((void *)client->old_headers);
	http_config_free(&client->config);
	free(client);
	curl_global_cleanup();
}

static void http_client_init_loop(struct http_client *client, uv_loop_t *loop)
{
	client->loop = loop;
	/* uv_timer_init() always succeeds. */
	(void)uv_timer_init(loop, &client->curl_timer);
	(void)uv_timer_init(loop, &client->soon_timer);
	(void)uv_timer_init(loop, &client->resolve_timer);
	client->n_handles = 3;
	list_init(&client->waiting);
	list_init(&client->sent);
	list_init(&client->finished);
	http_socket_attach(client);
	(void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->config.max_idle);
}

int http_client_create(uv_loop_t *loop, const struct http_config *config, struct log *log,
		       struct http_client **out_client, struct err *err)
{
	struct http_client *client;
	int rc = http_config_check(config, err);

	if (rc != 0)
		return rc;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, -ENOMEM, "%s: libcurl can't start", config->store);
	client = calloc(1, sizeof(*client));
	if (client == NULL) {
		curl_global_cleanup();
		return err_set(err, -ENOMEM, "%s: no memory", config->store);
	}
	client->config = *config;
	client->log = log;
	if (http_config_copy(&client->config) != 0 || http_add_headers(client) != 0 ||
	    (client->multi = curl_multi_init()) == NULL) {
		http_client_free(client);
		return err_set(err, -ENOMEM, "%s: no memory", config->store);
	}
	http_client_init_address(client);
	http_client_init_loop(client, loop);
	*out_client = client;
	return 0;
}

uint32_t http_client_connections(const struct http_client *client)
{
	return client->n_connections;
}

const char *http_client_endpoint(const struct http_client *client)
{
	return client->endpoint;
}

/* ---- end ---- */

void http_client_handle_closed(struct http_client *client)
{
	void (*closed)(void *arg) = client->closed;
	void *arg = client->closed_arg;

	client->n_handles--;
	if (client->n_handles > 0 || !client->is_closing)
		return;
	http_client_free(client);
	closed(arg);
}

static void http_timer_closed(uv_handle_t *handle)
{
	http_client_handle_closed(handle->data);
}

static void http_timer_close(struct http_client *client, uv_timer_t *timer)
{
	timer->data = client;
	uv_close((uv_handle_t *)timer, http_timer_closed);
}

/* A turn of the loop after http_client_close(): nobody's callback is on the stack. */
static void http_client_end(uv_timer_t *timer)
{
	struct http_client *client = container_of(timer, struct http_client, soon_timer);

	http_client_abandon(client);
	http_client_report_finished(client);
	(void)curl_multi_cleanup(client->multi); /* no transfer is left in it; closes the kept connections */
	resolve_cancel(&client->resolve);
	http_timer_close(client, &client->curl_timer);
	http_timer_close(client, &client->resolve_timer);
	http_timer_close(client, &client->soon_timer);
}

void http_client_close(struct http_client *client, void (*closed)(void *arg), void *arg)
{
	if (client == NULL) {
		closed(arg);
		return;
	}
	MUST(!client->is_closing);
	client->is_closing = true;
	client->closed = closed;
	client->closed_arg = arg;
	(void)uv_timer_start(&client->soon_timer, http_client_end, 0, 0); /* the handle is open */
}
