// From the socket into the front end. All connections of a loop share one large buffer to receive
// into, and the front end takes complete messages straight out of it; only the beginning of an
// unfinished one is kept, in the connection's inbox. The next read fills the inbox to exactly the
// end of that message and goes on in the shared buffer, with one system call (readv), so a stream
// of messages of any size is copied at most once and an idle connection owns no buffer at all.
//
// Memory: what is kept is charged to the loop. A frame above LARGE_BYTES gets its memory only when
// the loop's bound still holds it, or when no other large one is under way; otherwise reading
// stops and the connection waits in line (starved). When the bound is reached, reads shrink to a
// few KiB, so what saturated connections leave lying stays small as well.
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/frontend/frontend.h"
#include "server/net/connection.h"
#include "server/net/net_state.h"

enum { LARGE_BYTES = 64 * 1024 };

static void charge(struct connection *connection, size_t bytes, bool is_large)
{
    struct loop *loop = connection->loop;
    loop->grown_bytes += bytes - connection->charged;
    loop->large_count += (is_large ? 1U : 0U) - (connection->is_large ? 1U : 0U);
    connection->charged = bytes;
    connection->is_large = is_large;
}

// Accounts for what the inbox holds or is about to. false: the frame must wait for memory.
static bool admit(struct connection *connection)
{
    struct loop *loop = connection->loop;
    const struct inbox *inbox = &connection->inbox;
    size_t needed = inbox->wanted > inbox->capacity ? inbox->wanted : inbox->capacity;
    bool is_large = inbox->wanted > LARGE_BYTES;
    size_t others = loop->grown_bytes - connection->charged;
    bool is_only_one = loop->large_count - (connection->is_large ? 1U : 0U) == 0;
    // A peer's frames are bounded by its credit, and one that waits behind clients would seem dead.
    if (is_large && !is_only_one && !connection->is_peer &&
        others + needed > loop->grown_bytes_max) {
        charge(connection, inbox->capacity, false);
        return false;
    }
    charge(connection, needed, is_large);
    return true;
}

// After a feed: whether to read on, wait for the session, or wait for memory.
static void settle(struct connection *connection, bool is_saturated)
{
    struct loop *loop = connection->loop;
    connection->is_saturated = is_saturated;
    list_remove(&connection->starved);
    if (!admit(connection)) {
        loop_log(loop, LOG_DEBUG, "%s waits for memory for a frame of %zu bytes",
                 connection->peer_name, connection->inbox.wanted);
        list_append(&loop->starved, &connection->starved);
    } else if (!is_saturated && !ev_is_active(&connection->readable)) {
        ev_io_start(loop->ev, &connection->readable);
    }
}

bool connection_unstarve(struct connection *connection)
{
    if (!admit(connection)) {
        return false;
    }
    list_remove(&connection->starved);
    if (connection->state == CONNECTION_OPEN) {
        ev_io_start(connection->loop->ev, &connection->readable);
    }
    return true;
}

// Returns how much of `bytes` was taken; all of it when the front end gave up. *wanted_out, when
// something is left: how much of it makes the next step possible, 0: the session is saturated.
static size_t feed_some(struct connection *connection, struct bytes bytes, size_t *wanted_out)
{
    struct frontend *frontend = connection->frontend;
    size_t done = 0;
    size_t taken;
    do {
        taken = 0;
        *wanted_out = 0;
        struct bytes rest = bytes_of(bytes.data + done, bytes.length - done);
        int err = frontend->ops->feed(frontend, rest, connection->loop->now, &taken, wanted_out);
        assert(taken <= rest.length);
        done += taken;
        if (err < 0) {
            // Why a link with a peer ends is said by those who end it.
            loop_log(connection->loop, connection->is_peer ? LOG_DEBUG : LOG_INFO,
                     "%s: connection ended: %s", connection->peer_name, err_text(err));
            connection_end(connection, true);
            return bytes.length;
        }
    } while (taken > 0 && done < bytes.length && *wanted_out != 0 &&
             *wanted_out <= bytes.length - done);
    assert(done == bytes.length || *wanted_out == 0 || *wanted_out > bytes.length - done);
    return done;
}

// A peer that sends a large frame over a slow line must not seem dead meanwhile: its front end is
// shown what there is of it.
static void show_progress(struct connection *connection)
{
    size_t taken = 0;
    size_t wanted = 0;
    if (!connection->is_peer) {
        return;
    }
    int err = connection->frontend->ops->feed(connection->frontend, inbox_bytes(&connection->inbox),
                                              connection->loop->now, &taken, &wanted);
    assert(taken == 0);
    if (err < 0) {
        connection_end(connection, true);
    }
}

// Completes and feeds what the inbox holds, from the front of *fresh. Returns whether the session
// is saturated.
static bool feed_inbox(struct connection *connection, struct bytes *fresh)
{
    struct inbox *inbox = &connection->inbox;
    while (inbox->length > 0) {
        size_t wanted = 0;
        if (inbox->length >= inbox->wanted) {
            size_t taken = feed_some(connection, inbox_bytes(inbox), &wanted);
            inbox_consume(inbox, taken);
            if (inbox->length == 0) {
                break;
            }
            if (wanted == 0) {
                return true;
            }
            inbox->wanted = wanted;
        }
        size_t missing = inbox->wanted - inbox->length;
        size_t moved = missing < fresh->length ? missing : fresh->length;
        if (inbox_append(inbox, bytes_of(fresh->data, moved)) != 0) {
            connection_kill(connection);
            return false;
        }
        if (moved < missing) {
            *fresh = (struct bytes){0};
            show_progress(connection);
            return false;
        }
        *fresh = bytes_of(fresh->data + moved, fresh->length - moved);
    }
    return false;
}

