// The table of members is the same in whatever order its events come.

#include "replication/membership.h"

#include <stdio.h>

#include "proto/base/random.h"
#include "tests/unit/check_main.h"

enum { EVENTS_MAX = 24, NODES = 6 };

static struct uuid uuid_of(unsigned number)
{
    struct uuid uuid = {{0}};
    uuid.bytes[15] = (uint8_t)(number + 1);
    return uuid;
}

static struct member_event admitted(uint64_t counter, uint16_t by_actor, unsigned by,
                                    uint16_t actor, unsigned node)
{
    return (struct member_event){
        .kind = MEMBER_ADMITTED,
        .id = {.counter = counter, .actor = by_actor},
        .actor = actor,
        .node = uuid_of(node),
        .by = uuid_of(by),
        .address = bytes_of_text("127.0.0.1:3001"),
    };
}

static struct member_event retired(uint64_t counter, uint16_t by_actor, uint16_t actor,
                                   uint64_t seal)
{
    return (struct member_event){
        .kind = MEMBER_RETIRED,
        .id = {.counter = counter, .actor = by_actor},
        .actor = actor,
        .seal = seal,
    };
}

// By a walk over the table.
static const struct member *walk_to(const struct membership *membership, const struct uuid *node)
{
    const struct member *found = NULL;
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct member *member = &membership->members[i];
        bool is_better = !found || found->is_retired > member->is_retired ||
                         (found->is_retired == member->is_retired &&
                          event_id_compare(member->admitted, found->admitted) > 0);
        found = uuid_equal(&member->node, node) && is_better ? member : found;
    }
    return found;
}

static void assert_found_by_node(const struct membership *membership)
{
    for (unsigned i = 0; i < NODES + 2; i++) {
        struct uuid node = uuid_of(i);
        ck_assert_ptr_eq(membership_of_node(membership, &node), walk_to(membership, &node));
    }
}

static void fold(struct membership *membership, const struct member_event *events, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t version = membership->version;
        ck_assert_int_ge(membership_apply(membership, &events[i]), 0);
        ck_assert_uint_gt(membership->version, version);
        assert_found_by_node(membership);
    }
}

static void assert_same(const struct membership *a, const struct membership *b)
{
    ck_assert_uint_eq(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct member *x = &a->members[i];
        const struct member *y = &b->members[i];
        ck_assert_uint_eq(x->actor, y->actor);
        ck_assert(uuid_equal(&x->node, &y->node));
        ck_assert_int_eq(event_id_compare(x->admitted, y->admitted), 0);
        ck_assert_uint_eq(x->seal, y->seal);
        ck_assert_mem_eq(&x->seal_hash, &y->seal_hash, sizeof x->seal_hash);
        ck_assert_int_eq(x->is_sealed, y->is_sealed);
        ck_assert_int_eq(x->is_forced, y->is_forced);
        ck_assert_str_eq(x->address, y->address);
        ck_assert_int_eq(x->is_retired, y->is_retired);
        ck_assert_int_eq(x->is_void, y->is_void);
    }
}

START_TEST(founder_and_newcomer_are_members)
{
    struct membership membership = {0};
    struct uuid founder = uuid_of(0);
    ck_assert_int_eq(membership_add_founder(&membership, 1, &founder, "a:1"), 0);
    struct member_event event = admitted(10, 1, 0, 2, 1);
    ck_assert_int_eq(membership_apply(&membership, &event), 0);
    ck_assert_int_eq(membership_apply(&membership, &event), MEMBERSHIP_SAME);
    ck_assert_uint_eq(membership_active_count(&membership), 2);
    ck_assert_str_eq(membership_of_actor(&membership, 1)->address, "a:1");
    ck_assert_str_eq(membership_of_actor(&membership, 2)->address, "127.0.0.1:3001");
    struct uuid newcomer = uuid_of(1);
    ck_assert_uint_eq(membership_of_node(&membership, &newcomer)->actor, 2);
    ck_assert_uint_eq(membership_free_actor(&membership), 3);
    membership_deinit(&membership);
}
END_TEST

START_TEST(lower_admission_holds_one_actor)
{
    struct membership membership = {0};
    struct member_event late = admitted(20, 1, 0, 3, 1);
    struct member_event early = admitted(10, 2, 5, 3, 2);
    ck_assert_int_eq(membership_apply(&membership, &late), 0);
    ck_assert_int_eq(membership_apply(&membership, &early), MEMBERSHIP_CONFLICT);
    struct uuid winner = uuid_of(2);
    ck_assert(uuid_equal(&membership_of_actor(&membership, 3)->node, &winner));
    ck_assert_int_eq(membership_apply(&membership, &late), MEMBERSHIP_CONFLICT);
    ck_assert(uuid_equal(&membership_of_actor(&membership, 3)->node, &winner));
    membership_deinit(&membership);
}
END_TEST

