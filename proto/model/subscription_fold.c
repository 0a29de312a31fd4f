// What is kept is what may still count, whatever comes: nothing at or below the barrier but the
// RESET that is the barrier. Above it all creations are kept, since a DELETED that comes late may
// void the one that holds now and leave another; and the last checkpoint of each writer for each
// generation, also of one whose creation has not come yet. All the rest follows from these, so that
// the order in which they came is nowhere.

#include "proto/model/subscription_fold.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/planted.h"

// A creation or reset as it is encoded, or the position of a checkpoint.
struct kept {
    struct event_id id;
    struct event_id generation; // of a checkpoint: which it names
    size_t length;
    uint8_t *data;
};

struct kept_list {
    struct kept *items;
    uint32_t count;
    uint32_t capacity;
};

struct subscription_fold {
    struct event_id barrier;      // none: no RESET or DELETED
    struct kept reset;            // the barrier, if that is a RESET; else without data
    struct kept_list creations;   // above the barrier, by id
    struct kept_list checkpoints; // of generations that are not below it
    size_t bytes;                 // of all that is kept
};

enum { LIST_CAPACITY_MIN = 1 };

int subscription_fold_new(struct subscription_fold **fold_out)
{
    struct subscription_fold *fold = calloc(1, sizeof *fold);
    if (!fold) {
        return ERR_MEMORY;
    }
    *fold_out = fold;
    return 0;
}

static void release(struct subscription_fold *fold, struct kept *kept)
{
    fold->bytes -= kept->length;
    free(kept->data);
    *kept = (struct kept){0};
}

void subscription_fold_free(struct subscription_fold *fold)
{
    if (!fold) {
        return;
    }
    for (uint32_t i = 0; i < fold->creations.count; i++) {
        release(fold, &fold->creations.items[i]);
    }
    for (uint32_t i = 0; i < fold->checkpoints.count; i++) {
        release(fold, &fold->checkpoints.items[i]);
    }
    release(fold, &fold->reset);
    assert(fold->bytes == 0);
    free(fold->creations.items);
    free(fold->checkpoints.items);
    free(fold);
}

static bool is_above(struct event_id id, struct event_id other)
{
    return event_id_compare(id, other) > 0;
}

// --- Keeping -----------------------------------------------------------------------------------

static int list_reserve(struct kept_list *list)
{
    if (list->count < list->capacity) {
        return 0;
    }
    size_t capacity = list->capacity > 0 ? 2 * (size_t)list->capacity : LIST_CAPACITY_MIN;
    struct kept *items = realloc(list->items, capacity * sizeof *items);
    if (!items) {
        return ERR_MEMORY;
    }
    list->items = items;
    list->capacity = (uint32_t)capacity;
    return 0;
}

// Keeps those of the list whose generation, or own id where that is none, may still count.
static void list_prune(struct subscription_fold *fold, struct kept_list *list)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct kept *kept = &list->items[i];
        bool is_creation = event_id_is_none(kept->generation);
        struct event_id generation = is_creation ? kept->id : kept->generation;
        bool is_of_reset =
            fold->reset.data && event_id_compare(generation, fold->barrier) == 0 && !is_creation;
        bool is_forgiven = !is_creation && IS_PLANTED(PLANTED_RESET_BY_MAXIMUM);
        if (is_above(generation, fold->barrier) || is_of_reset || is_forgiven) {
            list->items[count++] = *kept;
        } else {
            release(fold, kept);
        }
    }
    list->count = count;
}

// Bytes of the caller, as something to keep. ERR_MEMORY.
static int kept_new(struct event_id id, struct event_id generation, struct bytes bytes,
                    struct kept *kept_out)
{
    uint8_t *data = malloc(bytes.length > 0 ? bytes.length : 1);
    if (!data) {
        return ERR_MEMORY;
    }
    if (bytes.length > 0) {
        memcpy(data, bytes.data, bytes.length);
    }
    *kept_out =
        (struct kept){.id = id, .generation = generation, .length = bytes.length, .data = data};
    return 0;
}

// The event's bytes as something to keep.
static int kept_encoded(const struct subscription_event *event, struct kept *kept_out)
{
    struct buffer encoded = {0};
    int err = subscription_event_encode(event, &encoded);
    err = err ? err : kept_new(event->id, (struct event_id){0}, buffer_bytes(&encoded), kept_out);
    buffer_deinit(&encoded);
    return err;
}

static int add_creation(struct subscription_fold *fold, const struct subscription_event *event)
{
    struct kept_list *list = &fold->creations;
    uint32_t place = list->count;
    while (place > 0 && is_above(list->items[place - 1].id, event->id)) {
        place--;
    }
    bool is_known = place > 0 && event_id_compare(list->items[place - 1].id, event->id) == 0;
    if (is_known || !is_above(event->id, fold->barrier)) {
        return 0;
    }
    struct kept kept;
    int err = list_reserve(list);
    err = err ? err : kept_encoded(event, &kept);
    if (err) {
        return err;
    }
    memmove(list->items + place + 1, list->items + place,
            (list->count - place) * sizeof *list->items);
    list->items[place] = kept;
    list->count++;
    fold->bytes += kept.length;
    return 0;
}

