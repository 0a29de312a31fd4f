// Chunks to a peer. Each strand that it pulls has a position: what it holds or was sent. While that
// is behind, the strand is read from the disk, strands in turn, one read at a time. Once it is
// level the strand is live: chunks are taken by reference from the blocks that commits publish,
// walked in order of arrival. The walk never has to be right: a chunk is sent only if it follows
// the position, and a strand whose next chunk the walk has missed is read from the disk again.
//
// Everything is done when the network asks for more, so a slow link costs a position and no memory.

#include <assert.h>
#include <stdlib.h>

#include "proto/base/planted.h"
#include "proto/model/chunk.h"
#include "server/node/cluster_state.h"
#include "server/node/peer_state.h"

enum { PULL_RETRY_MS = 1000 };

static struct store_port *port_of(const struct peer *peer)
{
    return peer->cluster->service->port;
}

static bool has_credit(const struct peer *peer)
{
    return peer->out.credit > 0 || IS_PLANTED(PLANTED_CREDIT_IGNORED);
}

// --- The table of pulls ------------------------------------------------------------------------

// Where the actor is, or belongs.
static uint32_t pull_place(const struct peer_out *out, uint16_t actor)
{
    uint32_t low = 0;
    uint32_t high = out->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (out->pulls[middle].actor < actor) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct pull *pull_find(const struct peer_out *out, uint16_t actor)
{
    uint32_t place = pull_place(out, actor);
    return place < out->count && out->pulls[place].actor == actor ? &out->pulls[place] : NULL;
}

static void pull_set_state(struct peer *peer, struct pull *pull, enum pull_state state)
{
    struct peer_out *out = &peer->out;
    out->live_count -= pull->state == PULL_LIVE;
    out->waits_count -= pull->state == PULL_WAITS;
    pull->state = state;
    out->live_count += state == PULL_LIVE;
    out->waits_count += state == PULL_WAITS;
    if (state == PULL_LIVE && out->live_count == 1 && !out->block) {
        out->ordinal = store_port_ordinal(port_of(peer));
    }
}

static void drop_read(struct peer *peer, uint16_t actor)
{
    struct peer_out *out = &peer->out;
    if (!out->is_read_open || out->read.position.actor != actor) {
        return;
    }
    out->is_read_stale |= out->is_reading;
    block_unref(out->read_block);
    out->read_block = NULL;
}

static void pull_remove(struct peer *peer, struct pull *pull)
{
    struct peer_out *out = &peer->out;
    uint32_t place = (uint32_t)(pull - out->pulls);
    drop_read(peer, pull->actor);
    pull_set_state(peer, pull, PULL_READS);
    memmove(pull, pull + 1, (out->count - place - 1) * sizeof *pull);
    out->count--;
}

// The strands differ at the position: the other side is told what is held here, and nothing is
// sent.
static void pull_forked(struct peer *peer, struct pull *pull)
{
    const struct strand_end *end = cluster_end(peer->cluster, pull->actor);
    const struct note_entry entry = {
        .actor = pull->actor,
        .counter = end ? end->last : 0,
        .hash = end ? end->hash : (struct hash128){{0}},
    };
    const struct peer_message note = {
        .kind = PEER_NOTE,
        .note = {.entries = &entry, .count = 1},
    };
    pull_remove(peer, pull);
    peer_send(peer, &note);
}

// Decides how the strand goes on. False: it has forked, the pull is gone.
static bool pull_settle(struct peer *peer, struct pull *pull)
{
    const struct strand_end *end = cluster_end(peer->cluster, pull->actor);
    uint64_t last = end ? end->last : 0;
    if (pull->position == last) {
        if (!pull->is_checked && end && !hash128_equal(&end->hash, &pull->hash)) {
            pull_forked(peer, pull);
            return false;
        }
        pull->is_checked = true;
        pull_set_state(peer, pull, PULL_LIVE);
        return true;
    }
    bool may_send = pull->position < last &&
                    pull->position < replica_send_limit(peer->cluster->replica, pull->actor);
    pull_set_state(peer, pull, may_send ? PULL_READS : PULL_WAITS);
    return true;
}

static int pulls_reserve(struct peer_out *out)
{
    if (out->count < out->capacity) {
        return 0;
    }
    uint32_t capacity = out->capacity > 0 ? 2 * out->capacity : 8;
    struct pull *pulls = realloc(out->pulls, capacity * sizeof *pulls);
    if (!pulls) {
        return ERR_MEMORY;
    }
    out->pulls = pulls;
    out->capacity = capacity;
    return 0;
}

int peer_pull(struct peer *peer, const struct peer_pull *asked)
{
    struct peer_out *out = &peer->out;
    struct pull *pull = pull_find(out, asked->actor);
    if (!pull) {
        if (out->count >= PEER_ENTRIES_MAX || pulls_reserve(out)) {
            peer_end(peer, REFUSAL_FULL, "more strands are pulled than this node can serve");
            return ERR_LIMIT;
        }
        uint32_t place = pull_place(out, asked->actor);
        pull = &out->pulls[place];
        memmove(pull + 1, pull, (out->count - place) * sizeof *pull);
        out->count++;
        *pull = (struct pull){.actor = asked->actor, .state = PULL_READS};
    }
    drop_read(peer, asked->actor);
    pull->position = asked->from;
    pull->hash = asked->hash;
    pull->is_checked = asked->from == 0;
    pull->retry_at = (struct instant){.ns = INT64_MIN};
    if (pull_settle(peer, pull)) {
        peer_mark_ready(peer);
    }
    return 0;
}

void peer_unpull(struct peer *peer, uint16_t actor)
{
    struct pull *pull = pull_find(&peer->out, actor);
    if (pull) {
        pull_remove(peer, pull);
    }
}

void peer_add_credit(struct peer *peer, uint64_t bytes)
{
    struct peer_out *out = &peer->out;
    if (bytes > (uint64_t)INT64_MAX / 2 || out->credit > INT64_MAX / 2) {
        return; // more than enough is no use
    }
    out->credit += (int64_t)bytes;
    if (out->count > 0) {
        peer_mark_ready(peer);
    }
}

void peer_has_news(struct peer *peer)
{
    struct peer_out *out = &peer->out;
    if (peer->state != PEER_LINKED || out->count == 0) {
        return;
    }
    struct instant now = peer->cluster->service->now;
    for (uint32_t i = 0; i < out->count && out->waits_count > 0; i++) {
        struct pull *pull = &out->pulls[i];
        if (pull->state == PULL_WAITS && instant_reached(pull->retry_at, now) &&
            !pull_settle(peer, pull)) {
            i--;
        }
    }
    peer_mark_ready(peer);
}

// --- From the disk -----------------------------------------------------------------------------

static void pull_pause(struct peer *peer, struct pull *pull)
{
    pull->retry_at = instant_add(peer->cluster->service->now, duration_ms(PULL_RETRY_MS));
    pull_set_state(peer, pull, PULL_WAITS);
}

// What a read has brought for a pull that is still the same.
static void read_result(struct peer *peer, struct pull *pull)
{
    struct peer_out *out = &peer->out;
    struct read *read = &out->read;
    bool differs =
        read->result == 0 && !pull->is_checked && !hash128_equal(&read->hash, &pull->hash);
    if (read->result == STORE_NOT_FOUND || differs) {
        block_unref(read->block);
        read->block = NULL;
        pull_forked(peer, pull);
        return;
    }
    if (read->result != 0 || !read->block) {
        // Damage is never sent; or what can be read ends before the strand does.
        pull_pause(peer, pull);
        return;
    }
    pull->is_checked = true;
    out->read_block = read->block;
    read->block = NULL;
}

static void read_close(struct peer_out *out)
{
    if (out->is_read_open) {
        read_deinit(&out->read);
        out->is_read_open = false;
    }
}

static void read_completed(struct read_owner *owner)
{
    struct peer_out *out = container_of(owner, struct peer_out, owner);
    struct peer *peer = container_of(out, struct peer, out);
    peer->cluster->service->in_flight--;
    out->is_reading = false;
    struct pull *pull = pull_find(out, out->read.position.actor);
    if (peer->state != PEER_LINKED || out->is_read_stale || !pull) {
        block_unref(out->read.block);
        out->read.block = NULL;
        read_close(out);
    } else {
        read_result(peer, pull);
        read_park(&out->read);
    }
    out->is_read_stale = false;
    if (peer->state == PEER_LINKED) {
        peer_mark_ready(peer);
    }
    peer_landed(peer);
}

static struct pull *next_to_read(struct peer_out *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        out->turn = (out->turn + 1) % out->count;
        if (out->pulls[out->turn].state == PULL_READS) {
            return &out->pulls[out->turn];
        }
    }
    return NULL;
}

