// The service keeps a list of sessions that are ready, as the real one does; a session that was
// saturated becomes ready when half of what waited is sent.
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/list.h"
#include "server/frontend/frontend.h"
#include "server/node/peer.h"
#include "server/node/service.h"
#include "tests/unit/server/net/echo.h"

struct service {
    const struct node_env *env;
    unsigned loop;
    struct list_node sessions;
    struct list_node ready;
    struct list_node later;
    atomic_int connections;
    atomic_bool fails;
    atomic_bool is_held;
    bool is_shut_down;
    pthread_mutex_t dials_lock;
    uint64_t dial; // to be made; 0: none
    char address[300];
    bool is_dialling;
    struct echo_dials dials;
};

struct echo {
    struct frontend frontend;
    struct service *service;
    void *owner;
    struct list_node session;
    struct list_node ready;
    struct list_node later;
    struct buffer out;
    size_t sent;
    struct instant due;
    bool ends_when_due;
    bool is_saturated;
    bool is_subscribed;
    bool is_local;
};

static void make_ready(struct echo *echo)
{
    if (list_is_empty(&echo->ready)) {
        list_append(&echo->service->ready, &echo->ready);
    }
}

static size_t waiting(const struct echo *echo)
{
    return echo->out.length - echo->sent;
}

static void answer(struct echo *echo, struct bytes payload)
{
    uint8_t head[4];
    store_be32(head, (uint32_t)payload.length);
    ck_assert_int_eq(buffer_append(&echo->out, bytes_of(head, sizeof head)), 0);
    ck_assert_int_eq(buffer_append(&echo->out, payload), 0);
}

static int echo_open(const struct frontend_config *config, struct frontend **frontend_out)
{
    struct echo *echo = calloc(1, sizeof *echo);
    ck_assert_ptr_nonnull(echo);
    echo->frontend.ops = &FRONTEND_ECHO;
    echo->service = config->service;
    echo->owner = config->owner;
    echo->due = INSTANT_NEVER;
    list_init(&echo->session);
    list_init(&echo->ready);
    list_init(&echo->later);
    list_append(&echo->service->sessions, &echo->session);
    *frontend_out = &echo->frontend;
    return 0;
}

static int echo_open_peer(const struct frontend_config *config, struct frontend **frontend_out)
{
    ck_assert_int_eq(echo_open(config, frontend_out), 0);
    struct echo *echo = (struct echo *)*frontend_out;
    echo->frontend.ops = &FRONTEND_ECHO_PEER;
    echo->is_local = config->is_local;
    ck_assert_uint_eq(config->service->loop, 0);
    if (config->dial != 0) {
        answer(echo, bytes_of_text("peer"));
    }
    return 0;
}

static bool is_command(struct bytes payload, const char *text)
{
    return bytes_equal(payload, bytes_of_text(text));
}

static int take(struct echo *echo, struct bytes payload, struct instant now)
{
    uint8_t loop = (uint8_t)echo->service->loop;
    if (is_command(payload, "refuse")) {
        answer(echo, bytes_of_text("refused"));
        return ERR_INVALID;
    }
    if (is_command(payload, "loop")) {
        answer(echo, bytes_of(&loop, 1));
    } else if (is_command(payload, "later")) {
        list_append(&echo->service->later, &echo->later);
    } else if (is_command(payload, "subscribe")) {
        echo->is_subscribed = true;
    } else if (is_command(payload, "soon") || is_command(payload, "late")) {
        echo->due = instant_add(now, duration_ms(20));
        echo->ends_when_due = is_command(payload, "late");
    } else {
        answer(echo, payload);
    }
    return 0;
}

static bool take_of_peer(struct echo *echo, struct bytes payload)
{
    if (is_command(payload, "peer")) {
        answer(echo, bytes_of_text("met"));
    } else if (is_command(payload, "met")) {
        pthread_mutex_lock(&echo->service->dials_lock);
        echo->service->dials.met++;
        pthread_mutex_unlock(&echo->service->dials_lock);
    } else if (is_command(payload, "where")) {
        answer(echo, bytes_of_text(echo->is_local ? "local" : "remote"));
    } else {
        return false;
    }
    return true;
}

