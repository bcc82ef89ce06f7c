/* The moment at which the engine is called. The daemon reads it from the system, the simulator makes it up. */
#ifndef SAGAD_PORT_CLOCK_H
#define SAGAD_PORT_CLOCK_H

#include <stdint.h>

struct moment {
	uint64_t mono_ns; /* since any start, never goes back: for deadlines and waits */
	int64_t unix_ms;  /* the wall's clock, may jump: for ids and for people */
};

#define NS_PER_MS 1000000u
#define NEVER_NS  UINT64_MAX

#endif
