// Thousands of random operations on a group and on the naive model beside it.

#include "proto/base/random.h"
#include "tests/unit/server/group/group_model.h"

static struct random random_state;
static struct subscription_definition definition;
static struct model model;
static struct group *group;
static uint64_t brought[MODEL_ACTORS + 1]; // the reader's place
static consumer_id consumer_last;

static uint64_t below(uint64_t n)
{
    return random_below(&random_state, n);
}

static uint64_t between(uint64_t first, uint64_t last)
{
    return first + below(last - first + 1);
}

static uint16_t any_actor(void)
{
    return (uint16_t)between(1, MODEL_ACTORS);
}

// Mostly one that is attached, also one that is not.
static consumer_id any_consumer(void)
{
    consumer_id id = model.consumers[below(MODEL_CONSUMERS)].id;
    return id != 0 ? id : consumer_last + 1;
}

static struct done_range any_range(void)
{
    struct done_range range = {.actor = any_actor()};
    range.first = between(1, MODEL_COUNTERS);
    range.last = range.first + below(12);
    range.last = range.last < MODEL_COUNTERS ? range.last : MODEL_COUNTERS;
    return range;
}

// An event in flight, of *id_out; or any.
static struct event_id any_in_flight(consumer_id *id_out)
{
    struct event_id id = {.actor = any_actor(), .counter = between(1, MODEL_COUNTERS)};
    for (unsigned i = 0; i < 200 && model.events[model_index(id.actor, id.counter)].holder == 0;
         i++) {
        id.actor = any_actor();
        id.counter = between(1, MODEL_COUNTERS);
    }
    consumer_id holder = model.events[model_index(id.actor, id.counter)].holder;
    *id_out = holder != 0 && below(8) > 0 ? holder : any_consumer();
    return id;
}

// --- The reader --------------------------------------------------------------------------------

static void pass(void)
{
    struct version_vector cursor = {0};
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        ck_assert_int_eq(version_vector_set(&cursor, actor, brought[actor]), 0);
        if (brought[actor] > model.cursor[actor]) {
            model.cursor[actor] = brought[actor];
        }
    }
    ck_assert_int_eq(group_passed(group, &cursor), 0);
    version_vector_deinit(&cursor);
}

static void read_on(uint16_t actor, uint64_t count)
{
    struct group_run runs[16];
    uint32_t runs_count = 0;
    for (; count > 0 && brought[actor] < MODEL_COUNTERS; count--) {
        const struct model_event *event = &model.events[model_index(actor, ++brought[actor])];
        struct group_run *run = runs_count > 0 ? &runs[runs_count - 1] : NULL;
        if (!event->matches) {
            continue;
        }
        bool goes_on = run && run->first + run->count == brought[actor] && below(16) > 0 &&
                       (definition.key == GROUP_KEY_NONE || run->key == event->key);
        if (!goes_on) {
            run = &runs[runs_count++];
            *run = (struct group_run){.actor = actor, .first = brought[actor], .key = event->key};
        }
        run->count++;
        run->bytes += 10;
    }
    for (uint32_t i = 0; i < runs_count; i++) {
        model_offer(&model, &runs[i]);
    }
    ck_assert_int_eq(group_offer(group, runs, runs_count, model.now), 0);
}

// From the position again, as after an error.
static void read_anew(void)
{
    struct position position = {0};
    ck_assert_int_eq(group_position(group, &position), 0);
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        brought[actor] = version_vector_get(&position.vector, actor);
    }
    position_deinit(&position);
}

// --- Consumers ---------------------------------------------------------------------------------

static void credit(consumer_id id, uint64_t bytes)
{
    struct model_consumer *consumer = model_consumer(&model, id);
    if (consumer) {
        consumer->credit += (int64_t)bytes;
    }
    group_credit(group, id, bytes);
}

static void join(uint32_t in_flight_max)
{
    struct group_consumer consumer = {.id = consumer_last + 1, .in_flight_max = in_flight_max};
    unsigned attached = 0;
    for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
        attached += model.consumers[i].id != 0;
    }
    int err = group_join(group, &consumer, model.now);
    ck_assert_int_eq(err, attached < definition.concurrency ? 0 : ERR_BUSY);
    if (err == 0) {
        model_join(&model, ++consumer_last, in_flight_max);
        credit(consumer_last, below(4) == 0 ? 0 : below(1000));
    }
}

