// Sleator and Tarjan's top-down splaying: on the way down the tree is taken apart into what is
// below the numbers and what is above, and put together again under the node where the way ended,
// which is the one with these numbers or one of its two neighbours would it be there.

#include "proto/base/tree.h"

#include <assert.h>

static inline int compare(uint64_t high, uint64_t low, const struct tree_node *node)
{
    if (high != node->high) {
        return high < node->high ? -1 : 1;
    }
    return low < node->low ? -1 : low > node->low;
}

static struct tree_node *splay(struct tree_node *root, uint64_t high, uint64_t low)
{
    struct tree_node sides = {0}; // its right: what is below; its left: what is above
    struct tree_node *below = &sides;
    struct tree_node *above = &sides;
    int order;
    while ((order = compare(high, low, root)) != 0) {
        struct tree_node *child = order < 0 ? root->left : root->right;
        if (!child) {
            break;
        }
        if (order < 0) {
            if (compare(high, low, child) < 0) {
                root->left = child->right;
                child->right = root;
                root = child;
                if (!root->left) {
                    break;
                }
            }
            above->left = root;
            above = root;
            root = root->left;
        } else {
            if (compare(high, low, child) > 0) {
                root->right = child->left;
                child->left = root;
                root = child;
                if (!root->right) {
                    break;
                }
            }
            below->right = root;
            below = root;
            root = root->right;
        }
    }
    below->right = root->left;
    above->left = root->right;
    root->left = sides.right;
    root->right = sides.left;
    return root;
}

void tree_insert(struct tree *tree, struct tree_node *node)
{
    if (!tree->root) {
        node->left = node->right = node->next = node->previous = NULL;
        tree->root = tree->first = node;
        return;
    }
    struct tree_node *root = splay(tree->root, node->high, node->low);
    int order = compare(node->high, node->low, root);
    assert(order != 0);
    if (order < 0) {
        node->left = root->left;
        node->right = root;
        root->left = NULL;
        node->next = root;
        node->previous = root->previous;
    } else {
        node->right = root->right;
        node->left = root;
        root->right = NULL;
        node->previous = root;
        node->next = root->next;
    }
    if (node->next) {
        node->next->previous = node;
    }
    if (node->previous) {
        node->previous->next = node;
    } else {
        tree->first = node;
    }
    tree->root = node;
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    struct tree_node *root = splay(tree->root, node->high, node->low);
    assert(root == node);
    if (!root->left) {
        tree->root = root->right;
    } else {
        tree->root = splay(root->left, node->high, node->low); // its last: nothing to the right
        tree->root->right = root->right;
    }
    if (node->next) {
        node->next->previous = node->previous;
    }
    if (node->previous) {
        node->previous->next = node->next;
    } else {
        tree->first = node->next;
    }
}

struct tree_node *tree_at_or_below(struct tree *tree, uint64_t high, uint64_t low)
{
    if (!tree->root) {
        return NULL;
    }
    tree->root = splay(tree->root, high, low);
    return compare(high, low, tree->root) < 0 ? tree->root->previous : tree->root;
}
