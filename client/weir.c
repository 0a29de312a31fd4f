// A client is a row of connections, one at a time, each with a core of its own (core.h), and what
// outlives them: produces that have no result and subscriptions. When a connection is lost the
// answers that it still holds are taken at once, so that the fate of every produce is known; the
// events that it still holds stay with it ("draining") until the program takes them, and only then
// are its subscriptions resumed, behind them. Meanwhile the next connection is made.

#include "client/weir_state.h"

#include <stdlib.h>
#include <string.h>

#include "client/size.h"
#include "proto/base/limits.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    LEAVE_MS = 5000,
    GOOD_MS = 1000, // a connection that has lasted so long was of use
    BATCH_EVENTS = 4096,
    BATCH_BYTES = 256 * 1024,
    PENDING_EVENTS = 262144,
    PENDING_EVENTS_CEILING = 4194304,
    PENDING_BYTES = 64 * 1024 * 1024,
};

static int public_reason(struct weir_reason *out, const struct reason *reason, int err)
{
    if (out) {
        const char *text = reason->text[0] ? reason->text : err_text(err);
        size_t length = strnlen(text, sizeof out->text - 1);
        memcpy(out->text, text, length);
        out->text[length] = 0;
    }
    return err;
}

static int take_limits(struct weir *weir, const struct weir_options *options, struct reason *reason)
{
    struct produces_limits limits = {
        .batch_events_max = options->batch_events_max ? options->batch_events_max : BATCH_EVENTS,
        .batch_bytes_max = options->batch_bytes_max ? options->batch_bytes_max : BATCH_BYTES,
        .linger.ns = (int64_t)options->linger_us * 1000,
        .pending_events_max =
            options->pending_events_max ? options->pending_events_max : PENDING_EVENTS,
        .pending_bytes_max =
            options->pending_bytes_max ? options->pending_bytes_max : PENDING_BYTES,
    };
    if (limits.batch_events_max > PRODUCE_EVENTS_MAX ||
        limits.batch_bytes_max > PRODUCE_BYTES_MAX) {
        return reason_set(reason, ERR_INVALID, "a batch has at most %d events and %d bytes",
                          PRODUCE_EVENTS_MAX, (int)PRODUCE_BYTES_MAX);
    }
    if (limits.pending_events_max > PENDING_EVENTS_CEILING) {
        return reason_set(reason, ERR_INVALID, "at most %d events can be pending",
                          PENDING_EVENTS_CEILING);
    }
    produces_init(&weir->produces, &limits);
    return 0;
}

static int take_options(struct weir *weir, const struct weir_options *options,
                        struct reason *reason)
{
    static const char *const localhost[] = {"localhost"};
    bool has_addresses = options->addresses && options->addresses_count > 0;
    size_t count = has_addresses ? options->addresses_count : 1;
    if (count > ROSTER_ADDRESSES_MAX) {
        return reason_set(reason, ERR_INVALID, "more than %d addresses", ROSTER_ADDRESSES_MAX);
    }
    if (options->name && strlen(options->name) > NAME_BYTES_MAX) {
        return reason_set(reason, ERR_INVALID, "the program's name is longer than %d bytes",
                          NAME_BYTES_MAX);
    }
    if (options->reconnect > WEIR_RECONNECT_NEVER) {
        return reason_set(reason, ERR_UNSUPPORTED, "a way to reconnect that libweir %s lacks",
                          WEIR_VERSION);
    }
    if (options->cluster && uuid_parse(options->cluster, &weir->cluster) != 0) {
        return reason_set(reason, ERR_INVALID, "the cluster is no uuid");
    }
    if (options->name) {
        memcpy(weir->name, options->name, strlen(options->name) + 1);
    }
    weir->connect_timeout_ms =
        options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    weir->silence_ms = options->silence_ms;
    weir->wake_fd = options->wake_fd > 0 ? options->wake_fd : -1;
    weir->reconnect = options->reconnect;
    uint64_t seed = options->seed ? options->seed : (uint64_t)weir->now.ns;
    int err = take_limits(weir, options, reason);
    return err ? err
               : roster_init(&weir->roster, has_addresses ? options->addresses : localhost,
                             (uint32_t)count, options->begins_with_first, seed, reason);
}

