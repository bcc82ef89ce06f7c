/* "127.0.0.1:7242", "[::1]:7242", "localhost:7242": where an HTTP server listens. Numbers only, beside localhost: a
 * name would have to be looked up, and may mean another machine tomorrow. */
#ifndef SAGAD_NET_HTTP_ADDRESS_H
#define SAGAD_NET_HTTP_ADDRESS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <sys/socket.h>

struct http_address {
	struct sockaddr_storage addr;
	socklen_t len;
	bool is_loopback; /* only this machine can reach it */
};

/* 0, or -EINVAL with a text that says what is expected. Port 0 is the kernel's choice. */
int http_address_parse(const char *text, struct http_address *out_address, struct err *err) WARN_UNUSED;

/* Does a request's Host header name this machine itself? A web page of somebody else's that has made its own name point
 * to 127.0.0.1 (DNS rebinding) sends that name here. An absent Host is fine: browsers always send one. */
bool http_host_is_local(struct str host);

#endif