static void read_next(struct peer *peer)
{
    struct peer_out *out = &peer->out;
    struct pull *pull;
    if (out->is_reading || out->read_block || out->live_count + out->waits_count == out->count ||
        !(pull = next_to_read(out)) || !pull_settle(peer, pull) || pull->state != PULL_READS) {
        return;
    }
    const struct strand_end *end = cluster_end(peer->cluster, pull->actor);
    uint64_t limit = replica_send_limit(peer->cluster->replica, pull->actor);
    struct event_id position = {.counter = pull->position, .actor = pull->actor};
    struct read *read = &out->read;
    if (!out->is_read_open || read->position.actor != position.actor ||
        read->position.counter != position.counter) {
        read_close(out);
        read_init(read, READ_STRAND);
        out->is_read_open = true;
        read->position = position;
        read->bytes_max = PEER_FRAME_BYTES;
    }
    version_vector_clear(&read->upper);
    if (version_vector_set(&read->upper, pull->actor, end->last < limit ? end->last : limit)) {
        pull_pause(peer, pull);
        return;
    }
    out->is_reading = true;
    peer->in_flight++;
    cluster_read(peer->cluster, read, &out->owner, read_completed);
}

static void item_fill(struct peer *peer, struct pull *pull, uint64_t last, struct peer_item *item)
{
    pull->position = last;
    peer->out.credit -= (int64_t)item->length;
    item->head = (struct peer_message){.kind = PEER_CHUNKS, .chunks = {.actor = pull->actor}};
}

