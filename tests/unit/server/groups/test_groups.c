// Durable subscriptions at the node that coordinates them: the driver over a real log.

#include <malloc.h>

#include "proto/model/subscription_row.h"
#include "server/node/groups_state.h"
#include "storage/store_state.h"
#include "tests/unit/server/groups/groups_fixture.h"

static struct cluster_fixture fixture;

static void open_group(void (*change)(struct subscription_definition *definition))
{
    struct subscription_definition definition;
    definition_begin(&definition);
    if (change) {
        change(&definition);
    }
    groups_open(&fixture);
    create(&fixture, &definition);
}

// --- The last checkpoint -----------------------------------------------------------------------

START_TEST(what_was_acknowledged_before_a_clean_stop_does_not_come_again)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 10);
    ck_assert_uint_eq(taker_ack(&taker, 0, 7), 7);
    uint64_t before = held(&fixture);
    service_shut_down(fixture.nodes[0].service);
    ck_assert_uint_eq(taker.end_reason, END_SHUTDOWN);
    cluster_settle(&fixture);
    taker_deinit(&taker);
    groups_restart(&fixture);
    ck_assert_uint_gt(held(&fixture), before);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 3);
    ck_assert_uint_eq(taker.events[0].id.counter, before - 2);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(a_checkpoint_on_its_way_at_a_clean_stop_is_followed_by_the_last_one)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    taker_ack(&taker, 0, 4);
    cluster_pass_ms(&fixture, 999);
    fixture.nodes[0].is_store_frozen = true;
    cluster_pass_ms(&fixture, 10); // the first is on its way
    taker_ack(&taker, 4, 4);
    service_shut_down(fixture.nodes[0].service);
    fixture.nodes[0].is_store_frozen = false;
    taker_deinit(&taker);
    groups_restart(&fixture);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 2);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(a_group_that_is_released_writes_its_last_checkpoint)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    taker_ack(&taker, 0, 7);
    uint64_t before = held(&fixture);
    groups_release(groups_of(&fixture), bytes_of_text(GROUP_NAME));
    ck_assert(taker.is_ended);
    ck_assert_uint_eq(taker.end_reason, 0);
    ck_assert_uint_eq(taker.error, 0);
    groups_release(groups_of(&fixture), bytes_of_text(GROUP_NAME)); // there is none any more
    groups_release(groups_of(&fixture), bytes_of_text("another"));
    cluster_settle(&fixture);
    ck_assert_uint_eq(held(&fixture), before + 1);
    struct group_row row = look(&fixture);
    ck_assert(!row.is_coordinated);
    position_deinit(&row.position);
    taker_deinit(&taker);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 3);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(what_nobody_acknowledged_costs_no_checkpoint)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    uint64_t before = held(&fixture);
    groups_release(groups_of(&fixture), bytes_of_text(GROUP_NAME));
    cluster_settle(&fixture);
    ck_assert_uint_eq(held(&fixture), before);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

static void want_others(struct subscription_definition *definition)
{
    definition->entries[0].text = bytes_of_text("/other");
}

START_TEST(a_long_way_without_a_match_is_not_read_again)
{
    struct taker taker;
    open_group(want_others);
    taker_attach(&fixture, &taker, 100);
    for (unsigned i = 0; i < 17; i++) {
        produce(&fixture, 4096);
    }
    uint64_t before = held(&fixture);
    cluster_pass_ms(&fixture, 5000);
    ck_assert_uint_eq(held(&fixture), before); // an idle one writes none
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 15000);
    ck_assert_uint_eq(held(&fixture), before + 1);
    struct group_row row = look(&fixture);
    ck_assert(!row.is_coordinated);
    ck_assert_uint_ge(version_vector_get(&row.position.vector, 1), 17 * 4096);
    position_deinit(&row.position);
    groups_close(&fixture);
}
END_TEST

