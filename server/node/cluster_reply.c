// What is told outside: answers to requests about the cluster, the view that other loops read, the
// alarms of status.

#include <stdio.h>
#include <stdlib.h>

#include "proto/model/cluster_row.h"
#include "server/node/cluster_state.h"

// --- The state as an answer --------------------------------------------------------------------

static uint8_t row_state(enum member_state state)
{
    switch (state) {
    case MEMBER_ACTIVE:
        return CLUSTER_ACTIVE;
    case MEMBER_JOINING:
        return CLUSTER_JOINING;
    case MEMBER_RETIRING:
        return CLUSTER_RETIRING;
    case MEMBER_GONE:
        return CLUSTER_RETIRED;
    }
    return CLUSTER_ACTIVE;
}

static uint8_t row_verdict(const struct replica_member *member)
{
    switch (member->verified) {
    case VERIFIED_UNKNOWN:
        return CLUSTER_UNKNOWN;
    case VERIFIED_EQUAL:
        return CLUSTER_EQUAL;
    case VERIFIED_BEHIND:
        return CLUSTER_BEHIND;
    case VERIFIED_AHEAD:
        return CLUSTER_AHEAD;
    case VERIFIED_DIVERGED:
        return CLUSTER_DIVERGED;
    }
    return CLUSTER_UNKNOWN;
}

static uint16_t source_actor(struct cluster *cluster, link_id source)
{
    const struct peer *peer = source ? cluster_peer(cluster, source) : NULL;
    return peer && peer->hello ? peer->hello->message.hello.actor : 0;
}

static int row_append(struct cluster *cluster, uint32_t index, struct buffer *out)
{
    struct replica_member member;
    replica_member_at(cluster->replica, index, &member);
    uint16_t source = source_actor(cluster, member.source);
    int64_t behind_ns = member.behind_since.ns == INSTANT_NEVER.ns
                            ? 0
                            : cluster->service->now.ns - member.behind_since.ns;
    const struct cluster_row row = {
        .node = member.node,
        .actor = member.actor,
        .state = row_state(member.state),
        .verdict = row_verdict(&member),
        .flags = (member.is_self ? (uint32_t)CLUSTER_ROW_SELF : 0) |
                 (member.is_connected ? (uint32_t)CLUSTER_ROW_CONNECTED : 0) |
                 (source == member.actor ? (uint32_t)CLUSTER_ROW_SOURCE_DIRECT : 0),
        .source = source,
        .run = member.run,
        .held = member.held,
        .claimed = member.claimed,
        .lag_ms = behind_ns > 0 ? (uint64_t)behind_ns / 1000000 : 0,
        .promised = member.promised,
        .seal = member.seal,
        .diverged_actor = member.diverged_actor,
        .diverged_since = member.diverged_since,
        .address = bytes_of_text(member.address ? member.address : ""),
        .version = bytes_of_text(member.server_version ? member.server_version : ""),
    };
    return cluster_row_append(out, &row);
}

// One line, behind a newline where it is not the first.
static int line_append(struct buffer *out, const char *code, const char *text)
{
    int err = out->length > 0 ? buffer_append(out, bytes_of("\n", 1)) : 0;
    err = err ? err : buffer_append(out, bytes_of_text(code));
    err = err ? err : buffer_append(out, bytes_of(": ", 2));
    return err ? err : buffer_append(out, bytes_of_text(text));
}

// The first damage, with what follows it: a chunk is given up together with its neighbour behind,
// if that is damaged too.
static void damage_range(const struct cluster *cluster, char *out, size_t size)
{
    struct damaged_chunk next = {0};
    struct damaged_chunk range = {0};
    while (store_next_damage(cluster->node->store, next, &next) && next.last != 0 &&
           (range.actor == 0 || (next.actor == range.actor && next.first == range.last + 1))) {
        range.first = range.actor == 0 ? next.first : range.first;
        range.actor = next.actor;
        range.last = next.last;
    }
    if (range.actor != 0) {
        (void)snprintf(out, size, "%u %llu..%llu", (unsigned)range.actor,
                       (unsigned long long)range.first, (unsigned long long)range.last);
    }
}

