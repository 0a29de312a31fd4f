// What was asked of the nodes, from the question to its result: one struct asked each.
#pragma once

#include "client/core.h"
#include "client/definition.h"
#include "client/weir.h"
#include "proto/base/list.h"
#include "proto/model/uuid.h"

enum { ASKED_MAX = 1024 }; // together, those whose result waits to be taken included

struct kept;

// One question and its answer. Views of `request` point into `kept`, those of `reply` and of the
// result into `message`.
struct asked {
    struct list_node node;
    struct weir_result result; // ticket, kind and context from the beginning
    bool is_once;              // changes something: is given to one connection only
    bool is_here;              // and is for the node that was connected when it was asked
    struct request request;
    struct kept *kept;            // texts
    struct definition definition; // SUBSCRIPTIONS: the same
    uint64_t stream_end;          // sent: where it ends in the bytes of this connection

    struct buffer message; // the answer, as it came
    struct reply reply;
    struct reason reason;
    char cluster_uuid[UUID_TEXT_LENGTH + 1];
    char node_uuid[UUID_TEXT_LENGTH + 1];
    struct weir_node_status status;
    struct weir_cluster_status cluster;

    // What was taken of it.
    struct events walk; // EVENTS
    struct buffer scratch;
    struct bytes rest; // rows
    struct bytes alarms;
    struct bytes consumers;
    struct weir_event event;
    struct weir_namespace row;
    struct weir_member member;
    struct weir_alarm alarm;
    struct buffer cursor_text;
    struct weir_subscription_row subscription;
    struct weir_subscription_consumer consumer;
    struct weir_definition wanted;
    struct buffer wanted_memory;
    struct buffer position_text;
};

struct requests {
    struct list_node waiting;  // for a connection; struct asked, oldest first
    struct list_node sent;     // or on their way into the socket
    struct list_node answered; // not handed out
    uint32_t count;            // in all three
    uint32_t sent_once;        // of `sent`, those that are is_once
    uint64_t ticket_last;
    struct asked *told;   // was handed out by the last notice
    struct asked *waited; // by weir_wait_result
};

void requests_init(struct requests *requests);
void requests_deinit(struct requests *requests);

// A question of that kind: `options` (may be NULL) are read, and the request has the kind, `after`
// and the filter they say. ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED with a reason, ERR_MEMORY.
int asked_new(enum request_kind kind, const struct weir_request_options *options,
              struct asked **asked_out, struct reason *reason) MUST_CHECK;
void asked_free(struct asked *asked); // NULL is allowed

// Keeps a text for the request: valid as long as the question. ERR_MEMORY.
int asked_keep(struct asked *asked, struct bytes text, struct bytes *kept_out) MUST_CHECK;

// Takes the question (also on failure); its ticket. ERR_BUSY with a reason.
int requests_add(struct requests *requests, struct asked *asked, uint64_t *ticket_out,
                 struct reason *reason) MUST_CHECK;

// The oldest that waits for a connection, or NULL; and that it was given to a core, whose stream of
// bytes ends at `stream_end` with it.
struct asked *requests_waiting(struct requests *requests);
void requests_sent(struct requests *requests, struct asked *asked, uint64_t stream_end);

// The node has answered, or stops: then a question that can be repeated waits again.
void requests_answered(struct requests *requests, struct asked *asked, const struct notice *notice);

// The connection is lost, of whose stream `stream_sent` bytes were sent.
void requests_lost(struct requests *requests, uint64_t stream_sent);

// The oldest result, or that of a ticket; NULL: none. It is no longer kept: the caller owns it.
struct asked *requests_take(struct requests *requests);
struct asked *requests_take_ticket(struct requests *requests, uint64_t ticket);

// Whether the ticket's result is still to come.
bool requests_awaits(const struct requests *requests, uint64_t ticket);