START_TEST(what_did_not_match_is_shown_as_passed)
{
    struct taker taker;
    open_group(want_others);
    taker_attach(&fixture, &taker, 100);
    produce(&fixture, 10);
    struct group_row row = look(&fixture);
    ck_assert(row.is_coordinated);
    ck_assert_uint_eq(version_vector_get(&row.position.vector, 1), held(&fixture));
    position_deinit(&row.position);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

// --- Generations -------------------------------------------------------------------------------

// It comes while the group's own checkpoint is in the log's hands.
START_TEST(a_reset_while_a_checkpoint_is_on_its_way_begins_anew)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    taker_ack(&taker, 0, 10);
    cluster_pass_ms(&fixture, 999);
    fixture.nodes[0].is_store_frozen = true;
    cluster_pass_ms(&fixture, 10);
    take_reset(&fixture, 2, 16);
    fixture.nodes[0].is_store_frozen = false;
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_eq(taker.renewed, 1);
    ck_assert_uint_eq(taker.count, 20);
    ck_assert_uint_eq(taker.caught_up, 2);
    ck_assert_uint_eq(taker_ack(&taker, 10, 10), 10);
    uint64_t before = held(&fixture);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_eq(held(&fixture), before + 1);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(a_reset_with_fewer_consumers_ends_those_that_are_too_many)
{
    struct taker takers[2];
    open_group(NULL);
    taker_attach(&fixture, &takers[0], 100);
    taker_attach(&fixture, &takers[1], 100);
    take_reset(&fixture, 2, 1);
    produce(&fixture, 4);
    ck_assert(!takers[0].is_ended);
    ck_assert_uint_eq(takers[0].count, 4);
    ck_assert(takers[1].is_ended);
    ck_assert_uint_eq(takers[1].error, WIRE_BUSY);
    taker_deinit(&takers[0]);
    taker_deinit(&takers[1]);
    groups_close(&fixture);
}
END_TEST

// What the log complains of when that comes; empty: nothing.
static const char *complaint_at(enum subscription_event_kind kind, uint64_t counter)
{
    fixture.nodes[0].log_text[0] = '\0';
    take_change(&fixture, kind, (struct event_id){.counter = counter, .actor = 7});
    return fixture.nodes[0].log_text;
}

START_TEST(the_creation_that_became_void_is_reported_by_its_name)
{
    groups_open(&fixture);
    ck_assert_str_eq(complaint_at(SUBSCRIPTION_CREATED, 5000), "");
    const char *said = complaint_at(SUBSCRIPTION_CREATED, 9000);
    ck_assert_ptr_nonnull(strstr(said, "the event 9000.7 about the subscription " GROUP_NAME " "));
    said = complaint_at(SUBSCRIPTION_CREATED, 3000); // what held until now, not what is highest
    ck_assert_ptr_nonnull(strstr(said, "the event 5000.7 about the subscription " GROUP_NAME " "));
    said = complaint_at(SUBSCRIPTION_CREATED, 7000);
    ck_assert_ptr_nonnull(strstr(said, "the event 7000.7 "));
    ck_assert_str_eq(complaint_at(SUBSCRIPTION_CREATED, 7000), ""); // once
    said = complaint_at(SUBSCRIPTION_RESET, 2000);
    ck_assert_ptr_nonnull(strstr(said, "the event 3000.7 "));
    ck_assert_str_eq(complaint_at(SUBSCRIPTION_DELETED, 6000), "");
    struct group_row row = look(&fixture);
    ck_assert_uint_eq(row.generation.counter, 7000);
    ck_assert_uint_eq(row.voids, 1);
    ck_assert_uint_eq(row.void_last.counter, 9000);
    position_deinit(&row.position);
    groups_close(&fixture);
}
END_TEST

// --- Caught up ---------------------------------------------------------------------------------

START_TEST(each_consumer_is_told_once_that_all_there_was_is_handed_out)
{
    struct taker taker;
    struct taker second;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 5);
    ck_assert_uint_eq(taker.count, 5);
    ck_assert_uint_eq(taker.caught_up, 0);
    taker_ack(&taker, 0, 5);
    cluster_settle(&fixture);
    ck_assert_uint_eq(taker.count, 10);
    ck_assert_uint_eq(taker.caught_up, 1);
    taker_attach(&fixture, &second, 5);
    ck_assert_uint_eq(second.caught_up, 1);
    produce(&fixture, 1);
    ck_assert_uint_eq(taker.caught_up + second.caught_up, 2);
    taker_deinit(&taker);
    taker_deinit(&second);
    groups_close(&fixture);
}
END_TEST

// --- What it says of itself --------------------------------------------------------------------

static uint64_t lag_ms(void)
{
    struct group_row row = look(&fixture);
    position_deinit(&row.position);
    return row.lag_ms;
}

static uint64_t lag_events(void)
{
    struct group_row row = look(&fixture);
    position_deinit(&row.position);
    return row.lag_events;
}

