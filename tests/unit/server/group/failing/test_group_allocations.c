// Every allocation of a group fails once, one at a time: what is said again then leads to the same
// end, nothing that is done comes again, and nothing leaks. And how much memory a group takes.

#include <malloc.h>

#include "server/group/group.h"
#include "tests/unit/check_main.h"

// Linked with --wrap: allocations of our own code come here.
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void __real_free(void *pointer);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void __wrap_free(void *pointer);

static bool is_armed; // while a call into the group runs
static uint64_t failing_nth;
static uint64_t allocations;
static size_t bytes_held;

static bool allocation_fails(void)
{
    return is_armed && ++allocations == failing_nth;
}

static void *held(void *pointer)
{
    bytes_held += malloc_usable_size(pointer);
    return pointer;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : held(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : held(__real_calloc(count, size));
}

void *__wrap_realloc(void *pointer, size_t size)
{
    if (allocation_fails()) {
        return NULL;
    }
    bytes_held -= malloc_usable_size(pointer);
    return held(__real_realloc(pointer, size));
}

void __wrap_free(void *pointer)
{
    bytes_held -= malloc_usable_size(pointer);
    __real_free(pointer);
}

enum { EVENTS = 640, RUN = 64, ACTORS = 3 };

static struct group *group;
static struct instant now;
static uint8_t attempts[ACTORS + 1][EVENTS + 1]; // of events in flight, else 0
static bool is_done[ACTORS + 1][EVENTS + 1];

// Runs a call again until it does not run out of memory, which is once.
#define INSIST(result, failure, call)                                                              \
    do {                                                                                           \
        is_armed = true;                                                                           \
        (result) = (call);                                                                         \
        is_armed = false;                                                                          \
    } while ((result) == (failure))

static void begin(enum group_key_kind key)
{
    static struct subscription_definition definition;
    struct position done = {0};
    struct group_config config = {.definition = &definition, .done = &done};
    int err;
    definition = (struct subscription_definition){
        .key = key,
        .concurrency = 4,
        .attempts = 3,
        .ack_wait_ms = 30000,
        .checkpoint_every = 100,
        .checkpoint_after_ms = 1000,
        .queue = 100,
    };
    now.ns = 1;
    memset(attempts, 0, sizeof attempts);
    memset(is_done, 0, sizeof is_done);
    ck_assert_int_eq(position_add(&done, 1, 1, 3), 0);
    ck_assert_int_eq(position_add(&done, 1, 5, 6), 0);
    ck_assert_int_eq(position_add(&done, 2, 8, 9), 0);
    for (uint64_t counter = 1; counter <= 9; counter++) {
        is_done[1][counter] = counter <= 3 || counter == 5 || counter == 6;
        is_done[2][counter] = counter >= 8;
    }
    INSIST(err, ERR_MEMORY, group_new(&config, &group));
    position_deinit(&done);
    for (consumer_id id = 1; id <= 3; id++) {
        struct group_consumer consumer = {.id = id, .in_flight_max = 50};
        INSIST(err, ERR_MEMORY, group_join(group, &consumer, now));
    }
}

static void bring(uint16_t actor, uint64_t first)
{
    struct group_run runs[RUN];
    struct version_vector cursor = {0};
    for (uint32_t i = 0; i < RUN; i++) {
        runs[i] = (struct group_run){
            .actor = actor, .first = first + i, .count = 1, .key = i % 20, .bytes = 10};
    }
    bool is_one = first % (2 * RUN) == 1;
    runs[0].count = is_one ? RUN : 1;
    int err;
    INSIST(err, ERR_MEMORY, group_offer(group, runs, is_one ? 1 : RUN, now));
    ck_assert_int_eq(version_vector_set(&cursor, actor, first + RUN - 1), 0);
    INSIST(err, ERR_MEMORY, group_passed(group, &cursor));
    version_vector_deinit(&cursor);
}

static void mark(const struct done_range *range)
{
    for (uint64_t counter = range->first; counter <= range->last; counter++) {
        is_done[range->actor][counter] = true;
        attempts[range->actor][counter] = 0;
    }
}

static void ack(uint16_t actor, uint64_t first, uint64_t last)
{
    struct done_range range = {.actor = actor, .first = first, .last = last};
    enum group_ack_result result;
    uint64_t count;
    INSIST(result, GROUP_NO_MEMORY, group_ack(group, 1, &range, now, &count));
    mark(&range);
}

static void nack(consumer_id id, uint16_t actor, uint64_t first, uint64_t last, const char *why)
{
    struct done_range range = {.actor = actor, .first = first, .last = last};
    enum group_ack_result result;
    INSIST(result, GROUP_NO_MEMORY,
           group_nack(group, id, &range, duration_ms(5), bytes_of_text(why), now));
}

static void merge(uint16_t actor, uint64_t first, uint64_t last)
{
    struct position position = {0};
    struct done_range range = {.actor = actor, .first = first, .last = last};
    int err;
    ck_assert_int_eq(position_add(&position, actor, first, last), 0);
    INSIST(err, ERR_MEMORY, group_merge(group, &position, now));
    position_deinit(&position);
    mark(&range);
}

static void check_position(void)
{
    struct position position = {0};
    int err;
    do {
        position_deinit(&position);
        is_armed = true;
        err = group_position(group, &position);
        is_armed = false;
    } while (err == ERR_MEMORY);
    for (uint16_t actor = 1; actor <= ACTORS; actor++) {
        for (uint64_t counter = 1; counter <= EVENTS; counter++) {
            struct event_id id = {.actor = actor, .counter = counter};
            bool is_there = position_is_done(&position, id);
            ck_assert(is_done[actor][counter] || !is_there || attempts[actor][counter] == 0);
            ck_assert(!is_done[actor][counter] || is_there);
        }
    }
    position_deinit(&position);
}

// Acknowledges every third piece by its last event, every third by ranges; refuses some.
static void handle(const struct group_action *action)
{
    static unsigned pieces;
    const struct group_run *run = &action->run;
    uint64_t last = run->first + run->count - 1;
    for (uint64_t counter = run->first; counter <= last; counter++) {
        ck_assert(!is_done[run->actor][counter]);
        attempts[run->actor][counter] = (uint8_t)action->attempt;
    }
    switch (pieces++ % 3) {
    case 0:
        ack(run->actor, run->first, last);
        break;
    case 1:
        ack(run->actor, run->first + run->count / 2, run->first + run->count / 2);
        nack(action->consumer, run->actor, run->first, last, pieces % 2 ? "this" : "that");
        break;
    default:
        break; // silence
    }
}

static void run_actions(void)
{
    struct group_action action;
    for (consumer_id id = 1; id <= 3; id++) {
        group_credit(group, id, 1000);
    }
    is_armed = true;
    while (group_next_action(group, now, &action)) {
        is_armed = false;
        struct event_id event = {.actor = action.run.actor, .counter = action.run.first};
        switch (action.kind) {
        case GROUP_DELIVER:
            handle(&action);
            break;
        case GROUP_PARK:
            group_parked(group, event, true, now);
            is_done[event.actor][event.counter] = true;
            attempts[event.actor][event.counter] = 0;
            break;
        case GROUP_CHECKPOINT:
            check_position();
            group_checkpointed(group, true, now);
            break;
        }
        is_armed = true;
    }
    is_armed = false;
    ck_assert(!instant_reached(group_deadline(group), now));
}

static void converse(enum group_key_kind key)
{
    begin(key);
    for (uint64_t first = 1; first < EVENTS; first += RUN) {
        for (uint16_t actor = 1; actor <= ACTORS; actor++) {
            bring(actor, first);
            run_actions();
        }
        if (first == 1 + 2 * RUN) {
            merge(2, first + 10, first + 100);
        }
        if (first == 1 + 3 * RUN) {
            ack(3, first + 80, first + 90);
            ack(3, first + 70, first + 120);
            group_leave(group, 3, now);
        }
    }
    for (unsigned turn = 0; turn < 300; turn++) {
        struct instant due = group_deadline(group);
        now = due.ns != INSTANT_NEVER.ns ? due : now;
        run_actions();
    }
    struct group_counts counts = group_counts(group);
    ck_assert_uint_eq(counts.waiting + counts.in_flight + counts.again, 0);
    check_position();
    group_free(group);
}

static void fail_each(enum group_key_kind key)
{
    size_t before = bytes_held;
    failing_nth = 0;
    allocations = 0;
    converse(key);
    uint64_t total = allocations;
    ck_assert_uint_gt(total, 20);
    ck_assert_uint_eq(bytes_held, before);
    for (uint64_t nth = 1; nth <= total; nth++) {
        failing_nth = nth;
        allocations = 0;
        converse(key);
        ck_assert_uint_eq(bytes_held, before);
    }
}

START_TEST(without_a_key_every_allocation_may_fail)
{
    fail_each(GROUP_KEY_NONE);
}
END_TEST

START_TEST(with_a_key_every_allocation_may_fail)
{
    fail_each(GROUP_KEY_NAMESPACE);
}
END_TEST

// --- How much it takes -------------------------------------------------------------------------

START_TEST(a_million_above_a_stuck_one_cost_little)
{
    enum { MILLION = 1000000, STUCK = 1 };
    static struct subscription_definition definition;
    struct position done = {0};
    struct group_config config = {.definition = &definition, .done = &done};
    struct group_consumer consumer = {.id = 1, .in_flight_max = 16384};
    struct version_vector cursor = {0};
    struct group_action action;
    size_t before = bytes_held;
    size_t highest = 0;
    uint64_t count = 0;
    definition.concurrency = 1;
    definition.ack_wait_ms = 30000;
    definition.checkpoint_every = 1000000000;
    definition.checkpoint_after_ms = 1000000000;
    definition.queue = 1000;
    ck_assert_int_eq(group_new(&config, &group), 0);
    ck_assert_int_eq(group_join(group, &consumer, now), 0);
    group_credit(group, 1, SUBSCRIPTION_CREDIT_BYTES_MAX);
    for (uint64_t first = 1; first <= MILLION; first += RUN) {
        struct group_run run = {.actor = 1, .first = first, .count = RUN, .bytes = 1};
        ck_assert_int_eq(group_offer(group, &run, 1, now), 0);
        while (group_next_action(group, now, &action)) {
            for (uint64_t i = RUN; i > 0; i--) { // one by one, backwards, but for the first
                struct done_range one = {.actor = 1, .first = first + i - 1, .last = first + i - 1};
                ck_assert(one.first == STUCK ||
                          group_ack(group, 1, &one, now, &count) == GROUP_ACKED);
            }
        }
        if (first % (64 * RUN) == 1) {
            ck_assert_int_eq(version_vector_set(&cursor, 1, first + RUN - 1), 0);
            ck_assert_int_eq(group_passed(group, &cursor), 0);
        }
        highest = bytes_held - before > highest ? bytes_held - before : highest;
    }
    struct position position = {0};
    ck_assert_int_eq(group_position(group, &position), 0);
    ck_assert_uint_eq(position.ranges_count, 1);
    ck_assert_uint_eq(position.ranges[0].last, MILLION);
    highest = bytes_held - before > highest ? bytes_held - before : highest;
    ck_assert_uint_lt(highest, 64 * KIB);
    position_deinit(&position);
    version_vector_deinit(&cursor);
    group_free(group);
    ck_assert_uint_eq(bytes_held, before);
}
END_TEST

// Nothing that consumers choose makes it more: every event on its own, of a key of its own.
START_TEST(memory_is_bounded)
{
    static struct subscription_definition definition;
    struct position done = {0};
    struct group_config config = {.definition = &definition, .done = &done};
    size_t before = bytes_held;
    uint64_t counter = 0;
    definition.key = GROUP_KEY_NAMESPACE;
    definition.concurrency = 4;
    definition.ack_wait_ms = 30000;
    definition.checkpoint_every = 1000000000;
    definition.checkpoint_after_ms = 1000000000;
    definition.queue = 1000;
    ck_assert_int_eq(group_new(&config, &group), 0);
    for (consumer_id id = 1; id <= 4; id++) {
        struct group_consumer consumer = {.id = id, .in_flight_max = GROUP_IN_FLIGHT_MAX};
        ck_assert_int_eq(group_join(group, &consumer, now), 0);
        group_credit(group, id, SUBSCRIPTION_CREDIT_BYTES_MAX);
    }
    while (group_wants(group)) {
        struct group_action action;
        counter += 2;
        struct group_run run = {
            .actor = 1, .first = counter, .count = 1, .key = counter, .bytes = 1};
        ck_assert_int_eq(group_offer(group, &run, 1, now), 0);
        ck_assert(group_next_action(group, now, &action));
        ck_assert_int_eq(action.kind, GROUP_DELIVER);
    }
    ck_assert_uint_eq(group_counts(group).in_flight, GROUP_OPEN_MAX);
    for (uint64_t i = 1; i <= 2 * GROUP_OPEN_MAX; i++) { // and above it
        uint64_t count;
        struct done_range range = {.actor = 2, .first = 2 * i, .last = 2 * i};
        (void)group_ack(group, 1, &range, now, &count);
    }
    ck_assert_uint_lt(bytes_held - before, 64 * MIB);
    printf("# %zu bytes at most\n", bytes_held - before);
    group_free(group);
    ck_assert_uint_eq(bytes_held, before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group allocations");
    suite_add(suite, without_a_key_every_allocation_may_fail);
    suite_add(suite, with_a_key_every_allocation_may_fail);
    suite_add(suite, a_million_above_a_stuck_one_cost_little);
    suite_add(suite, memory_is_bounded);
    return check_main(suite);
}
