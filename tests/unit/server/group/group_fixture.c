#include "tests/unit/server/group/group_fixture.h"

#include <stdarg.h>

void group_fixture_init(struct group_fixture *fixture)
{
    *fixture = (struct group_fixture){.now = {.ns = 1000000000}};
    fixture->definition.concurrency = 16;
    fixture->definition.ack_wait_ms = 30000;
    fixture->definition.checkpoint_every = 1000000000;
    fixture->definition.checkpoint_after_ms = 1000000000;
    fixture->definition.queue = 1000;
}

void group_fixture_deinit(struct group_fixture *fixture)
{
    group_free(fixture->group);
    buffer_deinit(&fixture->text);
    fixture->group = NULL;
}

void position_of(const char *ranges, struct position *position)
{
    unsigned actor;
    uint64_t first;
    uint64_t last;
    int length;
    while (sscanf(ranges, "%u.%" SCNu64 "-%" SCNu64 "%n", &actor, &first, &last, &length) == 3) {
        ck_assert_int_eq(position_add(position, (uint16_t)actor, first, last), 0);
        ranges += length;
    }
    ck_assert_str_eq(ranges, "");
}

void group_begin(struct group_fixture *fixture, const char *done)
{
    struct position position = {0};
    position_of(done, &position);
    struct group_config config = {.definition = &fixture->definition, .done = &position};
    group_free(fixture->group);
    ck_assert_int_eq(group_new(&config, &fixture->group), 0);
    position_deinit(&position);
}

void offer_key(struct group_fixture *fixture, uint16_t actor, uint64_t first, uint32_t count,
               uint64_t key)
{
    struct group_run run = {
        .actor = actor,
        .first = first,
        .count = count,
        .key = key,
        .bytes = 10 * (uint64_t)count,
    };
    ck_assert_int_eq(group_offer(fixture->group, &run, 1, fixture->now), 0);
}

void offer(struct group_fixture *fixture, uint16_t actor, uint64_t first, uint32_t count)
{
    offer_key(fixture, actor, first, count, 0);
}

void passed(struct group_fixture *fixture, uint16_t actor, uint64_t counter)
{
    struct version_vector cursor = {0};
    ck_assert_int_eq(version_vector_set(&cursor, actor, counter), 0);
    ck_assert_int_eq(group_passed(fixture->group, &cursor), 0);
    version_vector_deinit(&cursor);
}

void join(struct group_fixture *fixture, consumer_id id, uint32_t in_flight_max)
{
    struct group_consumer consumer = {.id = id, .in_flight_max = in_flight_max};
    ck_assert_int_eq(group_join(fixture->group, &consumer, fixture->now), 0);
    group_credit(fixture->group, id, SUBSCRIPTION_CREDIT_BYTES_MAX);
}

void wait_ms(struct group_fixture *fixture, int64_t ms)
{
    fixture->now = instant_add(fixture->now, duration_ms(ms));
}

uint64_t ack(struct group_fixture *fixture, consumer_id id, uint16_t actor, uint64_t first,
             uint64_t last)
{
    struct done_range range = {.actor = actor, .first = first, .last = last};
    uint64_t count = 0;
    enum group_ack_result result = group_ack(fixture->group, id, &range, fixture->now, &count);
    ck_assert_int_eq(result, count > 0 ? GROUP_ACKED : GROUP_NOT_IN_FLIGHT);
    return count;
}

uint64_t ack_up_to(struct group_fixture *fixture, consumer_id id, uint16_t actor, uint64_t counter)
{
    struct event_id event = {.counter = counter, .actor = actor};
    uint64_t count = 0;
    enum group_ack_result result = group_ack_up_to(fixture->group, id, event, fixture->now, &count);
    ck_assert_int_eq(result, count > 0 ? GROUP_ACKED : GROUP_NOT_IN_FLIGHT);
    return count;
}

bool nack(struct group_fixture *fixture, consumer_id id, uint16_t actor, uint64_t first,
          uint64_t last, int64_t delay_ms, const char *reason)
{
    struct done_range range = {.actor = actor, .first = first, .last = last};
    enum group_ack_result result = group_nack(fixture->group, id, &range, duration_ms(delay_ms),
                                              bytes_of_text(reason), fixture->now);
    ck_assert(result == GROUP_ACKED || result == GROUP_NOT_IN_FLIGHT);
    return result == GROUP_ACKED;
}

static void add(struct group_fixture *fixture, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct group_fixture *fixture, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ck_assert_int_lt(length, (int)sizeof text);
    if (fixture->text.length > 0) {
        ck_assert_int_eq(buffer_append(&fixture->text, bytes_of(" ", 1)), 0);
    }
    ck_assert_int_eq(buffer_append(&fixture->text, bytes_of_text(text)), 0);
}

static const char *text_of(struct group_fixture *fixture)
{
    ck_assert_int_eq(buffer_append(&fixture->text, bytes_of("", 1)), 0);
    return (const char *)fixture->text.data;
}

static void add_action(struct group_fixture *fixture, const struct group_action *action)
{
    const struct group_run *run = &action->run;
    uint64_t last = run->first + run->count - 1;
    char again[16] = "";
    char end[32] = "";
    switch (action->kind) {
    case GROUP_DELIVER:
        if (action->attempt > 1) {
            snprintf(again, sizeof again, "#%u", action->attempt);
        }
        if (run->count > 1) {
            snprintf(end, sizeof end, "-%" PRIu64, last);
        }
        add(fixture, "%" PRIu64 "<%u.%" PRIu64 "%s%s", action->consumer, run->actor, run->first,
            end, again);
        break;
    case GROUP_PARK:
        ck_assert_uint_eq(run->count, 1);
        add(fixture, "park:%u.%" PRIu64 "#%u(%.*s)", run->actor, run->first, action->attempt,
            (int)action->reason.length, (const char *)action->reason.data);
        break;
    case GROUP_CHECKPOINT:
        add(fixture, "checkpoint");
        break;
    }
}

const char *group_does(struct group_fixture *fixture)
{
    struct group_action action;
    buffer_clear(&fixture->text);
    while (group_next_action(fixture->group, fixture->now, &action)) {
        add_action(fixture, &action);
    }
    return text_of(fixture);
}

const char *group_is_done(struct group_fixture *fixture)
{
    struct position position = {0};
    buffer_clear(&fixture->text);
    ck_assert_int_eq(group_position(fixture->group, &position), 0);
    for (uint32_t i = 0; i < position.vector.count; i++) {
        const struct version_entry *entry = &position.vector.entries[i];
        add(fixture, "%u.%" PRIu64, entry->actor, entry->counter);
    }
    for (uint32_t i = 0; i < position.ranges_count; i++) {
        const struct done_range *range = &position.ranges[i];
        add(fixture, "%u.%" PRIu64 "-%" PRIu64, range->actor, range->first, range->last);
    }
    position_deinit(&position);
    return text_of(fixture);
}

int64_t group_due_ms(const struct group_fixture *fixture)
{
    struct instant due = group_deadline(fixture->group);
    return due.ns == INSTANT_NEVER.ns ? -1 : (due.ns - fixture->now.ns) / 1000000;
}
