/* libcurl's URL parser does the work; here is only what is special to Redis. */
#include "stores/redis/redis_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT  6379
#define MAX_DB        65535
#define SOCKET_SCHEME "unix://"
#define NO_HOST       "unix.socket"

static int url_fail(struct err *err, const char *what)
{
	return err_set(err, -EINVAL,
		       "redis URL: %s; write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or unix:///PATH[?db=N]",
		       what);
}

/* Copies one part; a part that isn't there is "". */
static int take_part(CURLU *parsed, CURLUPart part, unsigned flags, char *out_text, size_t size_bytes)
{
	char *text = NULL;
	CURLUcode rc = curl_url_get(parsed, part, &text, flags);
	bool fits = rc == CURLUE_OK && strlen(text) < size_bytes;

	if (fits)
		strcpy(out_text, text);
	curl_free(text);
	if (fits || rc == CURLUE_NO_USER || rc == CURLUE_NO_PASSWORD || rc == CURLUE_NO_HOST || rc == CURLUE_NO_PORT ||
	    rc == CURLUE_NO_QUERY || rc == CURLUE_NO_FRAGMENT)
		return 0;
	return -EINVAL;
}

static int parse_number(const char *text, uint32_t max, uint32_t *out_number)
{
	char *end;
	unsigned long number;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || number > max)
		return -EINVAL;
	*out_number = (uint32_t)number;
	return 0;
}

static int take_network(CURLU *parsed, struct redis_url *url, struct err *err)
{
	char text[REDIS_URL_TEXT_BYTES] = "";
	uint32_t port = DEFAULT_PORT;
	size_t len;

	if (take_part(parsed, CURLUPART_HOST, 0, url->host, sizeof(url->host)) != 0 || url->host[0] == '\0')
		return url_fail(err, "it names no host, or one of more than 255 bytes");
	len = strlen(url->host);
	if (url->host[0] == '[' && url->host[len - 1] == ']') { /* an IPv6 address */
		memmove(url->host, url->host + 1, len - 2);
		url->host[len - 2] = '\0';
	}
	if (take_part(parsed, CURLUPART_PORT, 0, text, sizeof(text)) != 0 ||
	    (text[0] != '\0' && parse_number(text, 65535, &port) != 0) || port == 0)
		return url_fail(err, "its port is no number from 1 to 65535");
	url->port = (uint16_t)port;
	text[0] = '\0';
	if (take_part(parsed, CURLUPART_PATH, 0, text, sizeof(text)) != 0)
		return url_fail(err, "what follows the host is too long");
	if (strcmp(text, "") != 0 && strcmp(text, "/") != 0 && parse_number(text + 1, MAX_DB, &url->db) != 0)
		return url_fail(err, "what follows the host is no database number from 0 to 65535");
	return 0;
}

static int take_socket(CURLU *parsed, struct redis_url *url, struct err *err)
{
	char host[REDIS_URL_TEXT_BYTES] = "";

	if (take_part(parsed, CURLUPART_HOST, 0, host, sizeof(host)) != 0 || strcmp(host, NO_HOST) != 0)
		return url_fail(err, "a Unix socket has no host: write three slashes before its path");
	if (take_part(parsed, CURLUPART_PATH, CURLU_URLDECODE, url->path, sizeof(url->path)) != 0)
		return url_fail(err, "the path of its Unix socket has more than 107 bytes, or a bad escape");
	return url->path[1] != '\0' ? 0 : url_fail(err, "it names no Unix socket");
}

/* ?db=N, which redis-py and others understand; anything else might be meant to matter, so it is refused. */
static int take_query(CURLU *parsed, struct redis_url *url, struct err *err)
{
	char text[REDIS_URL_TEXT_BYTES] = "";

	if (take_part(parsed, CURLUPART_QUERY, 0, text, sizeof(text)) != 0)
		return url_fail(err, "what follows the '?' is too long");
	if (text[0] == '\0')
		return 0;
	if (strncmp(text, "db=", 3) != 0 || parse_number(text + 3, MAX_DB, &url->db) != 0)
		return url_fail(err, "after the '?' only db=N is understood");
	return 0;
}

static int take_all(CURLU *parsed, struct redis_url *url, struct err *err)
{
	char scheme[REDIS_URL_TEXT_BYTES] = "";
	bool is_socket;
	int rc;

	if (take_part(parsed, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) != 0)
		return url_fail(err, "it names no scheme");
	is_socket = strcmp(scheme, "unix") == 0;
	url->is_tls = strcmp(scheme, "rediss") == 0;
	if (!is_socket && !url->is_tls && strcmp(scheme, "redis") != 0)
		return url_fail(err, "its scheme is none of redis, rediss, unix");
	if (take_part(parsed, CURLUPART_USER, CURLU_URLDECODE, url->user, sizeof(url->user)) != 0)
		return url_fail(err, "its user has more than 255 bytes, or a bad escape");
	if (take_part(parsed, CURLUPART_PASSWORD, CURLU_URLDECODE, url->password, sizeof(url->password)) != 0)
		return url_fail(err, "its password has more than 1023 bytes, or a bad escape");
	if (url->user[0] != '\0' && url->password[0] == '\0')
		return url_fail(err, "it names a user and no password");
	rc = is_socket ? take_socket(parsed, url, err) : take_network(parsed, url, err);
	return rc == 0 ? take_query(parsed, url, err) : rc;
}

/* libcurl reads "unix:///run/x" as the host "run", as it does "http:///host": give it a host to read. From malloc. */
static char *with_host(const char *url)
{
	const char *authority, *path;
	char *made = NULL;

	if (strncmp(url, SOCKET_SCHEME, strlen(SOCKET_SCHEME)) != 0)
		return strdup(url);
	authority = url + strlen(SOCKET_SCHEME);
	path = authority + strcspn(authority, "/?#");
	if (path != authority && path[-1] != '@')
		return strdup(url); /* it names a host: take_socket() refuses that */
	if (asprintf(&made, "%.*s" NO_HOST "%s", (int)(path - url), url, path) < 0)
		return NULL;
	return made;
}

int redis_url_parse(const char *url, struct redis_url *out_url, struct err *err)
{
	struct redis_url made = {.port = DEFAULT_PORT};
	CURLU *parsed = curl_url();
	char *text = with_host(url);
	int rc;

	if (parsed == NULL || text == NULL)
		rc = err_set(err, -ENOMEM, "redis URL: out of memory");
	else if (curl_url_set(parsed, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		rc = url_fail(err, "it can't be read as a URL");
	else
		rc = take_all(parsed, &made, err);
	curl_url_cleanup(parsed);
	free(text);
	if (rc == 0)
		*out_url = made;
	return rc;
}
