/* A journal's file in a folder of its own, for one test. */
#ifndef SAGAD_TESTS_UNIT_JOURNAL_FIXTURE_H
#define SAGAD_TESTS_UNIT_JOURNAL_FIXTURE_H

#include "journal/journal.h"

struct fixture {
	char folder[64];
	char path[96]; /* of the file, which fixture_open() makes */
	uv_loop_t loop;
	struct journal *journal;
	struct journal_options options;
	bool is_closed;
};

/* For cmocka_unit_test_setup_teardown(): *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens the journal, which must succeed. */
void fixture_open(struct fixture *fix);

/* Closes it, and runs the loop until it is closed. */
void fixture_close(struct fixture *fix);

/* What close() calls; `fix` is a struct fixture. */
void fixture_on_closed(void *fix);

/* Writes one record and waits for it: its rc. */
int fixture_record(struct fixture *fix, struct journal_req req);

/* Removes PATH + END, when it is there. */
void fixture_remove(const char *path, const char *end);

/* Removes the journal's file and all that lies beside it. */
void fixture_remove_files(const struct fixture *fix);

/* Into the file with the journal closed, by another connection. */
void fixture_run_sql(const char *path, const char *sql);
int64_t fixture_read_number(const char *path, const char *sql);

/* An id that is greater for a greater number. */
struct uuid fixture_saga(uint64_t number);

#endif