// Counters that an actor left out are no events.
START_TEST(its_lag_counts_events_that_were_read_and_are_not_done)
{
    struct taker taker;
    open_group(NULL);
    taker_attach(&fixture, &taker, 1);
    produce(&fixture, 1);
    fixture.nodes[0].store->commit.clock += 1000;
    produce(&fixture, 2);
    ck_assert_uint_eq(lag_events(), 3);
    taker_ack(&taker, 0, 1);
    cluster_settle(&fixture);
    ck_assert_uint_eq(lag_events(), 2);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

// Where it is not coordinated, nobody knows what matches.
START_TEST(its_lag_counts_everything_until_it_is_coordinated)
{
    struct taker taker;
    open_group(want_others);
    produce(&fixture, 10);
    ck_assert_uint_eq(lag_events(), held(&fixture));
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(lag_events(), 0);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(its_lag_is_the_age_of_the_oldest_event_that_is_not_done)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 1);
    cluster_pass_ms(&fixture, 700);
    produce(&fixture, 1);
    cluster_pass_ms(&fixture, 300);
    taker_attach(&fixture, &taker, 1);
    ck_assert_uint_eq(lag_ms(), 1000); // in flight
    taker_ack(&taker, 0, 1);
    ck_assert_uint_eq(lag_ms(), 300); // waiting
    cluster_settle(&fixture);
    taker_ack(&taker, 1, 1);
    cluster_pass_ms(&fixture, 500);
    ck_assert_uint_eq(lag_ms(), 0);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(it_says_who_its_consumers_are)
{
    struct taker takers[2];
    struct buffer rows = {0};
    struct subscription_consumer consumer;
    open_group(NULL);
    produce(&fixture, 3);
    taker_attach(&fixture, &takers[0], 100);
    cluster_pass_ms(&fixture, 250);
    taker_attach(&fixture, &takers[1], 100);
    taker_ack(&takers[0], 0, 1);
    ck_assert_int_eq(groups_append_consumers(groups_of(&fixture), bytes_of_text(GROUP_NAME), &rows),
                     0);
    struct bytes rest = buffer_bytes(&rows);
    ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), 0);
    ck_assert_uint_eq(consumer.in_flight, 2);
    ck_assert_uint_eq(consumer.delivered, 3);
    ck_assert_uint_eq(consumer.acked, 1);
    ck_assert_uint_eq(consumer.attached_ms, 250);
    ck_assert_uint_eq(consumer.actor, 9);
    ck_assert(bytes_equal(consumer.client, bytes_of_text("a taker")));
    ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), 0);
    ck_assert_uint_eq(consumer.in_flight, 0);
    ck_assert_uint_eq(rest.length, 0);
    ck_assert_int_eq(groups_append_consumers(groups_of(&fixture), bytes_of_text("none"), &rows), 0);
    buffer_deinit(&rows);
    taker_deinit(&takers[0]);
    taker_deinit(&takers[1]);
    groups_close(&fixture);
}
END_TEST

// --- What is remembered without a consumer -----------------------------------------------------

static void park_after_two(struct subscription_definition *definition)
{
    definition->attempts = 2;
}

START_TEST(delays_and_attempts_are_kept_until_the_group_is_let_go)
{
    struct taker taker;
    open_group(park_after_two);
    produce(&fixture, 1);
    taker_attach(&fixture, &taker, 100);
    taker_nack(&taker, 0, 60000, "later");
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 9000);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 0);
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 11000);
    for (int i = 0; i < 4; i++) { // more often than attempts, and it is never parked
        taker_attach(&fixture, &taker, 100);
        ck_assert_uint_eq(taker.count, 1);
        ck_assert_uint_eq(taker.events[0].attempt, 1);
        struct group_row row = look(&fixture);
        ck_assert_uint_eq(row.counts.delivered, 1); // all of these begin anew, too
        ck_assert_uint_eq(row.counts.redelivered, 0);
        position_deinit(&row.position);
        taker_deinit(&taker);
        cluster_pass_ms(&fixture, 11000);
    }
    taker_attach(&fixture, &taker, 100);
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 9000);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.events[0].attempt, 2);
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 9000);
    struct group_row row = look(&fixture);
    ck_assert_uint_eq(row.counts.parked, 1);
    position_deinit(&row.position);
    groups_close(&fixture);
}
END_TEST

// --- Memory ------------------------------------------------------------------------------------

