// The inside of a peer, shared by peer*.c and cluster*.c and nobody else.
#pragma once

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "replication/replica.h"
#include "server/node/channel_table.h"
#include "server/node/peer.h"
#include "server/node/peer_parcel.h"
#include "server/node/service_state.h"

struct cluster;

enum {
    PEERS_MAX = 64, // connections, those that have not proved themselves too
    PEER_QUEUE_BYTES_MAX = 8 * 1024 * 1024, // messages that wait: a link that is slower ends
    PEER_HANDSHAKE_MS = 5000,
    PEER_HEARD_MS = 500,   // at this pace a message on its way counts as a sign of life
    PEER_DURABLE_MAX = 16, // actors whose durable counters are told in one turn
    PEER_NAME_BYTES_MAX = 127,
};

enum peer_state {
    PEER_HELLO_DUE, // the other side's hello has not come
    PEER_PROOF_DUE, // nor its proof
    PEER_LINKED,
    PEER_ENDED, // nothing more is taken; what is queued is sent
};

// A strand that the other side pulls.
enum pull_state {
    PULL_WAITS, // this node has nothing (more) that it may send
    PULL_READS, // from the disk, until it is level
    PULL_LIVE,  // takes recent blocks as they come
};

struct pull {
    uint16_t actor;
    enum pull_state state;
    bool is_checked;         // the chain at the position is the same on both sides
    uint64_t position;       // last counter that the other side holds or was sent
    struct hash128 hash;     // of the chunk there, as it said; until it is checked
    struct instant retry_at; // WAITS: not before; after a read that failed
};

struct peer_out {
    struct pull *pulls; // sorted by actor
    uint32_t count;
    uint32_t capacity;
    uint32_t live_count;
    uint32_t waits_count;
    uint32_t turn; // whose turn it is to be read
    int64_t credit;

    uint64_t ordinal;    // live: everything up to it was looked at
    struct block *block; // live: being looked through
    size_t offset;

    struct read_owner owner;
    struct read read; // of the actor in read.position
    bool is_reading;
    bool is_read_stale;       // its actor was pulled anew, or is no longer
    bool is_read_open;        // initialised
    struct block *read_block; // what it brought, to be sent; of the actor in read.position

    // peer_chunk.c
    struct read_owner chunk_owner;
    struct read chunk_read; // for ASK_CHUNK
    bool is_chunk_reading;
    uint64_t chunk_token;
};

struct peer_durable {
    uint16_t actor;
    uint64_t counter;
};

struct peer_in {
    int64_t allowance; // what the other side may still send
    uint64_t credit_due;
    struct peer_durable durable[PEER_DURABLE_MAX];
    uint32_t durable_count;
    struct buffer scratch; // bodies
};

// Consumers that are forwarded over the link, both ways (forwards.c, guests.c).
struct peer_forwards {
    struct channel_table own;    // seats of this node's consumers
    struct channel_table guests; // seats of the other side's
    uint64_t channel_last;       // of this side
    struct list_node ready;      // seats of `own` that have something to say
    struct list_node asks;       // letters: requests without a consumer, to be sent
    struct list_node asked;      // and not answered
    uint32_t asks_count;
    struct list_node outbox; // letters to the other side's consumers
    uint32_t answers_count;  // of them without events
    struct consumer_letter *taken;
    struct request request; // what was given out last
    struct reply reply;
};

struct peer {
    struct list_node link; // of the cluster's
    struct list_node ready_link;
    struct cluster *cluster;
    void *owner;
    link_id id;
    uint64_t dial;
    bool is_local;
    bool is_up;     // the replica knows it
    bool is_told;   // the replica knows that it is down
    bool is_closed; // the connection is gone; freed once nothing is in flight
    uint32_t in_flight;
    enum peer_state state;
    uint32_t refusal; // enum peer_refusal, given by either side
    char name[PEER_NAME_BYTES_MAX + 1];
    struct timer timer; // of the handshake
    struct instant heard;

    struct list_node parcels;
    size_t parcels_bytes;
    struct peer_parcel *taken; // the last that was given out

    struct buffer own_hello; // as they were on the wire
    struct buffer other_hello;
    struct peer_parcel *hello; // the other side's

    struct peer_in in;
    struct peer_out out;
    struct peer_forwards forwards;
    bool is_chunks_turn; // else what is forwarded goes first
};

// --- peer.c ------------------------------------------------------------------------------------

// Queues a message. Without memory, or beyond what may wait, the link ends.
void peer_send(struct peer *peer, const struct peer_message *message);

// Ends the link from inside: says why, if `refusal` is not 0.
void peer_end(struct peer *peer, uint32_t refusal, const char *text);

void peer_mark_ready(struct peer *peer);
void peer_landed(struct peer *peer);  // one thing less is in flight; may free the peer
void peer_release(struct peer *peer); // frees it, if nobody needs it any more

// --- peer_handshake.c --------------------------------------------------------------------------

int peer_greet(struct peer *peer) MUST_CHECK; // the dialer begins
// A message before the link is up. Negative: the link has ended.
int peer_take_greeting(struct peer *peer, const struct peer_message *message,
                       struct bytes wire) MUST_CHECK;

// --- peer_in.c ---------------------------------------------------------------------------------

int peer_take_chunks(struct peer *peer, const struct peer_chunks *chunks) MUST_CHECK;
void peer_return_credit(struct peer *peer); // what has become due in this turn

// --- peer_out.c --------------------------------------------------------------------------------

int peer_pull(struct peer *peer, const struct peer_pull *pull) MUST_CHECK;
void peer_unpull(struct peer *peer, uint16_t actor);
void peer_add_credit(struct peer *peer, uint64_t bytes);
void peer_has_news(struct peer *peer); // the log has grown
bool peer_next_chunks(struct peer *peer, struct peer_item *item_out);
bool peer_out_is_idle(const struct peer *peer);
void peer_out_stop(struct peer *peer); // gives up what is not sent
void peer_out_deinit(struct peer *peer);

// --- peer_chunk.c ------------------------------------------------------------------------------

void peer_ask_chunk(struct peer *peer, const struct peer_ask *ask);
