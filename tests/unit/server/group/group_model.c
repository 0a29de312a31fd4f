#include "tests/unit/server/group/group_model.h"

#include <stdlib.h>

#define EACH_EVENT(model, event)                                                                   \
    for (struct model_event *event = (model)->events;                                              \
         event < (model)->events + MODEL_ACTORS * MODEL_COUNTERS; event++)

static bool is_open(const struct model_event *event)
{
    return event->is_offered && !event->is_done;
}

// It may be handed out as far as it is concerned.
static bool is_takeable(const struct model_event *event)
{
    return is_open(event) && event->holder == 0 && !event->is_delayed && !event->is_to_park &&
           !event->is_parking;
}

static bool has_key(const struct model *model)
{
    return model->definition->key != GROUP_KEY_NONE;
}

struct model_consumer *model_consumer(struct model *model, consumer_id id)
{
    for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
        if (id != 0 && model->consumers[i].id == id) {
            return &model->consumers[i];
        }
    }
    return NULL;
}

// --- How events end ----------------------------------------------------------------------------

static void land(struct model *model, struct model_event *event)
{
    struct model_consumer *consumer = model_consumer(model, event->holder);
    if (consumer) {
        consumer->in_flight--;
    }
    event->holder = 0;
}

static void done(struct model *model, struct model_event *event)
{
    land(model, event);
    model->parkings -= event->is_parking;
    event->is_done = true;
    event->is_delayed = event->is_to_park = event->is_parking = event->is_done_elsewhere = false;
}

static void again(struct model *model, struct model_event *event, struct instant due)
{
    land(model, event);
    if (event->is_done_elsewhere) {
        done(model, event);
    } else if (model->definition->attempts > 0 && event->attempts >= model->definition->attempts) {
        event->is_to_park = true;
    } else {
        event->is_delayed = due.ns > model->now.ns;
        event->due = due;
    }
}

static void count_done(struct model *model, uint64_t count)
{
    if (model->uncovered == 0) {
        model->uncovered_since = model->now;
    }
    model->uncovered += count;
}

// --- What is said ------------------------------------------------------------------------------

void model_offer(struct model *model, const struct group_run *run)
{
    for (uint64_t counter = run->first; counter < run->first + run->count; counter++) {
        struct model_event *event = &model->events[model_index(run->actor, counter)];
        ck_assert(event->matches && (!has_key(model) || event->key == run->key));
        if (!event->is_offered && !event->is_done && counter > model->cursor[run->actor]) {
            event->is_offered = true;
            event->brought = ++model->brought;
        }
    }
}

void model_join(struct model *model, consumer_id id, uint32_t in_flight_max)
{
    struct model_consumer *consumer = model->consumers;
    while (consumer->id != 0) {
        consumer++;
    }
    *consumer =
        (struct model_consumer){.id = id, .in_flight_max = in_flight_max, .turn = ++model->turn};
}

void model_leave(struct model *model, consumer_id id)
{
    struct model_consumer *consumer = model_consumer(model, id);
    EACH_EVENT(model, event)
    {
        if (event->holder == id) {
            again(model, event, model->now);
        }
    }
    ck_assert_uint_eq(consumer->in_flight, 0);
    consumer->id = 0;
    for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
        if (model->consumers[i].id != 0) {
            return;
        }
    }
    model->is_flushing = model->uncovered > 0;
}

uint64_t model_ack(struct model *model, const struct done_range *range)
{
    uint64_t count = 0;
    for (uint64_t counter = range->first; counter <= range->last; counter++) {
        struct model_event *event = &model->events[model_index(range->actor, counter)];
        bool is_ahead = !event->is_offered && counter > model->cursor[range->actor];
        if (!event->is_done && (event->is_offered || is_ahead)) {
            done(model, event);
            count++;
        }
    }
    count_done(model, count);
    model->counts.acked += count;
    return count;
}

uint64_t model_ack_up_to(struct model *model, consumer_id id, struct event_id id_of_event)
{
    const struct model_event *last =
        &model->events[model_index(id_of_event.actor, id_of_event.counter)];
    uint64_t count = 0;
    if (last->holder != id || id == 0) {
        return 0;
    }
    uint64_t handed = last->handed;
    EACH_EVENT(model, event)
    {
        bool counts = last->attempts > 1 ? event == last : event->handed <= handed;
        if (event->holder == id && counts) {
            done(model, event);
            count++;
        }
    }
    count_done(model, count);
    model->counts.acked += count;
    return count;
}

