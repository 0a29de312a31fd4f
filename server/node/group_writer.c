// What a group writes to the log: checkpoints, and events that were given up.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/model/event.h"
#include "proto/model/slice.h"
#include "server/node/groups_state.h"

#define ATTRIBUTE_WAS "was"
#define ATTRIBUTE_FROM "from"
#define ATTRIBUTE_ATTEMPTS "attempts"
#define ATTRIBUTE_REASON "reason"
#define ATTRIBUTE_LEFT_OUT "left_out"

enum {
    DECIMAL_DIGITS_MAX = 10,
    ATTRIBUTE_HEAD_BYTES_MAX = 5, // of a key or value, encoded
    PARKED_REST_BYTES = 64,       // the array's head, the parent, how many were left out
};

bool writer_may_write(const struct groups *groups)
{
    const struct cluster *cluster = groups->cluster;
    return cluster->failure.text[0] == '\0' &&
           atomic_load_explicit(&cluster->node->view.may_produce, memory_order_relaxed);
}

int writer_event(struct buffer *out, const char *prefix, struct bytes name, struct bytes data,
                 struct bytes attributes)
{
    uint8_t space[NAMESPACE_BYTES_MAX];
    size_t length = strlen(prefix);
    memcpy(space, prefix, length);
    memcpy(space + length, name.data, name.length);
    buffer_clear(out);
    return event_append(out, bytes_of(space, length + name.length), data, attributes);
}

void writer_append(struct cluster *cluster, struct cluster_append *append, struct append_run *run,
                   struct bytes event, void (*completed)(struct cluster_append *append))
{
    *run = (struct append_run){.length = (uint32_t)event.length, .count = 1};
    append->append = (struct append){
        .kind = APPEND_SYSTEM,
        .bytes = event,
        .runs = run,
        .runs_count = 1,
        .events = 1,
    };
    cluster_append(cluster, append, completed);
}

// --- Checkpoints -------------------------------------------------------------------------------

struct checkpoint {
    struct hosting *hosting;
    bool is_dropped; // its group is gone
    struct cluster_append append;
    struct append_run run;
    struct buffer event;
};

static void checkpoint_free(struct checkpoint *checkpoint)
{
    buffer_deinit(&checkpoint->event);
    free(checkpoint);
}

static void checkpoint_completed(struct cluster_append *done)
{
    struct checkpoint *checkpoint = container_of(done, struct checkpoint, append);
    struct hosting *hosting = checkpoint->hosting;
    if (!checkpoint->is_dropped) {
        hosting->checkpoint = NULL;
        group_checkpointed(hosting->group, done->append.result == 0,
                           hosting->groups->cluster->service->now);
        host_mark(hosting);
    }
    checkpoint_free(checkpoint);
    host_landed(hosting);
}

static int encode_checkpoint(struct hosting *hosting, struct buffer *out)
{
    struct position position = {0};
    struct buffer encoded = {0};
    struct buffer data = {0};
    int err = group_position(hosting->group, &position);
    err = err ? err : position_encode(&position, &encoded);
    struct subscription_event event = {
        .kind = SUBSCRIPTION_CHECKPOINT,
        .generation = hosting->generation,
        .position = buffer_bytes(&encoded),
    };
    err = err ? err : subscription_event_encode(&event, &data);
    err = err ? err
              : writer_event(out, SUBSCRIPTIONS_NAMESPACE, durable_name(hosting->durable),
                             buffer_bytes(&data), bytes_of(NULL, 0));
    buffer_deinit(&data);
    buffer_deinit(&encoded);
    position_deinit(&position);
    return err;
}

// On its way to the log; NULL: it cannot be written now.
static struct checkpoint *checkpoint_write(struct hosting *hosting)
{
    struct checkpoint *checkpoint =
        writer_may_write(hosting->groups) ? calloc(1, sizeof *checkpoint) : NULL;
    if (!checkpoint || encode_checkpoint(hosting, &checkpoint->event)) {
        if (checkpoint) {
            checkpoint_free(checkpoint);
        }
        return NULL;
    }
    checkpoint->hosting = hosting;
    hosting->in_flight++;
    writer_append(hosting->groups->cluster, &checkpoint->append, &checkpoint->run,
                  buffer_bytes(&checkpoint->event), checkpoint_completed);
    return checkpoint;
}