static void leave(void)
{
    consumer_id id = any_consumer();
    if (model_consumer(&model, id)) {
        model_leave(&model, id);
    }
    group_leave(group, id, model.now);
}

static void check_counted(enum group_ack_result result, uint64_t expected, uint64_t counted)
{
    ck_assert_int_eq(result, expected > 0 ? GROUP_ACKED : GROUP_NOT_IN_FLIGHT);
    ck_assert_uint_eq(counted, expected);
}

static void ack(const struct done_range *range)
{
    uint64_t counted = 0;
    enum group_ack_result result = group_ack(group, any_consumer(), range, model.now, &counted);
    check_counted(result, model_ack(&model, range), counted);
}

static void ack_in_flight(void)
{
    consumer_id id;
    struct event_id event = any_in_flight(&id);
    struct done_range range = {
        .actor = event.actor, .first = event.counter, .last = event.counter + below(8)};
    range.last = range.last < MODEL_COUNTERS ? range.last : MODEL_COUNTERS;
    ack(&range);
}

static void ack_up_to(void)
{
    consumer_id id;
    struct event_id event = any_in_flight(&id);
    uint64_t counted = 0;
    enum group_ack_result result = group_ack_up_to(group, id, event, model.now, &counted);
    check_counted(result, model_ack_up_to(&model, id, event), counted);
}

static void nack(void)
{
    consumer_id id;
    struct event_id event = any_in_flight(&id);
    struct duration delay = duration_ms((int64_t)below(3) * 700);
    struct done_range range = {
        .actor = event.actor, .first = event.counter, .last = event.counter + below(8)};
    range.last = range.last < MODEL_COUNTERS ? range.last : MODEL_COUNTERS;
    enum group_ack_result result =
        group_nack(group, id, &range, delay, bytes_of("reason", below(7)), model.now);
    bool expected = model_nack(&model, id, &range, delay);
    ck_assert_int_eq(result, expected ? GROUP_ACKED : GROUP_NOT_IN_FLIGHT);
}

// --- The driver --------------------------------------------------------------------------------

static void run_actions(void)
{
    struct group_action action;
    model_look(&model);
    while (group_next_action(group, model.now, &action)) {
        model_take(&model, &action);
        if (action.kind == GROUP_CHECKPOINT) {
            model_check_position(&model, group);
        }
    }
    model_check(&model, group);
}

static void answer_parkings(unsigned durable_of_8)
{
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        for (uint64_t counter = 1; counter <= MODEL_COUNTERS; counter++) {
            struct event_id id = {.actor = actor, .counter = counter};
            bool is_asked = model.events[model_index(actor, counter)].is_parking;
            if (is_asked || below(512) == 0) {
                bool is_durable = below(8) < durable_of_8;
                group_parked(group, id, is_durable, model.now);
                model_parked(&model, id, is_durable);
            }
        }
    }
}

static void answer_checkpoint(bool is_durable)
{
    if (model.is_covering) {
        group_checkpointed(group, is_durable, model.now);
        model_checkpointed(&model, is_durable);
    }
}

static void merge(void)
{
    struct position position = {0};
    for (uint64_t count = below(4); count > 0; count--) {
        struct done_range range = any_range();
        range.first = below(8) == 0 ? 1 : range.first;
        ck_assert_int_eq(position_add(&position, range.actor, range.first, range.last), 0);
    }
    ck_assert_int_eq(group_merge(group, &position, model.now), 0);
    model_merge(&model, &position);
    position_deinit(&position);
}

static void let_time_pass(void)
{
    struct instant due = group_deadline(group);
    if (below(4) == 0 && due.ns != INSTANT_NEVER.ns && due.ns > model.now.ns) {
        model.now = due;
    } else {
        model.now = instant_add(model.now, duration_ms((int64_t)below(500)));
    }
}

