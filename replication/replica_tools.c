// What all files of the replica share: pushing actions, memory of one step, alarms, questions, and
// vectors with a hash beside every entry.
//
// Memory of a step is a chain of blocks, so that what was handed out never moves. A step begins by
// giving back all but one block; that one is kept, for most steps need none or little.

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_state.h"

enum { ARENA_BLOCK_BYTES = 16 * 1024, ARENA_KEPT_BYTES_MAX = 256 * 1024 };

uint32_t actor_index(const void *entries, size_t entry_size, uint32_t count, uint16_t actor)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint16_t found;
        memcpy(&found, (const uint8_t *)entries + middle * entry_size, sizeof found);
        if (found < actor) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// --- Actions -----------------------------------------------------------------------------------

struct replica_action *push(struct replica *replica, enum replica_action_kind kind)
{
    struct replica_actions *actions = replica->actions;
    assert(actions && actions->count < REPLICA_ACTIONS_MAX);
    struct replica_action *action = &actions->items[actions->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

bool has_room(const struct replica *replica)
{
    return replica->actions &&
           replica->actions->count + ACTIONS_PER_CALL <= REPLICA_ACTIONS_MAX - ACTIONS_RESERVED;
}

void push_send(struct replica *replica, struct link *link, const struct peer_message *message)
{
    if (link->is_ended) {
        return;
    }
    struct replica_action *action = push(replica, REPLICA_SEND);
    action->send.link = link->id;
    action->send.message = *message;
    link->said = replica->now;
}

void push_drop(struct replica *replica, link_id id, enum peer_refusal refusal, const char *format,
               ...)
{
    struct link *link = link_find(replica, id);
    if (link && link->is_ended) {
        return;
    }
    if (link) {
        link->is_ended = true;
        link->is_refused = refusal != 0;
    }
    struct replica_action *action = push(replica, REPLICA_DROP);
    action->drop.link = id;
    action->drop.refusal = refusal;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(action->drop.text.text, sizeof action->drop.text.text, format, list);
    va_end(list);
    if (link) {
        (void)snprintf(link->why_ended, sizeof link->why_ended, "%.*s", LINK_WHY_BYTES_MAX,
                       action->drop.text.text);
    }
}

void push_record(struct replica *replica, struct bytes key, struct bytes value)
{
    push(replica, REPLICA_RECORD)->record = (struct replica_record){.key = key, .value = value};
}

void push_report(struct replica *replica, enum replica_severity severity, const char *format, ...)
{
    struct replica_action *action = push(replica, REPLICA_REPORT);
    action->report.severity = severity;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(action->report.text.text, sizeof action->report.text.text, format, list);
    va_end(list);
}

void push_answer(struct replica *replica, uint64_t token, int result, const char *format, ...)
{
    struct replica_action *action = push(replica, REPLICA_ANSWER);
    action->answer.token = token;
    action->answer.result = result;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(action->answer.text.text, sizeof action->answer.text.text, format, list);
    va_end(list);
}

// --- Memory of a step --------------------------------------------------------------------------

void arena_reset(struct replica *replica)
{
    struct arena_block *block = replica->arena;
    struct arena_block *kept = NULL;
    while (block) {
        struct arena_block *next = block->next;
        if (!kept && block->capacity <= ARENA_KEPT_BYTES_MAX) {
            kept = block;
        } else {
            free(block);
        }
        block = next;
    }
    if (kept) {
        kept->next = NULL;
        kept->length = 0;
    }
    replica->arena = kept;
}

void arena_free(struct replica *replica)
{
    while (replica->arena) {
        struct arena_block *next = replica->arena->next;
        free(replica->arena);
        replica->arena = next;
    }
}

void *step_alloc(struct replica *replica, size_t length)
{
    length = (length + 15) & ~(size_t)15;
    struct arena_block *block = replica->arena;
    if (!block || block->capacity - block->length < length) {
        size_t capacity = length > ARENA_BLOCK_BYTES ? length : ARENA_BLOCK_BYTES;
        block = malloc(sizeof *block + capacity);
        if (!block) {
            return NULL;
        }
        *block = (struct arena_block){.next = replica->arena, .capacity = capacity};
        replica->arena = block;
    }
    void *memory = block->bytes + block->length;
    block->length += length;
    return memory;
}

// --- Vectors with hashes -----------------------------------------------------------------------

static uint32_t strands_index(const struct version_vector *vector, uint16_t actor)
{
    uint32_t low = 0;
    uint32_t high = vector->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (vector->entries[middle].actor < actor) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int strands_set(struct version_vector *vector, struct hash128 **hashes, uint32_t *hashes_capacity,
                uint16_t actor, uint64_t counter, const struct hash128 *hash)
{
    uint32_t i = strands_index(vector, actor);
    uint32_t count = vector->count;
    bool is_there = i < count && vector->entries[i].actor == actor;
    if (!is_there && counter > 0 && count == *hashes_capacity) {
        uint32_t capacity = count < 4 ? 8 : 2 * count;
        struct hash128 *grown = realloc(*hashes, capacity * sizeof *grown);
        if (!grown) {
            return ERR_MEMORY;
        }
        *hashes = grown;
        *hashes_capacity = capacity;
    }
    int err = version_vector_set(vector, actor, counter);
    if (err) {
        return err;
    }
    struct hash128 *at = *hashes + i;
    if (vector->count > count) {
        memmove(at + 1, at, (count - i) * sizeof *at);
    } else if (vector->count < count) {
        memmove(at, at + 1, (count - i - 1) * sizeof *at);
    }
    if (counter > 0) {
        *at = *hash;
    }
    return 0;
}

struct hash128 strands_hash(const struct version_vector *vector, const struct hash128 *hashes,
                            uint16_t actor)
{
    uint32_t i = strands_index(vector, actor);
    bool is_there = i < vector->count && vector->entries[i].actor == actor;
    return is_there ? hashes[i] : (struct hash128){0};
}

struct hash128 head_hash(const struct replica *replica, uint16_t actor)
{
    return strands_hash(&replica->held, replica->hashes, actor);
}

// --- Alarms ------------------------------------------------------------------------------------

static struct alarm *alarm_find(struct replica *replica, const char *code, uint64_t subject)
{
    for (uint32_t i = 0; i < replica->alarms_count; i++) {
        struct alarm *alarm = &replica->alarms[i];
        if (alarm->subject == subject && strcmp(alarm->code, code) == 0) {
            return alarm;
        }
    }
    return NULL;
}

// Between steps too: what is new is said at the end of this step, or in the next, at once.
void alarm_raise(struct replica *replica, const char *code, uint64_t subject, const char *format,
                 ...)
{
    struct alarm *alarm = alarm_find(replica, code, subject);
    if (!alarm && replica->alarms_count == ALARMS_MAX) {
        return; // so many stand that the operator is awake
    }
    struct reason text = {0};
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text.text, sizeof text.text, format, list);
    va_end(list);
    if (!alarm) {
        alarm = &replica->alarms[replica->alarms_count++];
        *alarm = (struct alarm){.subject = subject};
        assert(strlen(code) < sizeof alarm->code);
        (void)snprintf(alarm->code, sizeof alarm->code, "%s", code);
    }
    if (strcmp(alarm->text.text, text.text) != 0) {
        alarm->text = text;
        alarm->is_said = false;
        replica->is_unfinished = true;
    }
}

void alarm_clear(struct replica *replica, const char *code, uint64_t subject)
{
    struct alarm *alarm = alarm_find(replica, code, subject);
    if (alarm) {
        *alarm = replica->alarms[--replica->alarms_count];
    }
}

// --- Links and questions -----------------------------------------------------------------------

struct link *link_find(struct replica *replica, link_id id)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        if (replica->links[i].id == id) {
            return &replica->links[i];
        }
    }
    return NULL;
}

