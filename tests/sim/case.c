#include "case.h"

#include "base/must.h"
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(FAULT_KINDS <= 64, "sim_case.without has a bit for each kind");

struct sim_case case_of_seed(uint64_t seed, bool has_faults)
{
	return (struct sim_case){.seed = seed, .has_faults = has_faults};
}

static void *copy_array(const void *array, size_t n_bytes)
{
	void *copy = malloc(n_bytes + 1);

	MUST(copy != NULL);
	if (n_bytes > 0)
		memcpy(copy, array, n_bytes);
	return copy;
}

struct sim_case case_copy(const struct sim_case *original)
{
	struct sim_case copy = *original;

	copy.jobs = copy_array(original->jobs, original->n_jobs * sizeof(*copy.jobs));
	copy.strikes = copy_array(original->strikes, original->n_strikes * sizeof(*copy.strikes));
	return copy;
}

void case_fini(struct sim_case *at)
{
	free(at->jobs);
	free(at->strikes);
	at->jobs = NULL;
	at->strikes = NULL;
	at->n_jobs = at->n_strikes = 0;
}

bool case_has_job(const struct sim_case *at, uint32_t job)
{
	if (!at->has_jobs)
		return true;
	for (uint32_t i = 0; i < at->n_jobs; i++)
		if (at->jobs[i] == job)
			return true;
	return false;
}

bool case_has_strike(const struct sim_case *at, uint32_t fault, uint32_t draw)
{
	if (!at->has_strikes)
		return true;
	for (uint32_t i = 0; i < at->n_strikes; i++)
		if (at->strikes[i].fault == fault && at->strikes[i].draw == draw)
			return true;
	return false;
}

void case_note_job(const struct sim_case *at, uint32_t job)
{
	if (at->log != NULL && at->log->n_jobs < CASE_LOG_JOBS)
		at->log->jobs[at->log->n_jobs++] = job;
}

void case_note_strike(const struct sim_case *at, uint32_t fault, uint32_t draw)
{
	if (at->log != NULL && at->log->n_strikes < CASE_LOG_STRIKES)
		at->log->strikes[at->log->n_strikes++] = (struct strike){fault, draw};
}

/* ---- parsing ---- */

static void add_job(struct sim_case *at, uint32_t job)
{
	at->jobs = realloc(at->jobs, (at->n_jobs + 1) * sizeof(*at->jobs));
	MUST(at->jobs != NULL);
	at->jobs[at->n_jobs++] = job;
}

static void add_strike(struct sim_case *at, struct strike strike)
{
	at->strikes = realloc(at->strikes, (at->n_strikes + 1) * sizeof(*at->strikes));
	MUST(at->strikes != NULL);
	at->strikes[at->n_strikes++] = strike;
}

/* A number at *text, which moves behind it; false: there is none. */
static bool take_number(const char **text, uint32_t *out_number)
{
	char *end;
	unsigned long number;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	number = strtoul(*text, &end, 10);
	if (errno != 0 || number > 100000000)
		return false;
	*text = end;
	*out_number = (uint32_t)number;
	return true;
}

/* At the end of an element: moves behind the comma. */
static bool take_end(const char **text)
{
	if (**text != ',')
		return **text == '\0';
	(*text)++;
	return **text != '\0';
}

static int refuse(const char *bad, const char **out_bad)
{
	*out_bad = bad;
	return -EINVAL;
}

int case_parse_jobs(struct sim_case *at, const char *text, const char **out_bad)
{
	at->has_jobs = true;
	if (strcmp(text, "none") == 0)
		return 0;
	do {
		const char *begin = text;
		uint32_t first, last;

		if (!take_number(&text, &first))
			return refuse(begin, out_bad);
		last = first;
		if (*text == '-' && (text++, !take_number(&text, &last)))
			return refuse(begin, out_bad);
		if (first > last || last - first > 100000)
			return refuse(begin, out_bad);
		for (uint32_t job = first; job <= last; job++)
			add_job(at, job);
		if (!take_end(&text))
			return refuse(begin, out_bad);
	} while (*text != '\0');
	return 0;
}

/* The name of a kind at *text, which moves behind it. */
static bool take_fault(const char **text, uint32_t *out_fault)
{
	size_t len = strcspn(*text, ",:");

	for (uint32_t i = 0; i < FAULT_KINDS; i++) {
		const char *name = fault_name((enum fault)i);

		if (strlen(name) != len || memcmp(name, *text, len) != 0)
			continue;
		*text += len;
		*out_fault = i;
		return true;
	}
	return false;
}

int case_parse_strikes(struct sim_case *at, const char *text, const char **out_bad)
{
	at->has_strikes = true;
	if (strcmp(text, "none") == 0)
		return 0;
	do {
		const char *begin = text;
		struct strike strike;

		if (!take_fault(&text, &strike.fault) || *text++ != ':' || !take_number(&text, &strike.draw) ||
		    !take_end(&text))
			return refuse(begin, out_bad);
		add_strike(at, strike);
	} while (*text != '\0');
	return 0;
}

int case_parse_without(struct sim_case *at, const char *text, const char **out_bad)
{
	do {
		const char *begin = text;
		uint32_t fault;

		if (!take_fault(&text, &fault) || !take_end(&text))
			return refuse(begin, out_bad);
		at->without |= (uint64_t)1 << fault;
	} while (*text != '\0');
	return 0;
}

/* ---- printing ---- */

static void print_jobs(const struct sim_case *at, struct buf *out)
{
	if (at->n_jobs == 0)
		buf_append_text(out, "none");
	for (uint32_t i = 0; i < at->n_jobs; i++)
		buf_append_format(out, "%s%" PRIu32, i > 0 ? "," : "", at->jobs[i]);
}

static void print_strikes(const struct sim_case *at, struct buf *out)
{
	if (at->n_strikes == 0)
		buf_append_text(out, "none");
	for (uint32_t i = 0; i < at->n_strikes; i++)
		buf_append_format(out, "%s%s:%" PRIu32, i > 0 ? "," : "", fault_name((enum fault)at->strikes[i].fault),
				  at->strikes[i].draw);
}

static void print_without(const struct sim_case *at, struct buf *out)
{
	const char *before = "";

	for (uint32_t i = 0; i < FAULT_KINDS; i++) {
		if ((at->without & (uint64_t)1 << i) == 0)
			continue;
		buf_append_format(out, "%s%s", before, fault_name((enum fault)i));
		before = ",";
	}
}

void case_print(const struct sim_case *at, struct buf *out)
{
	buf_append_format(out, "tools/sim --seed %" PRIu64, at->seed);
	if (!at->has_faults)
		buf_append_text(out, " --no-faults");
	if (at->has_jobs) {
		buf_append_text(out, " --only-jobs ");
		print_jobs(at, out);
	}
	if (at->has_strikes) {
		buf_append_text(out, " --only-strikes ");
		print_strikes(at, out);
	}
	if (at->shuffle != 0)
		buf_append_format(out, " --shuffle %" PRIu64, at->shuffle);
	if (at->without != 0) {
		buf_append_text(out, " --without ");
		print_without(at, out);
	}
}