bool model_nack(struct model *model, consumer_id id, const struct done_range *range,
                struct duration delay)
{
    bool is_any = false;
    for (uint64_t counter = range->first; counter <= range->last; counter++) {
        struct model_event *event = &model->events[model_index(range->actor, counter)];
        if (event->holder == id && id != 0) {
            again(model, event, instant_add(model->now, delay));
            is_any = true;
        }
    }
    return is_any;
}

void model_parked(struct model *model, struct event_id id, bool is_durable)
{
    struct model_event *event = &model->events[model_index(id.actor, id.counter)];
    if (!event->is_parking) {
        return;
    }
    if (is_durable) {
        done(model, event);
        count_done(model, 1);
        model->counts.parked++;
        return;
    }
    model->parkings--;
    event->is_parking = false;
    event->is_to_park = true;
    model->park_after = instant_add(model->now, duration_ms(1000));
}

void model_merge(struct model *model, const struct position *position)
{
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        for (uint64_t counter = 1; counter <= MODEL_COUNTERS; counter++) {
            struct model_event *event = &model->events[model_index(actor, counter)];
            struct event_id id = {.actor = actor, .counter = counter};
            if (!position_is_done(position, id) || event->is_done) {
                continue;
            }
            if (event->holder != 0) {
                event->is_done_elsewhere = true;
            } else if (event->is_offered || counter > model->cursor[actor]) {
                done(model, event);
            }
        }
    }
}

// --- Checkpoints -------------------------------------------------------------------------------

void model_flush(struct model *model)
{
    model->is_flushing = model->uncovered > 0;
    model->not_before.ns = INT64_MIN;
}

void model_checkpointed(struct model *model, bool is_durable)
{
    model->is_covering = false;
    if (!is_durable) {
        model->uncovered += model->covering;
        model->is_flushing = true;
        model->not_before =
            instant_add(model->now, duration_ms(model->definition->checkpoint_after_ms));
    }
}

static struct instant checkpoint_due(const struct model *model)
{
    if (model->is_covering || model->uncovered == 0) {
        return INSTANT_NEVER;
    }
    struct instant due =
        instant_add(model->uncovered_since, duration_ms(model->definition->checkpoint_after_ms));
    if (model->uncovered >= model->definition->checkpoint_every) {
        due = instant_earlier(due, model->many_not_before);
    }
    return model->is_flushing || due.ns < model->not_before.ns ? model->not_before : due;
}

// --- Actions -----------------------------------------------------------------------------------

void model_look(struct model *model)
{
    EACH_EVENT(model, event)
    {
        if (event->holder != 0 && instant_reached(event->due, model->now)) {
            again(model, event, model->now);
        }
        if (event->is_delayed && instant_reached(event->due, model->now)) {
            event->is_delayed = false;
        }
    }
}

// What comes next of a key; NULL: nothing. Without keys of all.
static struct model_event *head(struct model *model, uint64_t key)
{
    struct model_event *returned = NULL;
    struct model_event *waiting = NULL;
    EACH_EVENT(model, event)
    {
        if (has_key(model) && event->key != key) {
            continue;
        }
        struct model_event **first = event->attempts > 0 ? &returned : &waiting;
        if (is_takeable(event) && (!*first || event->brought < (*first)->brought)) {
            *first = event;
        }
    }
    EACH_EVENT(model, event)
    {
        if (has_key(model) && event->key == key && is_open(event) && event->is_delayed) {
            waiting = NULL; // comes before it
        }
    }
    return returned ? returned : waiting;
}

static consumer_id owner(struct model *model, uint64_t key)
{
    consumer_id found = 0;
    EACH_EVENT(model, event)
    {
        if (has_key(model) && event->key == key && event->holder != 0) {
            ck_assert(found == 0 || found == event->holder);
            found = event->holder;
        }
    }
    return found;
}

static bool may_take(struct model *model, const struct model_consumer *consumer)
{
    if (consumer->id == 0 || consumer->in_flight >= consumer->in_flight_max ||
        consumer->credit <= 0) {
        return false;
    }
    for (uint64_t key = 0; key < (has_key(model) ? MODEL_KEYS : 1); key++) {
        consumer_id has = owner(model, key);
        if ((has == 0 || has == consumer->id) && head(model, key)) {
            return true;
        }
    }
    return false;
}