static void operate(void)
{
    struct done_range range;
    uint64_t choice = below(100);
    if (choice < 28) {
        read_on(any_actor(), between(1, 12));
        if (below(3) > 0) {
            pass();
        }
    } else if (choice < 34) {
        join((uint32_t)between(1, 20));
    } else if (choice < 42) {
        credit(any_consumer(), below(300));
    } else if (choice < 45) {
        leave();
    } else if (choice < 55) {
        ack_in_flight();
    } else if (choice < 57) {
        range = any_range();
        ack(&range);
    } else if (choice < 63) {
        ack_up_to();
    } else if (choice < 73) {
        nack();
    } else if (choice < 88) {
        let_time_pass();
    } else if (choice < 93) {
        answer_parkings(6);
    } else if (choice < 97) {
        answer_checkpoint(below(4) > 0);
    } else if (choice < 98) {
        merge();
    } else if (choice < 99) {
        group_flush(group);
        model_flush(&model);
    } else {
        read_anew();
    }
}

// --- A run -------------------------------------------------------------------------------------

static void begin(void)
{
    struct position nothing = {0};
    struct group_config config = {.definition = &definition, .done = &nothing};
    memset(&definition, 0, sizeof definition);
    definition.key = below(2) ? GROUP_KEY_NONE : GROUP_KEY_NAMESPACE;
    definition.concurrency = (uint32_t)between(1, MODEL_CONSUMERS);
    definition.attempts = (uint32_t)below(5);
    definition.ack_wait_ms = (uint32_t)between(500, 5000);
    definition.checkpoint_every = (uint32_t)between(1, 30);
    definition.checkpoint_after_ms = (uint32_t)between(100, 2000);
    definition.queue = (uint32_t)between(1, 50);
    memset(&model, 0, sizeof model);
    memset(brought, 0, sizeof brought);
    model.definition = &definition;
    model.now.ns = (int64_t)between(1, 1000000000);
    model.park_after.ns = model.not_before.ns = model.many_not_before.ns = INT64_MIN;
    uint64_t matching = between(1, 8);
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        uint64_t key = 0;
        for (uint64_t counter = 1; counter <= MODEL_COUNTERS; counter++) {
            key = below(3) == 0 ? below(MODEL_KEYS) : key;
            model.events[model_index(actor, counter)].key = key;
            model.events[model_index(actor, counter)].matches = below(8) < matching;
        }
    }
    ck_assert_int_eq(group_new(&config, &group), 0);
}

// In the end everything is done, whatever happened.
static void finish(void)
{
    const struct done_range all[] = {
        {1, 1, MODEL_COUNTERS}, {2, 1, MODEL_COUNTERS}, {3, 1, MODEL_COUNTERS}};
    for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
        consumer_id id = model.consumers[i].id;
        if (id != 0) {
            model_leave(&model, id);
            group_leave(group, id, model.now);
        }
    }
    read_anew();
    for (unsigned turn = 0; turn < 400; turn++) {
        if (turn == 0) {
            join(20);
        }
        for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
            read_on(actor, 12);
        }
        pass();
        credit(consumer_last, 10000);
        run_actions();
        for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
            for (uint64_t counter = 1; counter <= MODEL_COUNTERS; counter++) {
                struct done_range one = {all[actor - 1].actor, counter, counter};
                if (model.events[model_index(actor, counter)].holder != 0) {
                    ack(&one);
                }
            }
        }
        answer_parkings(8);
        answer_checkpoint(true);
        model.now = instant_add(model.now, duration_ms(1000));
    }
    struct group_counts counts = group_counts(group);
    ck_assert_uint_eq(counts.waiting + counts.in_flight + counts.again, 0);
    struct position position = {0};
    ck_assert_int_eq(group_position(group, &position), 0);
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        ck_assert_uint_eq(version_vector_get(&position.vector, actor), MODEL_COUNTERS);
    }
    ck_assert_uint_eq(position.ranges_count, 0);
    position_deinit(&position);
}

START_TEST(it_does_what_the_naive_model_does)
{
    random_init(&random_state, test_seed());
    for (unsigned round = 0; round < test_rounds(200); round++) {
        begin();
        for (unsigned i = 0; i < 700; i++) {
            operate();
            if (below(5) > 0) {
                run_actions();
            }
            if (i % 8 == 0) {
                model_check_position(&model, group);
            }
        }
        finish();
        group_free(group);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group model");
    suite_add(suite, it_does_what_the_naive_model_does);
    return check_main(suite);
}
