// Chunks from a peer on their way to the log: checked, copied once, appended frame by frame. The
// credit for them goes back when they are durable here, or are not wanted any more, together with
// the counter that is durable; once per turn.

#include <stdlib.h>

#include "proto/base/planted.h"
#include "proto/model/chunk.h"
#include "server/node/cluster_state.h"
#include "server/node/peer_state.h"

// What the chunks of one frame may hold when they are decompressed: a frame of the usual size that
// could not be smaller, and the largest event. Members send no more; checking it takes the loop's
// time.
#define FRAME_PLAIN_BYTES_MAX (256 * PEER_FRAME_BYTES + EVENT_BYTES_MAX)

// One frame in the store.
struct arrival {
    struct cluster_append append;
    struct peer *peer;
    uint16_t actor;
    uint64_t first;
    uint64_t last;
    uint32_t events;
    uint8_t chunks[];
};

static void give_back(struct peer *peer, size_t bytes)
{
    peer->in.credit_due += bytes;
}

static void note_durable(struct peer *peer, uint16_t actor, uint64_t counter)
{
    struct peer_in *in = &peer->in;
    for (uint32_t i = 0; i < in->durable_count; i++) {
        if (in->durable[i].actor == actor) {
            in->durable[i].counter = counter;
            return;
        }
    }
    if (in->durable_count == PEER_DURABLE_MAX) {
        peer_return_credit(peer);
    }
    in->durable[in->durable_count++] = (struct peer_durable){.actor = actor, .counter = counter};
}

void peer_return_credit(struct peer *peer)
{
    struct peer_in *in = &peer->in;
    if (peer->state != PEER_LINKED || (in->credit_due == 0 && in->durable_count == 0)) {
        return;
    }
    struct peer_message message = {.kind = PEER_CREDIT, .credit = {.bytes = in->credit_due}};
    uint32_t count = in->durable_count;
    in->allowance += (int64_t)in->credit_due;
    in->credit_due = 0;
    in->durable_count = 0;
    for (uint32_t i = 0; i < count || i == 0; i++) {
        if (i < count) {
            message.credit.actor = in->durable[i].actor;
            message.credit.counter = in->durable[i].counter;
        }
        peer_send(peer, &message);
        message.credit.bytes = 0;
    }
}

static enum applied_outcome outcome_of(int result)
{
    switch (result) {
    case 0:
        return APPLIED;
    case STORE_DUPLICATE:
        return APPLIED_DUPLICATE;
    case STORE_GAP:
        return APPLIED_GAP;
    case STORE_FORK:
        return APPLIED_FORK;
    case ERR_INVALID:
    case ERR_CORRUPT:
        return APPLIED_INVALID;
    default:
        return APPLIED_FAILED;
    }
}

static void tell_applied(struct peer *peer, const struct replica_applied *applied)
{
    struct replica_event event = {.kind = REPLICA_APPLIED, .applied = *applied};
    if (cluster_tell(peer->cluster, &event)) {
        peer_end(peer, 0, "out of memory");
    }
}

static void arrival_completed(struct cluster_append *append)
{
    struct arrival *arrival = container_of(append, struct arrival, append);
    struct peer *peer = arrival->peer;
    const struct replica_applied applied = {
        .link = peer->id,
        .actor = arrival->actor,
        .first = arrival->first,
        .last = arrival->last,
        .outcome = outcome_of(append->append.result),
        .bytes = (uint32_t)append->append.bytes.length,
        .events = arrival->events,
    };
    if (!IS_PLANTED(PLANTED_CREDIT_BEFORE_DURABLE)) {
        give_back(peer, applied.bytes);
        if (applied.outcome == APPLIED || applied.outcome == APPLIED_DUPLICATE) {
            note_durable(peer, applied.actor, applied.last);
        }
    }
    free(arrival);
    if (!peer->is_closed && peer->state == PEER_LINKED) {
        tell_applied(peer, &applied);
    }
    peer_landed(peer);
}