static bool give_read(struct peer *peer, struct peer_item *item_out)
{
    struct peer_out *out = &peer->out;
    struct block *block = out->read_block;
    struct pull *pull = block ? pull_find(out, out->read.position.actor) : NULL;
    if (!pull) {
        return false;
    }
    out->read_block = NULL;
    if (out->read.position.counter > replica_send_limit(peer->cluster->replica, pull->actor)) {
        block_unref(block); // the limit came while it was read: again, up to there
        pull_settle(peer, pull);
        return false;
    }
    *item_out = (struct peer_item){.block = block, .length = block->length};
    item_fill(peer, pull, out->read.position.counter, item_out);
    pull_settle(peer, pull);
    return true;
}

// --- From the recent blocks --------------------------------------------------------------------

// A run of chunks of one pull inside the block, from its offset on.
struct span {
    struct pull *pull;
    size_t offset;
    size_t length;  // up to the last end of a produce
    uint64_t last;  // there
    uint64_t prev;  // of what may follow
    size_t scanned; // where the walk is
};

static void drop_block(struct peer_out *out)
{
    block_unref(out->block);
    out->block = NULL;
    out->offset = 0;
}

// What the walk has missed is read from the disk.
static void walk_is_lost(struct peer *peer)
{
    struct peer_out *out = &peer->out;
    drop_block(out);
    out->ordinal = store_port_ordinal(port_of(peer));
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->pulls[i].state == PULL_LIVE && !pull_settle(peer, &out->pulls[i])) {
            i--;
        }
    }
}

static size_t chunk_load(const struct block *block, size_t offset, struct chunk_header *header_out)
{
    chunk_header_load(block->data + offset, header_out);
    return CHUNK_HEADER_LENGTH + (size_t)header_out->encoded_length;
}