int weir_new(const struct weir_options *options, int64_t now_ns, struct weir **weir_out,
             struct weir_reason *reason)
{
    struct weir_options read = {0};
    struct reason why = {0};
    int err = options ? size_read(options, sizeof read, &read, sizeof read, &why) : 0;
    struct weir *weir = err == 0 ? calloc(1, sizeof *weir) : NULL;
    if (!weir) {
        return public_reason(reason, &why, err ? err : ERR_MEMORY);
    }
    weir->now.ns = now_ns;
    weir->until = weir->now;
    weir->data_bytes_max = EVENT_DATA_BYTES_DEFAULT;
    list_init(&weir->draining);
    list_init(&weir->standings);
    list_init(&weir->sending);
    list_init(&weir->telling);
    weir->retry_at = INSTANT_NEVER;
    list_init(&weir->produces.batches);
    requests_init(&weir->requests);
    err = take_options(weir, &read, &why);
    if (err != 0) {
        weir_free(weir);
        return public_reason(reason, &why, err);
    }
    *weir_out = weir;
    return 0;
}

static void connection_free(struct connection *connection)
{
    if (connection) {
        list_remove(&connection->node);
        core_free(connection->core);
        free(connection);
    }
}

void weir_free(struct weir *weir)
{
    if (!weir) {
        return;
    }
    if (weir->driver) {
        weir->driver_free(weir->driver);
    }
    connection_free(weir->connection);
    LIST_FOR_EACH(&weir->draining, node)
    {
        connection_free(container_of(node, struct connection, node));
    }
    LIST_FOR_EACH(&weir->standings, node)
    {
        standing_free(container_of(node, struct standing, node));
    }
    standing_free(weir->ended);
    produces_deinit(&weir->produces);
    requests_deinit(&weir->requests);
    roster_deinit(&weir->roster);
    buffer_deinit(&weir->cursor_text);
    buffer_deinit(&weir->after);
    free(weir);
}

const char *weir_reason_text(const struct weir *weir)
{
    return weir->reason.text[0] ? weir->reason.text : err_text(weir->err);
}

uint64_t weir_data_bytes_max(const struct weir *weir)
{
    return weir->data_bytes_max;
}

// --- The connection ----------------------------------------------------------------------------

enum weir_want weir_want(const struct weir *weir)
{
    return weir->want;
}

const char *weir_address(const struct weir *weir)
{
    return roster_address(&weir->roster);
}

void weir_drop(struct weir *weir, int err, const char *text)
{
    if (weir->want == WEIR_WANT_BYTES || weir->want == WEIR_WANT_CONNECT) {
        weir->want = WEIR_WANT_CLOSE;
        weir->lost_err = reason_set(&weir->lost_reason, err, "%s", text);
    }
}

void weir_begin_leaving(struct weir *weir, const char *text)
{
    if (!weir->is_leaving) {
        weir->is_leaving = true;
        weir->leave_until = instant_add(weir->now, duration_ms(LEAVE_MS));
        reason_set(&weir->lost_reason, ERR_CLOSED, "%s", text);
    }
}

void weir_check_leaving(struct weir *weir)
{
    bool has_answers = weir->produces.sent_count == 0 && weir->requests.sent_once == 0;
    if (weir->is_leaving && (has_answers || instant_reached(weir->leave_until, weir->now))) {
        struct reason reason = weir->lost_reason;
        weir_drop(weir, ERR_CLOSED, reason.text);
    }
}

void weir_leave(struct weir *weir, int64_t now_ns)
{
    weir->now.ns = now_ns;
    if (weir->want == WEIR_WANT_CONNECT) {
        weir_drop(weir, ERR_CLOSED, "the program leaves the node");
    } else if (weir->want == WEIR_WANT_BYTES) {
        weir_begin_leaving(weir, "the program leaves the node");
        weir_check_leaving(weir);
    }
}

static void begin_connect(struct weir *weir)
{
    weir->want = WEIR_WANT_CONNECT;
    weir->until = instant_add(weir->now, duration_ms(weir->connect_timeout_ms));
}

int weir_connected(struct weir *weir, int64_t now_ns)
{
    weir->now.ns = now_ns;
    if (weir->want != WEIR_WANT_CONNECT) {
        return 0;
    }
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        return ERR_MEMORY;
    }
    list_init(&connection->node);
    struct core_config config = {
        .name = weir->name[0] ? weir->name : NULL,
        .hello_timeout_ms = weir->connect_timeout_ms,
        .silence_ms = weir->silence_ms,
    };
    int err = core_new(&config, weir->now, &connection->core);
    if (err != 0) {
        connection_free(connection);
        return err;
    }
    weir->connection = connection;
    weir->want = WEIR_WANT_BYTES;
    weir->is_ready = false;
    weir->is_good = false;
    weir->is_leaving = false;
    weir->stream_sent = 0;
    return 0;
}

