// Whatever the order in which the events of a durable subscription come, and however often: they
// amount to the same, and that is what the three rules of docs/subscriptions.md say.

#include "proto/model/subscription_fold.h"

#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_definition.h"

enum { EVENTS_MAX = 6, BYTES_PER_EVENT = 200 };

// A few events with ids of their own, whose views point into `bytes`.
struct sample {
    struct subscription_event events[EVENTS_MAX];
    uint32_t count;
    struct position positions[EVENTS_MAX]; // of checkpoints
    uint64_t starts[EVENTS_MAX];           // of actor 9; else 0
    uint8_t bytes[EVENTS_MAX][BYTES_PER_EVENT];
};

static bool has_id(const struct sample *sample, struct event_id id)
{
    for (uint32_t i = 0; i < sample->count; i++) {
        if (event_id_compare(sample->events[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

static struct event_id some_id(struct random *random)
{
    return (struct event_id){.counter = 1 + random_below(random, 8),
                             .actor = (uint16_t)(1 + random_below(random, 3))};
}

static struct bytes keep(struct sample *sample, uint32_t i, const struct buffer *buffer)
{
    ck_assert_uint_le(buffer->length, BYTES_PER_EVENT);
    memcpy(sample->bytes[i], buffer->data, buffer->length);
    return bytes_of(sample->bytes[i], buffer->length);
}

static void make_checkpoint(struct random *random, struct sample *sample, uint32_t i)
{
    struct buffer encoded = {0};
    struct position *position = &sample->positions[i];
    for (uint64_t left = random_below(random, 4); left > 0; left--) {
        uint64_t first = 1 + random_below(random, 30);
        ck_assert_int_eq(position_add(position, 9, first, first + random_below(random, 5)), 0);
    }
    ck_assert_int_eq(position_encode(position, &encoded), 0);
    sample->events[i].position = keep(sample, i, &encoded);
    sample->events[i].generation =
        i > 0 && random_below(random, 4) > 0
            ? sample->events[random_below(random, 2) * random_below(random, i)].id // of any kind
            : some_id(random);
    buffer_deinit(&encoded);
}

static void make_definition(struct random *random, struct sample *sample, uint32_t i)
{
    struct buffer encoded = {0};
    struct version_vector start = {0};
    sample->starts[i] = random_below(random, 10);
    ck_assert_int_eq(version_vector_set(&start, 9, sample->starts[i]), 0);
    ck_assert_int_eq(version_vector_encode(&start, &encoded), 0);
    sample->events[i].start = keep(sample, i, &encoded);
    sample_definition(random, &sample->events[i].definition);
    version_vector_deinit(&start);
    buffer_deinit(&encoded);
}

static void sample_make(struct random *random, struct sample *sample)
{
    memset(sample, 0, sizeof *sample);
    uint32_t count = 1 + (uint32_t)random_below(random, EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct event_id id = some_id(random);
        while (has_id(sample, id)) {
            id = some_id(random);
        }
        sample->events[i].id = id;
        sample->events[i].kind =
            random_below(random, 3) == 0
                ? SUBSCRIPTION_CHECKPOINT
                : (enum subscription_event_kind)(1 + random_below(random, SUBSCRIPTION_CHECKPOINT));
        if (sample->events[i].kind == SUBSCRIPTION_CHECKPOINT) {
            make_checkpoint(random, sample, i);
        } else if (sample->events[i].kind != SUBSCRIPTION_DELETED) {
            make_definition(random, sample, i);
        }
        sample->count++;
    }
}

static void sample_free(struct sample *sample)
{
    for (uint32_t i = 0; i < sample->count; i++) {
        position_deinit(&sample->positions[i]);
    }
}

// --- The rules, read aloud ---------------------------------------------------------------------

static bool is_above(struct event_id a, struct event_id b)
{
    return event_id_compare(a, b) > 0;
}

static const struct subscription_event *barrier_of(const struct sample *sample)
{
    const struct subscription_event *barrier = NULL;
    for (uint32_t i = 0; i < sample->count; i++) {
        const struct subscription_event *event = &sample->events[i];
        if ((event->kind == SUBSCRIPTION_RESET || event->kind == SUBSCRIPTION_DELETED) &&
            (!barrier || is_above(event->id, barrier->id))) {
            barrier = event;
        }
    }
    return barrier;
}

// The event that made the generation, or NULL; and what is void.
static const struct subscription_event *holds(const struct sample *sample, uint32_t *voids_out,
                                              struct event_id *void_last_out)
{
    const struct subscription_event *barrier = barrier_of(sample);
    struct event_id above = barrier ? barrier->id : (struct event_id){0};
    const struct subscription_event *made =
        barrier && barrier->kind == SUBSCRIPTION_RESET ? barrier : NULL;
    if (!made) {
        for (uint32_t i = 0; i < sample->count; i++) {
            const struct subscription_event *event = &sample->events[i];
            if (event->kind == SUBSCRIPTION_CREATED && is_above(event->id, above) &&
                (!made || is_above(made->id, event->id))) {
                made = event;
            }
        }
    }
    *voids_out = 0;
    *void_last_out = (struct event_id){0};
    for (uint32_t i = 0; i < sample->count; i++) {
        const struct subscription_event *event = &sample->events[i];
        if (event->kind == SUBSCRIPTION_CREATED && is_above(event->id, above) && event != made) {
            (*voids_out)++;
            *void_last_out = is_above(event->id, *void_last_out) ? event->id : *void_last_out;
        }
    }
    return made;
}

static bool is_last_of_writer(const struct sample *sample, const struct subscription_event *event)
{
    for (uint32_t i = 0; i < sample->count; i++) {
        const struct subscription_event *other = &sample->events[i];
        if (other->kind == SUBSCRIPTION_CHECKPOINT && other->id.actor == event->id.actor &&
            event_id_compare(other->generation, event->generation) == 0 &&
            is_above(other->id, event->id)) {
            return false;
        }
    }
    return true;
}

static void position_of(const struct sample *sample, const struct subscription_event *made,
                        struct position *position)
{
    uint64_t start = sample->starts[made - sample->events];
    if (start > 0) {
        ck_assert_int_eq(position_add(position, 9, 1, start), 0);
    }
    for (uint32_t i = 0; i < sample->count; i++) {
        const struct subscription_event *event = &sample->events[i];
        if (event->kind == SUBSCRIPTION_CHECKPOINT &&
            event_id_compare(event->generation, made->id) == 0 &&
            is_last_of_writer(sample, event)) {
            ck_assert_int_eq(position_merge(position, &sample->positions[i]), 0);
        }
    }
}

// --- Folds -------------------------------------------------------------------------------------

static void assert_fold_is_right(const struct subscription_fold *fold, const struct sample *sample)
{
    uint32_t voids;
    struct event_id void_last;
    struct event_id last;
    const struct subscription_event *made = holds(sample, &voids, &void_last);
    ck_assert_uint_eq(subscription_fold_void(fold, &last), voids);
    ck_assert_int_eq(event_id_compare(last, void_last), 0);
    struct event_id generation = subscription_fold_generation(fold);
    ck_assert_int_eq(event_id_is_none(generation), !made);
    if (!made) {
        return;
    }
    struct subscription_definition definition;
    struct position expected = {0};
    struct position position = {0};
    ck_assert_int_eq(event_id_compare(generation, made->id), 0);
    subscription_fold_definition(fold, &definition);
    ck_assert(subscription_definition_equal(&definition, &made->definition));
    position_of(sample, made, &expected);
    ck_assert_int_eq(subscription_fold_position(fold, &position), 0);
    ck_assert(position_equal(&position, &expected));
    position_deinit(&expected);
    position_deinit(&position);
}

static void fold_in_order(const struct sample *sample, const uint32_t *order)
{
    struct subscription_fold *fold;
    ck_assert_int_eq(subscription_fold_new(&fold), 0);
    for (uint32_t i = 0; i < sample->count; i++) {
        ck_assert_int_eq(subscription_fold_add(fold, &sample->events[order[i]]), 0);
        if (i % 2 == 1) { // again, as when a log is read twice
            ck_assert_int_eq(subscription_fold_add(fold, &sample->events[order[i / 2]]), 0);
        }
    }
    assert_fold_is_right(fold, sample);
    subscription_fold_free(fold);
}

static void for_each_order(const struct sample *sample, uint32_t *order, uint32_t fixed)
{
    if (fixed == sample->count) {
        fold_in_order(sample, order);
        return;
    }
    for (uint32_t i = fixed; i < sample->count; i++) {
        uint32_t chosen = order[i];
        order[i] = order[fixed];
        order[fixed] = chosen;
        for_each_order(sample, order, fixed + 1);
        order[fixed] = order[i];
        order[i] = chosen;
    }
}

START_TEST(every_order_amounts_to_what_the_rules_say)
{
    struct random random;
    random_init(&random, test_seed());
    struct sample *sample = malloc(sizeof *sample);
    ck_assert_ptr_nonnull(sample);
    for (unsigned round = 0; round < test_rounds(300); round++) {
        uint32_t order[EVENTS_MAX] = {0, 1, 2, 3, 4, 5};
        sample_make(&random, sample);
        for_each_order(sample, order, 0);
        sample_free(sample);
    }
    free(sample);
}
END_TEST

// --- What is kept ------------------------------------------------------------------------------

static const uint8_t NOTHING[] = {0x80};

static struct subscription_event creation(uint64_t counter)
{
    struct subscription_event event = {.kind = SUBSCRIPTION_CREATED, .id = {counter, 1}};
    subscription_definition_init(&event.definition);
    event.start = bytes_of(NOTHING, sizeof NOTHING);
    return event;
}

static void add_checkpoint(struct subscription_fold *fold, uint64_t counter, uint64_t generation,
                           uint64_t done)
{
    struct position position = {0};
    struct buffer encoded = {0};
    ck_assert_int_eq(position_add(&position, 9, 1, done), 0);
    ck_assert_int_eq(position_encode(&position, &encoded), 0);
    struct subscription_event event = {
        .kind = SUBSCRIPTION_CHECKPOINT,
        .id = {counter, 1},
        .generation = {generation, 1},
        .position = buffer_bytes(&encoded),
    };
    ck_assert_int_eq(subscription_fold_add(fold, &event), 0);
    position_deinit(&position);
    buffer_deinit(&encoded);
}

START_TEST(history_takes_no_memory)
{
    struct subscription_fold *fold;
    ck_assert_int_eq(subscription_fold_new(&fold), 0);
    size_t bytes = 0;
    for (uint64_t counter = 1; counter < 3000; counter += 30) {
        struct subscription_event made = creation(counter);
        ck_assert_int_eq(subscription_fold_add(fold, &made), 0);
        for (uint64_t done = 1; done < 20; done++) {
            add_checkpoint(fold, counter + done, counter, done);
        }
        struct position position = {0};
        ck_assert_int_eq(subscription_fold_position(fold, &position), 0);
        ck_assert_uint_eq(version_vector_get(&position.vector, 9), 19);
        position_deinit(&position);
        bytes = bytes == 0 ? subscription_fold_bytes(fold) : bytes;
        ck_assert_uint_eq(subscription_fold_bytes(fold), bytes);
        struct subscription_event deleted = {.kind = SUBSCRIPTION_DELETED, .id = {counter + 29, 1}};
        ck_assert_int_eq(subscription_fold_add(fold, &deleted), 0);
        ck_assert(event_id_is_none(subscription_fold_generation(fold)));
    }
    ck_assert_uint_lt(bytes, 1024); // SUBSCRIPTIONS_MAX of them have their place
    subscription_fold_free(fold);
}
END_TEST

START_TEST(a_definition_that_is_too_long_changes_nothing)
{
    struct subscription_fold *fold;
    struct subscription_event made = creation(7);
    uint8_t *value = calloc(1, ATTRIBUTES_BYTES_MAX);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(subscription_fold_new(&fold), 0);
    made.definition.attributes_count = ATTRIBUTE_MATCHES_MAX;
    for (uint32_t i = 0; i < ATTRIBUTE_MATCHES_MAX; i++) {
        made.definition.attributes[i].name = bytes_of_text("n");
        made.definition.attributes[i].value = bytes_of(value, ATTRIBUTES_BYTES_MAX);
    }
    ck_assert_int_eq(subscription_fold_add(fold, &made), ERR_LIMIT);
    ck_assert(event_id_is_none(subscription_fold_generation(fold)));
    subscription_fold_free(fold);
    free(value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subscription_fold");
    suite_add(suite, every_order_amounts_to_what_the_rules_say);
    suite_add(suite, history_takes_no_memory);
    suite_add(suite, a_definition_that_is_too_long_changes_nothing);
    return check_main(suite);
}
