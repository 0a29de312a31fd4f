// An event is acknowledged when its bytes are out, not before: whoever reads them has them, also
// when this process is killed then. What was printed and not acknowledged comes again.
//
// With acknowledgements on standard input, what was printed and not decided is remembered, so that
// a limit ends when all of it is.

#include "client-cli/group_consumer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-cli/clock.h"
#include "client-cli/line_source.h"
#include "client-cli/progress.h"

enum {
    TAG_INPUT = 1,
    TAGS_MAX = 8,
    LINE_LENGTH_MAX = 4096,
    IN_FLIGHT_DEFAULT = 100,
};

struct group_consumer {
    const struct cli *cli;
    const struct group_consumer_options *options;
    struct group_member member;
    struct output output;
    struct progress progress;
    uint64_t printed; // events
    struct weir_id last;
    bool is_flush_due;

    struct line_source input;
    bool has_input;
    bool is_input_over;
    struct weir_id *open; // printed and not decided
    size_t open_count;
    size_t open_max;
    bool has_bad_line;
};

// Outcomes of steps, besides 0: go on.
enum { STEP_DONE = 1 };

static int done(int *status_out, int status)
{
    *status_out = status;
    return STEP_DONE;
}

// --- Acknowledging -----------------------------------------------------------------------------

// 0 or STEP_DONE. Of what is not to be acknowledged any more the node tells.
static int acknowledge(struct group_consumer *consumer, const struct acknowledgement *what,
                       int *status_out)
{
    int outcome = group_member_acknowledge(&consumer->member, what);
    if (outcome == WEIR_ERR_NOT_FOUND && consumer->options->is_manual) {
        char id[WEIR_ID_TEXT_SIZE];
        weir_id_format(what->id, id);
        cli_say("%s was not handed out here, or long ago", id);
        consumer->member.refused++;
    }
    return outcome >= 0 || outcome == WEIR_ERR_NOT_FOUND
               ? 0
               : done(status_out, cli_failed(consumer->member.weir, outcome));
}

// Writes what was printed and acknowledges it.
static int flush(struct group_consumer *consumer, int *status_out)
{
    int outcome = output_flush(&consumer->output);
    if (outcome == OUTPUT_CLOSED) {
        return done(status_out, STATUS_OK);
    }
    if (outcome == OUTPUT_INTERRUPTED) {
        return done(status_out, cli_status_of_signal(consumer->cli));
    }
    if (outcome != 0) {
        return done(status_out, STATUS_FAILURE);
    }
    progress_update(&consumer->progress, consumer->printed, clock_now());
    if (!consumer->is_flush_due) {
        return 0;
    }
    consumer->is_flush_due = false;
    if (consumer->options->is_manual) {
        return 0;
    }
    struct acknowledgement all = {.kind = ACK_UP_TO, .id = consumer->last};
    return acknowledge(consumer, &all, status_out);
}

// --- Acknowledgements on standard input --------------------------------------------------------

static size_t open_find(const struct group_consumer *consumer, struct weir_id id)
{
    size_t i = 0;
    while (i < consumer->open_count && weir_id_compare(consumer->open[i], id) != 0) {
        i++;
    }
    return i;
}

static int open_add(struct group_consumer *consumer, struct weir_id id)
{
    if (open_find(consumer, id) < consumer->open_count) {
        return 0; // it came again
    }
    if (consumer->open_count == consumer->open_max) {
        size_t max = consumer->open_max > 0 ? 2 * consumer->open_max : 256;
        struct weir_id *grown = reallocarray(consumer->open, max, sizeof *grown);
        if (!grown) {
            return WEIR_ERR_MEMORY;
        }
        consumer->open = grown;
        consumer->open_max = max;
    }
    consumer->open[consumer->open_count++] = id;
    return 0;
}

// Takes out the event, or all that were printed up to it.
static void open_decide(struct group_consumer *consumer, const struct acknowledgement *what)
{
    size_t end = open_find(consumer, what->id);
    if (end == consumer->open_count) {
        return;
    }
    size_t begin = what->kind == ACK_UP_TO ? 0 : end;
    end++;
    memmove(&consumer->open[begin], &consumer->open[end],
            (consumer->open_count - end) * sizeof *consumer->open);
    consumer->open_count -= end - begin;
}

