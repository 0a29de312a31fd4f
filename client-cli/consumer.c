// What counts is what has left this process: the cursor is noted each time standard output took
// everything, and the cursor file and a new connection go on from there. So nothing is missed, and
// what was printed but not noted (at most 100 ms of it, after a kill -9) is repeated.

#include "client-cli/consumer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-cli/calendar.h"
#include "client-cli/cursor_file.h"
#include "client-cli/progress.h"

enum { CURSOR_FILE_PERIOD_MS = 100, SILENCE_MS_MIN = 2000, SILENCE_MS_MAX = 20000 };

struct consumer {
    const struct cli *cli;
    const struct consumer_options *options;
    struct client *client;
    uint64_t subscription;
    uint64_t printed; // events
    struct output output;
    struct progress progress;
    struct cursor_file file;
    struct instant file_due; // when the cursor is to be written; INSTANT_NEVER: it is
    struct version_vector cursor;
    bool has_cursor;
    struct buffer encoded; // the cursor to start from
    bool is_lost;          // the connection, and that was said
    uint16_t waits_for;    // what -v said of stable order last; 0: nothing
    int status;            // the exit status, once a step returns DONE
    char lost_because[256];
};

// What a step says: go on, the connection is lost, or the end, with consumer->status.
enum step {
    STEP_ON,
    STEP_LOST,
    STEP_DONE,
};

static enum step done(struct consumer *consumer, int status)
{
    consumer->status = status;
    return STEP_DONE;
}

static enum step out_of_memory(struct consumer *consumer)
{
    cli_say("%s", err_text(ERR_MEMORY));
    return done(consumer, STATUS_FAILURE);
}

static enum step write_cursor(struct consumer *consumer)
{
    struct reason reason = {0};
    consumer->file_due = INSTANT_NEVER;
    if (!consumer->has_cursor) {
        return STEP_ON;
    }
    int err = cursor_file_write(&consumer->file, &consumer->cursor, clock_now(), &reason);
    if (err != 0) {
        progress_clear(&consumer->progress);
        cli_say("%s", reason.text);
        return done(consumer, STATUS_FAILURE);
    }
    return STEP_ON;
}

// Notes that everything taken so far is printed.
static enum step note_cursor(struct consumer *consumer)
{
    const struct version_vector *cursor =
        core_cursor(client_core(consumer->client), consumer->subscription);
    if (cursor && !(consumer->has_cursor && version_vector_equal(&consumer->cursor, cursor))) {
        if (version_vector_copy(&consumer->cursor, cursor) != 0) {
            return out_of_memory(consumer);
        }
        consumer->has_cursor = true;
        if (consumer->file.path) {
            consumer->file_due =
                instant_add(consumer->file.changed, duration_ms(CURSOR_FILE_PERIOD_MS));
        }
    }
    return instant_reached(consumer->file_due, clock_now()) ? write_cursor(consumer) : STEP_ON;
}

static enum step flush(struct consumer *consumer)
{
    int outcome = output_flush(&consumer->output);
    if (outcome == OUTPUT_CLOSED) {
        return done(consumer, STATUS_OK);
    }
    if (outcome == OUTPUT_INTERRUPTED) {
        return done(consumer, cli_status_of_signal(consumer->cli));
    }
    if (outcome != 0) {
        return done(consumer, STATUS_FAILURE);
    }
    progress_update(&consumer->progress, consumer->printed, clock_now());
    return note_cursor(consumer);
}

static enum step print(struct consumer *consumer, struct events *events)
{
    struct received_event event;
    consumer->waits_for = 0;
    while (events_next(events, &event) == 0) {
        int err = print_event(&consumer->output, consumer->options->format, &event);
        if (err != 0) {
            char id[EVENT_ID_TEXT_LENGTH + 1];
            event_id_format(event.id, id);
            cli_say("event %s: %s", id, err_text(err));
            return done(consumer, STATUS_FAILURE);
        }
        consumer->printed++;
        if (output_is_full(&consumer->output)) {
            enum step step = flush(consumer);
            if (step != STEP_ON) {
                return step;
            }
        }
    }
    return STEP_ON; // an error of the events is the next thing the core says
}

int consumer_print_frontier(struct output *output, enum format format, struct event_id at)
{
    char id[EVENT_ID_TEXT_LENGTH + 1];
    event_id_format(at, id);
    return format == FORMAT_JSON
               ? output_text(output, "{\"mark\":\"frontier\",\"at\":\"%s\"}\n", id)
               : CONSUMER_NOT_PRINTED;
}

