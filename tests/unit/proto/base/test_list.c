// A list keeps its order, and a node leaves it without a search.

#include "proto/base/list.h"

#include "tests/unit/check_main.h"

struct item {
    int number;
    struct list_node node;
};

static struct item *item_of(struct list_node *node)
{
    return container_of(node, struct item, node);
}

static int digits(struct list_node *head)
{
    int all = 0;
    LIST_FOR_EACH(head, node)
    {
        all = all * 10 + item_of(node)->number;
    }
    return all;
}

static void items_init(struct item *items, int count)
{
    for (int i = 0; i < count; i++) {
        items[i].number = i + 1;
        list_init(&items[i].node);
    }
}

START_TEST(keeps_the_order_of_appending_and_prepending)
{
    struct item items[4];
    items_init(items, 4);
    struct list_node head;
    list_init(&head);
    ck_assert(list_is_empty(&head));
    ck_assert_ptr_null(list_first(&head));
    ck_assert_ptr_null(list_last(&head));
    list_append(&head, &items[1].node);
    list_append(&head, &items[2].node);
    list_prepend(&head, &items[0].node);
    list_append(&head, &items[3].node);
    ck_assert_int_eq(digits(&head), 1234);
    ck_assert_int_eq(item_of(list_first(&head))->number, 1);
    ck_assert_int_eq(item_of(list_last(&head))->number, 4);
}
END_TEST

START_TEST(removal_closes_the_gap_and_may_be_repeated)
{
    struct item items[3];
    items_init(items, 3);
    struct list_node head;
    list_init(&head);
    for (int i = 0; i < 3; i++) {
        list_append(&head, &items[i].node);
    }
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    ck_assert_int_eq(digits(&head), 13);
    ck_assert(list_is_empty(&items[1].node));
    list_append(&head, &items[1].node);
    ck_assert_int_eq(digits(&head), 132);
}
END_TEST

START_TEST(visited_nodes_may_be_removed)
{
    struct item items[5];
    items_init(items, 5);
    struct list_node head;
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        list_append(&head, &items[i].node);
    }
    LIST_FOR_EACH(&head, node)
    {
        if (item_of(node)->number % 2 == 1) {
            list_remove(node);
        }
    }
    ck_assert_int_eq(digits(&head), 24);
    LIST_FOR_EACH(&head, node)
    {
        list_remove(node);
    }
    ck_assert(list_is_empty(&head));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("list");
    suite_add(suite, keeps_the_order_of_appending_and_prepending);
    suite_add(suite, removal_closes_the_gap_and_may_be_repeated);
    suite_add(suite, visited_nodes_may_be_removed);
    return check_main(suite);
}
