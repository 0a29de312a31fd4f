// A peer asks for one chunk, because its own copy is damaged. It is read, and so checked, from the
// disk; one at a time per peer.

#include "server/node/cluster_state.h"
#include "server/node/peer_state.h"

static void answer(struct peer *peer, enum peer_answer_result result, struct event_id id,
                   struct bytes chunk)
{
    const struct peer_message message = {
        .kind = PEER_ANSWER,
        .answer =
            {
                .token = peer->out.chunk_token,
                .result = result,
                .actor = id.actor,
                .counter = id.counter,
                .chunk = chunk,
            },
    };
    peer_send(peer, &message);
}

static void read_completed(struct read_owner *owner)
{
    struct peer_out *out = container_of(owner, struct peer_out, chunk_owner);
    struct peer *peer = container_of(out, struct peer, out);
    struct read *read = &out->chunk_read;
    peer->cluster->service->in_flight--;
    out->is_chunk_reading = false;
    if (peer->state == PEER_LINKED) {
        bool is_found = read->result == 0 && read->block;
        answer(peer, is_found ? ANSWER_OK : ANSWER_REFUSED, read->position,
               is_found ? block_bytes(read->block) : bytes_of(NULL, 0));
    }
    block_unref(read->block);
    read->block = NULL;
    read_deinit(read);
    peer_landed(peer);
}

void peer_ask_chunk(struct peer *peer, const struct peer_ask *ask)
{
    struct peer_out *out = &peer->out;
    struct event_id id = {.counter = ask->counter, .actor = ask->actor};
    const struct strand_end *end = cluster_end(peer->cluster, ask->actor);
    bool is_held = ask->counter > 0 && end && ask->counter <= end->last &&
                   ask->counter <= replica_send_limit(peer->cluster->replica, ask->actor);
    uint64_t token = out->chunk_token;
    if (out->is_chunk_reading || !is_held) {
        out->chunk_token = ask->token;
        answer(peer, is_held ? ANSWER_LATER : ANSWER_REFUSED, id, bytes_of(NULL, 0));
        out->chunk_token = out->is_chunk_reading ? token : 0;
        return;
    }
    out->chunk_token = ask->token;
    read_init(&out->chunk_read, READ_CHUNK);
    out->chunk_read.position = id;
    if (version_vector_set(&out->chunk_read.upper, id.actor, end->last)) {
        read_deinit(&out->chunk_read);
        answer(peer, ANSWER_LATER, id, bytes_of(NULL, 0));
        return;
    }
    out->is_chunk_reading = true;
    peer->in_flight++;
    cluster_read(peer->cluster, &out->chunk_read, &out->chunk_owner, read_completed);
}
