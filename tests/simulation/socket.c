// One connection of a machine, as server/net keeps it: what the front end does not take waits, a
// saturated session is not read from, and sending goes on as far as there is room.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/peer_message.h"
#include "proto/wire/frame.h"
#include "proto/wire/peer_wire.h"
#include "server/frontend/frontend.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/tap.h"

enum { PIECES_MAX = 16 };

struct socket {
    struct endpoint endpoint;
    struct machine *machine;
    struct list_node link;
    struct frontend *frontend; // NULL: nothing is known of it yet
    struct buffer unfed;
    size_t wanted;
    struct tap tap;
    uint64_t dial;
    bool is_readable;
    bool is_touched;
    bool is_saturated;
    bool is_ending; // nothing more is taken in; ends when everything is sent
    bool is_dead;
};

static struct socket *socket_of(struct endpoint *endpoint)
{
    return container_of(endpoint, struct socket, endpoint);
}

static void on_readable(struct endpoint *endpoint)
{
    struct socket *socket = socket_of(endpoint);
    socket->is_readable = true;
    machine_want_turn(socket->machine);
}

static void on_writable(struct endpoint *endpoint)
{
    struct socket *socket = socket_of(endpoint);
    socket->is_touched = true;
    machine_want_turn(socket->machine);
}

static const struct endpoint_ops SOCKET_OPS = {.readable = on_readable, .writable = on_writable};

static void open_frontend(struct socket *socket, const struct frontend_ops *ops)
{
    const struct frontend_config config = {
        .service = socket->machine->service,
        .peer_name = "simulated",
        .owner = socket,
        .dial = socket->dial,
        .is_local = !socket->machine->world->options.has_secret,
    };
    int err = ops->open(&config, &socket->frontend);
    socket->is_dead |= err != 0;
    socket->is_touched = true;
}

struct socket *socket_new(struct machine *machine, uint64_t dial)
{
    struct socket *socket = memory_new(1, sizeof *socket);
    socket->machine = machine;
    socket->tap.machine = machine->index;
    socket->endpoint.ops = &SOCKET_OPS;
    socket->dial = dial;
    list_init(&socket->link);
    list_append(&machine->sockets, &socket->link);
    if (dial != 0) {
        open_frontend(socket, &FRONTEND_PEER);
    }
    machine_want_turn(machine);
    return socket;
}

struct endpoint *socket_endpoint(struct socket *socket)
{
    return &socket->endpoint;
}

static void socket_free(struct socket *socket, bool tells)
{
    if (tells) {
        network_close(&socket->endpoint);
    } else {
        network_abort(&socket->endpoint, false);
    }
    if (socket->frontend) {
        socket->frontend->ops->close(socket->frontend);
    }
    list_remove(&socket->link);
    buffer_deinit(&socket->unfed);
    free(socket);
}

// --- In ----------------------------------------------------------------------------------------

static bool is_peer(const struct socket *socket)
{
    return socket->frontend && socket->frontend->ops == &FRONTEND_PEER;
}

// Another chunk with the same events' ids: sound in itself, but not the one that was issued.
static void forge(struct bytes chunk)
{
    struct chunk_header header;
    uint8_t *bytes = (uint8_t *)chunk.data;
    if (chunk_header_parse(chunk, &header) == 0) {
        header.timestamp_ms++;
        chunk_header_encode(&header, bytes);
    }
}

// What a peer that does not keep to its part does to the frame at the front: chunks are left out,
// answers hold what was not asked for.
static void spoil(struct socket *socket)
{
    struct machine *machine = socket->machine;
    struct bytes rest = buffer_bytes(&socket->unfed);
    struct bytes frame;
    struct reason reason;
    struct peer_message message;
    struct peer_scratch scratch = {0};
    size_t needed;
    if (frame_next(&rest, FRAME_BYTES_MAX, &frame, &needed) != 0 || frame.length < 2) {
        return;
    }
    if (machine->loses_chunks && frame.data[1] == PEER_CHUNKS) {
        buffer_consume(&socket->unfed, socket->unfed.length - rest.length);
        socket->wanted = 0;
        machine->loses_chunks = false;
    } else if (machine->gets_forged && frame.data[1] == PEER_ANSWER &&
               world_chance(machine->world, 50) &&
               peer_decode(frame, &scratch, &message, &reason) == 0) {
        forge(message.answer.chunk);
    }
    peer_scratch_deinit(&scratch);
}

static void feed(struct socket *socket)
{
    struct machine *machine = socket->machine;
    if ((machine->loses_chunks || machine->gets_forged) && is_peer(socket)) {
        spoil(socket);
    }
    while (!socket->is_ending && socket->unfed.length > 0 &&
           socket->unfed.length >= socket->wanted) {
        size_t taken = 0;
        size_t wanted = 0;
        int result = socket->frontend->ops->feed(socket->frontend, buffer_bytes(&socket->unfed),
                                                 machine->world->schedule.now, &taken, &wanted);
        machine->turn_wanted = true;
        socket->is_touched = true;
        if (result < 0) {
            socket->is_ending = true;
            return;
        }
        assert(taken <= socket->unfed.length);
        buffer_consume(&socket->unfed, taken);
        socket->wanted = wanted;
        socket->is_saturated = socket->unfed.length > 0 && wanted == 0;
        if (socket->is_saturated || socket->unfed.length == 0) {
            return;
        }
    }
}

