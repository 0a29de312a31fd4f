// What a group should do, event by event and without any cleverness: it says what must come out of
// a call, checks every action against the rules of docs/subscriptions.md, and looks after each
// round whether anything that was due did not come.
#pragma once

#include "server/group/group.h"
#include "tests/unit/check_main.h"

enum { MODEL_ACTORS = 3, MODEL_COUNTERS = 160, MODEL_CONSUMERS = 5, MODEL_KEYS = 5 };

struct model_event {
    bool matches;
    uint64_t key;
    bool is_offered;
    bool is_done;
    bool is_done_elsewhere; // in flight
    bool is_delayed;
    bool is_to_park;
    bool is_parking;
    consumer_id holder; // 0: nobody has it in flight
    uint64_t brought;   // the order in which events were offered
    uint64_t handed;    // and handed out
    uint32_t attempts;
    struct instant due;
};

struct model_consumer {
    consumer_id id; // 0: nobody
    uint32_t in_flight_max;
    uint32_t in_flight;
    int64_t credit;
    uint64_t turn;
};

struct model {
    const struct subscription_definition *definition;
    struct instant now;
    struct model_event events[MODEL_ACTORS * MODEL_COUNTERS]; // model_index
    uint64_t cursor[MODEL_ACTORS + 1];
    struct model_consumer consumers[MODEL_CONSUMERS];
    uint64_t brought;
    uint64_t handed;
    uint64_t turn;
    unsigned parkings;
    struct instant park_after;
    uint64_t uncovered;
    uint64_t covering;
    struct instant uncovered_since;
    struct instant not_before;
    struct instant many_not_before;
    bool is_covering;
    bool is_flushing;
    struct group_counts counts; // of what has happened
};

static inline size_t model_index(uint16_t actor, uint64_t counter)
{
    ck_assert(actor >= 1 && actor <= MODEL_ACTORS && counter >= 1 && counter <= MODEL_COUNTERS);
    return (size_t)(actor - 1) * MODEL_COUNTERS + (size_t)(counter - 1);
}

struct model_consumer *model_consumer(struct model *model, consumer_id id); // NULL: none

void model_offer(struct model *model, const struct group_run *run);
void model_join(struct model *model, consumer_id id, uint32_t in_flight_max);
void model_leave(struct model *model, consumer_id id);
uint64_t model_ack(struct model *model, const struct done_range *range);
uint64_t model_ack_up_to(struct model *model, consumer_id id, struct event_id event);
bool model_nack(struct model *model, consumer_id id, const struct done_range *range,
                struct duration delay);
void model_parked(struct model *model, struct event_id event, bool is_durable);
void model_merge(struct model *model, const struct position *done);
void model_flush(struct model *model);
void model_checkpointed(struct model *model, bool is_durable);

// What time has brought, before the actions of now.
void model_look(struct model *model);
void model_take(struct model *model, const struct group_action *action);
// Nothing else was due; counts and the deadline are right.
void model_check(struct model *model, struct group *group);
void model_check_position(const struct model *model, const struct group *group);