static void hear(struct echo *echo, size_t length)
{
    if (echo->frontend.ops == &FRONTEND_ECHO_PEER && length > 0) {
        pthread_mutex_lock(&echo->service->dials_lock);
        echo->service->dials.heard++;
        pthread_mutex_unlock(&echo->service->dials_lock);
    }
}

static int echo_feed(struct frontend *frontend, struct bytes bytes, struct instant now,
                     size_t *taken_out, size_t *wanted_out)
{
    struct echo *echo = (struct echo *)frontend;
    while (true) {
        struct bytes rest = bytes_of(bytes.data + *taken_out, bytes.length - *taken_out);
        size_t length = rest.length < 4 ? 0 : load_be32(rest.data);
        if (rest.length < 4 + length) {
            hear(echo, rest.length);
            *wanted_out = 4 + length;
            return 0;
        }
        if (waiting(echo) > ECHO_OUT_MAX) {
            echo->is_saturated = true;
            *wanted_out = 0;
            return 0;
        }
        *taken_out += 4 + length;
        struct bytes payload = bytes_of(rest.data + 4, length);
        bool is_done = echo->frontend.ops == &FRONTEND_ECHO_PEER && take_of_peer(echo, payload);
        int err = is_done ? 0 : take(echo, payload, now);
        if (err != 0) {
            return err;
        }
    }
}

// In pieces that grow, so that what a message is cut into varies.
static size_t echo_peek(struct frontend *frontend, struct iovec *out, size_t max)
{
    const struct echo *echo = (const struct echo *)frontend;
    size_t at = echo->sent;
    size_t count = 0;
    while (count < max && at < echo->out.length) {
        size_t piece = (count + 1) * (count + 1);
        size_t left = echo->out.length - at;
        piece = count + 1 == max || piece > left ? left : piece;
        out[count++] = (struct iovec){.iov_base = echo->out.data + at, .iov_len = piece};
        at += piece;
    }
    return count;
}

static void echo_sent(struct frontend *frontend, size_t length)
{
    struct echo *echo = (struct echo *)frontend;
    ck_assert_uint_le(length, waiting(echo));
    echo->sent += length;
    if (waiting(echo) == 0) {
        buffer_clear(&echo->out);
        echo->sent = 0;
    }
    if (echo->is_saturated && waiting(echo) < ECHO_OUT_MAX / 2) {
        echo->is_saturated = false;
        make_ready(echo);
    }
}

static bool echo_is_idle(const struct frontend *frontend)
{
    const struct echo *echo = (const struct echo *)frontend;
    return waiting(echo) == 0 && !echo->is_subscribed && list_is_empty(&echo->later);
}

static struct instant echo_deadline(const struct frontend *frontend)
{
    return ((const struct echo *)frontend)->due;
}

static int echo_tick(struct frontend *frontend, struct instant now)
{
    struct echo *echo = (struct echo *)frontend;
    ck_assert(instant_reached(echo->due, now));
    answer(echo, bytes_of_text(echo->ends_when_due ? "late" : "soon"));
    echo->due = INSTANT_NEVER;
    return echo->ends_when_due ? ERR_TIMEOUT : 0;
}

static void echo_close(struct frontend *frontend)
{
    struct echo *echo = (struct echo *)frontend;
    list_remove(&echo->session);
    list_remove(&echo->ready);
    list_remove(&echo->later);
    buffer_deinit(&echo->out);
    free(echo);
}

const struct frontend_ops FRONTEND_ECHO = {
    .name = "echo",
    .open = echo_open,
    .feed = echo_feed,
    .peek = echo_peek,
    .sent = echo_sent,
    .is_idle = echo_is_idle,
    .deadline = echo_deadline,
    .tick = echo_tick,
    .close = echo_close,
};

const struct frontend_ops FRONTEND_ECHO_PEER = {
    .name = "echo peer",
    .open = echo_open_peer,
    .feed = echo_feed,
    .peek = echo_peek,
    .sent = echo_sent,
    .is_idle = echo_is_idle,
    .deadline = echo_deadline,
    .tick = echo_tick,
    .close = echo_close,
};

