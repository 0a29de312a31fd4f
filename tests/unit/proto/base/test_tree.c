// The ordered set against a sorted array.

#include "proto/base/random.h"
#include "proto/base/tree.h"
#include "tests/unit/check_main.h"

enum { NUMBERS = 300 };

struct naive {
    struct tree tree;
    struct tree_node nodes[NUMBERS]; // by number: high is number / 10
    bool is_in[NUMBERS];
};

static unsigned number_of(const struct naive *naive, const struct tree_node *node)
{
    return (unsigned)(node - naive->nodes);
}

static void check_order(const struct naive *naive)
{
    const struct tree_node *node = naive->tree.first;
    const struct tree_node *previous = NULL;
    for (unsigned i = 0; i < NUMBERS; i++) {
        if (naive->is_in[i]) {
            ck_assert_ptr_eq(node, &naive->nodes[i]);
            ck_assert_ptr_eq(node->previous, previous);
            previous = node;
            node = node->next;
        }
    }
    ck_assert_ptr_null(node);
}

static void check_at_or_below(struct naive *naive, unsigned number)
{
    const struct tree_node *node = tree_at_or_below(&naive->tree, number / 10, number % 10);
    int expected = (int)number;
    while (expected >= 0 && !naive->is_in[expected]) {
        expected--;
    }
    ck_assert_int_eq(node ? (int)number_of(naive, node) : -1, expected);
}

START_TEST(it_is_a_sorted_array)
{
    struct random random;
    struct naive naive = {0};
    random_init(&random, test_seed());
    for (unsigned i = 0; i < NUMBERS; i++) {
        naive.nodes[i].high = i / 10;
        naive.nodes[i].low = i % 10;
    }
    ck_assert_ptr_null(tree_at_or_below(&naive.tree, 5, 5));
    for (unsigned round = 0; round < test_rounds(20000); round++) {
        // Long phases of growing and of shrinking; often numbers beside each other.
        unsigned number =
            random_below(&random, 2) ? round % NUMBERS : (unsigned)random_below(&random, NUMBERS);
        bool is_growing = round / 2000 % 2 == 0 || random_below(&random, 4) == 0;
        if (is_growing && !naive.is_in[number]) {
            tree_insert(&naive.tree, &naive.nodes[number]);
            naive.is_in[number] = true;
        } else if (!is_growing && naive.is_in[number]) {
            tree_remove(&naive.tree, &naive.nodes[number]);
            naive.is_in[number] = false;
        }
        check_at_or_below(&naive, (unsigned)random_below(&random, NUMBERS));
        if (round % 16 == 0) {
            check_order(&naive);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tree");
    suite_add(suite, it_is_a_sorted_array);
    return check_main(suite);
}
