#include "http_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_TEXT_BYTES 64

/* Splits at the last colon; an IPv6 address stands in brackets, which are taken off. False: neither form. */
static bool split(struct str text, struct str *out_host, struct str *out_port)
{
	const char *colon;

	if (text.len > 0 && text.at[0] == '[') {
		const char *end = memchr(text.at, ']', text.len);

		if (end == NULL)
			return false;
		*out_host = (struct str){text.at + 1, (size_t)(end - text.at) - 1};
		*out_port = (struct str){end + 1, text.len - (size_t)(end - text.at) - 1};
	} else {
		colon = memchr(text.at, ':', text.len);
		*out_host = (struct str){text.at, colon != NULL ? (size_t)(colon - text.at) : text.len};
		*out_port = (struct str){text.at + out_host->len, text.len - out_host->len};
	}
	if (out_port->len == 0)
		return true;
	if (out_port->at[0] != ':')
		return false;
	*out_port = (struct str){out_port->at + 1, out_port->len - 1};
	return true;
}

static bool port_read(struct str text, uint16_t *out_port)
{
	unsigned long port = 0;

	if (text.len == 0 || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(text.at[i] - '0');
	}
	*out_port = (uint16_t)port;
	return port <= UINT16_MAX;
}

static bool host_read(struct str text, uint16_t port, struct http_address *out_address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out_address->addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out_address->addr;
	char host[HOST_TEXT_BYTES];

	if (text.len >= sizeof(host))
		return false;
	(void)snprintf(host, sizeof(host), "%.*s", STR_ARG(text)); /* fits */
	if (strcmp(host, "localhost") == 0)
		(void)snprintf(host, sizeof(host), "127.0.0.1"); /* fits */
	memset(&out_address->addr, 0, sizeof(out_address->addr));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		out_address->len = sizeof(*v4);
		out_address->is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		out_address->len = sizeof(*v6);
		out_address->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
		return true;
	}
	return false;
}

int http_address_parse(const char *text, struct http_address *out_address, struct err *err)
{
	struct http_address made = {.len = 0};
	struct str host, port_text;
	uint16_t port;

	if (!split(str_of(text), &host, &port_text) || !port_read(port_text, &port) || !host_read(host, port, &made))
		return err_set(err, -EINVAL,
			       "'%s' is no address to listen on: give a numeric one with its port, for example "
			       "127.0.0.1:7242 or [::1]:7242",
			       text);
	*out_address = made;
	return 0;
}

bool http_host_is_local(struct str host)
{
	struct http_address address;
	struct str name, port_text;
	uint16_t port = 0;

	if (host.at == NULL)
		return true;
	if (!split(host, &name, &port_text) || (port_text.len > 0 && !port_read(port_text, &port)))
		return false;
	/* An address is no name: whoever typed it means this machine by it. */
	return host_read(name, port, &address);
}
