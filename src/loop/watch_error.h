/* What is wrong with a watched socket. */
#ifndef SAGAD_LOOP_WATCH_ERROR_H
#define SAGAD_LOOP_WATCH_ERROR_H

/* The reason why a uv_poll_t's callback got this negative status, as a negative errno. libuv reports an error of the
 * socket as UV_EBADF whatever it is (1.44, src/unix/poll.c, uv__poll_io()): "bad file descriptor" where the peer reset
 * the connection. The socket knows better; asking takes the error off it. */
int watch_error(int fd, int status);

#endif
