// Sending and receiving are tried first and polled for only when there was nothing to do: under
// load there is no system call but send and recv. A connection that fails is told to the core,
// which still hands out what came before.

#include "client/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/backoff.h"

enum { CONNECT_TIMEOUT_MS_DEFAULT = 10000 };

// Under load nothing is polled, so wake_fd is looked at now and then.
enum { TURNS_PER_WAKE_CHECK = 16 };

struct client {
    struct client_config config;
    struct core *core;
    int fd;
    bool is_failed; // the socket; the core knows
    uint32_t turns;
    struct backoff backoff;
};

static void drop(struct client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
    core_free(client->core);
    client->core = NULL;
}

static void fail(struct client *client, int err, const char *text)
{
    client->is_failed = true;
    core_fail(client->core, err, text);
}

static void send_some(struct client *client)
{
    struct bytes output = core_output(client->core);
    if (output.length == 0 || client->is_failed) {
        return;
    }
    ssize_t sent = send(client->fd, output.data, output.length, MSG_NOSIGNAL);
    if (sent >= 0) {
        core_sent(client->core, (size_t)sent);
    } else if (errno == EPIPE || errno == ECONNRESET) {
        // What the node said before it closed is still to be received.
        core_sent(client->core, output.length);
    } else if (errno != EAGAIN && errno != EINTR) {
        fail(client, ERR_IO, strerror(errno));
    }
}

static bool receive_some(struct client *client)
{
    if (client->is_failed) {
        return false;
    }
    uint8_t *space;
    size_t length;
    if (core_space(client->core, &space, &length) != 0) {
        fail(client, ERR_MEMORY, "no memory to receive");
        return true;
    }
    ssize_t received = recv(client->fd, space, length, 0);
    if (received > 0) {
        core_received(client->core, (size_t)received, clock_now());
        return true;
    }
    if (received == 0 || errno == ECONNRESET || errno == EPIPE) {
        fail(client, ERR_CLOSED, "the node has closed the connection");
        return true;
    }
    if (errno != EAGAIN && errno != EINTR) {
        fail(client, ERR_IO, strerror(errno));
        return true;
    }
    return false;
}

static bool is_woken(const struct client *client)
{
    struct pollfd wake = {.fd = client->config.wake_fd, .events = POLLIN};
    return poll(&wake, 1, 0) > 0;
}

// Rounded up, so that a deadline is reached when the wait is over.
static int wait_ms(struct instant until)
{
    if (until.ns == INSTANT_NEVER.ns) {
        return -1;
    }
    int64_t left_ms = (until.ns - clock_now().ns + 999999) / 1000000;
    return left_ms < 0 ? 0 : left_ms > 1000000 ? 1000000 : (int)left_ms;
}

int client_wait(struct client *client, struct pollfd *others, size_t others_count,
                struct instant until)
{
    assert(others_count <= CLIENT_OTHERS_MAX);
    for (size_t i = 0; i < others_count; i++) {
        others[i].revents = 0;
    }
    send_some(client);
    if (++client->turns % TURNS_PER_WAKE_CHECK == 0 && is_woken(client)) {
        return CLIENT_WOKEN;
    }
    if (receive_some(client)) {
        return 0;
    }
    core_tick(client->core, clock_now());
    struct instant deadline = instant_earlier(until, core_deadline(client->core));
    bool wants_to_send = core_output(client->core).length > 0;
    struct pollfd polled[2 + CLIENT_OTHERS_MAX] = {
        {.fd = client->is_failed ? -1 : client->fd,
         .events = (short)(POLLIN | (wants_to_send ? POLLOUT : 0))},
        {.fd = client->config.wake_fd, .events = POLLIN},
    };
    for (size_t i = 0; i < others_count; i++) {
        polled[2 + i] = others[i];
    }
    int count = poll(polled, 2 + others_count, client->is_failed ? 0 : wait_ms(deadline));
    if (count < 0 && errno != EINTR) {
        fail(client, ERR_IO, strerror(errno));
        return 0;
    }
    if (count > 0 && polled[1].revents) {
        return CLIENT_WOKEN;
    }
    for (size_t i = 0; count > 0 && i < others_count; i++) {
        others[i].revents = polled[2 + i].revents;
    }
    if (count > 0 && polled[0].revents) {
        send_some(client);
        receive_some(client);
        return 0;
    }
    core_tick(client->core, clock_now());
    return count == 0 && instant_reached(until, clock_now()) ? CLIENT_LATE : 0;
}

int client_next(struct client *client, struct instant until, struct notice *notice_out)
{
    for (;;) {
        int outcome = core_next(client->core, notice_out);
        if (outcome != CORE_NOTHING) {
            return outcome;
        }
        outcome = client_wait(client, NULL, 0, until);
        if (outcome != 0) {
            return outcome;
        }
    }
}

static int connect_once(struct client *client, struct reason *reason)
{
    drop(client);
    client->is_failed = false;
    uint32_t timeout_ms = client->config.connect_timeout_ms ? client->config.connect_timeout_ms
                                                            : CONNECT_TIMEOUT_MS_DEFAULT;
    struct instant now = clock_now();
    struct instant until = instant_add(now, duration_ms(timeout_ms));
    struct core_config config = {
        .name = client->config.name,
        .hello_timeout_ms = timeout_ms,
        .silence_ms = client->config.silence_ms,
    };
    int err = core_new(&config, now, &client->core);
    if (err != 0) {
        return reason_set(reason, err, "%s", err_text(err));
    }
    err = dial_open(&client->config.address, until, client->config.wake_fd, &client->fd, reason);
    if (err != 0) {
        return err == DIAL_WOKEN ? CLIENT_WOKEN : err;
    }
    struct notice notice;
    int outcome = client_next(client, INSTANT_NEVER, &notice);
    if (outcome == CLIENT_WOKEN) {
        return CLIENT_WOKEN;
    }
    if (outcome < 0) {
        bool is_lost = outcome == ERR_CLOSED || outcome == ERR_IO;
        return reason_set(reason, is_lost ? ERR_CONNECT : outcome, "%s", core_reason(client->core));
    }
    assert(outcome == 0 && notice.kind == NOTICE_READY);
    backoff_reset(&client->backoff);
    return 0;
}

int client_open(const struct client_config *config, struct client **client_out,
                struct reason *reason)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        return reason_set(reason, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    client->config = *config;
    client->fd = -1;
    uint64_t seed = (uint64_t)clock_now().ns;
    (void)!getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    backoff_init(&client->backoff, seed);
    int err = connect_once(client, reason);
    if (err != 0) {
        client_close(client);
        return err;
    }
    *client_out = client;
    return 0;
}

void client_close(struct client *client)
{
    if (client) {
        drop(client);
        free(client);
    }
}

int client_reconnect(struct client *client, struct instant until, struct reason *reason)
{
    for (;;) {
        struct duration pause = backoff_next(&client->backoff);
        struct instant next = instant_earlier(instant_add(clock_now(), pause), until);
        struct pollfd wake = {.fd = client->config.wake_fd, .events = POLLIN};
        if (poll(&wake, 1, wait_ms(next)) > 0) {
            return CLIENT_WOKEN;
        }
        if (instant_reached(until, clock_now())) {
            return CLIENT_LATE;
        }
        int err = connect_once(client, reason);
        if (err >= 0 || err == ERR_VERSION || err == ERR_MEMORY) {
            return err;
        }
    }
}

struct core *client_core(struct client *client)
{
    return client->core;
}