static int damage_append(const struct cluster *cluster, struct buffer *out)
{
    struct store_status status;
    struct reason text;
    store_status(cluster->node->store, &status);
    if (status.damaged_chunks == 0) {
        return 0;
    }
    char range[64] = "ACTOR FIRST..LAST";
    damage_range(cluster, range, sizeof range);
    reason_set(&text, 0,
               "%u chunks are damaged on this node's disk (%u are repaired): the other members are "
               "asked for copies; if nobody has one: weir cluster lost %s",
               status.damaged_chunks, status.repaired_chunks, range);
    return line_append(out, "damaged_chunk", text.text);
}

static int alarms_append(const struct cluster *cluster, struct buffer *out)
{
    int err = 0;
    for (uint32_t i = 0; i < replica_alarms_count(cluster->replica) && err == 0; i++) {
        struct replica_alarm alarm = replica_alarm_at(cluster->replica, i);
        err = line_append(out, alarm.code, alarm.text);
    }
    if (err == 0 && cluster->failure.text[0] != '\0') {
        err = line_append(out, "cluster_failed", cluster->failure.text);
    }
    return err ? err : damage_append(cluster, out);
}

static void fill_numbers(const struct cluster *cluster, struct reply_cluster *status)
{
    const struct replica_counts counts = replica_counts(cluster->replica);
    struct store_status store;
    store_status(cluster->node->store, &store);
    status->frontier = replica_frontier(cluster->replica);
    status->waits_for = replica_frontier_waits_for(cluster->replica);
    status->events_applied = counts.events_applied;
    status->events_duplicate = counts.events_duplicate;
    status->damaged_chunks = store.damaged_chunks;
    status->repaired_chunks = store.repaired_chunks;
    status->scrub_checked = store.scrub_checked;
    status->scrub_total = store.scrub_total;
}

// Everything behind the other in one buffer; views are cut when it grows no more.
static int fill_texts(struct cluster *cluster, struct cluster_reply *reply)
{
    struct reply_cluster *status = &reply->status;
    struct buffer *bytes = &reply->bytes;
    struct reason why = {0};
    struct buffer alarms = {0};
    const char *phase = replica_phase(cluster->replica);
    status->may_produce = replica_may_produce(cluster->replica, &why);
    int err = 0;
    for (uint32_t i = 0; i < replica_members_count(cluster->replica) && err == 0; i++) {
        err = row_append(cluster, i, bytes);
    }
    size_t rows_length = bytes->length;
    err = err ? err : alarms_append(cluster, &alarms);
    err = err ? err : buffer_append(bytes, buffer_bytes(&alarms));
    size_t phase_at = bytes->length;
    err = err ? err : buffer_append(bytes, bytes_of_text(phase));
    size_t why_at = bytes->length;
    if (!status->may_produce) {
        err = err ? err : buffer_append(bytes, bytes_of_text(why.text));
    }
    buffer_deinit(&alarms);
    if (err) {
        return err;
    }
    status->members = bytes_of(bytes->data, rows_length);
    status->alarms = bytes_of(bytes->data + rows_length, phase_at - rows_length);
    status->phase = bytes_of(bytes->data + phase_at, why_at - phase_at);
    status->why_not = bytes_of(bytes->data + why_at, bytes->length - why_at);
    return 0;
}

// NULL: no memory.
static struct cluster_reply *reply_new(struct cluster *cluster, int result, const char *text)
{
    struct cluster_reply *reply = calloc(1, sizeof *reply);
    if (!reply) {
        return NULL;
    }
    const struct identity *identity = node_identity(cluster->node);
    struct reply_cluster *status = &reply->status;
    reply->result = result;
    reason_set(&reply->text, 0, "%s", text);
    if (fill_texts(cluster, reply)) {
        cluster_reply_free(reply);
        return NULL;
    }
    fill_numbers(cluster, status);
    status->cluster_name = bytes_of_text(identity->cluster_name);
    status->cluster = bytes_of(identity->cluster.bytes, sizeof identity->cluster.bytes);
    status->node = bytes_of(identity->node.bytes, sizeof identity->node.bytes);
    status->actor = identity->actor;
    status->text = bytes_of_text(reply->text.text);
    return reply;
}