struct link *link_of_node(struct replica *replica, const struct uuid *node)
{
    struct link *found = NULL;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (!link->is_ended && uuid_equal(&link->node, node) && (!found || found->is_copy)) {
            found = link;
        }
    }
    return found;
}

struct link *link_of_actor(struct replica *replica, uint16_t actor)
{
    struct link *found = NULL;
    for (uint32_t i = 0; actor != 0 && i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (!link->is_ended && link->actor == actor && (!found || found->is_copy)) {
            found = link;
        }
    }
    return found;
}

struct ask *ask_send(struct replica *replica, struct link *link, struct peer_ask *question)
{
    struct ask *ask = NULL;
    for (uint32_t i = 0; i < ASKS_MAX && !ask; i++) {
        ask = replica->asks[i].token == 0 ? &replica->asks[i] : NULL;
    }
    if (!ask || link->is_ended) {
        return NULL;
    }
    question->token = ++replica->token_next;
    *ask = (struct ask){
        .token = question->token,
        .link = link->id,
        .kind = question->kind,
        .actor = question->actor,
        .node = link->node,
        .asked = replica->now,
    };
    struct peer_message message = {.kind = PEER_ASK, .ask = *question};
    push_send(replica, link, &message);
    return ask;
}

struct ask *ask_find(struct replica *replica, link_id link, uint64_t token)
{
    for (uint32_t i = 0; token != 0 && i < ASKS_MAX; i++) {
        if (replica->asks[i].token == token && replica->asks[i].link == link) {
            return &replica->asks[i];
        }
    }
    return NULL;
}

void ask_free(struct ask *ask)
{
    *ask = (struct ask){0};
}

void answer_send(struct replica *replica, struct link *link, const struct peer_answer *answer)
{
    struct peer_message message = {.kind = PEER_ANSWER, .answer = *answer};
    push_send(replica, link, &message);
}