static void say_cursor(struct consumer *consumer, const char *what, struct bytes encoded)
{
    struct version_vector cursor = {0};
    struct buffer text = {0};
    if (version_vector_decode(&encoded, &cursor) == 0 &&
        version_vector_format(&cursor, &text) == 0) {
        progress_clear(&consumer->progress);
        cli_say("%s %.*s", what, (int)text.length, (const char *)text.data);
    }
    buffer_deinit(&text);
    version_vector_deinit(&cursor);
}

// In stable order, with -v. The node says it again when it waits for another one.
static void say_waiting(struct consumer *consumer, uint16_t actor)
{
    if (!consumer->cli->connection.is_verbose || actor == consumer->waits_for) {
        return;
    }
    consumer->waits_for = actor;
    progress_clear(&consumer->progress);
    if (actor != 0) {
        cli_say("stable order waits for actor %u; `weir cluster status' says why", actor);
    }
}

static enum step print_frontier(struct consumer *consumer, struct event_id at)
{
    int err = consumer_print_frontier(&consumer->output, consumer->options->format, at);
    if (err == CONSUMER_NOT_PRINTED) {
        char id[EVENT_ID_TEXT_LENGTH + 1];
        event_id_format(at, id);
        progress_clear(&consumer->progress);
        cli_say("frontier %s", id);
        return STEP_ON;
    }
    return err != 0 ? out_of_memory(consumer) : STEP_ON;
}

static enum step on_mark(struct consumer *consumer, const struct reply *reply)
{
    switch ((enum mark_kind)reply->mark.kind) {
    case MARK_HEARTBEAT:
        if (consumer->options->says_heartbeats) {
            say_cursor(consumer, "heartbeat, cursor", reply->cursor);
        }
        break;
    case MARK_CAUGHT_UP:
        if (consumer->cli->connection.is_verbose) {
            say_cursor(consumer, "caught up, cursor", reply->cursor);
        }
        break;
    case MARK_FRONTIER:
        return print_frontier(consumer, reply->mark.at);
    case MARK_WAITING:
        say_waiting(consumer, reply->mark.at.actor);
        break;
    case MARK_PROGRESS:
    case MARK_MOVED: // of durable subscriptions alone
        break;
    }
    return STEP_ON;
}

static enum step lost(struct consumer *consumer, int status, const char *because)
{
    consumer->status = status;
    snprintf(consumer->lost_because, sizeof consumer->lost_because, "%s", because);
    return STEP_LOST;
}

static enum step on_refused(struct consumer *consumer, const struct notice *notice)
{
    int err = refusal_err(notice->reply.error.code);
    if (err == ERR_CLOSED || err == ERR_BUSY) {
        return lost(consumer, STATUS_FAILURE, err_text(err));
    }
    progress_clear(&consumer->progress);
    return done(consumer, cli_refused(notice));
}

static enum step on_notice(struct consumer *consumer, const struct notice *notice)
{
    switch (notice->kind) {
    case NOTICE_EVENTS:
        return print(consumer, notice->events);
    case NOTICE_SUBSCRIBED:
        if (consumer->is_lost) {
            say_cursor(consumer, "connected again, going on behind", notice->reply.cursor);
            consumer->is_lost = false;
        } else if (consumer->cli->connection.is_verbose) {
            say_cursor(consumer, "subscribed, starting behind", notice->reply.cursor);
        }
        return STEP_ON;
    case NOTICE_MARK:
        return on_mark(consumer, &notice->reply);
    case NOTICE_END: {
        enum step step = flush(consumer);
        if (step != STEP_ON) {
            return step;
        }
        if (notice->reply.end.reason == END_SHUTDOWN) {
            return lost(consumer, STATUS_FAILURE, "the node is shutting down");
        }
        return done(consumer, STATUS_OK);
    }
    case NOTICE_REFUSED:
        return on_refused(consumer, notice);
    case NOTICE_READY:
    case NOTICE_ATTACHED:
    case NOTICE_ANSWER:
    case NOTICE_PRODUCED:
        break;
    }
    return STEP_ON;
}

static enum step on_error(struct consumer *consumer, int err)
{
    const char *reason = core_reason(client_core(consumer->client));
    if (err == ERR_CLOSED || err == ERR_IO || err == ERR_TIMEOUT) {
        return lost(consumer, cli_status(err), reason);
    }
    progress_clear(&consumer->progress);
    cli_say("%s", reason);
    return done(consumer, cli_status(err));
}

