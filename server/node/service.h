// The service: the one interface for requests and subscriptions; every front end is a translation
// of it. One service per loop, owned by that loop's thread; no locks. A session is one client's.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/instant.h"
#include "proto/model/block.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

struct node_env;
struct service;
struct session;
struct store;
struct identity;

// What all services of a node share; written before the loops start, then only the counters.
struct node;

struct node_config {
    const struct identity *identity; // copied
    struct store *store;             // outlives the node
    uint64_t data_bytes_max;         // per event
    uint64_t append_bytes_max;       // of produces in memory, over all sessions; 0: no limit
    bool compress;                   // bodies, with LZ4
    uint32_t after_timeout_ms;       // default of `after` and of waiting for a parent
    uint64_t seed;                   // for keyed hashes
    struct instant started;
    uint32_t services_max; // loops
};

int node_new(const struct node_config *config, struct node **node_out) MUST_CHECK;
void node_free(struct node *node); // after its services

int service_new(struct node *node, const struct node_env *env,
                struct service **service_out) MUST_CHECK;
void service_free(struct service *service); // after its sessions, with nothing in flight

// Call after env->wake asked for it, and at the end of every loop turn in which requests were
// submitted: takes completions, advances subscriptions, hands new appends to the commit.
void service_turn(struct service *service, struct instant now);

// When service_tick wants to be called next (heartbeats, `after` that times out).
struct instant service_deadline(const struct service *service);
void service_tick(struct service *service, struct instant now);

// Refuses new requests with SHUTTING_DOWN, finishes what was accepted, ends every subscription
// with END_SHUTDOWN. is_idle: nothing is in flight in the store any more.
void service_shut_down(struct service *service);
bool service_is_idle(const struct service *service);

// Set once the store cannot commit any more: the process must end with `fatal_out`'s text.
bool service_is_fatal(const struct service *service, struct reason *fatal_out);

// Fills REPLY_HELLO but for id, version and features. Its views stay valid until the next turn.
void service_describe(struct service *service, struct reply *hello_out);

// The next session that has something to take, or whose saturation has ended, since it was last
// returned; its owner as given to session_open. NULL: none. Net asks at the end of a loop turn. One
// that has nothing but answers to acknowledgements waits for more, up to SESSION_PATIENCE_MS,
// unless the loop is idle: they go out with the next events then, in one system call.
void *service_take_ready(struct service *service, bool is_idle);

// --- Sessions ----------------------------------------------------------------------------------

int session_open(struct service *service, void *owner, struct session **session_out) MUST_CHECK;
void session_close(struct session *session);

// Whether it has something to take, but nothing that does not wait (see service_take_ready).
bool session_is_patient(const struct session *session);

// Who the client is, for people; kept, cut.
void session_set_client(struct session *session, const char *text);

// What the client said in hello: decides how events are delivered to it.
void session_set_features(struct session *session, uint32_t features);

// Submits a request; what must be kept is copied. Everything that is wrong with a request is
// answered by a reply (REPLY_ERROR), also ERR_MEMORY. HELLO is the front end's own, not for here.
// Positive outcome SESSION_SATURATED: not taken; submit again when the session is ready.
enum { SESSION_SATURATED = 1 };
int session_submit(struct session *session, const struct request *request,
                   struct instant now) MUST_CHECK;

// Answers a request that the front end itself refuses, in order with the other replies; outcomes as
// session_submit.
int session_refuse(struct session *session, uint64_t id, enum wire_error code,
                   const char *text) MUST_CHECK;

// One thing to send. `head` is a reply whose views stay valid until the next session_take;
// `block` (with a reference for the taker), offset and length are the events of EVENTS, CHUNKS
// and SLICES, to be sent behind reply_encode_head(&head, length); block NULL: none.
struct session_item {
    struct reply head;
    struct block *block;
    size_t offset;
    size_t length;
};

// The next item; false: nothing now. Call only while less than SESSION_OUT_BYTES_MAX taken bytes
// of blocks wait to be sent: that bound is the front end's.
bool session_take(struct session *session, struct session_item *item_out);

// Nothing submitted is unanswered and no subscription is open; consumers of durable subscriptions
// may be.
bool session_is_idle(const struct session *session);

// --- Counters for status -----------------------------------------------------------------------
// Net counts connections of its loop here; only the loop's thread writes.
void service_count_connection(struct service *service, int change);