// Whole chunks of that actor in order, of which the last ends a produce. Fills first, last, events.
static int chunks_check(struct peer *peer, const struct peer_chunks *chunks,
                        struct replica_applied *out, struct reason *reason)
{
    struct bytes rest = chunks->chunks;
    struct chunk_header header = {0};
    uint64_t plain_length = 0;
    if (rest.length == 0) {
        return reason_set(reason, ERR_INVALID, "chunks without a chunk");
    }
    while (rest.length > 0) {
        struct bytes chunk;
        int err = chunk_next(&rest, &header, &chunk);
        if (err) {
            return reason_set(reason, err, "what should be a chunk is none");
        }
        plain_length += header.plain_length;
        if (plain_length > FRAME_PLAIN_BYTES_MAX) {
            return reason_set(reason, ERR_LIMIT, "chunks of one frame that hold too much");
        }
        err = chunk_validate(chunk, EVENT_DATA_BYTES_CEILING, &peer->in.scratch, reason);
        if (err) {
            return err;
        }
        if (header.actor != chunks->actor || header.first <= out->last) {
            return reason_set(reason, ERR_INVALID, "chunks of another actor, or out of order");
        }
        out->first = out->first == 0 ? header.first : out->first;
        out->last = chunk_last(&header);
        out->events += header.count;
    }
    return header.open == 0 || IS_PLANTED(PLANTED_HALF_PRODUCE)
               ? 0
               : reason_set(reason, ERR_INVALID, "chunks that end inside a produce");
}

static int append_chunks(struct peer *peer, const struct peer_chunks *chunks,
                         const struct replica_applied *applied)
{
    struct arrival *arrival = malloc(sizeof *arrival + chunks->chunks.length);
    if (!arrival) {
        peer_end(peer, 0, "out of memory for chunks");
        return ERR_MEMORY;
    }
    *arrival = (struct arrival){
        .peer = peer,
        .actor = applied->actor,
        .first = applied->first,
        .last = applied->last,
        .events = applied->events,
    };
    memcpy(arrival->chunks, chunks->chunks.data, chunks->chunks.length);
    arrival->append.append = (struct append){
        .kind = APPEND_CHUNKS,
        .bytes = bytes_of(arrival->chunks, chunks->chunks.length),
        .events = applied->events,
    };
    struct chunk_header header;
    chunk_header_load(arrival->chunks, &header);
    cluster_fill_hollow(peer->cluster, &header);
    if (IS_PLANTED(PLANTED_CREDIT_BEFORE_DURABLE)) {
        give_back(peer, chunks->chunks.length);
        note_durable(peer, applied->actor, applied->last);
    }
    peer->in_flight++;
    cluster_append(peer->cluster, &arrival->append, arrival_completed);
    return 0;
}

static int refuse(struct peer *peer, enum peer_refusal refusal, const char *text)
{
    cluster_complain(peer->cluster, peer->name, text);
    peer_end(peer, refusal, text);
    return ERR_INVALID;
}

int peer_take_chunks(struct peer *peer, const struct peer_chunks *chunks)
{
    struct peer_in *in = &peer->in;
    struct replica_applied applied = {.link = peer->id, .actor = chunks->actor};
    struct reason reason = {0};
    if (in->allowance <= 0 && !IS_PLANTED(PLANTED_CREDIT_IGNORED)) {
        return refuse(peer, REFUSAL_PROTOCOL, "chunks were sent without credit");
    }
    in->allowance -= (int64_t)chunks->chunks.length;
    applied.bytes = (uint32_t)chunks->chunks.length;
    if (chunks_check(peer, chunks, &applied, &reason)) {
        applied.outcome = APPLIED_INVALID;
        tell_applied(peer, &applied);
        return refuse(peer, REFUSAL_MALFORMED, reason.text);
    }
    enum peer_refusal refusal = REFUSAL_PROTOCOL;
    switch (replica_may_apply(peer->cluster->replica, peer->id, applied.actor, applied.first,
                              applied.last, &refusal, &reason)) {
    case VERDICT_APPLY:
        return append_chunks(peer, chunks, &applied);
    case VERDICT_DROP:
        give_back(peer, applied.bytes);
        service_wake(peer->cluster->service); // for the turn that returns it
        return 0;
    case VERDICT_REFUSE:
        break;
    }
    return refuse(peer, refusal, reason.text);
}