START_TEST(higher_seal_holds)
{
    struct membership membership = {0};
    struct member_event events[] = {admitted(10, 1, 0, 2, 1), retired(20, 1, 2, 15),
                                    retired(21, 1, 2, 12)};
    fold(&membership, events, 3);
    ck_assert_uint_eq(membership_of_actor(&membership, 2)->seal, 15);
    ck_assert(membership_of_actor(&membership, 2)->is_retired);
    ck_assert_uint_eq(membership_active_count(&membership), 1);
    ck_assert_uint_eq(membership_free_actor(&membership), 3); // for life
    membership_deinit(&membership);
}
END_TEST

START_TEST(admission_beyond_a_seal_is_void)
{
    struct membership membership = {0};
    struct member_event events[] = {admitted(10, 1, 0, 2, 1), admitted(20, 2, 1, 3, 2),
                                    retired(30, 1, 2, 15)};
    fold(&membership, events, 3);
    ck_assert(membership_of_actor(&membership, 3)->is_void);
    ck_assert(membership_of_actor(&membership, 3)->is_retired);
    struct member_event higher = retired(31, 1, 2, 20);
    ck_assert_int_eq(membership_apply(&membership, &higher), 0);
    ck_assert(!membership_of_actor(&membership, 3)->is_void);
    ck_assert(!membership_of_actor(&membership, 3)->is_retired);
    membership_deinit(&membership);
}
END_TEST

// Two members were asked in turn to make one admission an event, and did: what lies behind the seal
// of the first is not everywhere.
START_TEST(admission_that_is_void_leaves_room_for_another)
{
    struct member_event events[] = {admitted(10, 1, 0, 2, 1), retired(40, 1, 2, 15),
                                    admitted(30, 1, 0, 3, 2), admitted(20, 2, 1, 3, 2)};
    struct membership without = {0};
    struct membership with = {0};
    fold(&without, events, 3);
    fold(&with, events, 4);
    const struct member *member = membership_of_actor(&with, 3);
    ck_assert(!member->is_void && !member->is_retired);
    ck_assert_uint_eq(member->admitted.counter, 30);
    assert_same(&with, &without);
    struct member_event higher = retired(41, 1, 2, 20);
    ck_assert_int_eq(membership_apply(&with, &higher), 0);
    ck_assert_uint_eq(membership_of_actor(&with, 3)->admitted.counter, 20);
    membership_deinit(&without);
    membership_deinit(&with);
}
END_TEST

START_TEST(rescued_node_is_its_newest_actor)
{
    struct membership membership = {0};
    struct member_event events[] = {admitted(10, 1, 0, 2, 1), admitted(20, 1, 0, 3, 1)};
    fold(&membership, events, 2);
    struct uuid node = uuid_of(1);
    ck_assert_uint_eq(membership_of_node(&membership, &node)->actor, 3);
    struct member_event event = retired(30, 1, 3, 0);
    ck_assert_int_eq(membership_apply(&membership, &event), 0);
    ck_assert_uint_eq(membership_of_node(&membership, &node)->actor, 2);
    membership_deinit(&membership);
}
END_TEST

static struct member_event random_event(struct random *random, unsigned i)
{
    uint16_t by = (uint16_t)(1 + random_below(random, NODES));
    uint16_t actor = (uint16_t)(1 + random_below(random, NODES));
    if (random_below(random, 4) == 0) {
        return retired(100 + i, by, actor, random_below(random, 130));
    }
    return admitted(100 + i, by, by - 1, actor, (unsigned)random_below(random, NODES));
}

START_TEST(order_does_not_matter)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(2000); round++) {
        struct member_event events[EVENTS_MAX];
        unsigned count = (unsigned)(1 + random_below(&random, EVENTS_MAX));
        for (unsigned i = 0; i < count; i++) {
            events[i] = random_event(&random, i);
        }
        struct membership first = {0};
        struct membership second = {0};
        fold(&first, events, count);
        for (unsigned i = count - 1; i > 0; i--) {
            unsigned k = (unsigned)random_below(&random, i + 1);
            struct member_event swapped = events[i];
            events[i] = events[k];
            events[k] = swapped;
        }
        fold(&second, events, count);
        fold(&second, events, count); // twice
        assert_same(&first, &second);
        membership_deinit(&first);
        membership_deinit(&second);
    }
}
END_TEST

enum { FEW_MAX = 5, FOUNDED = 3, NEWCOMERS = 2 };

