#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <yyjson.h>

struct percentile {
	const char *name;
	double q;
};

static const struct percentile percentiles[] = {
	{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1},
};

static double report_ms(struct load_result *result, double q)
{
	return (double)samples_quantile(&result->all, q) / 1e6;
}

static double report_rate(const struct load_result *result, double n)
{
	return result->seconds > 0 ? n / result->seconds : 0;
}

/* Nothing is lost silently when standard output is a full disk or a closed pipe. */
static int report_flush(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : -EIO;
}

int report_print(struct load_result *result, const struct plan_sums *sums)
{
	printf("%-12s %10zu in %.1f s: %.0f a second, %.1f MB/s of requests\n", "answered", result->all.n,
	       result->seconds, report_rate(result, (double)result->all.n),
	       report_rate(result, (double)result->n_bytes / 1e6));
	for (unsigned i = 0; i < OP_KINDS; i++)
		if (result->n_ok[i] > 0)
			printf("  %-10s %10" PRIu64 "\n", op_kind_name(i), result->n_ok[i]);
	if (result->n_unchanged > 0)
		printf("  %-10s %10" PRIu64 "\n", "unchanged", result->n_unchanged);
	if (result->n_owed > 0)
		printf("  %-10s %10" PRIu64 "\n", "owed", result->n_owed);
	printf("%-12s", "latency ms");
	for (unsigned i = 0; i < ARRAY_LEN(percentiles); i++)
		printf("  %s %.2f", percentiles[i].name, report_ms(result, percentiles[i].q));
	printf("\n%-12s %10" PRIu64 "\n", "failed", result->n_failed);
	for (uint32_t i = 0; i < result->n_codes; i++)
		printf("  %-20s %10" PRIu64 "\n", result->codes[i].name, result->codes[i].n);
	if (result->n_unknown > 0)
		printf("%-12s %10" PRIu64 " (no answer came)\n", "unknown", result->n_unknown);
	if (result->n_late_starts > 0)
		printf("%-12s %10" PRIu64 " (every connection was full: more --clients or --depth)\n", "late starts",
		       result->n_late_starts);
	if (result->n_ok[OP_SAGA] == 0)
		printf("%-12s %10" PRIu64 " documents, %" PRIu64 " chunks, %" PRIu64 " mentions, %" PRIu64
		       " relationships\n",
		       "to be found", sums->documents, sums->chunks, sums->mentions, sums->relationships);
	return report_flush();
}

/* ---- for programs ---- */

static void report_add_sums(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct plan_sums *sums)
{
	yyjson_mut_val *expected = yyjson_mut_obj_add_obj(doc, root, "expected");

	(void)yyjson_mut_obj_add_uint(doc, expected, "documents", sums->documents);
	(void)yyjson_mut_obj_add_uint(doc, expected, "chunks", sums->chunks);
	(void)yyjson_mut_obj_add_uint(doc, expected, "mentions", sums->mentions);
	(void)yyjson_mut_obj_add_uint(doc, expected, "relationships", sums->relationships);
}

static void report_add_counts(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct load_result *result)
{
	yyjson_mut_val *codes;

	for (unsigned i = 0; i < OP_KINDS; i++)
		(void)yyjson_mut_obj_add_uint(doc, root, op_kind_name(i), result->n_ok[i]);
	(void)yyjson_mut_obj_add_uint(doc, root, "unchanged", result->n_unchanged);
	(void)yyjson_mut_obj_add_uint(doc, root, "owed", result->n_owed);
	(void)yyjson_mut_obj_add_uint(doc, root, "failed", result->n_failed);
	(void)yyjson_mut_obj_add_uint(doc, root, "unknown", result->n_unknown);
	(void)yyjson_mut_obj_add_uint(doc, root, "late_starts", result->n_late_starts);
	codes = yyjson_mut_obj_add_obj(doc, root, "codes");
	for (uint32_t i = 0; i < result->n_codes; i++)
		(void)yyjson_mut_obj_add_uint(doc, codes, result->codes[i].name, result->codes[i].n);
}

static void report_add_latency(yyjson_mut_doc *doc, yyjson_mut_val *root, struct load_result *result)
{
	yyjson_mut_val *latency = yyjson_mut_obj_add_obj(doc, root, "latency_ms");

	for (unsigned i = 0; i < ARRAY_LEN(percentiles); i++)
		(void)yyjson_mut_obj_add_real(doc, latency, percentiles[i].name, report_ms(result, percentiles[i].q));
}

/* Adding fails only without memory, and the document is not whole then: writing it fails as well, or its reader finds
 * the field missing. */
int report_print_json(struct load_result *result, const struct plan_sums *sums)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = doc != NULL ? yyjson_mut_obj(doc) : NULL;
	int rc = -ENOMEM;

	if (root != NULL) {
		yyjson_mut_doc_set_root(doc, root);
		(void)yyjson_mut_obj_add_real(doc, root, "seconds", result->seconds);
		(void)yyjson_mut_obj_add_uint(doc, root, "answered", result->all.n);
		(void)yyjson_mut_obj_add_real(doc, root, "per_second", report_rate(result, (double)result->all.n));
		(void)yyjson_mut_obj_add_real(doc, root, "request_bytes_per_second",
					      report_rate(result, (double)result->n_bytes));
		report_add_latency(doc, root, result);
		report_add_counts(doc, root, result);
		report_add_sums(doc, root, sums);
		rc = yyjson_mut_write_fp(stdout, doc, 0, NULL, NULL) && fputc('\n', stdout) != EOF ? report_flush()
												   : -EIO;
	}
	yyjson_mut_doc_free(doc);
	return rc;
}
