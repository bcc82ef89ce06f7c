/* How much a socket has received. In a file of its own: the kernel's header that tells can't stand beside libc's. */
#ifndef SAGAD_STORES_POSTGRES_PG_RECEIVED_H
#define SAGAD_STORES_POSTGRES_PG_RECEIVED_H

#include <stdint.h>

/* Bytes since the connection was made; 0 for a Unix socket, of which nobody keeps count. */
uint64_t pg_received_bytes(int fd);

#endif
