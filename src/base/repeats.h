/* Repeats in the log: of lines that say the same of the same store, the first ones of a while are written, the others
 * counted, and one line tells how many they were. So a store that is down for an hour can't fill a disk, and nothing is
 * dropped without a word.
 *
 * Lines are the same when kind and level, `code` and `store` are; plain lines, when their format is. Those below info,
 * and successes that were asked for, are never counted instead of written. Time comes in as an argument. */
#ifndef SAGAD_BASE_REPEATS_H
#define SAGAD_BASE_REPEATS_H

#include "log.h"

#include <stdint.h>

#define REPEATS_WINDOW_S 10
#define REPEATS_ROWS     64
#define REPEATS_BYTES    96 /* of what is kept of a text */

struct repeats_row {
	uint64_t hash; /* 0: free */
	uint64_t begun_ns;
	uint32_t n_written;
	uint32_t n_held;
	enum log_level level;
	char text[REPEATS_BYTES]; /* of the first line */
	char code[32];
	char store[32];
};

/* All zeroes: everything is written. */
struct repeats {
	uint32_t max_written; /* of one sort in a window; 0: all */
	struct repeats_row rows[REPEATS_ROWS];
	/* Takes the line that tells of what was counted; borrowed for the call. May be called from all that follow. */
	void (*tell)(struct repeats *repeats, const struct log_event *event);
};

/* True: write this line. False: it was counted. Tells of the windows that have ended before. */
bool repeats_pass(struct repeats *repeats, const struct log_event *event, uint64_t now_ns);

/* Tells of windows that have ended; for times in which no line comes. */
void repeats_tick(struct repeats *repeats, uint64_t now_ns);

/* Tells of everything that was counted: the program ends, or counts otherwise from now on. */
void repeats_flush(struct repeats *repeats);

#endif
