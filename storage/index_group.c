// The blocks of a group lie together, in order of windows, so going from one to the next is a step
// of the iterator. What is not wanted is passed by steps where it is little and by a seek where it
// may be much: the own blocks of other members, and windows between marks.

#include "storage/index_internal.h"

enum { STEPS_MAX = 4 }; // passing so many blocks is cheaper than a seek

static void seek_key(struct group_walk *walk, uint64_t window, uint16_t slot)
{
    struct posting_key key = {.window = window, .group = walk->group, .slot = slot};
    uint8_t bytes[POSTING_KEY_LENGTH];
    posting_key_encode(&key, bytes);
    disk_iterator_seek(walk->iterator, bytes_of(bytes, sizeof bytes));
}

// The key at the iterator. 0, GROUP_END (no block of the group there), ERR_*.
static int current_key(const struct group_walk *walk, struct posting_key *key_out)
{
    if (!disk_iterator_is_valid(walk->iterator)) {
        int err = disk_iterator_status(walk->iterator);
        return err ? err : GROUP_END;
    }
    int err = posting_key_decode(disk_iterator_key(walk->iterator), key_out);
    if (err) {
        return err;
    }
    bool is_block = key_out->group == walk->group && key_out->window <= POSTING_WINDOW_MAX;
    return is_block ? 0 : GROUP_END;
}

static int visit_block(struct group_walk *walk, const struct posting_key *key)
{
    if (key->part < walk->part_from || key->part >= walk->part_end) {
        return 0;
    }
    struct posting_block block;
    int result = posting_block_parse(disk_iterator_value(walk->iterator), key->window, &block);
    while (result == 0) {
        uint8_t member;
        struct bytes bytes;
        result = posting_block_next(&block, &member, &bytes);
        if (result == 0 && (!walk->wanted || bitmap_has(walk->wanted, member))) {
            result = walk->section(walk->context, member, &block, bytes);
        }
    }
    return result == POSTING_END ? 0 : result;
}

// The first slot from `slot` on that is wanted; POSTING_SLOT_MAX: none.
static uint16_t slot_wanted(const struct group_walk *walk, uint16_t slot)
{
    if (!walk->wanted || slot == POSTING_SLOT_SHARED) {
        return slot;
    }
    for (unsigned member = slot - POSTING_SLOT_OWN; member < GROUP_MEMBERS; member++) {
        if (bitmap_has(walk->wanted, member)) {
            return (uint16_t)(POSTING_SLOT_OWN + member);
        }
    }
    return POSTING_SLOT_MAX;
}

// Visits a window from the block on at which the iterator stands. Ends behind the window
// (is_between), or somewhere in it when nothing further in it is wanted.
static int visit_window(struct group_walk *walk, uint64_t window)
{
    unsigned steps = 0;
    walk->is_between = false;
    for (;;) {
        struct posting_key key;
        int result = current_key(walk, &key);
        if (result || key.window != window) {
            walk->is_between = result >= 0;
            return result == GROUP_END ? 0 : result;
        }
        uint16_t wanted = slot_wanted(walk, key.slot);
        if (wanted == key.slot) {
            result = visit_block(walk, &key);
            steps = 0;
            if (result) {
                return result;
            }
        } else if (++steps > STEPS_MAX) {
            if (wanted == POSTING_SLOT_MAX) {
                return 0;
            }
            seek_key(walk, window, wanted);
            steps = 0;
            continue;
        }
        disk_iterator_next(walk->iterator);
    }
}

// Finds the next window from `window` on, and stands at its first block.
static int find_next(struct group_walk *walk, uint64_t window, uint64_t *window_out)
{
    struct posting_key key = {0};
    int result = 0;
    bool is_there = false;
    if (walk->is_between) {
        result = current_key(walk, &key);
        is_there = result != 0 || key.window >= window;
    }
    if (!is_there) {
        seek_key(walk, window, POSTING_SLOT_SHARED);
        result = current_key(walk, &key);
    }
    *window_out = key.window;
    return result;
}

int group_walk_next(struct group_walk *walk, uint64_t window, uint64_t *window_out)
{
    uint64_t found;
    int result = find_next(walk, window, &found);
    if (result) {
        return result;
    }
    *window_out = found;
    return visit_window(walk, found);
}

int group_walk_marks(struct group_walk *walk, const struct window_mark *marks, uint32_t count)
{
    uint32_t i = 0;
    for (;;) {
        while (i < count && marks[i].part_last < walk->part_from) {
            i++;
        }
        if (i == count) {
            return 0;
        }
        uint64_t found;
        int result = find_next(walk, marks[i].window, &found);
        if (result) {
            return result == GROUP_END ? 0 : result;
        }
        while (i < count && marks[i].window < found) {
            i++;
        }
        if (i < count && marks[i].window == found && marks[i].part_last >= walk->part_from) {
            result = visit_window(walk, found);
            i++;
        } else {
            walk->is_between = false;
        }
        if (result) {
            return result;
        }
    }
}

// The usual window of a namespace with few events has only shared blocks: they are met first from
// behind, and visited going backward. Else the window is visited from its beginning.
static int visit_window_backward(struct group_walk *walk, const struct posting_key *last)
{
    if (last->slot != POSTING_SLOT_SHARED) {
        seek_key(walk, last->window, POSTING_SLOT_SHARED);
        int result = visit_window(walk, last->window);
        walk->is_between = false;
        return result;
    }
    struct posting_key key = *last;
    int result = 0;
    while (result == 0 && key.window == last->window) {
        result = visit_block(walk, &key);
        if (result == 0) {
            disk_iterator_previous(walk->iterator);
            result = current_key(walk, &key);
        }
    }
    walk->is_between = result >= 0;
    return result == GROUP_END ? 0 : result;
}

int group_walk_previous(struct group_walk *walk, uint64_t window, uint64_t *window_out)
{
    struct posting_key key;
    int result = 0;
    bool is_there = false;
    if (walk->is_between) {
        result = current_key(walk, &key);
        is_there = result != 0 || key.window <= window;
    }
    if (!is_there) {
        uint8_t bytes[POSTING_KEY_LENGTH];
        key = (struct posting_key){
            .window = window,
            .group = walk->group,
            .slot = POSTING_SLOT_MAX,
            .part = UINT32_MAX,
        };
        posting_key_encode(&key, bytes);
        disk_iterator_seek_for_prev(walk->iterator, bytes_of(bytes, sizeof bytes));
        result = current_key(walk, &key);
    }
    if (result) {
        return result;
    }
    *window_out = key.window;
    return visit_window_backward(walk, &key);
}