const struct frontend_ops *echo_choose(struct bytes first)
{
    static const uint8_t PEER[] = {0, 0, 0, 4, 'p', 'e'};
    size_t length = first.length < sizeof PEER ? first.length : sizeof PEER;
    if (memcmp(first.data, PEER, length) != 0) {
        return first.length < 4 ? NULL : &FRONTEND_ECHO;
    }
    return length < sizeof PEER ? NULL : &FRONTEND_ECHO_PEER;
}

struct service *echo_service_new(const struct node_env *env, unsigned loop)
{
    struct service *service = calloc(1, sizeof *service);
    ck_assert_ptr_nonnull(service);
    service->env = env;
    service->loop = loop;
    list_init(&service->sessions);
    list_init(&service->ready);
    list_init(&service->later);
    pthread_mutex_init(&service->dials_lock, NULL);
    return service;
}

void echo_service_free(struct service *service)
{
    ck_assert(list_is_empty(&service->sessions));
    ck_assert_int_eq(atomic_load(&service->connections), 0);
    pthread_mutex_destroy(&service->dials_lock);
    free(service);
}

int echo_service_connections(struct service *service)
{
    return atomic_load(&service->connections);
}

void echo_service_fail(struct service *service)
{
    atomic_store(&service->fails, true);
    service->env->wake(service->env->context);
}

void echo_service_hold(struct service *service)
{
    atomic_store(&service->is_held, true);
}

void echo_service_dial(struct service *service, uint64_t dial, const char *address)
{
    ck_assert_uint_lt(strlen(address), sizeof service->address);
    pthread_mutex_lock(&service->dials_lock);
    service->dial = dial;
    memcpy(service->address, address, strlen(address) + 1);
    pthread_mutex_unlock(&service->dials_lock);
    service->env->wake(service->env->context);
}

struct echo_dials echo_service_dials(struct service *service)
{
    pthread_mutex_lock(&service->dials_lock);
    struct echo_dials dials = service->dials;
    pthread_mutex_unlock(&service->dials_lock);
    return dials;
}

static void dial_wanted(struct service *service)
{
    char address[sizeof service->address];
    pthread_mutex_lock(&service->dials_lock);
    uint64_t dial = service->dial;
    memcpy(address, service->address, sizeof address);
    service->dial = 0;
    pthread_mutex_unlock(&service->dials_lock);
    if (dial != 0) {
        service->is_dialling = true;
        service->env->connect(service->env->context, dial, address);
        service->is_dialling = false;
    }
}

void peer_dial_failed(struct service *service, uint64_t dial, const char *why)
{
    pthread_mutex_lock(&service->dials_lock);
    service->dials.failed++;
    service->dials.last = dial;
    service->dials.was_synchronous = service->is_dialling;
    reason_set(&service->dials.why, 0, "%s", why);
    pthread_mutex_unlock(&service->dials_lock);
}

void service_turn(struct service *service, struct instant now)
{
    dial_wanted(service);
    ck_assert(instant_reached(now, service->env->now(service->env->context)));
    LIST_FOR_EACH(&service->later, node)
    {
        struct echo *echo = container_of(node, struct echo, later);
        list_remove(node);
        answer(echo, bytes_of_text("later"));
        make_ready(echo);
    }
}

struct instant service_deadline(const struct service *service)
{
    return INSTANT_NEVER;
}

void service_tick(struct service *service, struct instant now)
{
    ck_abort_msg("nothing is due");
}

void service_shut_down(struct service *service)
{
    service->is_shut_down = true;
    LIST_FOR_EACH(&service->sessions, node)
    {
        struct echo *echo = container_of(node, struct echo, session);
        if (echo->is_subscribed) {
            echo->is_subscribed = false;
            answer(echo, bytes_of_text("end"));
            make_ready(echo);
        }
    }
}

bool service_is_idle(const struct service *service)
{
    return !atomic_load(&service->is_held);
}

bool service_is_fatal(const struct service *service, struct reason *fatal_out)
{
    if (atomic_load(&service->fails)) {
        reason_set(fatal_out, ERR_IO, "the disk is gone");
        return true;
    }
    return false;
}

void *service_take_ready(struct service *service, bool is_idle)
{
    struct list_node *node = list_first(&service->ready);
    if (node == NULL) {
        return NULL;
    }
    list_remove(node);
    return container_of(node, struct echo, ready)->owner;
}

void service_count_connection(struct service *service, int change)
{
    atomic_fetch_add(&service->connections, change);
}
