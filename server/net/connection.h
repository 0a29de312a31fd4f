// One connection: a socket, a front end, and the bytes between them. Internal to server/net.
#pragma once

#include <ev.h>

#include "proto/base/instant.h"
#include "proto/base/list.h"
#include "server/net/inbox.h"

struct frontend;
struct loop;

enum {
    PEER_NAME_MAX = 127,
    RECEIVE_BYTES = 256 * 1024,         // one piece, where there is that much
    RECEIVE_BYTES_SCARCE = 4 * 1024,    // when unfinished frames have used up their memory
    RECEIVE_BYTES_GREETING = 16 * 1024, // before it is known what a connection speaks
    TURN_BYTES = 1024 * 1024,           // received or sent per connection before others follow
    SEND_PIECES = 64,
    SPARE_CONNECTIONS_MAX = 64, // beyond connections_max, to find out whether they are peers
    PEER_CONNECTIONS_MAX = 64,  // peers that came in or were dialled
    PEERS_COME_IN_MAX = 32,     // of those: strangers that only greet must not keep out dials
};

enum connection_state {
    CONNECTION_GREETING,  // in the first loop, until its first bytes say what it speaks
    CONNECTION_OPEN,      //
    CONNECTION_ENDING,    // reads no more; sends what there is
    CONNECTION_LINGERING, // all is sent and said so; waits for the peer to close, or some time
    CONNECTION_DEAD,      // freed at the end of the turn
};

struct connection {
    struct list_node node;    // in loop->connections, or on the way to another loop
    struct list_node work;    // in loop->flush, ->later or ->dead
    struct list_node starved; // in loop->starved: a frame waits for memory
    struct loop *loop;
    const struct frontend_ops *ops; // NULL while greeting
    struct frontend *frontend;      // NULL while greeting
    uint64_t dial;                  // of a peer that this node has dialled; else 0
    ev_io readable;
    ev_io writable;
    ev_timer timer;
    struct instant armed;  // when timer fires; may be earlier than what is due
    struct instant end_by; // GREETING, ENDING, LINGERING: dies then
    struct inbox inbox;
    size_t charged; // of loop->grown_bytes
    int fd;
    enum connection_state state;
    bool is_greeting;  // in the greeter's set
    bool is_large;     // its unfinished frame counts in loop->large_count
    bool is_saturated; // the front end takes nothing until its session is ready
    bool is_refused;   // the front end gave up: what is unanswered stays so
    bool has_ended;    // the peer sends no more
    bool is_counted;   // in loop->connections_count
    bool is_spare;     // beyond connections_max: only a peer may stay
    bool is_peer;      // counts in net->peers_count, not in net->connections_count
    char peer_name[PEER_NAME_MAX + 1];
};

// Takes fd over, in the first loop. NULL: no memory, fd is closed.
struct connection *connection_new(struct loop *loop, int fd, const char *peer_name, bool is_spare);

// A peer that this node has dialled: is open at once, or dead and the dial reported as failed.
// NULL: as above, and nothing is reported.
struct connection *connection_new_dialed(struct loop *loop, int fd, const char *peer_name,
                                         uint64_t dial);

// From now on it is a peer. false: there are too many.
bool connection_become_peer(struct connection *connection);

// Gives it to `loop`, whose thread calls this: opens its front end and feeds what was received,
// `fresh` behind what the inbox holds.
void connection_attach(struct connection *connection, struct loop *loop, struct bytes fresh);

// Takes it out of the loop it is in, for another thread.
void connection_detach(struct connection *connection);

// The session has something to send, or is not saturated any more.
void connection_on_ready(struct connection *connection);
void connection_on_readable(struct connection *connection);
void connection_on_writable(struct connection *connection);
void connection_on_timer(struct connection *connection);

// Sees to it that connection_flush is called at the end of the turn.
void connection_touch(struct connection *connection);

// Sends what there is, within bounds, and then what follows from the state: ends what is done,
// sets the timer.
void connection_flush(struct connection *connection);

// Feeds what is lying in the inbox, and `fresh` behind it.
void connection_feed(struct connection *connection, struct bytes fresh);

// Tries again to get memory for the frame that is wanted. false: still none.
bool connection_unstarve(struct connection *connection);

// No more requests; ends when everything is sent, or after a while. `is_refused`: as above.
void connection_end(struct connection *connection, bool is_refused);
// At once.
void connection_kill(struct connection *connection);
// Only the end of a turn calls this, and net_free.
void connection_free(struct connection *connection);
