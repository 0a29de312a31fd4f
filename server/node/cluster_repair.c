// Damage that reads and the scrub have found is repaired one chunk at a time: the members that
// there are links to are asked for a copy in turn; what comes is checked as any chunk of a peer is,
// and the store puts it in place only where the chain of the strand says that it belongs.

#include "proto/model/chunk.h"
#include "server/node/cluster_state.h"

static void look_again(struct cluster *cluster, int64_t after_ms)
{
    cluster->repair.next_at = instant_add(cluster->service->now, duration_ms(after_ms));
}

// The last damage of the strand before the chunk that was just repaired: that had to wait for it,
// because a chunk is vouched for by the one behind it.
static bool find_before(const struct cluster *cluster, struct damaged_chunk *found_out)
{
    const struct damaged_chunk mended = cluster->repair.mended;
    struct damaged_chunk at = {.actor = mended.actor};
    bool is_found = false;
    while (mended.actor != 0 && store_next_damage(cluster->node->store, at, &at) &&
           at.actor == mended.actor && at.first < mended.first) {
        *found_out = at;
        is_found = true;
    }
    return is_found;
}

static bool find_damage(struct cluster *cluster)
{
    struct repair *repair = &cluster->repair;
    struct store *store = cluster->node->store;
    const struct damaged_chunk none = {0};
    struct damaged_chunk found;
    bool is_before = find_before(cluster, &found);
    repair->mended = none;
    if (!is_before && !store_next_damage(store, repair->damage, &found) &&
        !store_next_damage(store, none, &found)) {
        repair->damage = none;
        return false;
    }
    repair->damage = found;
    repair->asked = 0;
    repair->is_open = true;
    return true;
}

// The linked peer with the lowest number above that of the last one; NULL: all were asked.
static struct peer *next_peer(struct cluster *cluster)
{
    struct peer *next = NULL;
    LIST_FOR_EACH(&cluster->peers, link)
    {
        struct peer *peer = container_of(link, struct peer, link);
        if (peer->state == PEER_LINKED && peer->id > cluster->repair.asked &&
            (!next || peer->id < next->id)) {
            next = peer;
        }
    }
    return next;
}

static void ask_next(struct cluster *cluster)
{
    struct repair *repair = &cluster->repair;
    struct peer *peer = next_peer(cluster);
    if (!peer) {
        repair->is_open = false; // nobody (more): the next damage, after a pause
        look_again(cluster, REPAIR_PAUSE_MS);
        return;
    }
    repair->asked = peer->id;
    repair->token = ++cluster->token_next | TOKEN_OF_DRIVER;
    const struct peer_message message = {
        .kind = PEER_ASK,
        .ask =
            {
                .token = repair->token,
                .kind = ASK_CHUNK,
                .actor = repair->damage.actor,
                .counter = repair->damage.first,
            },
    };
    look_again(cluster, REPAIR_ANSWER_MS);
    peer_send(peer, &message);
}

void cluster_repair(struct cluster *cluster)
{
    struct repair *repair = &cluster->repair;
    if (cluster->is_over || repair->is_appending ||
        !instant_reached(repair->next_at, cluster->service->now)) {
        return;
    }
    if (!repair->is_open && !find_damage(cluster)) {
        look_again(cluster, REPAIR_PAUSE_MS);
        return;
    }
    ask_next(cluster);
}

struct instant cluster_repair_deadline(const struct cluster *cluster)
{
    return cluster->repair.is_appending ? INSTANT_NEVER : cluster->repair.next_at;
}

static void repair_completed(struct cluster_append *done)
{
    struct cluster *cluster = done->cluster;
    struct repair *repair = &cluster->repair;
    char id[EVENT_ID_SHORT_LENGTH_MAX + 1];
    event_id_format_short(
        (struct event_id){.counter = repair->damage.first, .actor = repair->damage.actor}, id);
    repair->is_appending = false;
    look_again(cluster, 0);
    service_wake(cluster->service);
    if (done->append.result == STORE_DUPLICATE) {
        repair->is_open = false; // it was whole after all
        return;
    }
    if (done->append.result == STORE_GAP) {
        repair->is_open = false; // what vouches for it is damaged too, and is listed now
        look_again(cluster, REPAIR_BEHIND_MS);
        return;
    }
    if (done->append.result != 0) {
        struct reason text;
        reason_set(&text, 0, "a copy of the damaged chunk does not take its place (%s)",
                   done->append.result < 0 ? err_text(done->append.result) : "another one");
        cluster_complain(cluster, id, text.text);
        return;
    }
    cluster_log(cluster, LOG_INFO, "the damaged chunk %s is repaired with another member's copy",
                id);
    repair->is_open = false;
    repair->mended = repair->damage;
    if (cluster_tell_chunk(cluster, buffer_bytes(&repair->chunk))) {
        cluster_log(cluster, LOG_WARNING, "what chunk %s says of members is known after a restart",
                    id);
    }
    LIST_FOR_EACH(&cluster->peers, link)
    {
        peer_has_news(container_of(link, struct peer, link)); // it can be sent again
    }
}

// Whether these bytes are the chunk that was asked for, as far as they can tell themselves.
static bool is_the_chunk(const struct repair *repair, struct bytes bytes)
{
    struct bytes rest = bytes;
    struct bytes chunk;
    struct chunk_header header;
    struct buffer scratch = {0};
    struct reason reason;
    bool is_it = chunk_next(&rest, &header, &chunk) == 0 && rest.length == 0 &&
                 header.actor == repair->damage.actor && header.first == repair->damage.first &&
                 (repair->damage.last == 0 || chunk_last(&header) == repair->damage.last) &&
                 chunk_validate(chunk, EVENT_DATA_BYTES_CEILING, &scratch, &reason) == 0;
    buffer_deinit(&scratch);
    return is_it;
}

void cluster_repair_answer(struct cluster *cluster, struct peer *peer,
                           const struct peer_answer *answer)
{
    struct repair *repair = &cluster->repair;
    if (!repair->is_open || repair->is_appending || answer->token != repair->token ||
        peer->id != repair->asked) {
        return; // too late
    }
    look_again(cluster, 0);
    buffer_clear(&repair->chunk);
    if (answer->result != ANSWER_OK || !is_the_chunk(repair, answer->chunk) ||
        buffer_append(&repair->chunk, answer->chunk)) {
        return; // the next one is asked in the turn that follows
    }
    repair->is_appending = true;
    repair->append.append = (struct append){
        .kind = APPEND_REPAIR,
        .bytes = buffer_bytes(&repair->chunk),
        .actor = repair->damage.actor,
    };
    cluster_append(cluster, &repair->append, repair_completed);
}
