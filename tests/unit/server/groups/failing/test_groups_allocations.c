// Every allocation of the groups' driver fails once, one at a time, while a node coordinates a
// group: nothing asserts or leaks, and whoever says again what was refused comes to the same end.

#include <malloc.h>

#include "tests/unit/server/groups/groups_fixture.h"

// Linked with --wrap: allocations of our own code come here, and turns.
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void __real_service_turn(struct service *service, struct instant now);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void __wrap_service_turn(struct service *service, struct instant now);

enum { EVENTS = 40, ROUNDS_MAX = 60, REFUSALS_MAX = 3 };

static bool is_testing;
static bool is_armed;
static uint64_t failing_nth;
static uint64_t allocations;
static struct cluster_fixture fixture;
static struct taker taker;
static bool is_done[EVENTS];
static uint64_t first; // counter

static bool allocation_fails(void)
{
    return is_armed && ++allocations == failing_nth;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(pointer, size);
}

void __wrap_service_turn(struct service *service, struct instant now)
{
    is_armed = is_testing;
    __real_service_turn(service, now);
    is_armed = false;
}

#define ARMED(call)                                                                                \
    do {                                                                                           \
        is_armed = is_testing;                                                                     \
        call;                                                                                      \
        is_armed = false;                                                                          \
    } while (0)

// --- What a client does ------------------------------------------------------------------------

static bool has_failed(void)
{
    return fixture.nodes[0].service->cluster->failure.text[0] != '\0';
}

static void try_create(void)
{
    struct subscription_definition definition;
    const struct request_subscribe start = {.start = START_BEGINNING};
    struct told told = {.err = ERR_MEMORY};
    definition_begin(&definition);
    definition.attempts = 3;
    definition.checkpoint_every = 10;
    definition.ack_wait_ms = 500;
    for (unsigned i = 0; told.err != 0; i++) {
        int err;
        ck_assert_uint_lt(i, REFUSALS_MAX);
        told = (struct told){0};
        ARMED(err = groups_create(groups_of(&fixture), bytes_of_text(GROUP_NAME), &definition,
                                  &start, told_done, &told));
        ck_assert(err == 0 || err == ERR_MEMORY);
        cluster_pass_ms(&fixture, 2000);
        if (has_failed()) {
            return;
        }
        ck_assert(told.is_told == (err == 0));
        told.err = err ? err : told.err;
        ck_assert(told.err == 0 || told.err == ERR_MEMORY || told.err == ERR_INVALID);
    }
}

static void try_attach(void)
{
    const struct attach_options options = {
        .in_flight_max = 16,
        .credit_bytes = SUBSCRIPTION_CREDIT_BYTES_MAX,
        .ops = taker_ops(),
        .context = &taker,
    };
    int err = ERR_MEMORY;
    struct event_id generation;
    struct reason reason = {0};
    taker.count = 0;
    taker.is_ended = false;
    for (unsigned i = 0; err != 0; i++) {
        ck_assert_uint_lt(i, REFUSALS_MAX);
        ARMED(err = groups_attach(groups_of(&fixture), bytes_of_text(GROUP_NAME), &options,
                                  &taker.attachment, &generation, &reason));
        ck_assert(err == 0 || err == ERR_MEMORY);
    }
}

// Refuses the third event of ten whenever it comes, acknowledges the others.
static void handle(const struct taken *taken)
{
    const struct done_range range = {
        .actor = taken->id.actor, .first = taken->id.counter, .last = taken->id.counter};
    uint64_t index = taken->id.counter - first;
    uint64_t counted = 0;
    int err = ERR_MEMORY;
    ck_assert_uint_lt(index, EVENTS);
    ck_assert(!is_done[index]);
    for (unsigned i = 0; err != 0; i++) {
        ck_assert_uint_lt(i, REFUSALS_MAX);
        if (index % 10 == 3) {
            ARMED(err = groups_nack(taker.attachment, &range, 1, duration_ms(100),
                                    bytes_of_text("the third"), &counted));
        } else {
            ARMED(err = groups_ack(taker.attachment, (struct event_id){0}, &range, 1, &counted));
        }
        ck_assert(err == 0 || err == ERR_MEMORY);
    }
    ck_assert_uint_eq(counted, 1);
    is_done[index] = index % 10 != 3;
}

static void handle_all(void)
{
    for (uint32_t i = 0; i < taker.count; i++) {
        handle(&taker.events[i]);
    }
    taker.count = 0;
}

static bool is_all_done(void)
{
    struct group_row row = {0};
    int err = groups_look(groups_of(&fixture), bytes_of_text(GROUP_NAME), false, &row);
    bool is_done_all = err == 0 &&
                       row.counts.in_flight + row.counts.waiting + row.counts.again == 0 &&
                       version_vector_get(&row.position.vector, 1) >= first + EVENTS - 1;
    position_deinit(&row.position);
    return is_done_all;
}

// False: the node takes no part in its cluster any more.
static bool run_scenario(void)
{
    memset(is_done, 0, sizeof is_done);
    first = held(&fixture) + 1;
    cluster_produce(&fixture, 0, EVENTS, 10);
    cluster_settle(&fixture);
    try_create();
    if (has_failed()) {
        return false;
    }
    try_attach();
    for (unsigned round = 0; !is_all_done(); round++) {
        ck_assert_uint_lt(round, ROUNDS_MAX);
        cluster_pass_ms(&fixture, 300);
        if (has_failed()) {
            return false;
        }
        if (taker.is_ended) {
            ck_assert_uint_eq(taker.error, WIRE_BUSY);
            try_attach();
        }
        handle_all();
        if (round == 2) {
            ARMED(taker_detach(&taker));
            try_attach();
        }
    }
    return true;
}

START_TEST(every_allocation_may_fail_once)
{
    uint64_t ends = 0;
    uint64_t count = 0; // of a run in which none fails
    taker.events = calloc(TAKEN_MAX, sizeof *taker.events);
    for (failing_nth = 0; failing_nth <= count; failing_nth++) {
        groups_open(&fixture);
        allocations = 0;
        is_testing = true;
        ends += run_scenario();
        is_testing = false;
        count = failing_nth == 0 ? allocations : count;
        taker_detach(&taker);
        groups_close(&fixture);
        taker.attachment = NULL;
    }
    printf("# %llu allocations, %llu times the group came to its end\n", (unsigned long long)count,
           (unsigned long long)ends);
    ck_assert_uint_gt(2 * ends, count);
    free(taker.events);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("groups allocations");
    TCase *test_case = tcase_create("every allocation may fail once");
    tcase_set_timeout(test_case, 300);
    tcase_add_test(test_case, every_allocation_may_fail_once);
    suite_add_tcase(suite, test_case);
    return check_main(suite);
}