static void take_delivery(struct model *model, const struct group_action *action)
{
    const struct group_run *run = &action->run;
    struct model_consumer *consumer = model_consumer(model, action->consumer);
    ck_assert(consumer && may_take(model, consumer));
    for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
        const struct model_consumer *other = &model->consumers[i];
        bool is_before = other->in_flight < consumer->in_flight ||
                         (other->in_flight == consumer->in_flight && other->turn < consumer->turn);
        ck_assert(!is_before || !may_take(model, other));
    }
    ck_assert_uint_eq(run->bytes, 10 * run->count);
    for (uint64_t counter = run->first; counter < run->first + run->count; counter++) {
        struct model_event *event = &model->events[model_index(run->actor, counter)];
        consumer_id has = owner(model, event->key);
        ck_assert(has == 0 || has == consumer->id);
        ck_assert(!has_key(model) || event->key == run->key);
        ck_assert_ptr_eq(event, head(model, event->key));
        ck_assert_uint_eq(action->attempt, ++event->attempts);
        event->holder = consumer->id;
        event->handed = ++model->handed;
        event->due = instant_add(model->now, duration_ms(model->definition->ack_wait_ms));
        consumer->in_flight++;
        model->counts.delivered++;
        model->counts.redelivered += event->attempts > 1;
    }
    ck_assert_uint_le(consumer->in_flight, consumer->in_flight_max);
    consumer->credit -= (int64_t)run->bytes;
    consumer->turn = ++model->turn;
}

void model_take(struct model *model, const struct group_action *action)
{
    struct model_event *event = NULL;
    switch (action->kind) {
    case GROUP_DELIVER:
        take_delivery(model, action);
        break;
    case GROUP_PARK:
        event = &model->events[model_index(action->run.actor, action->run.first)];
        ck_assert(event->is_to_park && instant_reached(model->park_after, model->now));
        ck_assert_uint_eq(action->run.count, 1);
        ck_assert_uint_eq(action->attempt, event->attempts);
        ck_assert_uint_eq(event->attempts, model->definition->attempts);
        event->is_to_park = false;
        event->is_parking = true;
        model->parkings++;
        break;
    case GROUP_CHECKPOINT:
        ck_assert(instant_reached(checkpoint_due(model), model->now));
        model->is_covering = true;
        model->is_flushing = false;
        model->many_not_before = instant_add(model->now, duration_ms(20));
        model->covering = model->uncovered;
        model->uncovered = 0;
        break;
    }
}

// --- After them --------------------------------------------------------------------------------

void model_check(struct model *model, struct group *group)
{
    struct instant due = checkpoint_due(model);
    struct group_counts counts = model->counts;
    bool is_to_park = false;
    ck_assert(!instant_reached(due, model->now));
    for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
        ck_assert(!may_take(model, &model->consumers[i]));
    }
    EACH_EVENT(model, event)
    {
        if (event->holder != 0 || (event->is_delayed && is_open(event))) {
            due = instant_earlier(due, event->due);
        }
        is_to_park |= event->is_to_park;
        counts.in_flight += event->holder != 0;
        counts.waiting += is_open(event) && event->attempts == 0;
        counts.again += is_open(event) && event->attempts > 0 && event->holder == 0;
    }
    if (is_to_park && model->parkings < 16) {
        due = instant_earlier(due, model->park_after);
    }
    ck_assert(!instant_reached(due, model->now));
    ck_assert_int_eq(group_deadline(group).ns, due.ns);
    struct group_counts got = group_counts(group);
    ck_assert_int_eq(memcmp(&counts, &got, sizeof counts), 0);
    ck_assert(group_wants(group) == (counts.waiting < model->definition->queue));
}

static bool is_done(const struct model *model, struct event_id id)
{
    const struct model_event *event = &model->events[model_index(id.actor, id.counter)];
    if (event->is_done || event->is_done_elsewhere) {
        return true;
    }
    return !event->is_offered && id.counter <= model->cursor[id.actor];
}

void model_check_position(const struct model *model, const struct group *group)
{
    struct position position = {0};
    ck_assert_int_eq(group_position(group, &position), 0);
    for (uint16_t actor = 1; actor <= MODEL_ACTORS; actor++) {
        for (uint64_t counter = 1; counter <= MODEL_COUNTERS; counter++) {
            struct event_id id = {.actor = actor, .counter = counter};
            ck_assert_int_eq(position_is_done(&position, id), is_done(model, id));
        }
        ck_assert_uint_le(version_vector_get(&position.vector, actor), MODEL_COUNTERS);
    }
    position_deinit(&position);
}