static int take_line(struct group_consumer *consumer, struct bytes bytes, int *status_out)
{
    char text[LINE_LENGTH_MAX + 1];
    struct acknowledgement what;
    struct weir_reason reason = {0};
    memcpy(text, bytes.data, bytes.length);
    text[bytes.length] = '\0';
    if (text[strspn(text, " \t\r")] == '\0') {
        return 0;
    }
    text[strcspn(text, "\r")] = '\0';
    if (ack_line_parse(text, &what, &reason) != 0) {
        cli_say("line %" PRIu64 " of standard input is no acknowledgement (ID, up-to ID or nack ID "
                "[DELAY] [REASON]): %s",
                consumer->input.number + 1, reason.text);
        consumer->has_bad_line = true;
        return 0;
    }
    open_decide(consumer, &what);
    return acknowledge(consumer, &what, status_out);
}

// Takes the lines that are there.
static int take_input(struct group_consumer *consumer, int *status_out)
{
    struct line_source *input = &consumer->input;
    while (consumer->has_input && !consumer->is_input_over) {
        struct bytes line;
        int outcome = line_source_peek(input, &line);
        if (outcome == 0) {
            outcome = take_line(consumer, line, status_out);
            line_source_take(input);
            if (outcome != 0) {
                return outcome;
            }
        } else if (outcome == LINE_END) {
            consumer->is_input_over = true;
            wakes_remove(&consumer->member.wakes, input->fd);
        } else if (outcome < 0) {
            cli_say("a line of standard input is longer than %d bytes", LINE_LENGTH_MAX);
            return done(status_out, STATUS_FAILURE);
        } else if (!line_source_is_readable(input)) {
            break;
        } else {
            struct reason reason = {0};
            if (line_source_read(input, &reason) != 0) {
                cli_say("%s", reason.text);
                return done(status_out, STATUS_FAILURE);
            }
        }
    }
    return 0;
}

static int open_input(struct group_consumer *consumer)
{
    struct reason reason = {0};
    if (line_source_open(&consumer->input, "-", LINE_LENGTH_MAX, &reason) != 0 ||
        wakes_add(&consumer->member.wakes, STDIN_FILENO, false, TAG_INPUT) < 0) {
        cli_say("cannot read standard input: %s", reason.text[0] ? reason.text : strerror(errno));
        return STATUS_FAILURE;
    }
    consumer->has_input = true;
    return 0;
}

// --- Events ------------------------------------------------------------------------------------

static int print(struct group_consumer *consumer, const struct weir_event *event, int *status_out)
{
    const struct group_consumer_options *options = consumer->options;
    if (options->limit > 0 && consumer->printed == options->limit) {
        return 0; // goes to others
    }
    int err = print_event(&consumer->output, options->format, event);
    if (err == 0 && options->is_manual) {
        err = open_add(consumer, event->id);
    }
    if (err != 0) {
        char id[WEIR_ID_TEXT_SIZE];
        weir_id_format(event->id, id);
        cli_say("event %s: %s", id, weir_err_text(err));
        return done(status_out, STATUS_FAILURE);
    }
    consumer->printed++;
    consumer->last = event->id;
    consumer->is_flush_due = true;
    return output_is_full(&consumer->output) ? flush(consumer, status_out) : 0;
}

static int on_notice(struct group_consumer *consumer, const struct weir_notice *notice,
                     int *status_out)
{
    if (notice->kind == WEIR_NOTICE_EVENT) {
        return print(consumer, notice->event, status_out);
    }
    if (notice->kind == WEIR_NOTICE_MARK && notice->mark->kind == WEIR_MARK_HEARTBEAT &&
        consumer->options->says_heartbeats) {
        progress_clear(&consumer->progress);
        cli_say("heartbeat");
        return 0;
    }
    if (notice->kind == WEIR_NOTICE_END) {
        int outcome = flush(consumer, status_out);
        if (outcome != 0) {
            return outcome;
        }
    }
    progress_clear(&consumer->progress);
    return group_member_notice(&consumer->member, notice, status_out) ? STEP_DONE : 0;
}