static enum step follow(struct consumer *consumer)
{
    for (;;) {
        struct notice notice;
        enum step step = STEP_ON;
        int outcome = core_next(client_core(consumer->client), &notice);
        if (outcome == 0) {
            step = on_notice(consumer, &notice);
        } else if (outcome < 0) {
            step = flush(consumer);
            step = step == STEP_ON ? on_error(consumer, outcome) : step;
        } else {
            step = flush(consumer);
            if (step == STEP_ON) {
                (void)!client_wait(consumer->client, NULL, 0, consumer->file_due);
            }
        }
        if (step == STEP_ON && *consumer->cli->signal) {
            step = done(consumer, cli_status_of_signal(consumer->cli));
        }
        if (step != STEP_ON) {
            return step;
        }
    }
}

// Asks for what is left, from where it stands.
static int subscribe(struct consumer *consumer)
{
    struct request request = consumer->options->request;
    if (consumer->has_cursor) {
        buffer_clear(&consumer->encoded);
        int err = version_vector_encode(&consumer->cursor, &consumer->encoded);
        if (err != 0) {
            return err;
        }
        request.subscribe.start = START_AT_CURSOR;
        request.subscribe.start_cursor = buffer_bytes(&consumer->encoded);
    }
    if (request.subscribe.limit > 0) {
        request.subscribe.limit -= consumer->printed;
    }
    int err = core_subscribe(client_core(consumer->client), &request, 0);
    consumer->subscription = request.id;
    return err;
}

static bool is_complete(const struct consumer *consumer)
{
    uint64_t limit = consumer->options->request.subscribe.limit;
    return limit > 0 && consumer->printed >= limit;
}

// Connects again. STEP_ON, or STEP_DONE.
static enum step reconnect(struct consumer *consumer)
{
    progress_clear(&consumer->progress);
    if (!consumer->options->reconnects) {
        cli_say("%s", consumer->lost_because);
        return STEP_DONE; // with the status it was lost with
    }
    if (!consumer->is_lost) {
        cli_say("%s; connecting again", consumer->lost_because);
        consumer->is_lost = true;
    }
    struct reason reason = {0};
    int outcome = client_reconnect(consumer->client, INSTANT_NEVER, &reason);
    if (outcome == CLIENT_WOKEN) {
        return done(consumer, cli_status_of_signal(consumer->cli));
    }
    if (outcome < 0) {
        cli_say("%s", reason.text);
        return done(consumer, cli_status(outcome));
    }
    return STEP_ON;
}

static int consume(struct consumer *consumer)
{
    for (;;) {
        int err = subscribe(consumer);
        if (err != 0) {
            cli_say("%s", err_text(err));
            return cli_status(err);
        }
        enum step step = follow(consumer);
        if (step == STEP_LOST && is_complete(consumer)) {
            step = done(consumer, STATUS_OK);
        }
        if (step == STEP_LOST) {
            step = reconnect(consumer);
        }
        if (step == STEP_DONE) {
            break;
        }
    }
    // A signal may have come with events not written yet. A second one does not wait for a reader.
    int status = consumer->status;
    progress_clear(&consumer->progress);
    if (status > STATUS_SIGNAL && consumer->output.buffer.length > 0) {
        (void)!flush(consumer);
    }
    return write_cursor(consumer) == STEP_ON ? status : consumer->status;
}

static uint32_t silence_ms(const struct consumer_options *options)
{
    uint64_t ms = 4 * (uint64_t)options->request.subscribe.heartbeat_ms;
    if (ms == 0 || ms > SILENCE_MS_MAX) {
        return SILENCE_MS_MAX;
    }
    return ms < SILENCE_MS_MIN ? SILENCE_MS_MIN : (uint32_t)ms;
}

int consumer_run(const struct cli *cli, const struct consumer_options *options)
{
    struct consumer consumer = {.cli = cli, .options = options, .file_due = INSTANT_NEVER};
    struct reason reason = {0};
    int status = STATUS_FAILURE;
    output_init(&consumer.output, cli->signal);
    progress_init(&consumer.progress, consumer.output.is_terminal, clock_now());
    int outcome = cursor_file_open(&consumer.file, options->cursor_file, &consumer.cursor, &reason);
    if (outcome < 0) {
        cli_say("%s", reason.text);
        status = outcome == ERR_INVALID ? STATUS_USAGE : STATUS_FAILURE;
    } else {
        consumer.has_cursor = outcome != CURSOR_FILE_NEW;
        status = cli_connect(cli, silence_ms(options), &consumer.client);
    }
    if (status == 0) {
        status = consume(&consumer);
    }
    client_close(consumer.client);
    cursor_file_close(&consumer.file);
    version_vector_deinit(&consumer.cursor);
    buffer_deinit(&consumer.encoded);
    output_deinit(&consumer.output);
    return status;
}
