/* A doubly linked list threaded through its members. A node that is in no list points at itself, so removing twice
 * does no harm and "is it in a list?" can be asked. */
#ifndef SAGAD_BASE_LIST_H
#define SAGAD_BASE_LIST_H

#include "must.h"

#include <stdbool.h>

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node;
	node->prev = node;
}

/* For a head: has it no members. For a node: is it in no list. */
static inline bool list_is_empty(const struct list *node)
{
	return node->next == node;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_append(head->next, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first node, taken out; NULL when the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/* Moves all members of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* Walks a list whose current member may be removed in the body. */
#define list_each(it, tmp, head) for (it = (head)->next, tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
