// The inside of a session: what one client has asked for and not yet got. For server/node only.
//
// A closed session lives on, detached, until the store has returned what is in flight for it.
#pragma once

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/model/subscription_row.h"
#include "server/node/service.h"

struct cluster_reply;
struct consumer_letter;
struct subscription;

enum {
    SESSION_WAITERS_MAX = 256,  // requests that wait for a cursor or a parent
    SESSION_QUERIES_MAX = 1024, // single reads queued or running
    SESSION_QUERIES_WEIGHT = 8, // of those that run at once: a large one weighs this, a small one 1
    SESSION_READERS_MAX = 4,    // subscriptions that read from the disk at once
    SESSION_PATIENCE_MS = 50,   // a busy loop sends answers to acknowledgements with other things
};

// The reply to a request, until it is taken. Small, because there may be SESSION_REQUESTS_MAX.
struct answer {
    uint64_t id;
    uint32_t kind;    // enum reply_kind
    uint32_t code;    // ERROR: enum wire_error; PRODUCED: how many events; NAMESPACES: more follow
    uint32_t remarks; // PRODUCED
    uint32_t nodes;   // PRODUCED: on how many it is durable
    union {
        struct event_id first;          // PRODUCED
        char *text;                     // ERROR; may be NULL
        struct block *block;            // EVENTS
        struct buffer rows;             // NAMESPACES
        struct cluster_reply *cluster;  // CLUSTER
        struct consumer_letter *letter; // ACKED, SUBSCRIPTIONS
    };
};

struct session {
    struct service *service;
    void *owner;
    void (*on_ready)(struct session *session); // of a session inside the node; NULL: a front end's
    bool begins_anywhere;          // inside the node: entries of a start's cursor need be no ids
    struct list_node link;         // of the service's sessions
    struct list_node ready_link;   // of those to be returned by service_take_ready
    struct list_node patient_link; // of those that have only answers to acknowledgements
    struct instant patient_until;
    struct list_node congested_link;
    uint32_t features;
    char client[CONSUMER_CLIENT_BYTES_MAX + 1];
    bool is_closed;
    bool is_saturated;
    uint32_t in_flight; // appends and reads in the store

    // Replies: a ring that always has room for one per open request.
    struct answer *answers;
    uint32_t answers_capacity;
    uint32_t answers_first;
    uint32_t answers_count;
    uint64_t answers_total;  // ever
    uint32_t answers_acked;  // of answers_count: to acknowledgements
    uint32_t answers_in_row; // taken since a subscription had its turn
    uint32_t open_requests;  // their reply is not taken yet
    size_t answer_bytes;     // owned by replies that are not taken yet
    struct answer taken;     // what the last item points into
    struct buffer item_cursor;
    struct buffer item_text;

    struct list_node produces;      // not yet in the store: the first waits for its parent
    struct list_node produces_held; // in the store, not yet on as many nodes as were asked for
    size_t append_bytes;            // of produces that are not answered
    uint32_t waiters_count;

    struct list_node queries;        // all
    struct list_node queries_queued; // not started
    uint32_t queries_count;
    uint32_t queries_weight; // of those that run

    struct subscription **subscriptions; // sorted by id
    uint32_t subscriptions_count;
    uint32_t subscriptions_capacity;
    struct list_node subscriptions_ready; // have an item
    struct list_node readers_waiting;     // for one of the places of those that read
    uint32_t readers_count;
    bool is_handing_out;

    struct list_node consumers;         // of durable subscriptions
    struct list_node consumers_ready;   // have an item
    struct list_node consumers_stopped; // end behind answers
    struct list_node asks;              // about durable subscriptions, that wait for `after`
};

// Makes the session one that service_take_ready returns.
void session_mark_ready(struct session *session);

// Something that counts towards saturation has become less.
void session_relieve(struct session *session);

// Counts one more open request, for which session_answer will be called once. ERR_MEMORY.
int session_admit(struct session *session) MUST_CHECK;

// The reply to an open request; takes what it owns. A closed session drops it.
void session_answer(struct session *session, struct answer *answer);
void session_answer_error(struct session *session, uint64_t id, enum wire_error code,
                          const char *format, ...) PRINTF_LIKE(4, 5);

// Whether the client reads chunks as they are stored.
static inline bool session_takes_chunks(const struct session *session)
{
    const uint32_t needed = FEATURE_CHUNKS | FEATURE_LZ4;
    return (session->features & needed) == needed;
}

static inline uint64_t session_answers_taken(const struct session *session)
{
    return session->answers_total - session->answers_count;
}

// What is wrong on our side, as an error of the protocol.
enum wire_error wire_error_of(int err);

// One more append or read is in the store, or has come back; the latter may free the session.
void session_launched(struct session *session);
void session_landed(struct session *session);

// --- Subscriptions by id -----------------------------------------------------------------------

struct subscription *session_subscription(const struct session *session, uint64_t id);
int session_add_subscription(struct session *session, struct subscription *subscription) MUST_CHECK;
void session_remove_subscription(struct session *session, struct subscription *subscription);