// The core has found out that the connection is of no use.
static void notice_failure(struct weir *weir)
{
    struct core *core = weir->connection ? weir->connection->core : NULL;
    if (weir->want == WEIR_WANT_BYTES && core && core_err(core) != 0) {
        weir_drop(weir, core_err(core), core_reason(core));
    }
}

static void tell_lost(struct weir *weir, int err)
{
    struct connection_news *lost = &weir->lost;
    lost->is_due = true;
    lost->reason = weir->lost_reason;
    lost->news = (struct weir_connection){
        .address = roster_address(&weir->roster),
        .cluster = "",
        .node = "",
        .err = err,
        .text = lost->reason.text[0] ? lost->reason.text : err_text(err),
    };
    weir->made.is_due = false; // the program has not heard of it
}

static void end_connection(struct weir *weir, int err)
{
    struct connection *connection = weir->connection;
    if (!connection) {
        return;
    }
    core_fail(connection->core, err, weir->lost_reason.text);
    weir_pump(weir);
    produces_lost(&weir->produces, weir->stream_sent);
    requests_lost(&weir->requests, weir->stream_sent);
    weir_lose_attachments(weir, connection->core);
    weir->connection = NULL;
    list_append(&weir->draining, &connection->node);
    if (!core_has_rest(connection->core)) {
        weir_drained(weir, connection);
    }
}

// Whether it is not to connect again.
static bool gives_up(struct weir *weir, bool is_useless, bool was_ready)
{
    bool has_tried_all = !weir->was_ready && weir->roster.failures + 1 >= weir->roster.count;
    return (is_useless && roster_give_up(&weir->roster)) ||
           (weir->reconnect != WEIR_RECONNECT_ALWAYS && has_tried_all) ||
           (weir->reconnect == WEIR_RECONNECT_NEVER && was_ready);
}

void weir_disconnected(struct weir *weir, int err, const char *text, int64_t now_ns)
{
    weir->now.ns = now_ns;
    if (weir->want == WEIR_WANT_TIME || weir->want == WEIR_WANT_NOTHING) {
        return;
    }
    if (weir->want != WEIR_WANT_CLOSE) {
        weir->lost_err = reason_set(&weir->lost_reason, err < 0 ? err : ERR_CLOSED, "%s",
                                    text ? text : err_text(err));
    }
    bool is_useless = weir->want == WEIR_WANT_CLOSE &&
                      (weir->lost_err == ERR_VERSION || weir->lost_err == ERR_FOREIGN);
    err = weir->lost_err;
    weir->want = WEIR_WANT_CLOSE; // nothing that is found out now matters
    struct duration lasted = {.ns = weir->is_ready ? weir->now.ns - weir->ready_at.ns : 0};
    bool was_ready = weir->is_ready;
    bool was_good = !weir->is_refused && (weir->is_good || lasted.ns >= duration_ms(GOOD_MS).ns);
    end_connection(weir, err);
    tell_lost(weir, err);
    weir->is_ready = false;
    weir->is_good = false;
    weir->is_leaving = false;
    weir->is_refused = false;
    if (gives_up(weir, is_useless, was_ready)) {
        weir->reason = weir->lost_reason;
        weir->err = err;
        weir->want = WEIR_WANT_NOTHING;
        return;
    }
    struct duration pause = roster_lost(&weir->roster, was_good);
    weir->until = instant_add(weir->now, pause);
    weir->want = WEIR_WANT_TIME;
    if (pause.ns == 0) {
        begin_connect(weir);
    }
}

static struct core *receiving(struct weir *weir)
{
    return weir->want == WEIR_WANT_BYTES ? weir->connection->core : NULL;
}

int weir_space(struct weir *weir, void **space_out, size_t *length_out)
{
    struct core *core = receiving(weir);
    uint8_t *space;
    int err = core ? core_space(core, &space, length_out) : ERR_CLOSED;
    if (err == 0) {
        *space_out = space;
    }
    return err;
}

static void on_received(struct weir *weir)
{
    if (!weir->is_ready) {
        weir_pump(weir);
    }
}

void weir_received(struct weir *weir, size_t length, int64_t now_ns)
{
    weir->now.ns = now_ns;
    struct core *core = receiving(weir);
    if (core) {
        core_received(core, length, weir->now);
        on_received(weir);
    }
}

int weir_feed(struct weir *weir, const void *data, size_t length, int64_t now_ns)
{
    weir->now.ns = now_ns;
    struct core *core = receiving(weir);
    int err = core ? core_feed(core, bytes_of(data, length), weir->now) : ERR_CLOSED;
    if (err == 0) {
        on_received(weir);
    }
    return err;
}