void writer_checkpoint(struct hosting *hosting)
{
    assert(!hosting->checkpoint);
    if (hosting->definition.is_transient) {
        group_checkpointed(hosting->group, true, hosting->groups->cluster->service->now);
        return;
    }
    hosting->checkpoint = checkpoint_write(hosting);
    if (!hosting->checkpoint) {
        group_checkpointed(hosting->group, false, hosting->groups->cluster->service->now);
    }
}

void writer_last_checkpoint(struct hosting *hosting)
{
    if (!group_is_covered(hosting->group) && !hosting->definition.is_transient) {
        struct checkpoint *checkpoint = checkpoint_write(hosting);
        if (checkpoint) {
            checkpoint->is_dropped = true;
        }
    }
}

// --- Parking -----------------------------------------------------------------------------------

struct parking {
    struct list_node link;
    struct hosting *hosting;
    bool is_dropped;
    struct event_id id;
    uint32_t attempts;
    struct reason reason;
    struct read_owner owner;
    struct read read;
    struct cluster_append append;
    struct append_run run;
    struct buffer event;
};

static void parking_free(struct parking *parking)
{
    list_remove(&parking->link);
    read_deinit(&parking->read);
    buffer_deinit(&parking->event);
    free(parking);
}

// It is durable, or not; the parking ends.
static void parking_end(struct parking *parking, bool is_durable)
{
    struct hosting *hosting = parking->hosting;
    if (!parking->is_dropped) {
        group_parked(hosting->group, parking->id, is_durable,
                     hosting->groups->cluster->service->now);
        host_mark(hosting);
    }
    parking_free(parking);
    host_landed(hosting);
}

static void parked(struct cluster_append *done)
{
    parking_end(container_of(done, struct parking, append), done->append.result == 0);
}

// Upper bound of what an attribute takes, encoded.
static size_t attribute_bytes(const struct attribute *attribute)
{
    return 2 * ATTRIBUTE_HEAD_BYTES_MAX + attribute->key.length + attribute->value.length;
}

// Attributes for a parked event: first those that say how it came here, then what it had, as far as
// it fits. What does not is counted, and is still where it was.
struct parked_attributes {
    struct attribute attributes[ATTRIBUTES_MAX];
    size_t count;
    size_t bytes;
    unsigned left_out;
};

static void attributes_put(struct parked_attributes *parked, const struct attribute *attribute)
{
    parked->attributes[parked->count++] = *attribute;
    parked->bytes += attribute_bytes(attribute);
}

// What follows must have room: the parent, how many were left out.
static bool attributes_fit(const struct parked_attributes *parked,
                           const struct attribute *attribute)
{
    return parked->count + 2 < ATTRIBUTES_MAX &&
           parked->bytes + attribute_bytes(attribute) + PARKED_REST_BYTES <= ATTRIBUTES_BYTES_MAX;
}

// All but the parent, which is an attribute of its own.
static int attributes_keep(struct parked_attributes *parked, struct bytes encoded)
{
    size_t left = 0;
    int err = encoded.length > 0 ? attributes_begin(&encoded, &left) : 0;
    for (; err == 0 && left > 0; left--) {
        struct attribute attribute;
        err = attributes_next(&encoded, &attribute);
        if (err || bytes_equal(attribute.key, bytes_of_text(ATTRIBUTE_PARENT))) {
            continue;
        }
        if (attributes_fit(parked, &attribute)) {
            attributes_put(parked, &attribute);
        } else {
            parked->left_out++;
        }
    }
    return err;
}

