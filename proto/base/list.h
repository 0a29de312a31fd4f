// An intrusive doubly linked list: the node is a member of what is listed, so linking allocates
// nothing and cannot fail. The list is a ring through its head; a node that is in no list is a
// ring of itself, so it can be removed twice.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *previous;
};

// The structure that holds `member` at `pointer`.
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

// A head, or a node that is in no list.
static inline void list_init(struct list_node *node)
{
    node->next = node;
    node->previous = node;
}

// For a head: the list is empty. For a node: it is in no list.
static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

// Links `node`, which is in no list, in front of `position`.
static inline void list_insert_before(struct list_node *position, struct list_node *node)
{
    assert(list_is_empty(node));
    node->next = position;
    node->previous = position->previous;
    position->previous->next = node;
    position->previous = node;
}

static inline void list_append(struct list_node *head, struct list_node *node)
{
    list_insert_before(head, node);
}

static inline void list_prepend(struct list_node *head, struct list_node *node)
{
    list_insert_before(head->next, node);
}

// Takes the node out of its list, if it is in one.
static inline void list_remove(struct list_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

// NULL when the list is empty.
static inline struct list_node *list_first(const struct list_node *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

static inline struct list_node *list_last(const struct list_node *head)
{
    return list_is_empty(head) ? NULL : head->previous;
}

// Visits every node; the body may remove the visited one (and free what holds it), no other.
#define LIST_FOR_EACH(head, node)                                                                  \
    for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head);         \
         node = node##_next, node##_next = node->next)