// Whether all that was asked for is done.
static bool is_complete(const struct group_consumer *consumer)
{
    bool is_limit_reached =
        consumer->options->limit > 0 && consumer->printed == consumer->options->limit;
    if (!consumer->options->is_manual) {
        return is_limit_reached;
    }
    bool is_input_done = consumer->is_input_over && consumer->member.is_attached;
    return is_input_done || (is_limit_reached && consumer->open_count == 0);
}

// When nothing is left to take: writes, acknowledges, and waits for more.
static int rest(struct group_consumer *consumer, const struct weir_notice **notice_out,
                int *status_out)
{
    int outcome = flush(consumer, status_out);
    outcome = outcome != 0 ? outcome : take_input(consumer, status_out);
    if (outcome != 0) {
        return outcome;
    }
    if (is_complete(consumer)) {
        return done(status_out, STATUS_OK);
    }
    outcome = weir_wait_next(consumer->member.weir, -1, notice_out);
    if (outcome == WEIR_WOKEN || outcome == WEIR_LATE) {
        *notice_out = NULL;
        return *consumer->cli->signal ? done(status_out, cli_status_of_signal(consumer->cli)) : 0;
    }
    return outcome != 0 ? done(status_out, cli_failed(consumer->member.weir, outcome)) : 0;
}

static int follow(struct group_consumer *consumer)
{
    int status = STATUS_OK;
    int step = 0;
    while (step == 0) {
        const struct weir_notice *notice = NULL;
        int outcome = weir_next(consumer->member.weir, &notice);
        if (outcome == WEIR_NOTHING) {
            step = rest(consumer, &notice, &status);
        } else if (outcome != 0) {
            step = done(&status, cli_failed(consumer->member.weir, outcome));
        }
        if (step == 0 && notice) {
            step = on_notice(consumer, notice, &status);
        }
        bool is_limit_reached = !consumer->options->is_manual && is_complete(consumer);
        if (step == 0 && is_limit_reached) {
            step = flush(consumer, &status);
            step = step != 0 ? step : STEP_DONE;
        }
        if (step == 0 && *consumer->cli->signal) {
            step = done(&status, cli_status_of_signal(consumer->cli));
        }
    }
    return status;
}

static int consume(struct group_consumer *consumer)
{
    int ignored;
    int status = follow(consumer);
    progress_clear(&consumer->progress);
    // A signal may have come with events not written yet. A second one does not wait for a reader.
    if (status > STATUS_SIGNAL && consumer->output.buffer.length > 0) {
        (void)!flush(consumer, &ignored);
    }
    group_member_leave(&consumer->member);
    bool was_refused = consumer->member.refused > 0 || consumer->has_bad_line;
    return status == STATUS_OK && consumer->options->is_manual && was_refused ? STATUS_FAILURE
                                                                              : status;
}

int group_consumer_run(const struct cli *cli, const struct group_consumer_options *options)
{
    struct group_consumer consumer = {.cli = cli, .options = options};
    struct weir_attach_options attach = options->attach;
    // No more is taken from others than will be printed.
    if (options->limit > 0 &&
        options->limit < (attach.in_flight > 0 ? attach.in_flight : IN_FLIGHT_DEFAULT)) {
        attach.in_flight = (uint32_t)options->limit;
    }
    output_init(&consumer.output, cli->signal);
    progress_init(&consumer.progress, consumer.output.is_terminal, clock_now());
    int status =
        group_member_open(&consumer.member, cli, cli->wake_fd, options->reconnects, &attach);
    consumer.member.says_remark = options->says_remark || cli->connection.is_verbose;
    if (status == 0 && options->is_manual) {
        status = open_input(&consumer);
    }
    if (status == 0) {
        status = consume(&consumer);
    }
    group_member_close(&consumer.member);
    line_source_close(&consumer.input);
    output_deinit(&consumer.output);
    free(consumer.open);
    return status;
}
