// A node over a store over memory disks, all driven step by step: the log's fixture (its events are
// the model), one service, a clock that stands still unless it is moved, and clients that record
// what they are sent.
#pragma once

#include "server/node/node_env.h"
#include "server/node/service.h"
#include "storage/identity.h"
#include "tests/unit/storage/log_fixture.h"

struct node_fixture {
    struct log_fixture log;
    struct identity identity;
    struct node *node;
    struct service *service;
    struct node_env env;
    struct instant now;
    bool is_woken;
};

enum {
    NODE_AFTER_TIMEOUT_MS = 1000,
    NODE_DATA_BYTES_MAX = 64 * 1024,
    NODE_APPEND_BYTES_MAX = 48 * 1024 * 1024,
};

void node_fixture_init(struct node_fixture *fixture, uint64_t seed);
// With a change of the configuration of the log made between begin and open.
void node_fixture_begin(struct node_fixture *fixture, uint64_t seed);
void node_fixture_open(struct node_fixture *fixture);
// All clients must be closed; runs what is still in flight.
void node_fixture_deinit(struct node_fixture *fixture);

void node_turn(struct node_fixture *fixture);        // one turn, whether it was asked for or not
void node_settle(struct node_fixture *fixture);      // steps and turns until nothing moves
bool node_settle_step(struct node_fixture *fixture); // one of them; false: nothing moves
void node_pass_ms(struct node_fixture *fixture, int64_t ms); // moves the clock, ticks, settles

// --- Clients -----------------------------------------------------------------------------------

struct stream_event {
    struct event_id id;
    uint64_t timestamp_ms;
    uint32_t number;
    char name[48];
};

// What one subscription has brought.
struct stream {
    uint64_t id;
    bool is_subscribed;
    bool is_caught_up;
    size_t caught_up_at; // how many events were before that mark
    bool is_over;
    uint32_t end_reason;
    uint64_t end_delivered;
    uint32_t error;
    struct version_vector start;  // of SUBSCRIBED
    struct version_vector cursor; // as a client keeps it
    struct stream_event *events;
    size_t count;
    size_t capacity;
    uint64_t bytes; // of deliveries: what costs credit
    unsigned chunk_deliveries;
    unsigned slice_deliveries;
    unsigned heartbeats;
    unsigned progresses;
    uint64_t frontier;    // of the last mark of it
    uint16_t waiting_for; // actor, of the last mark that says so
};

// A reply to a request that is no subscription.
struct answer_copy {
    uint64_t id;
    uint32_t kind;
    uint32_t code;
    char text[REASON_LENGTH_MAX + 1];
    struct reply_produced produced;
    struct version_vector cursor;
    struct stream events; // of EVENTS
    struct buffer rows;
    bool more;
    struct reply_status status; // numbers only
    char alarms[600];
};

enum { CLIENT_STREAMS_MAX = 64 };

struct client {
    struct node_fixture *fixture;
    struct session *session;
    struct stream streams[CLIENT_STREAMS_MAX];
    size_t streams_count;
    struct answer_copy *answers;
    size_t answers_count;
    size_t answers_capacity;
};

void client_open(struct client *client, struct node_fixture *fixture);
void client_close(struct client *client); // also frees what it recorded
void client_drop(struct client *client);  // closes the session alone

// Submits; must be taken.
void client_submit(struct client *client, const struct request *request);

// Takes at most `max` items; returns how many there were.
size_t client_receive(struct client *client, size_t max);
void client_run(struct client *client); // settles and receives until nothing moves

struct stream *client_subscribe(struct client *client, const struct request *request);
struct stream *client_stream(struct client *client, uint64_t id);
const struct answer_copy *client_answer(const struct client *client, uint64_t id); // NULL: none yet

void client_credit(struct client *client, uint64_t id, uint64_t bytes);
void client_stop(struct client *client, uint64_t id);

// A subscription to a pattern (NULL: everything), from the beginning, for ever.
struct request subscribe_request(uint64_t id, const char *pattern);

// --- What must hold ----------------------------------------------------------------------------

// The events of the stream are those of the model that match (the pattern, and what the log's
// fixture says is wanted), are not in its start, and, if `end`
// is not NULL, are in it: each once, unchanged, those before "caught up" in canonical order, the
// others in the order of commits. `limit`: only the first so many.
void stream_check(const struct stream *stream, const struct log_fixture *log, const char *pattern,
                  const struct version_vector *end, uint64_t limit);

// Resuming from its cursor would bring nothing that it has, and miss nothing that it lacks.
void stream_check_cursor(const struct stream *stream, const struct log_fixture *log,
                         const char *pattern);

bool pattern_matches(const char *pattern, const char *name);