static void key_namespace(struct subscription_definition *definition)
{
    definition->entries[0].text = bytes_of_text("/**");
    definition->key = GROUP_KEY_NAMESPACE;
}

static size_t bytes_taken(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

// What the process holds, the log in memory included, after many events were acknowledged while an
// event of another key is not, and a second one waits behind it.
static size_t bytes_after_many(bool is_stuck)
{
    struct taker slow;
    struct taker taker;
    size_t before = bytes_taken();
    open_group(key_namespace);
    taker_attach(&fixture, &slow, 1);
    produce_to(&fixture, "/stuck", bytes_of(NULL, 0), 2);
    ck_assert_uint_eq(slow.count, 1);
    if (!is_stuck) {
        taker_ack(&slow, 0, 1);
        cluster_settle(&fixture);
        taker_ack(&slow, 1, 1);
        taker_detach(&slow);
    }
    taker_attach(&fixture, &taker, 100);
    for (uint32_t i = 0; i < 20000; i++) {
        produce_to(&fixture, EVENTS_SPACE, bytes_of(NULL, 0), 1);
        ck_assert_uint_eq(taker.count, i + 1);
        taker_ack(&taker, i, 1);
    }
    cluster_settle(&fixture);
    size_t bytes = bytes_taken() - before;
    taker_deinit(&taker);
    taker_deinit(&slow);
    groups_close(&fixture);
    return bytes;
}

START_TEST(much_that_is_done_above_a_stuck_event_costs_little)
{
    size_t without = bytes_after_many(false);
    size_t with = bytes_after_many(true);
    printf("# %zu bytes without a stuck event, %zu with one\n", without, with);
    ck_assert_uint_lt(with, without + 512 * KIB);
}
END_TEST

// --- What cannot be read -----------------------------------------------------------------------

START_TEST(what_cannot_be_read_for_a_while_costs_no_attempt)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 10);
    rot(&fixture, taker.events[0].id);
    taker_nack(&taker, 3, 0, "no");
    cluster_pass_ms(&fixture, 12000);
    ck_assert_uint_eq(taker.count, 10);
    rot(&fixture, taker.events[0].id);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_eq(taker.count, 11);
    ck_assert_uint_eq(taker.events[10].id.counter, taker.events[3].id.counter);
    ck_assert_uint_eq(taker.events[10].attempt, 2);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

static void no_news(void *context)
{
    (void)context;
}

static void give_up(struct event_id first, uint64_t last)
{
    struct store_port *port;
    struct append append = {
        .kind = APPEND_HOLLOW, .actor = first.actor, .first = first.counter, .last = last};
    ck_assert_int_eq(store_port_open(fixture.nodes[0].store, no_news, NULL, &port), 0);
    store_append(port, &append);
    store_port_flush(port);
    cluster_settle(&fixture);
    store_port_refresh(port);
    ck_assert_ptr_eq(store_port_take_append(port), &append);
    ck_assert_int_eq(append.result, 0);
    store_port_close(port);
}

static void make_transient(struct subscription_definition *definition)
{
    definition->is_transient = true;
}

