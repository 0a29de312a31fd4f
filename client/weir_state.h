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
    uint32_t standings_count;
    uint32_t ends_due; // standings that are over and not told
    uint64_t number_last;

    struct events *walk; // events that are being handed out
    struct standing *walked;
    struct standing *ended; // its end was handed out last

    struct connection_news lost;
    struct connection_news made;
    struct weir_notice notice;
    struct weir_event event;
    struct weir_produced produced;
    struct weir_mark mark;

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

// The node has answered hello / anything else.
void weir_on_ready(struct weir *weir, const struct reply_hello *hello);
void weir_on_answer(struct weir *weir, const struct notice *notice);

// Asks for the subscriptions that no connection serves, if it can be done now.
void weir_resume(struct weir *weir);

// A draining connection has been handed out.
void weir_drained(struct weir *weir, struct connection *connection);