void weir_pump(struct weir *weir)
{
    struct notice notice;
    while (core_next_urgent(weir->connection->core, &notice) == 0) {
        struct core *core = weir->connection->core;
        if (notice.kind == NOTICE_READY) {
            weir_on_ready(weir, &notice.reply.hello);
        } else if (!weir_on_attachment(weir, weir_find_served(weir, core, notice.id), &notice)) {
            weir_on_answer(weir, &notice);
        }
    }
    notice_failure(weir);
}

bool weir_is_serving(const struct weir *weir)
{
    return weir->is_ready && !weir->is_leaving && weir->want == WEIR_WANT_BYTES;
}

enum { OUTPUT_AHEAD = 256 * 1024 };

static void send_requests(struct weir *weir, struct core *core)
{
    while (core_output(core).length < OUTPUT_AHEAD) {
        struct asked *asked = requests_waiting(&weir->requests);
        if (!asked || core_request(core, &asked->request, (uint64_t)(uintptr_t)asked) != 0) {
            return; // too many are under way, or there is no memory now: later
        }
        requests_sent(&weir->requests, asked, weir->stream_sent + core_output(core).length);
    }
}

// Gives batches to the core as long as the socket keeps up; what waits here can be sent elsewhere.
static void send_batches(struct weir *weir, struct core *core)
{
    produces_linger(&weir->produces, weir->now);
    while (core_output(core).length < OUTPUT_AHEAD) {
        struct outgoing *outgoing = produces_queued(&weir->produces);
        if (!outgoing) {
            return;
        }
        struct produce_options options = {
            .after.cursor = outgoing->settings.after,
            .after.timeout_ms = outgoing->settings.after_timeout_ms,
            .replicas = outgoing->settings.replicas,
            .replicas_timeout_ms = outgoing->settings.replicas_timeout_ms,
        };
        int err = core_produce(core, &outgoing->batch, &options, (uint64_t)(uintptr_t)outgoing);
        if (err != 0) {
            return; // too many are under way, or there is no memory now: later
        }
        uint64_t stream_end = weir->stream_sent + core_output(core).length;
        produces_sent(&weir->produces, outgoing, stream_end);
    }
}

struct weir_bytes weir_output(struct weir *weir)
{
    struct core *core = receiving(weir);
    if (!core) {
        return (struct weir_bytes){0};
    }
    if (weir->is_ready && !weir->is_leaving) {
        send_requests(weir, core);
        weir_send_acks(weir, core);
        send_batches(weir, core);
    }
    struct bytes output = core_output(core);
    return (struct weir_bytes){.data = output.data, .length = output.length};
}

void weir_sent(struct weir *weir, size_t length)
{
    struct core *core = receiving(weir);
    if (core) {
        core_sent(core, length);
        weir->stream_sent += length;
    }
}

int64_t weir_deadline(const struct weir *weir)
{
    struct instant deadline = INSTANT_NEVER;
    switch (weir->want) {
    case WEIR_WANT_TIME:
    case WEIR_WANT_CONNECT:
        return weir->until.ns;
    case WEIR_WANT_CLOSE:
        return weir->now.ns;
    case WEIR_WANT_NOTHING:
        return WEIR_NEVER;
    case WEIR_WANT_BYTES:
        break;
    }
    deadline = core_deadline(weir->connection->core);
    if (weir->is_leaving) {
        deadline = instant_earlier(deadline, weir->leave_until);
    } else if (weir->is_ready) {
        deadline = instant_earlier(deadline, produces_deadline(&weir->produces));
        deadline = instant_earlier(deadline, weir_acks_deadline(weir));
    }
    return deadline.ns;
}

void weir_tick(struct weir *weir, int64_t now_ns)
{
    weir->now.ns = now_ns;
    if (weir->want == WEIR_WANT_TIME && instant_reached(weir->until, weir->now)) {
        begin_connect(weir);
    } else if (weir->want == WEIR_WANT_CONNECT && instant_reached(weir->until, weir->now)) {
        struct reason reason;
        reason_set(&reason, ERR_CONNECT,
                   "cannot connect to %s in time; is weir-server running there?",
                   roster_address(&weir->roster));
        weir_drop(weir, ERR_CONNECT, reason.text);
    } else if (weir->want == WEIR_WANT_BYTES) {
        core_tick(weir->connection->core, weir->now);
        notice_failure(weir);
        weir_check_leaving(weir);
        if (instant_reached(weir->retry_at, weir->now)) {
            weir_resume(weir);
        }
    }
}