void connection_feed(struct connection *connection, struct bytes fresh)
{
    struct inbox *inbox = &connection->inbox;
    connection->loop->turn_wanted = true;
    bool is_saturated = feed_inbox(connection, &fresh);
    size_t wanted = 0;
    if (inbox->length == 0 && fresh.length > 0 && connection->state == CONNECTION_OPEN) {
        size_t taken = feed_some(connection, fresh, &wanted);
        fresh = bytes_of(fresh.data + taken, fresh.length - taken);
        is_saturated = fresh.length > 0 && wanted == 0;
    }
    if (connection->state != CONNECTION_OPEN) {
        inbox_deinit(inbox);
        charge(connection, 0, false);
        list_remove(&connection->starved);
        return;
    }
    if (fresh.length > 0) {
        if (inbox_append(inbox, fresh) != 0) {
            connection_kill(connection);
            return;
        }
        if (wanted > 0) {
            inbox->wanted = wanted;
        }
    }
    settle(connection, is_saturated);
    connection_touch(connection);
}

// Nothing, or an error, came instead of bytes.
static void receive_end(struct connection *connection, ssize_t got)
{
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    connection->has_ended = true;
    if (got < 0 || connection->state != CONNECTION_OPEN) {
        connection_kill(connection);
    } else {
        connection_end(connection, false);
    }
}

// One read. Returns how much came; *asked_out: how much would have fit.
static size_t receive_once(struct connection *connection, size_t *asked_out)
{
    struct loop *loop = connection->loop;
    struct inbox *inbox = &connection->inbox;
    struct iovec pieces[2];
    int count = 0;
    size_t room = 0;
    if (inbox->length > 0) {
        if (inbox_make_room(inbox) != 0) {
            connection_kill(connection);
            return 0;
        }
        pieces[count].iov_base = inbox_room(inbox, &room);
        pieces[count++].iov_len = room;
    }
    if (inbox->length == 0 || inbox_room_completes(inbox)) {
        pieces[count].iov_base = loop->receive;
        pieces[count++].iov_len =
            loop->grown_bytes < loop->grown_bytes_max ? RECEIVE_BYTES : RECEIVE_BYTES_SCARCE;
    }
    *asked_out = pieces[0].iov_len + (count == 2 ? pieces[1].iov_len : 0);
    ssize_t got = readv(connection->fd, pieces, count);
    if (got <= 0) {
        receive_end(connection, got);
        return 0;
    }
    size_t received = (size_t)got < room ? (size_t)got : room;
    inbox_received(inbox, received);
    connection_feed(connection, bytes_of(loop->receive, (size_t)got - received));
    return (size_t)got;
}

static void receive(struct connection *connection)
{
    size_t total = 0;
    size_t got;
    size_t asked = 0;
    do {
        // Stopped only now, when more comes although nothing is wanted: mostly it does not.
        if (connection->is_saturated || !list_is_empty(&connection->starved)) {
            ev_io_stop(connection->loop->ev, &connection->readable);
            return;
        }
        got = receive_once(connection, &asked);
        total += got;
    } while (got == asked && total < TURN_BYTES && connection->state == CONNECTION_OPEN);
}

// The first bytes of all, as many as may be needed to know what they are.
static const struct frontend_ops *choose(const struct connection *connection, struct bytes fresh)
{
    const struct inbox *inbox = &connection->inbox;
    uint8_t first[FRONTEND_GREETING_BYTES];
    size_t kept = inbox->length < sizeof first ? inbox->length : sizeof first;
    size_t added = fresh.length < sizeof first - kept ? fresh.length : sizeof first - kept;
    if (kept > 0) {
        memcpy(first, inbox_bytes(inbox).data, kept);
    }
    memcpy(first + kept, fresh.data, added);
    return connection->loop->net->config.choose(bytes_of(first, kept + added));
}

// Peers stay in this loop, where the cluster is; clients go to the one with the fewest.
static struct loop *choose_loop(struct connection *connection)
{
    struct net *net = connection->loop->net;
    if (connection->ops == net->config.peer) {
        if (connection_become_peer(connection)) {
            return connection->loop;
        }
        net_refuse_peer(net);
        return NULL;
    }
    if (connection->is_spare) {
        net_refuse_client(net);
        return NULL;
    }
    return net_choose_loop(net);
}

// Enough of the first bytes say where the connection belongs.
static void greet(struct connection *connection)
{
    struct loop *loop = connection->loop;
    ssize_t got = read(connection->fd, loop->receive, RECEIVE_BYTES_GREETING);
    if (got <= 0) {
        receive_end(connection, got);
        return;
    }
    struct bytes fresh = bytes_of(loop->receive, (size_t)got);
    connection->ops = choose(connection, fresh);
    bool is_known = connection->ops != NULL;
    struct loop *target = is_known ? choose_loop(connection) : loop;
    if (is_known && target == loop) {
        connection_attach(connection, loop, fresh);
        return;
    }
    if (target == NULL || inbox_append(&connection->inbox, fresh) != 0) {
        connection_kill(connection);
        return;
    }
    if (is_known) {
        connection_detach(connection);
        if (!loop_give(target, connection)) {
            connection_attach(connection, loop, bytes_of(NULL, 0));
        }
    }
}

static void discard(struct connection *connection)
{
    ssize_t got = read(connection->fd, connection->loop->receive, RECEIVE_BYTES);
    if (got <= 0) {
        receive_end(connection, got);
    }
}

void connection_on_readable(struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_GREETING:
        greet(connection);
        break;
    case CONNECTION_OPEN:
        receive(connection);
        break;
    case CONNECTION_LINGERING:
        discard(connection);
        break;
    case CONNECTION_ENDING:
    case CONNECTION_DEAD:
        ev_io_stop(connection->loop->ev, &connection->readable);
        break;
    }
}