// --- Requests ----------------------------------------------------------------------------------

static enum cluster_command_kind command_of(enum cluster_request_kind which)
{
    switch (which) {
    case CLUSTER_VERIFY:
        return COMMAND_VERIFY;
    case CLUSTER_RETIRE:
        return COMMAND_RETIRE;
    case CLUSTER_LEAVE:
        return COMMAND_LEAVE;
    case CLUSTER_RESCUE:
        return COMMAND_RESCUE;
    case CLUSTER_LOST:
        return COMMAND_LOST;
    case CLUSTER_FORGIVE:
        return COMMAND_FORGIVE;
    case CLUSTER_STATUS:
        break;
    }
    return COMMAND_VERIFY;
}

static void letter_answer(struct cluster *cluster, struct cluster_letter *letter, int result,
                          const char *text)
{
    list_remove(&letter->link);
    cluster_mailbox_answer(cluster->node, letter, reply_new(cluster, result, text));
}

void cluster_take_letters(struct cluster *cluster)
{
    struct cluster_letter *letter;
    uint32_t taken = 0;
    while (!cluster->is_over && taken < LETTERS_PER_TURN_MAX &&
           (letter = cluster_mailbox_take(cluster->node)) != NULL) {
        if (++taken == LETTERS_PER_TURN_MAX) {
            service_wake(cluster->service); // what is left waits for the next turn
        }
        const struct request_cluster *request = &letter->request;
        if (request->which == CLUSTER_STATUS) {
            letter_answer(cluster, letter, 0, "");
            continue;
        }
        letter->token = ++cluster->token_next;
        list_append(&cluster->letters, &letter->link);
        struct replica_event event = {
            .kind = REPLICA_COMMAND,
            .command =
                {
                    .token = letter->token,
                    .kind = command_of(request->which),
                    .actor = request->actor,
                    .first = request->first,
                    .last = request->last,
                    .is_forced = request->is_forced,
                },
        };
        if (cluster_tell(cluster, &event)) {
            letter_answer(cluster, letter, ERR_MEMORY, "out of memory");
        }
    }
}

void cluster_answer(struct cluster *cluster, uint64_t token, int result, const char *text)
{
    LIST_FOR_EACH(&cluster->letters, link)
    {
        struct cluster_letter *letter = container_of(link, struct cluster_letter, link);
        if (letter->token == token) {
            letter_answer(cluster, letter, result, text);
            return;
        }
    }
}

void cluster_refuse_letters(struct cluster *cluster)
{
    struct cluster_letter *letter;
    struct list_node *link;
    while ((link = list_first(&cluster->letters)) != NULL) {
        letter_answer(cluster, container_of(link, struct cluster_letter, link), ERR_CLOSED,
                      "this node stops: what was asked for may still be done by others");
    }
    while ((letter = cluster_mailbox_take(cluster->node)) != NULL) {
        letter_answer(cluster, letter, ERR_CLOSED, "this node stops: nothing was done");
    }
}

// --- The view ----------------------------------------------------------------------------------

static void publish_why_not(struct cluster *cluster)
{
    struct reason why = {0};
    struct reason known;
    if (cluster->failure.text[0] != '\0') {
        why = cluster->failure;
    } else if (replica_may_produce(cluster->replica, &why)) {
        reason_clear(&why);
    } else if (why.text[0] == '\0') {
        reason_set(&why, 0, "this node may not produce now");
    }
    cluster_why_not(cluster->node, &known);
    bool may_produce = atomic_load(&cluster->node->view.may_produce);
    if (strcmp(known.text, why.text) != 0 || may_produce != (why.text[0] == '\0')) {
        cluster_set_why_not(cluster->node, why.text);
    }
}

