// The inside of a struct weir, for the files that make it up.
#pragma once

#include "client/core.h"
#include "client/produces.h"
#include "client/requests.h"
#include "client/roster.h"
#include "client/standing.h"
#include "client/weir.h"
#include "proto/base/list.h"
#include "proto/model/uuid.h"

enum { WEIR_QUIET = 100 }; // positive outcome of steps: nothing to hand out, go on

// One connection. When it is over it stays among the draining ones until all of it is handed out.
struct connection {
    struct list_node node;
    struct core *core;
};

// A notice about a connection, with its texts.
struct connection_news {
    bool is_due;
    struct weir_connection news;
    char cluster[UUID_TEXT_LENGTH + 1];
    char node[UUID_TEXT_LENGTH + 1];
    struct reason reason;
};

struct weir {
    struct roster roster;
    char name[NAME_BYTES_MAX + 1];
    uint32_t connect_timeout_ms;
    uint32_t silence_ms;
    int wake_fd;
    enum weir_reconnect reconnect;

    enum weir_want want;
    struct instant now;   // as it was told last
    struct instant until; // of a pause, or of connecting
    struct connection *connection;
    bool is_ready;  // the node has answered hello
    bool was_ready; // some node has, once
    struct instant ready_at;
    bool is_good;    // events or results came over it
    bool is_refused; // the node had no room for a subscription
    bool is_leaving; // it is closed when what was sent is answered, or at leave_until
    struct instant leave_until;
    uint64_t stream_sent; // bytes taken from this connection's output
    int lost_err;         // why closing is wanted
    struct reason lost_reason;
    struct list_node draining; // struct connection, oldest first
    struct uuid cluster;       // zeros: not known yet
    struct uuid node;          // of the connection before; zeros: none
    uint64_t data_bytes_max;

    struct produces produces;
    struct requests requests;
    struct list_node standings;
    struct list_node sending; // attachments that have something to send
    struct list_node telling; // or to hand out
    bool acks_due;            // some of that is due
    struct instant retry_at;  // a refused attachment is asked for again; INSTANT_NEVER: none is
    struct standing *held;    // whose event was handed out last, to be acknowledged with the next
    struct event_id held_id;  // notice; NULL: none
    uint32_t standings_count;
    uint32_t ends_due; // standings that are over and not told
    uint64_t number_last;

    struct events *walk; // events that are being handed out
    struct standing *walked;
    bool is_run; // an event of `walked` was handed out last, and nothing else has come since
    struct standing *ended; // its end was handed out last

    struct connection_news lost;
    struct connection_news made;
    struct weir_notice notice;
    struct weir_event event;
    struct weir_produced produced;
    struct weir_mark mark;
    struct weir_attached attached;
    struct weir_acked acked;

    int err; // it has ended
    struct reason reason;
    struct buffer cursor_text;
    struct buffer after; // scratch

    struct driver *driver; // of the blocking layer
    void (*driver_free)(struct driver *driver);
};

// Wants the connection closed, because of that.
void weir_drop(struct weir *weir, int err, const char *text);

// Goes on elsewhere once what was sent is answered.
void weir_begin_leaving(struct weir *weir, const char *text);
void weir_check_leaving(struct weir *weir);

// Takes what the core has of hello and answers to produces, past all else.
void weir_pump(struct weir *weir);

// The outcome of a call, with its reason kept.
int weir_refused(struct weir *weir, int err, const struct reason *reason);

// Whether a node is connected, and takes requests.
bool weir_is_serving(const struct weir *weir);

// Whether one more subscription or attachment may be: 0, ERR_LIMIT, or why the client has ended.
int weir_may_stand(struct weir *weir);
// Takes it over, and begins it if a node is connected. ERR_MEMORY: it is freed.
int weir_stand(struct weir *weir, struct standing *standing, uint64_t *number_out);

// The node has answered hello / anything else.
void weir_on_ready(struct weir *weir, const struct reply_hello *hello);
void weir_on_answer(struct weir *weir, const struct notice *notice);

// --- Attachments -------------------------------------------------------------------------------

// One that is not over; NULL: there is none.
struct standing *weir_find_attachment(const struct weir *weir, uint64_t number);

// The program has come back for the next notice: what it was handed out last is done. ERR_MEMORY.
int weir_ack_held(struct weir *weir) MUST_CHECK;

// All that is to be sent is due; sends what is due; when it is.
void weir_flush_acks(struct weir *weir);
void weir_send_acks(struct weir *weir, struct core *core);
struct instant weir_acks_deadline(const struct weir *weir);

// An answer to an ACK or NACK.
void weir_on_acked(struct weir *weir, const struct notice *notice);

// What a node says of a standing that is an attachment. False: it is none, or that is to be handed
// out as it comes.
bool weir_on_attachment(struct weir *weir, struct standing *standing, const struct notice *notice);

// The connection is over, with what it had in flight.
void weir_lose_attachments(struct weir *weir, const struct core *core);

// Whether an event of it is to be handed out, which then has been.
bool weir_hands_out(struct weir *weir, struct standing *standing, struct event_id id);

// Hands out what nodes have said. WEIR_NOTHING: they have not.
int weir_next_told(struct weir *weir) MUST_CHECK;

// --- Subscriptions -----------------------------------------------------------------------------

// The one of a connection; NULL: there is none.
struct standing *weir_find_served(const struct weir *weir, const struct core *core, uint64_t id);

// It may be over, since no connection serves it.
void weir_note_ends(struct weir *weir, struct standing *standing);

// Asks for the subscriptions that no connection serves, if it can be done now.
void weir_resume(struct weir *weir);

// A draining connection has been handed out.
void weir_drained(struct weir *weir, struct connection *connection);