static int parked_attributes(const struct parking *parking, const struct event *event,
                             struct buffer *out)
{
    struct parked_attributes parked = {0};
    uint8_t key[EVENT_ID_KEY_LENGTH];
    char attempts[DECIMAL_DIGITS_MAX + 1];
    char left_out[DECIMAL_DIGITS_MAX + 1];
    event_id_encode_key(parking->id, key);
    (void)snprintf(attempts, sizeof attempts, "%u", parking->attempts);
    const struct attribute added[] = {
        {.key = bytes_of_text(ATTRIBUTE_WAS), .value = bytes_of(key, sizeof key)},
        {.key = bytes_of_text(ATTRIBUTE_FROM), .value = event->name, .value_is_text = true},
        {.key = bytes_of_text(ATTRIBUTE_ATTEMPTS),
         .value = bytes_of_text(attempts),
         .value_is_text = true},
        // bytes, not text: it may be cut within a character, and no member would take the event
        {.key = bytes_of_text(ATTRIBUTE_REASON), .value = bytes_of_text(parking->reason.text)},
    };
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        attributes_put(&parked, &added[i]);
    }
    int err = attributes_keep(&parked, event->attributes);
    if (parked.left_out > 0) {
        (void)snprintf(left_out, sizeof left_out, "%u", parked.left_out);
        const struct attribute attribute = {.key = bytes_of_text(ATTRIBUTE_LEFT_OUT),
                                            .value = bytes_of_text(left_out),
                                            .value_is_text = true};
        attributes_put(&parked, &attribute);
    }
    return err ? err : attributes_append(out, parked.attributes, parked.count, event_parent(event));
}

static int build_parked(struct parking *parking)
{
    struct bytes rest = block_bytes(parking->read.block);
    struct slice slice;
    struct event event;
    struct buffer attributes = {0};
    int err = slice_next(&rest, &slice);
    err = err ? err : event_next(&slice.events, &event);
    err = err ? err : parked_attributes(parking, &event, &attributes);
    err = err ? err
              : writer_event(&parking->event, PARKED_NAMESPACE,
                             durable_name(parking->hosting->durable), event.data,
                             buffer_bytes(&attributes));
    buffer_deinit(&attributes);
    return err;
}

static void parking_read(struct read_owner *owner)
{
    struct parking *parking = container_of(owner, struct parking, owner);
    struct groups *groups = parking->hosting->groups;
    groups->cluster->service->in_flight--;
    bool is_read = parking->read.result == 0 && parking->read.block;
    if (!parking->is_dropped && parking->read.result == STORE_NOT_FOUND) {
        const struct event_id id = parking->id;
        host_lost(parking->hosting, (struct done_range){id.actor, id.counter, id.counter});
    }
    if (parking->is_dropped || !is_read || !writer_may_write(groups) || build_parked(parking)) {
        block_unref(parking->read.block);
        parking->read.block = NULL;
        parking_end(parking, false);
        return;
    }
    block_unref(parking->read.block);
    parking->read.block = NULL;
    writer_append(groups->cluster, &parking->append, &parking->run, buffer_bytes(&parking->event),
                  parked);
}

void writer_park(struct hosting *hosting, const struct group_action *action)
{
    struct event_id id = {.counter = action->run.first, .actor = action->run.actor};
    struct parking *parking = calloc(1, sizeof *parking);
    if (!parking) {
        group_parked(hosting->group, id, false, hosting->groups->cluster->service->now);
        return;
    }
    parking->hosting = hosting;
    parking->id = id;
    parking->attempts = action->attempt;
    reason_set(&parking->reason, 0, "%.*s", (int)action->reason.length,
               action->reason.length > 0 ? (const char *)action->reason.data : "");
    list_init(&parking->link);
    list_append(&hosting->parkings, &parking->link);
    read_init(&parking->read, READ_EVENT);
    parking->read.position = id;
    if (version_vector_set(&parking->read.upper, id.actor, id.counter)) {
        group_parked(hosting->group, id, false, hosting->groups->cluster->service->now);
        parking_free(parking);
        return;
    }
    hosting->in_flight++;
    cluster_read(hosting->groups->cluster, &parking->read, &parking->owner, parking_read);
}

void writer_close(struct hosting *hosting)
{
    LIST_FOR_EACH(&hosting->parkings, link)
    {
        list_remove(link);
        container_of(link, struct parking, link)->is_dropped = true;
    }
    if (hosting->checkpoint) {
        hosting->checkpoint->is_dropped = true;
        hosting->checkpoint = NULL;
    }
}