START_TEST(a_transient_one_writes_nothing_and_begins_again)
{
    struct taker taker;
    open_group(make_transient);
    produce(&fixture, 3);
    const uint64_t written = held(&fixture);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 3);
    ck_assert_uint_eq(taker_ack(&taker, 0, 2), 2);
    taker_detach(&taker);
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 5000); // the group is still there
    taker_attach(&fixture, &taker, 100);
    cluster_pass_ms(&fixture, 10);
    ck_assert_uint_eq(taker.count, 1);
    ck_assert_uint_eq(taker_ack(&taker, 0, 1), 1);
    taker_detach(&taker);
    taker_deinit(&taker);
    cluster_pass_ms(&fixture, 15000);
    ck_assert_uint_eq(held(&fixture), written);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 3);
    ck_assert_uint_eq(taker.events[0].attempt, 1);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(a_group_goes_on_without_what_is_lost_everywhere)
{
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    uint64_t last = taker.events[9].id.counter;
    rot(&fixture, taker.events[0].id);
    taker_nack(&taker, 3, 0, "no");
    cluster_pass_ms(&fixture, 100);
    give_up(taker.events[0].id, last);
    cluster_pass_ms(&fixture, 40000); // the others are not acknowledged, either
    ck_assert_uint_eq(taker.count, 10);
    ck_assert_ptr_nonnull(strstr(fixture.nodes[0].log_text, "lost everywhere"));
    struct group_row row = look(&fixture);
    ck_assert_uint_ge(version_vector_get(&row.position.vector, 1), last);
    ck_assert_uint_eq(row.counts.in_flight + row.counts.again + row.counts.waiting, 0);
    position_deinit(&row.position);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(what_is_lost_costs_no_credit)
{
    enum { MUCH = 1000, LITTLE = 10 };
    struct taker taker;
    open_group(NULL);
    produce(&fixture, 3);
    const uint64_t last = held(&fixture);
    taker_attach_with(&fixture, GROUP_NAME, &taker, 100, MUCH);
    ck_assert_uint_eq(taker.count, 3);
    const uint64_t used = MUCH - taker.attachment->credit;
    taker_detach(&taker);
    taker_deinit(&taker);
    taker_attach_with(&fixture, GROUP_NAME, &taker, 100, used + LITTLE);
    cluster_pass_ms(&fixture, 10);
    ck_assert_uint_eq(taker.count, 3);
    rot(&fixture, taker.events[0].id);
    taker_nack(&taker, 2, 0, "no");
    cluster_pass_ms(&fixture, 100);
    give_up(taker.events[0].id, last);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_ptr_nonnull(strstr(fixture.nodes[0].log_text, "lost everywhere"));
    produce(&fixture, 1);
    ck_assert_uint_eq(taker.count, 4);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

static void park_at_once(struct subscription_definition *definition)
{
    definition->attempts = 1;
}

START_TEST(what_is_lost_before_it_is_parked_is_done)
{
    struct taker taker;
    open_group(park_at_once);
    produce(&fixture, 10);
    taker_attach(&fixture, &taker, 100);
    rot(&fixture, taker.events[0].id);
    taker_nack(&taker, 3, 0, "no");
    cluster_pass_ms(&fixture, 3000);
    struct group_row row = look(&fixture);
    ck_assert_uint_eq(row.counts.again, 1); // it waits for the disk
    position_deinit(&row.position);
    give_up(taker.events[0].id, taker.events[9].id.counter);
    cluster_pass_ms(&fixture, 2000);
    row = look(&fixture);
    ck_assert_uint_eq(row.counts.again, 0);
    ck_assert_uint_eq(row.counts.parked, 0);
    position_deinit(&row.position);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

// --- Parked events -----------------------------------------------------------------------------

// The bytes of all values of that attribute; their number.
static unsigned values_of(struct bytes attributes, const char *name, size_t *bytes_out,
                          struct bytes *last_out)
{
    unsigned found = 0;
    size_t count;
    ck_assert_int_eq(attributes_begin(&attributes, &count), 0);
    ck_assert_uint_le(count, ATTRIBUTES_MAX);
    *bytes_out = 0;
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute;
        ck_assert_int_eq(attributes_next(&attributes, &attribute), 0);
        if (bytes_equal(attribute.key, bytes_of_text(name))) {
            found++;
            *bytes_out += attribute.value.length;
            *last_out = attribute.value;
        }
    }
    return found;
}

static void check_parked(const struct event *event, unsigned left_out)
{
    struct bytes said = {0};
    size_t bytes;
    char text[12];
    ck_assert_uint_le(event->attributes.length, ATTRIBUTES_BYTES_MAX);
    ck_assert_uint_eq(event_parent(event).counter, 1);
    ck_assert_uint_eq(values_of(event->attributes, "was", &bytes, &said), 1);
    ck_assert_uint_eq(values_of(event->attributes, "reason", &bytes, &said), 1);
    ck_assert(bytes_equal(said, bytes_of_text("no")));
    ck_assert_uint_eq(values_of(event->attributes, "left_out", &bytes, &said), left_out > 0);
    snprintf(text, sizeof text, "%u", left_out);
    ck_assert(left_out == 0 || bytes_equal(said, bytes_of_text(text)));
}

// Parks an event with so many attributes of so many bytes; says how many it has then.
static unsigned park_with(unsigned count, size_t length, unsigned left_out)
{
    static uint8_t value[ATTRIBUTES_BYTES_MAX];
    struct attribute attributes[ATTRIBUTES_MAX];
    struct buffer encoded = {0};
    struct taker taker;
    struct event event;
    struct bytes said = {0};
    size_t bytes;
    for (unsigned i = 0; i < count; i++) {
        attributes[i] = (struct attribute){bytes_of_text("a"), bytes_of(value, length), false};
    }
    const struct event_id parent = {.counter = 1, .actor = 1};
    ck_assert_int_eq(attributes_append(&encoded, attributes, count, parent), 0);
    open_group(park_at_once);
    produce_to(&fixture, EVENTS_SPACE, buffer_bytes(&encoded), 1);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 1);
    taker_nack(&taker, 0, 0, "no");
    cluster_pass_ms(&fixture, 100);
    struct block *block = last_event(&fixture, "/$weir/parked/" GROUP_NAME, &event);
    check_parked(&event, left_out);
    unsigned kept = values_of(event.attributes, "a", &bytes, &said);
    ck_assert_uint_eq(bytes, kept * length);
    block_unref(block);
    buffer_deinit(&encoded);
    taker_deinit(&taker);
    groups_close(&fixture);
    return kept;
}

START_TEST(a_parked_event_keeps_the_attributes_that_fit)
{
    ck_assert_uint_eq(park_with(3, 100, 0), 3);
    ck_assert_uint_eq(park_with(57, 100, 0), 57);
    ck_assert_uint_eq(park_with(63, 100, 5), 58); // 64 in all, the parent, five of the group
    ck_assert_uint_eq(park_with(1, 65500, 1), 0);
    ck_assert_uint_eq(park_with(4, 16000, 0), 4);
    ck_assert_uint_eq(park_with(4, 16370, 1), 3);
}
END_TEST

START_TEST(events_of_the_system_come_again_too)
{
    struct subscription_definition definition;
    struct taker taker;
    struct taker dead;
    open_group(park_at_once);
    definition_begin(&definition);
    definition.entries[0].text = bytes_of_text("/$weir/parked/" GROUP_NAME);
    create_named(&fixture, "dead", &definition);
    produce(&fixture, 3);
    taker_attach(&fixture, &taker, 100);
    taker_nack(&taker, 1, 0, "no");
    taker_attach_named(&fixture, "dead", &dead, 100);
    ck_assert_uint_eq(dead.count, 1);
    taker_nack(&dead, 0, 0, "not either");
    cluster_pass_ms(&fixture, 100);
    ck_assert_uint_eq(dead.count, 2);
    ck_assert_uint_eq(dead.events[1].attempt, 2);
    ck_assert_uint_eq(taker_ack(&dead, 1, 1), 1);
    taker_deinit(&dead);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("groups");
    suite_add(suite, what_was_acknowledged_before_a_clean_stop_does_not_come_again);
    suite_add(suite, a_checkpoint_on_its_way_at_a_clean_stop_is_followed_by_the_last_one);
    suite_add(suite, a_group_that_is_released_writes_its_last_checkpoint);
    suite_add(suite, what_nobody_acknowledged_costs_no_checkpoint);
    suite_add(suite, a_long_way_without_a_match_is_not_read_again);
    suite_add(suite, what_did_not_match_is_shown_as_passed);
    suite_add(suite, a_reset_while_a_checkpoint_is_on_its_way_begins_anew);
    suite_add(suite, a_reset_with_fewer_consumers_ends_those_that_are_too_many);
    suite_add(suite, the_creation_that_became_void_is_reported_by_its_name);
    suite_add(suite, each_consumer_is_told_once_that_all_there_was_is_handed_out);
    suite_add(suite, its_lag_counts_events_that_were_read_and_are_not_done);
    suite_add(suite, its_lag_counts_everything_until_it_is_coordinated);
    suite_add(suite, its_lag_is_the_age_of_the_oldest_event_that_is_not_done);
    suite_add(suite, it_says_who_its_consumers_are);
    suite_add(suite, delays_and_attempts_are_kept_until_the_group_is_let_go);
    suite_add(suite, much_that_is_done_above_a_stuck_event_costs_little);
    suite_add(suite, what_cannot_be_read_for_a_while_costs_no_attempt);
    suite_add(suite, a_transient_one_writes_nothing_and_begins_again);
    suite_add(suite, a_group_goes_on_without_what_is_lost_everywhere);
    suite_add(suite, what_is_lost_costs_no_credit);
    suite_add(suite, what_is_lost_before_it_is_parked_is_done);
    suite_add(suite, a_parked_event_keeps_the_attributes_that_fit);
    suite_add(suite, events_of_the_system_come_again_too);
    return check_main(suite);
}