static void greet(struct socket *socket)
{
    if (!socket->frontend && !socket->is_dead) {
        const struct frontend_ops *ops = frontend_choose(buffer_bytes(&socket->unfed));
        if (ops) {
            open_frontend(socket, ops);
        }
    }
}

static void receive(struct socket *socket)
{
    struct bytes bytes = network_readable(&socket->endpoint);
    socket->is_readable = false;
    if (socket->is_saturated && !network_has_ended(&socket->endpoint)) {
        return;
    }
    if (bytes.length > 0 && !socket->is_ending) {
        memory_must(buffer_append(&socket->unfed, bytes));
    }
    if (bytes.length > 0) {
        if (is_peer(socket)) {
            tap_receives(&socket->tap, socket->machine->world, bytes);
        }
        network_consume(&socket->endpoint, bytes.length);
        greet(socket);
        if (socket->frontend) {
            feed(socket);
        }
    }
    if (network_has_ended(&socket->endpoint)) {
        socket->is_dead = true;
    }
}

void sockets_receive(struct machine *machine)
{
    LIST_FOR_EACH(&machine->sockets, link)
    {
        struct socket *socket = container_of(link, struct socket, link);
        if (socket->is_readable && !socket->is_dead) {
            receive(socket);
        }
    }
}

void sockets_ready(struct machine *machine)
{
    struct socket *socket;
    while ((socket = service_take_ready(machine->service, true))) {
        socket->is_touched = true;
        if (socket->is_saturated) {
            feed(socket);
            socket->is_readable |= !socket->is_saturated;
            if (socket->is_readable && !socket->is_dead) {
                receive(socket);
            }
        }
    }
}

// --- Time --------------------------------------------------------------------------------------

struct instant sockets_deadline(const struct machine *machine)
{
    struct instant deadline = INSTANT_NEVER;
    LIST_FOR_EACH(&machine->sockets, link)
    {
        const struct socket *socket = container_of(link, struct socket, link);
        if (socket->frontend && !socket->is_ending && !socket->is_dead) {
            deadline = instant_earlier(deadline, socket->frontend->ops->deadline(socket->frontend));
        }
    }
    return deadline;
}

void sockets_tick(struct machine *machine)
{
    struct instant now = machine->world->schedule.now;
    LIST_FOR_EACH(&machine->sockets, link)
    {
        struct socket *socket = container_of(link, struct socket, link);
        if (socket->frontend && !socket->is_ending && !socket->is_dead &&
            instant_reached(socket->frontend->ops->deadline(socket->frontend), now)) {
            socket->is_ending = socket->frontend->ops->tick(socket->frontend, now) < 0;
            socket->is_touched = true;
        }
    }
}

// --- Out ---------------------------------------------------------------------------------------

// Returns whether the front end has nothing more to send.
static bool send_some(struct socket *socket)
{
    struct frontend *frontend = socket->frontend;
    struct iovec pieces[PIECES_MAX];
    size_t room;
    while ((room = network_room(&socket->endpoint)) > 0) {
        size_t count = frontend->ops->peek(frontend, pieces, PIECES_MAX);
        size_t sent = 0;
        for (size_t i = 0; i < count && sent < room; i++) {
            size_t length = pieces[i].iov_len < room - sent ? pieces[i].iov_len : room - sent;
            struct bytes piece = bytes_of(pieces[i].iov_base, length);
            if (is_peer(socket)) {
                tap_sends(&socket->tap, socket->machine->world, piece);
            }
            network_write(&socket->endpoint, piece);
            sent += length;
        }
        if (sent == 0) {
            return true;
        }
        frontend->ops->sent(frontend, sent);
    }
    return false;
}

static void flush(struct socket *socket)
{
    socket->is_touched = false;
    if (!socket->frontend || socket->is_dead || !socket->endpoint.connection) {
        return;
    }
    bool is_all = send_some(socket);
    socket->is_dead |= is_all && socket->is_ending;
}

void sockets_flush(struct machine *machine)
{
    LIST_FOR_EACH(&machine->sockets, link)
    {
        struct socket *socket = container_of(link, struct socket, link);
        if (socket->is_touched) {
            flush(socket);
            if (socket->is_saturated && !socket->is_dead) {
                feed(socket);
            }
        }
        if (socket->is_dead) {
            socket_free(socket, true);
            machine->turn_wanted = true;
        }
    }
}

void sockets_close(struct machine *machine, bool tells)
{
    LIST_FOR_EACH(&machine->sockets, link)
    {
        socket_free(container_of(link, struct socket, link), tells);
    }
}