// Actors 1 to 3 are members beyond doubt; they admit two nodes, and some are retired.
static unsigned few_events(struct random *random, struct member_event events[FEW_MAX])
{
    static const char *const addresses[] = {"a:1", "b:2", "c:3"};
    unsigned admissions = 2 + (unsigned)random_below(random, 2);
    for (unsigned i = 0; i < FEW_MAX; i++) {
        uint16_t by = (uint16_t)(1 + random_below(random, FOUNDED));
        if (i >= admissions) {
            uint16_t actor = (uint16_t)(1 + random_below(random, FOUNDED + NEWCOMERS));
            events[i] = retired(200 + i, by, actor, 20 + random_below(random, 90));
            events[i].seal_hash.bytes[0] = (uint8_t)random_below(random, 2);
            events[i].is_forced = random_below(random, 2) == 0;
            continue;
        }
        uint16_t actor = (uint16_t)(FOUNDED + 1 + random_below(random, NEWCOMERS));
        unsigned node = FOUNDED + (unsigned)random_below(random, NEWCOMERS);
        uint64_t counter = 90 + 3 * random_below(random, 4) + i; // no two are equal
        events[i] = admitted(counter, by, by - 1, actor, node);
        events[i].address = bytes_of_text(addresses[random_below(random, 3)]);
    }
    return FEW_MAX;
}

static void fold_founded(struct membership *membership)
{
    struct member_event founded[] = {admitted(10, 1, 0, 2, 1), admitted(11, 1, 0, 3, 2)};
    fold(membership, founded, 2);
}

// Heap's algorithm, one step: false when every order was.
static bool permute(struct member_event *events, unsigned count, unsigned *turns, unsigned *at)
{
    for (; *at < count; turns[(*at)++] = 0) {
        if (turns[*at] < *at) {
            unsigned k = *at % 2 == 0 ? 0 : turns[*at];
            struct member_event swapped = events[k];
            events[k] = events[*at];
            events[*at] = swapped;
            turns[*at]++;
            *at = 0;
            return true;
        }
    }
    return false;
}

static bool is_behind_seal(const struct membership *membership, const struct member_event *event)
{
    const struct member *maker = membership_of_actor(membership, event->id.actor);
    return event->kind == MEMBER_ADMITTED && maker->is_sealed && maker->seal < event->id.counter;
}

// Who is a member must be the same on nodes that what lies behind seals has never reached.
static void assert_same_active(const struct membership *all, const struct member_event *events,
                               unsigned count)
{
    struct membership some = {0};
    fold_founded(&some);
    for (unsigned i = 0; i < count; i++) {
        if (!is_behind_seal(all, &events[i])) {
            fold(&some, &events[i], 1);
        }
    }
    ck_assert_uint_eq(membership_active_count(&some), membership_active_count(all));
    for (uint32_t i = 0; i < all->count; i++) {
        const struct member *x = &all->members[i];
        const struct member *y = membership_of_actor(&some, x->actor);
        ck_assert(y || x->is_retired);
        if (y && !x->is_retired) {
            ck_assert(!y->is_retired && uuid_equal(&x->node, &y->node));
            ck_assert_int_eq(event_id_compare(x->admitted, y->admitted), 0);
            ck_assert_str_eq(x->address, y->address);
        }
    }
    membership_deinit(&some);
}

START_TEST(every_order_gives_one_table)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(500); round++) {
        struct member_event events[FEW_MAX];
        unsigned count = few_events(&random, events);
        struct membership first = {0};
        fold_founded(&first);
        fold(&first, events, count);
        assert_same_active(&first, events, count);
        unsigned turns[FEW_MAX] = {0};
        unsigned at = 0;
        while (permute(events, count, turns, &at)) {
            struct membership other = {0};
            unsigned founded = (unsigned)random_below(&random, count + 1);
            fold(&other, events, founded);
            fold_founded(&other);
            fold(&other, events + founded, count - founded);
            assert_same(&first, &other);
            membership_deinit(&other);
        }
        membership_deinit(&first);
    }
}
END_TEST

START_TEST(table_is_bounded)
{
    struct membership membership = {0};
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        struct uuid node = uuid_of(i % 200);
        ck_assert_int_eq(membership_add_founder(&membership, (uint16_t)(i + 1), &node, ""), 0);
    }
    struct member_event event = admitted(10, 1, 0, MEMBERS_MAX + 1, 1);
    ck_assert_int_eq(membership_apply(&membership, &event), ERR_LIMIT);
    ck_assert_uint_eq(membership_free_actor(&membership), MEMBERS_MAX + 1);
    membership_deinit(&membership);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("membership");
    suite_add(suite, founder_and_newcomer_are_members);
    suite_add(suite, lower_admission_holds_one_actor);
    suite_add(suite, higher_seal_holds);
    suite_add(suite, admission_beyond_a_seal_is_void);
    suite_add(suite, admission_that_is_void_leaves_room_for_another);
    suite_add(suite, rescued_node_is_its_newest_actor);
    suite_add(suite, order_does_not_matter);
    suite_add(suite, every_order_gives_one_table);
    suite_add(suite, table_is_bounded);
    return check_main(suite);
}
