// Who coordinates, as one node sees it.

#include <stdio.h>

#include "server/node/coordinators.h"
#include "tests/unit/check_main.h"

enum { NODES = 3, NAMES = 300, LONG_MS = 60000 };

// One node and its links to others; node 0 is itself where nothing else is said.
struct view {
    struct coordinators coordinators;
    struct replica_link links[NODES];
    uint32_t links_count;
    struct version_vector own;
    struct instant now;
};

static struct uuid uuid_of(unsigned node)
{
    struct uuid uuid = {{0}};
    uuid.bytes[0] = (uint8_t)(node + 1);
    return uuid;
}

static struct replica_link link_to(unsigned node, const struct version_vector *held)
{
    return (struct replica_link){
        .id = 100 + node,
        .node = uuid_of(node),
        .actor = (uint16_t)(node + 1),
        .abilities = PEER_ABILITIES,
        .held = held,
    };
}

static bool update(struct view *view, unsigned self)
{
    struct uuid uuid = uuid_of(self);
    return coordinators_update(&view->coordinators, &uuid, view->links, view->links_count,
                               &view->own, view->now);
}

static void view_close(struct view *view)
{
    coordinators_deinit(&view->coordinators);
    version_vector_deinit(&view->own);
}

// The node that it chooses, by number.
static unsigned choose(const struct view *view, unsigned self, unsigned name)
{
    char text[16];
    int length = snprintf(text, sizeof text, "name %u", name);
    link_id link = coordinators_choose(&view->coordinators, bytes_of(text, (size_t)length));
    return link == 0 ? self : (unsigned)(link - 100);
}

static unsigned chosen(const struct view *view, unsigned self, unsigned node)
{
    unsigned count = 0;
    for (unsigned name = 0; name < NAMES; name++) {
        count += choose(view, self, name) == node;
    }
    return count;
}

START_TEST(nodes_that_see_each_other_choose_the_same_one)
{
    struct view views[NODES] = {{.links_count = 0}};
    const struct version_vector nothing = {0};
    for (unsigned self = 0; self < NODES; self++) {
        for (unsigned node = 0; node < NODES; node++) {
            if (node != self) {
                views[self].links[views[self].links_count++] = link_to(node, &nothing);
            }
        }
        ck_assert(update(&views[self], self));
        ck_assert(!update(&views[self], self));
    }
    unsigned counts[NODES] = {0};
    for (unsigned name = 0; name < NAMES; name++) {
        unsigned node = choose(&views[0], 0, name);
        counts[node]++;
        ck_assert_uint_eq(choose(&views[1], 1, name), node);
        ck_assert_uint_eq(choose(&views[2], 2, name), node);
    }
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_uint_gt(counts[node], NAMES / NODES / 2);
        view_close(&views[node]);
    }
}
END_TEST

START_TEST(only_the_names_of_a_node_that_goes_move)
{
    const struct version_vector nothing = {0};
    struct view view = {.links = {link_to(1, &nothing), link_to(2, &nothing)}, .links_count = 2};
    unsigned before[NAMES];
    ck_assert(update(&view, 0));
    for (unsigned name = 0; name < NAMES; name++) {
        before[name] = choose(&view, 0, name);
    }
    view.links_count = 1;
    ck_assert(update(&view, 0));
    for (unsigned name = 0; name < NAMES; name++) {
        unsigned node = choose(&view, 0, name);
        ck_assert_uint_ne(node, 2);
        ck_assert(before[name] == 2 || before[name] == node);
    }
    view_close(&view);
}
END_TEST

START_TEST(member_that_cannot_coordinate_is_not_chosen)
{
    const struct version_vector nothing = {0};
    struct view view = {.links = {link_to(1, &nothing)}, .links_count = 1};
    view.links[0].abilities = PEER_READS_CHUNK_1 | PEER_READS_LZ4;
    ck_assert(update(&view, 0));
    ck_assert(!update(&view, 0));
    ck_assert_uint_eq(chosen(&view, 0, 0), NAMES);
    view_close(&view);
}
END_TEST

START_TEST(member_counts_once_it_holds_what_was_held_when_its_link_came_up)
{
    struct version_vector theirs = {0};
    struct view view = {.links = {link_to(1, NULL)}, .links_count = 1};
    ck_assert_int_eq(version_vector_set(&view.own, 1, 50), 0);
    (void)update(&view, 0);
    ck_assert_uint_eq(chosen(&view, 0, 1), 0); // it has said nothing yet
    view.links[0].held = &theirs;
    ck_assert_int_eq(version_vector_set(&theirs, 1, 49), 0);
    ck_assert(!update(&view, 0));
    ck_assert_uint_eq(chosen(&view, 0, 1), 0);
    ck_assert_int_eq(version_vector_set(&view.own, 1, 70), 0); // more does not matter
    ck_assert_int_eq(version_vector_set(&theirs, 1, 50), 0);
    ck_assert(update(&view, 0));
    ck_assert_uint_gt(chosen(&view, 0, 1), 0);
    ck_assert_uint_gt(chosen(&view, 0, 0), 0);
    version_vector_deinit(&theirs);
    view_close(&view);
}
END_TEST

START_TEST(node_that_was_away_leaves_all_to_the_others_until_it_has_caught_up)
{
    struct version_vector theirs = {0};
    struct view view = {.links = {link_to(1, &theirs)}, .links_count = 1};
    ck_assert_int_eq(version_vector_set(&theirs, 2, 50), 0);
    ck_assert(update(&view, 0));
    ck_assert_uint_eq(chosen(&view, 0, 1), NAMES);
    ck_assert_int_eq(version_vector_set(&theirs, 2, 99), 0);
    ck_assert_int_eq(version_vector_set(&view.own, 2, 50), 0);
    ck_assert(update(&view, 0));
    ck_assert_uint_gt(chosen(&view, 0, 0), 0);
    version_vector_deinit(&theirs);
    view_close(&view);
}
END_TEST

START_TEST(nobody_is_left_out_for_good)
{
    struct version_vector theirs = {0};
    struct view view = {.links = {link_to(1, NULL), link_to(2, &theirs)}, .links_count = 2};
    ck_assert_int_eq(version_vector_set(&view.own, 1, 50), 0);
    ck_assert_int_eq(version_vector_set(&theirs, 1, 50), 0);
    ck_assert_int_eq(version_vector_set(&theirs, 2, 50), 0);
    (void)update(&view, 0);
    ck_assert_uint_eq(chosen(&view, 0, 2), NAMES);
    view.now = instant_add(view.now, duration_ms(LONG_MS));
    ck_assert(update(&view, 0));
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_uint_gt(chosen(&view, 0, node), 0);
    }
    version_vector_deinit(&theirs);
    view_close(&view);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/coordinators");
    suite_add(suite, nodes_that_see_each_other_choose_the_same_one);
    suite_add(suite, only_the_names_of_a_node_that_goes_move);
    suite_add(suite, member_that_cannot_coordinate_is_not_chosen);
    suite_add(suite, member_counts_once_it_holds_what_was_held_when_its_link_came_up);
    suite_add(suite, node_that_was_away_leaves_all_to_the_others_until_it_has_caught_up);
    suite_add(suite, nobody_is_left_out_for_good);
    return check_main(suite);
}
