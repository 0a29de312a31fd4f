// A lane is in the list of those from whom the next may come: the consumer who has events of it in
// flight, or anybody. It is in none while nothing of it may be handed out. So who chooses what
// comes next never looks at a lane that has nothing for him.

#include "proto/base/hash.h"
#include "proto/base/planted.h"
#include "proto/model/event.h"
#include "server/group/group_state.h"

void lane_init(struct lane *lane)
{
    *lane = (struct lane){0};
    list_init(&lane->waiting);
    list_init(&lane->ready);
}

int lane_get(struct group *group, uint64_t key, struct lane **lane_out)
{
    if (!group->has_key) {
        *lane_out = &group->plain;
        return 0;
    }
    struct tree_node *node = tree_at_or_below(&group->lanes_by_key, 0, key);
    if (node && node->low == key) {
        *lane_out = container_of(node, struct lane, by_key);
        return 0;
    }
    int err = pool_reserve(&group->lanes_pool, 1);
    if (err) {
        return err;
    }
    struct lane *lane = pool_take(&group->lanes_pool);
    lane_init(lane);
    lane->by_key.low = key;
    tree_insert(&group->lanes_by_key, &lane->by_key);
    *lane_out = lane;
    return 0;
}

// With a key, what is delayed comes before what has come to no consumer yet: also before what was
// given back.
struct segment *lane_head(const struct group *group, const struct lane *lane)
{
    struct tree_node *place = lane->returned.first;
    struct segment *returned = place ? container_of(place, struct segment, place) : NULL;
    bool is_blocked = group->has_key && lane->delayed > 0;
    if (returned) {
        return is_blocked && returned->attempts == 0 ? NULL : returned;
    }
    if (is_blocked || list_is_empty(&lane->waiting)) {
        return NULL;
    }
    return container_of(lane->waiting.next, struct segment, list);
}

static void move(struct group *group, struct lane *lane, struct list_node *ready_in)
{
    struct list_node *before = lane->ready_in;
    list_remove(&lane->ready);
    lane->ready_in = ready_in;
    if (ready_in) {
        list_append(ready_in, &lane->ready);
    }
    if (before && before != &group->lanes) {
        consumer_changed(group, container_of(before, struct consumer, lanes));
    }
    if (ready_in && ready_in != &group->lanes) {
        consumer_changed(group, container_of(ready_in, struct consumer, lanes));
    }
}

void lane_changed(struct group *group, struct lane *lane)
{
    struct list_node *ready_in = NULL;
    if (lane_head(group, lane)) {
        bool is_owned = lane->owner && !IS_PLANTED(PLANTED_KEY_TO_TWO);
        ready_in = is_owned ? &lane->owner->lanes : &group->lanes;
    }
    if (ready_in != lane->ready_in) {
        move(group, lane, ready_in);
    }
    if (lane->segments == 0 && group->has_key) {
        tree_remove(&group->lanes_by_key, &lane->by_key);
        pool_give(&group->lanes_pool, lane);
    }
}

// --- Keys --------------------------------------------------------------------------------------

// The first components of a path; a slash at its front begins the first one.
static struct bytes components(struct bytes space, uint32_t count)
{
    size_t length = space.length > 0 && space.data[0] == '/';
    for (; length < space.length; length++) {
        if (space.data[length] == '/' && --count == 0) {
            break;
        }
    }
    return bytes_of(space.data, length);
}

static struct bytes attribute_value(struct bytes attributes, struct bytes key)
{
    size_t count;
    if (attributes_begin(&attributes, &count)) {
        return (struct bytes){0};
    }
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute;
        if (attributes_next(&attributes, &attribute)) {
            break;
        }
        if (bytes_equal(attribute.key, key)) {
            return attribute.value;
        }
    }
    return (struct bytes){0};
}

uint64_t group_key_hash(const struct subscription_definition *definition, struct bytes space,
                        struct bytes attributes)
{
    switch (definition->key) {
    case GROUP_KEY_NONE:
        return 0;
    case GROUP_KEY_NAMESPACE:
        return hash64(space);
    case GROUP_KEY_COMPONENTS:
        return hash64(components(space, definition->key_components));
    case GROUP_KEY_ATTRIBUTE:
        return hash64(attribute_value(attributes, definition->key_attribute));
    }
    return 0;
}
