#include "neo4j_rows.h"

#include "proto/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_writes(const void *a, const void *b)
{
	const struct leg_write *const *left = a, *const *right = b;

	return uuid_compare(&(*left)->saga, &(*right)->saga);
}

static const char *mention_key(const struct neo4j_mention *mention)
{
	return mention->write->document->entities[mention->ordinal].key;
}

static int compare_mentions(const void *a, const void *b)
{
	const struct neo4j_mention *left = a, *right = b;
	int order = strcmp(mention_key(left), mention_key(right));

	return order != 0 ? order : uuid_compare(&left->write->saga, &right->write->saga);
}

static int compare_relations(const void *a, const void *b)
{
	const struct neo4j_relation *left = a, *right = b;
	const struct document *of_left = left->write->document, *of_right = right->write->document;
	const struct relationship *one = &of_left->relationships[left->ordinal];
	const struct relationship *two = &of_right->relationships[right->ordinal];
	int order = strcmp(of_left->entities[one->from].key, of_right->entities[two->from].key);

	return order != 0 ? order : strcmp(of_left->entities[one->to].key, of_right->entities[two->to].key);
}

static int compare_relations_by_type(const void *a, const void *b)
{
	const struct neo4j_relation *left = a, *right = b;
	struct str one = left->write->document->relationships[left->ordinal].type;
	struct str two = right->write->document->relationships[right->ordinal].type;
	int order = strcmp(one.at, two.at); /* a document's texts end with a NUL */

	return order != 0 ? order : compare_relations(a, b);
}

static int rows_allocate(struct neo4j_rows *rows)
{
	size_t n_mentions = 0, n_relations = 0;

	for (uint32_t i = 0; i < rows->n_writes; i++) {
		const struct leg_write *write = rows->writes[i];
		if (write->op != LEG_APPLY)
			continue;
		n_mentions += write->document->n_entities;
		n_relations += write->document->n_relationships;
	}
	rows->mentions = calloc(n_mentions + 1, sizeof(*rows->mentions));
	rows->relations = calloc(n_relations + 1, sizeof(*rows->relations));
	return rows->mentions != NULL && rows->relations != NULL ? 0 : -ENOMEM;
}

static void rows_fill(struct neo4j_rows *rows)
{
	for (uint32_t i = 0; i < rows->n_writes; i++) {
		const struct leg_write *write = rows->writes[i];
		if (write->op != LEG_APPLY)
			continue;
		for (uint32_t k = 0; k < write->document->n_entities; k++)
			rows->mentions[rows->n_mentions++] = (struct neo4j_mention){write, k};
		for (uint32_t k = 0; k < write->document->n_relationships; k++)
			rows->relations[rows->n_relations++] = (struct neo4j_relation){write, k};
	}
}

int neo4j_rows_init(struct neo4j_rows *rows, struct leg_write *const *writes, uint32_t n_writes, bool by_type)
{
	*rows = (struct neo4j_rows){.n_writes = n_writes, .writes = calloc(n_writes, sizeof(struct leg_write *))};
	if (rows->writes == NULL)
		return -ENOMEM;
	memcpy(rows->writes, writes, n_writes * sizeof(struct leg_write *));
	if (rows_allocate(rows) != 0) {
		neo4j_rows_fini(rows);
		return -ENOMEM;
	}
	rows_fill(rows);
	qsort(rows->writes, n_writes, sizeof(struct leg_write *), compare_writes);
	qsort(rows->mentions, rows->n_mentions, sizeof(*rows->mentions), compare_mentions);
	qsort(rows->relations, rows->n_relations, sizeof(*rows->relations),
	      by_type ? compare_relations_by_type : compare_relations);
	return 0;
}

void neo4j_rows_fini(struct neo4j_rows *rows)
{
	free(rows->writes);
	free(rows->mentions);
	free(rows->relations);
	*rows = (struct neo4j_rows){0};
}

int64_t neo4j_rows_find(const struct neo4j_rows *rows, const struct uuid *saga)
{
	uint32_t low = 0, high = rows->n_writes;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = uuid_compare(&rows->writes[middle]->saga, saga);
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}