static void publish_alarms(struct cluster *cluster)
{
    struct node *node = cluster->node;
    buffer_clear(&cluster->alarms);
    if (alarms_append(cluster, &cluster->alarms)) {
        return; // the old ones are better than half of the new
    }
    pthread_mutex_lock(&node->why_lock);
    if (!bytes_equal(buffer_bytes(&cluster->alarms), buffer_bytes(&node->cluster_alarms))) {
        struct buffer old = node->cluster_alarms;
        node->cluster_alarms = cluster->alarms;
        cluster->alarms = old;
    }
    pthread_mutex_unlock(&node->why_lock);
}

void cluster_alarms(struct node *node, struct buffer *out)
{
    pthread_mutex_lock(&node->why_lock);
    struct bytes alarms = buffer_bytes(&node->cluster_alarms);
    if (alarms.length > 0 && (out->length == 0 || buffer_append(out, bytes_of("\n", 1)) == 0) &&
        buffer_append(out, alarms)) {
        // status without them is better than none
    }
    pthread_mutex_unlock(&node->why_lock);
}

static uint32_t active_members(const struct cluster *cluster)
{
    uint32_t active = replica_active_count(cluster->replica);
    return active > 0 ? active : 1;
}

static bool publish_held_by(struct cluster *cluster, uint32_t members)
{
    struct cluster_view *view = &cluster->node->view;
    uint64_t counters[REPLICAS_MAX];
    unsigned actor = node_identity(cluster->node)->actor;
    bool has_changed = actor != atomic_load_explicit(&view->held_actor, memory_order_relaxed);
    atomic_store(&view->held_actor, actor);
    replica_held_by(cluster->replica, counters);
    for (uint32_t nodes = 1; nodes <= REPLICAS_MAX; nodes++) {
        uint64_t held = nodes <= members ? counters[nodes - 1] : 0;
        if (held != atomic_load_explicit(&view->held_by[nodes], memory_order_relaxed)) {
            atomic_store(&view->held_by[nodes], held);
            has_changed = true;
        }
    }
    return has_changed;
}

static void wake_services(struct node *node)
{
    for (uint32_t i = 0; i < node->services_max; i++) {
        if (node->services[i]) {
            service_wake(node->services[i]);
        }
    }
}

// Members change rarely: counted again when their number does, or some time has passed.
static uint32_t members_now(struct cluster *cluster)
{
    uint32_t count = replica_members_count(cluster->replica);
    if (count != cluster->members_counted ||
        instant_reached(cluster->members_due, cluster->service->now)) {
        cluster->members_counted = count;
        cluster->members_due = instant_add(cluster->service->now, duration_ms(MEMBERS_COUNTED_MS));
        atomic_store(&cluster->node->view.members, active_members(cluster));
        publish_alarms(cluster);
    }
    return atomic_load(&cluster->node->view.members);
}

void cluster_publish(struct cluster *cluster)
{
    struct cluster_view *view = &cluster->node->view;
    bool is_wanted = false;
    publish_why_not(cluster);
    uint32_t members = members_now(cluster);
    bool compress = (replica_abilities(cluster->replica) & PEER_READS_LZ4) != 0;
    atomic_store(&view->compress, compress && cluster->node->compress);
    store_allow_compression(cluster->node->store, compress);
    uint64_t frontier = replica_frontier(cluster->replica);
    atomic_store(&view->waits_for, replica_frontier_waits_for(cluster->replica));
    // An event of members that the log holds and the replica was not told of yet may name somebody
    // whom there is to wait for.
    bool are_members_told = cluster->scan.ordinal >= cluster->ends_ordinal;
    if (are_members_told && frontier != atomic_load(&view->frontier)) {
        atomic_store(&view->frontier, frontier);
        is_wanted = atomic_load(&view->stable_readers) > 0;
    }
    if (publish_held_by(cluster, members)) {
        is_wanted |= atomic_load(&view->replica_waiters) > 0;
    }
    if (is_wanted) {
        wake_services(cluster->node);
    }
}
