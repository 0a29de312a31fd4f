// What counts is what has left this process: the cursor is noted each time standard output took
// everything, and the cursor file follows it. So nothing is missed, and what was printed but not
// noted (at most 100 ms of it, after a kill -9) is repeated. Over lost connections libweir hands
// out each event once.

#include "client-cli/consumer.h"

#include "client-cli/clock.h"
#include "client-cli/cursor_file.h"
#include "client-cli/progress.h"

enum { CURSOR_FILE_PERIOD_MS = 100, SILENCE_MS_MIN = 2000, SILENCE_MS_MAX = 20000 };

struct consumer {
    const struct cli *cli;
    const struct consumer_options *options;
    struct weir *weir;
    uint64_t subscription;
    uint64_t printed; // events
    struct output output;
    struct progress progress;
    struct cursor_file file;
    struct instant file_due; // when the cursor is to be written; INSTANT_NEVER: it is
    struct buffer cursor;    // as text, ended by a NUL that does not count; with a file alone
    bool is_lost;            // the connection, and that was said
    uint16_t waits_for;      // what -v said of stable order last; 0: nothing
    int status;              // the exit status, once a step returns DONE
};

// What a step says: go on, or the end, with consumer->status.
enum step {
    STEP_ON,
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
    if (consumer->cursor.length == 0) {
        return STEP_ON;
    }
    int err =
        cursor_file_write(&consumer->file, buffer_bytes(&consumer->cursor), clock_now(), &reason);
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
    const char *text;
    if (!consumer->file.path) {
        return STEP_ON;
    }
    int outcome = weir_cursor(consumer->weir, consumer->subscription, &text);
    struct bytes cursor = outcome == 0 ? bytes_of_text(text) : (struct bytes){0};
    if (outcome < 0) {
        return out_of_memory(consumer);
    }
    if (outcome == 0 && !bytes_equal(cursor, buffer_bytes(&consumer->cursor))) {
        buffer_clear(&consumer->cursor);
        if (buffer_append(&consumer->cursor, bytes_of(text, cursor.length + 1)) != 0) {
            return out_of_memory(consumer);
        }
        consumer->cursor.length--;
        consumer->file_due =
            instant_add(consumer->file.changed, duration_ms(CURSOR_FILE_PERIOD_MS));
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

static enum step print(struct consumer *consumer, const struct weir_event *event)
{
    consumer->waits_for = 0;
    int err = print_event(&consumer->output, consumer->options->format, event);
    if (err != 0) {
        char id[WEIR_ID_TEXT_SIZE];
        weir_id_format(event->id, id);
        cli_say("event %s: %s", id, err_text(err));
        return done(consumer, STATUS_FAILURE);
    }
    consumer->printed++;
    return output_is_full(&consumer->output) ? flush(consumer) : STEP_ON;
}

static void say_cursor(struct consumer *consumer, const char *what)
{
    const char *cursor;
    if (weir_cursor(consumer->weir, consumer->subscription, &cursor) == 0) {
        progress_clear(&consumer->progress);
        cli_say("%s %s", what, cursor);
    }
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

// In JSON a line between the events.
static enum step print_frontier(struct consumer *consumer, struct weir_id at)
{
    char id[WEIR_ID_TEXT_SIZE];
    weir_id_format(at, id);
    if (consumer->options->format != FORMAT_JSON) {
        progress_clear(&consumer->progress);
        cli_say("frontier %s", id);
        return STEP_ON;
    }
    int err = output_text(&consumer->output, "{\"mark\":\"frontier\",\"at\":\"%s\"}\n", id);
    return err != 0 ? out_of_memory(consumer) : STEP_ON;
}

static enum step on_mark(struct consumer *consumer, const struct weir_mark *mark)
{
    if (mark->kind == WEIR_MARK_HEARTBEAT && consumer->options->says_heartbeats) {
        say_cursor(consumer, "heartbeat, cursor");
    } else if (mark->kind == WEIR_MARK_CAUGHT_UP && consumer->cli->connection.is_verbose) {
        say_cursor(consumer, "caught up, cursor");
    } else if (mark->kind == WEIR_MARK_FRONTIER) {
        return print_frontier(consumer, mark->at);
    } else if (mark->kind == WEIR_MARK_WAITING) {
        say_waiting(consumer, mark->at.actor);
    }
    return STEP_ON;
}

static bool is_complete(const struct consumer *consumer)
{
    uint64_t limit = consumer->options->subscribe.limit;
    return limit > 0 && consumer->printed >= limit;
}

static enum step on_disconnected(struct consumer *consumer, const char *why)
{
    enum step step = flush(consumer);
    if (step != STEP_ON) {
        return step;
    }
    if (is_complete(consumer)) {
        return done(consumer, STATUS_OK);
    }
    if (consumer->options->reconnects && !consumer->is_lost) {
        progress_clear(&consumer->progress);
        cli_say("%s; connecting again", why);
        consumer->is_lost = true;
    }
    return STEP_ON;
}

static void on_subscribed(struct consumer *consumer)
{
    if (consumer->is_lost) {
        say_cursor(consumer, "connected again, going on behind");
        consumer->is_lost = false;
    } else if (consumer->cli->connection.is_verbose) {
        say_cursor(consumer, "subscribed, starting behind");
    }
}

static enum step on_end(struct consumer *consumer, const struct weir_end *end)
{
    enum step step = flush(consumer);
    if (step == STEP_ON && end->reason == WEIR_END_ERROR) {
        progress_clear(&consumer->progress);
        cli_say("%s", end->text);
        return done(consumer, cli_status(end->err));
    }
    return step == STEP_ON ? done(consumer, STATUS_OK) : step;
}

static enum step on_notice(struct consumer *consumer, const struct weir_notice *notice)
{
    if (notice->kind == WEIR_NOTICE_EVENT) {
        return print(consumer, notice->event);
    }
    if (notice->kind == WEIR_NOTICE_MARK) {
        return on_mark(consumer, notice->mark);
    }
    if (notice->kind == WEIR_NOTICE_END) {
        return on_end(consumer, notice->end);
    }
    if (notice->kind == WEIR_NOTICE_DISCONNECTED) {
        return on_disconnected(consumer, notice->connection->text);
    }
    if (notice->kind == WEIR_NOTICE_SUBSCRIBED) {
        on_subscribed(consumer);
    }
    return STEP_ON;
}

static enum step on_error(struct consumer *consumer, int err)
{
    enum step step = flush(consumer);
    if (step == STEP_ON) {
        progress_clear(&consumer->progress);
        step = done(consumer, cli_failed(consumer->weir, err));
    }
    return step;
}

static void follow(struct consumer *consumer)
{
    enum step step = STEP_ON;
    while (step == STEP_ON) {
        const struct weir_notice *notice;
        int outcome = weir_next(consumer->weir, &notice);
        if (outcome == WEIR_NOTHING) {
            step = flush(consumer);
            if (step != STEP_ON) {
                return;
            }
            outcome = weir_wait_next(consumer->weir, clock_timeout_ms(consumer->file_due), &notice);
        }
        if (outcome == 0) {
            step = on_notice(consumer, notice);
        } else if (outcome < 0) {
            step = on_error(consumer, outcome);
        }
        if (step == STEP_ON && *consumer->cli->signal) {
            step = done(consumer, cli_status_of_signal(consumer->cli));
        }
    }
}

static int consume(struct consumer *consumer)
{
    struct weir_subscribe_options options = consumer->options->subscribe;
    options.size = sizeof options;
    if (consumer->cursor.length > 0) {
        options.start = WEIR_START_CURSOR;
        options.start_cursor = (const char *)consumer->cursor.data;
    }
    int err = weir_subscribe(consumer->weir, &options, &consumer->subscription);
    if (err != 0) {
        return cli_failed(consumer->weir, err);
    }
    follow(consumer);
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
    uint64_t ms = 4 * (uint64_t)options->subscribe.heartbeat_ms;
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
        enum weir_reconnect reconnect =
            options->reconnects ? WEIR_RECONNECT_LATER : WEIR_RECONNECT_NEVER;
        status = cli_open(cli, reconnect, silence_ms(options), &consumer.weir);
    }
    if (status == 0) {
        status = consume(&consumer);
    }
    weir_free(consumer.weir);
    cursor_file_close(&consumer.file);
    buffer_deinit(&consumer.cursor);
    output_deinit(&consumer.output);
    return status;
}
