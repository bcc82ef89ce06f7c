#include "watch_error.h"

#include <sys/socket.h>

int watch_error(int fd, int status)
{
	int fault = 0;
	socklen_t size = sizeof(fault);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &size) != 0 || fault == 0)
		return status;
	return -fault;
}