// The pull that wants this chunk next, or NULL.
static struct pull *pull_of_chunk(struct peer *peer, const struct chunk_header *header)
{
    struct pull *pull = pull_find(&peer->out, header->actor);
    if (!pull || pull->state != PULL_LIVE || chunk_last(header) <= pull->position) {
        return NULL;
    }
    if (header->prev != pull->position) {
        pull_settle(peer, pull); // something in between was missed
        return NULL;
    }
    return pull;
}

// Extends the run by one chunk. False: it ends before.
static bool span_extend(const struct block *block, struct span *span)
{
    struct chunk_header header;
    if (span->scanned >= block->length ||
        (span->length > 0 && span->scanned - span->offset >= PEER_FRAME_BYTES)) {
        return false;
    }
    size_t length = chunk_load(block, span->scanned, &header);
    if (header.actor != span->pull->actor || header.prev != span->prev) {
        return false;
    }
    span->scanned += length;
    span->prev = chunk_last(&header);
    if (header.open == 0 || IS_PLANTED(PLANTED_HALF_PRODUCE)) {
        span->length = span->scanned - span->offset;
        span->last = span->prev;
    }
    return header.open == 0 || !IS_PLANTED(PLANTED_HALF_PRODUCE);
}

// The next run in the block that is wanted. False: there is none, the block is done.
static bool span_find(struct peer *peer, struct span *span_out)
{
    struct peer_out *out = &peer->out;
    while (out->offset < out->block->length) {
        struct chunk_header header;
        size_t length = chunk_load(out->block, out->offset, &header);
        struct pull *pull = pull_of_chunk(peer, &header);
        if (!pull) {
            out->offset += length;
            continue;
        }
        struct span span = {
            .pull = pull,
            .offset = out->offset,
            .scanned = out->offset,
            .prev = header.prev,
        };
        while (span_extend(out->block, &span)) {
        }
        if (span.length > 0 &&
            span.last <= replica_send_limit(peer->cluster->replica, pull->actor)) {
            out->offset += span.length;
            *span_out = span;
            return true;
        }
        out->offset = span.scanned;
        pull_settle(peer, pull); // a produce that goes on in the next block, or the limit
    }
    return false;
}

static bool give_live(struct peer *peer, struct peer_item *item_out)
{
    struct peer_out *out = &peer->out;
    struct span span;
    while (out->live_count > 0) {
        if (!out->block) {
            if (out->ordinal >= store_port_ordinal(port_of(peer))) {
                return false;
            }
            out->block = store_recent(port_of(peer), out->ordinal + 1);
            if (!out->block) {
                walk_is_lost(peer);
                return false;
            }
        }
        if (span_find(peer, &span)) {
            *item_out = (struct peer_item){
                .block = block_ref(out->block),
                .offset = span.offset,
                .length = span.length,
            };
            item_fill(peer, span.pull, span.last, item_out);
            return true;
        }
        out->ordinal = out->block->ordinal_first + out->block->chunks - 1;
        drop_block(out);
    }
    drop_block(out);
    return false;
}

// --- For the peer ------------------------------------------------------------------------------

bool peer_next_chunks(struct peer *peer, struct peer_item *item_out)
{
    if (!has_credit(peer)) {
        return false;
    }
    bool is_given = give_read(peer, item_out) || give_live(peer, item_out);
    if (has_credit(peer)) {
        read_next(peer); // while this is being sent
    }
    return is_given;
}

bool peer_out_is_idle(const struct peer *peer)
{
    const struct peer_out *out = &peer->out;
    return peer->state != PEER_LINKED || (!out->read_block && !out->block);
}

void peer_out_stop(struct peer *peer)
{
    struct peer_out *out = &peer->out;
    out->count = 0;
    out->live_count = 0;
    out->waits_count = 0;
    drop_block(out);
    block_unref(out->read_block);
    out->read_block = NULL;
}

void peer_out_deinit(struct peer *peer)
{
    peer_out_stop(peer);
    read_close(&peer->out);
    free(peer->out.pulls);
}
