#include "histogram.h"

#include "must.h"

static const uint64_t decade_of[HISTOGRAM_DECADES + 1] = {1, 10, 100, 1000, 10000, 100000, 1000000};

void histogram_init(struct histogram *histogram, uint64_t least)
{
	MUST(least > 0);
	*histogram = (struct histogram){.least = least};
}

uint64_t histogram_bound(const struct histogram *histogram, unsigned i)
{
	MUST(i < HISTOGRAM_BOUNDS);
	return histogram->least * (1 + i % 9) * decade_of[i / 9];
}

bool histogram_bound_is_coarse(unsigned i)
{
	unsigned digit = 1 + i % 9;

	return digit == 1 || digit == 2 || digit == 5;
}

/* The first bound that is not below the value; HISTOGRAM_BOUNDS when there is none. */
static unsigned histogram_place(const struct histogram *histogram, uint64_t value)
{
	unsigned low = 0, high = HISTOGRAM_BOUNDS;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (histogram_bound(histogram, middle) < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->counts[histogram_place(histogram, value)]++;
	histogram->sum += value;
	histogram->n++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
	double wanted = q * (double)histogram->n, seen = 0;

	if (histogram->n == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		double count = (double)histogram->counts[i];

		if (count > 0 && seen + count >= wanted) {
			double high = (double)histogram_bound(histogram, i);
			double low = i == 0 ? 0 : (double)histogram_bound(histogram, i - 1);

			return (uint64_t)(low + (high - low) * (wanted > seen ? (wanted - seen) / count : 0));
		}
		seen += count;
	}
	return histogram_bound(histogram, HISTOGRAM_BOUNDS - 1);
}

void histogram_between(const struct histogram *now, const struct histogram *before, struct histogram *out)
{
	out->least = now->least;
	out->sum = now->sum - before->sum;
	out->n = now->n - before->n;
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
		out->counts[i] = now->counts[i] - before->counts[i];
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
	MUST(histogram->least == from->least);
	histogram->sum += from->sum;
	histogram->n += from->n;
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
		histogram->counts[i] += from->counts[i];
}
