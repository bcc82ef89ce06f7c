/* How far a load is: one line that is drawn again on a terminal, a plain line now and then elsewhere. Standard error,
 * so that standard output stays the program's. */
#ifndef SAGAD_SAGACTL_PROGRESS_H
#define SAGAD_SAGACTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	uint64_t n_done; /* answered, failures included */
	uint64_t n_failed;
	uint64_t bytes_done;
	uint64_t bytes_total; /* 0: unknown (standard input) */
	bool is_silent;
	bool is_terminal;
	bool is_drawn; /* a bar stands on the screen */
	int64_t begun_ms;
	int64_t drawn_ms;
};

void progress_init(struct progress *progress, uint64_t bytes_total, bool is_silent);

/* Draws when it is time to. */
void progress_show(struct progress *progress);

/* Takes the bar away, so that other lines can be printed. */
void progress_clear(struct progress *progress);

double progress_seconds(const struct progress *progress);

int64_t progress_now_ms(void);

#endif
