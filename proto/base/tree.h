// An ordered set of nodes that are members of what is ordered: by a pair of numbers, no two alike.
// Linking allocates nothing and cannot fail. It is a splay tree, so that what was looked at last is
// found first: counters that go up cost a step or two each, anything else O(log n) over time,
// whatever somebody chooses. Neighbours are linked, so that walking costs a step.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
    struct tree_node *left;
    struct tree_node *right;
    struct tree_node *next; // in order; NULL: the last
    struct tree_node *previous;
    uint64_t high; // high, then low; may be changed in place as long as the order stays
    uint64_t low;
};

// Zero-initialised is empty.
struct tree {
    struct tree_node *root;
    struct tree_node *first; // NULL: it is empty
};

// The node's numbers are set, and are in the tree not yet.
void tree_insert(struct tree *tree, struct tree_node *node);
void tree_remove(struct tree *tree, struct tree_node *node);

// The last node that is not above the numbers; NULL: there is none.
struct tree_node *tree_at_or_below(struct tree *tree, uint64_t high, uint64_t low);

// The first node that is above the numbers; NULL: there is none.
static inline struct tree_node *tree_above(struct tree *tree, uint64_t high, uint64_t low)
{
    const struct tree_node *node = tree_at_or_below(tree, high, low);
    return node ? node->next : tree->first;
}