static int add_barrier(struct subscription_fold *fold, const struct subscription_event *event)
{
    if (!is_above(event->id, fold->barrier)) {
        return 0;
    }
    struct kept reset = {0};
    int err = event->kind == SUBSCRIPTION_RESET ? kept_encoded(event, &reset) : 0;
    if (err) {
        return err;
    }
    release(fold, &fold->reset);
    fold->barrier = event->id;
    fold->reset = reset;
    fold->bytes += reset.length;
    list_prune(fold, &fold->creations);
    list_prune(fold, &fold->checkpoints);
    return 0;
}

static int add_checkpoint(struct subscription_fold *fold, const struct subscription_event *event)
{
    int place = event_id_compare(event->generation, fold->barrier);
    if (place < 0 || (place == 0 && !fold->reset.data)) {
        return 0;
    }
    struct kept_list *list = &fold->checkpoints;
    struct kept *before = NULL;
    for (uint32_t i = 0; i < list->count && !before; i++) {
        bool is_of_writer = list->items[i].id.actor == event->id.actor &&
                            event_id_compare(list->items[i].generation, event->generation) == 0;
        before = is_of_writer ? &list->items[i] : NULL;
    }
    if (before && !is_above(event->id, before->id)) {
        return 0;
    }
    struct kept kept;
    int err = before ? 0 : list_reserve(list);
    err = err ? err : kept_new(event->id, event->generation, event->position, &kept);
    if (err) {
        return err;
    }
    if (before) {
        release(fold, before);
        *before = kept;
    } else {
        list->items[list->count++] = kept;
    }
    fold->bytes += kept.length;
    return 0;
}

int subscription_fold_add(struct subscription_fold *fold, const struct subscription_event *event)
{
    assert(!event_id_is_none(event->id));
    switch (event->kind) {
    case SUBSCRIPTION_CREATED:
        return add_creation(fold, event);
    case SUBSCRIPTION_RESET:
    case SUBSCRIPTION_DELETED:
        return add_barrier(fold, event);
    case SUBSCRIPTION_CHECKPOINT:
        return add_checkpoint(fold, event);
    }
    return 0;
}

// --- What it amounts to ------------------------------------------------------------------------

// The event that made the generation; NULL: there is none.
static const struct kept *made_by(const struct subscription_fold *fold)
{
    if (fold->reset.data) {
        return &fold->reset;
    }
    return fold->creations.count > 0 ? &fold->creations.items[0] : NULL;
}

struct event_id subscription_fold_generation(const struct subscription_fold *fold)
{
    const struct kept *made = made_by(fold);
    return made ? made->id : (struct event_id){0};
}

static void decode_kept(const struct kept *kept, struct subscription_event *event_out)
{
    int err = subscription_event_decode(bytes_of(kept->data, kept->length), event_out);
    assert(err == 0); // it was encoded here
}

void subscription_fold_definition(const struct subscription_fold *fold,
                                  struct subscription_definition *definition_out)
{
    const struct kept *made = made_by(fold);
    assert(made);
    struct subscription_event event;
    decode_kept(made, &event);
    *definition_out = event.definition;
}

static int cover_start(const struct kept *made, struct position *position)
{
    struct subscription_event event;
    decode_kept(made, &event);
    struct version_vector start = {0};
    int err = version_vector_decode(&event.start, &start);
    err = err ? err : position_cover(position, &start);
    version_vector_deinit(&start);
    return err;
}

static int merge_checkpoint(const struct kept *checkpoint, struct position *position)
{
    struct bytes bytes = bytes_of(checkpoint->data, checkpoint->length);
    struct position done = {0};
    int err = position_decode(&bytes, &done);
    err = err ? err : position_merge(position, &done);
    position_deinit(&done);
    return err;
}

// In the simulator's bugs that of any generation does, or that of one writer alone.
static bool counts(const struct subscription_fold *fold, const struct kept *checkpoint,
                   struct event_id generation)
{
    for (uint32_t i = 0; i < fold->checkpoints.count && IS_PLANTED(PLANTED_CHECKPOINT_BY_ID); i++) {
        const struct kept *other = &fold->checkpoints.items[i];
        if (event_id_compare(other->generation, generation) == 0 &&
            is_above(other->id, checkpoint->id)) {
            return false;
        }
    }
    return event_id_compare(checkpoint->generation, generation) == 0 ||
           IS_PLANTED(PLANTED_RESET_BY_MAXIMUM);
}

int subscription_fold_position(const struct subscription_fold *fold, struct position *position)
{
    const struct kept *made = made_by(fold);
    assert(made && position->vector.count == 0 && position->ranges_count == 0);
    int err = cover_start(made, position);
    for (uint32_t i = 0; i < fold->checkpoints.count && err == 0; i++) {
        const struct kept *checkpoint = &fold->checkpoints.items[i];
        if (counts(fold, checkpoint, made->id)) {
            err = merge_checkpoint(checkpoint, position);
        }
    }
    assert(err == 0 || err == ERR_MEMORY); // both were checked when they were decoded
    return err;
}

uint32_t subscription_fold_void(const struct subscription_fold *fold, struct event_id *last_out)
{
    uint32_t creations = fold->creations.count;
    uint32_t voids = fold->reset.data || creations == 0 ? creations : creations - 1;
    *last_out = voids > 0 ? fold->creations.items[creations - 1].id : (struct event_id){0};
    return voids;
}

size_t subscription_fold_bytes(const struct subscription_fold *fold)
{
    size_t items = (size_t)fold->creations.capacity + fold->checkpoints.capacity;
    return sizeof *fold + fold->bytes + items * sizeof(struct kept);
}
