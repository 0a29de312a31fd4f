// Results come in the order of the calls, so ids are printed in the order of the input. When the
// connection is lost with events in flight, they may or may not have been stored: that is said,
// with their number, and nothing is sent twice. What was not sent goes to the next node, if there
// is one.

#include "client-cli/producer.h"

#include <inttypes.h>

#include "client-cli/clock.h"
#include "client-cli/views.h"
#include "proto/base/limits.h"

int producer_open(struct producer *producer, const struct cli *cli,
                  const struct producer_options *options)
{
    struct connection_addresses addresses;
    connection_options_addresses(&cli->connection, &addresses);
    struct weir_options connection = {
        .addresses = addresses.list,
        .addresses_count = addresses.count,
        .begins_with_first = true,
        .reconnect = addresses.count > 1 ? WEIR_RECONNECT_LATER : WEIR_RECONNECT_NEVER,
        .batch_events_max = options->batch_events_max,
        .pending_events_max = PRODUCER_EVENTS_MAX + PRODUCE_EVENTS_MAX,
    };
    *producer = (struct producer){.cli = cli, .options = options};
    output_init(&producer->output, cli->signal);
    progress_init(&producer->progress, producer->output.is_terminal && !options->is_quiet,
                  clock_now());
    return cli_open_with(cli, &connection, &producer->weir);
}

void producer_close(struct producer *producer)
{
    progress_clear(&producer->progress);
    weir_free(producer->weir);
    output_deinit(&producer->output);
}

int producer_add(struct producer *producer, const struct weir_draft *drafts, size_t count)
{
    const struct producer_options *options = producer->options;
    struct weir_produce_options how = {
        .size = sizeof how,
        .after = options->after,
        .after_timeout_ms = options->after_timeout_ms,
        .replicas = options->replicas,
        .replicas_timeout_ms = options->replicas_timeout_ms,
    };
    return weir_produce(producer->weir, drafts, count, &how, NULL);
}

static int print_id_json(struct producer *producer, const char *id, uint32_t nodes_durable)
{
    return producer->options->replicas > 0
               ? output_text(&producer->output, "{\"id\":\"%.25s\",\"nodes\":%u}\n", id,
                             nodes_durable)
               : output_text(&producer->output, "{\"id\":\"%.25s\"}\n", id);
}

static int print_ids(struct producer *producer, const struct weir_produced *produced)
{
    struct weir_id id = produced->first;
    bool is_json = producer->options->format == FORMAT_JSON;
    for (uint32_t i = 0; i < produced->count && !producer->options->is_quiet; i++, id.counter++) {
        char text[WEIR_ID_TEXT_SIZE];
        weir_id_format(id, text);
        text[WEIR_ID_TEXT_SIZE - 1] = '\n';
        int err = is_json ? print_id_json(producer, text, produced->nodes_durable)
                          : buffer_append(&producer->output.buffer, bytes_of(text, sizeof text));
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static void note_late(struct producer *producer, const struct weir_produced *produced)
{
    if (!produced->is_replicas_late) {
        return;
    }
    if (producer->late == 0 || produced->nodes_durable < producer->late_nodes) {
        producer->late_nodes = produced->nodes_durable;
    }
    producer->late += produced->count;
}

static int on_stored(struct producer *producer, const struct weir_produced *produced)
{
    producer->acknowledged += produced->count;
    if (produced->is_not_after_parent && !producer->has_remarked) {
        char id[WEIR_ID_TEXT_SIZE];
        weir_id_format(produced->first, id);
        progress_clear(&producer->progress);
        cli_say("%s: not ordered after its parent, which did not arrive here in time", id);
        producer->has_remarked = true;
    }
    note_late(producer, produced);
    return print_ids(producer, produced);
}

// The events of one request are refused alike, one call after the other: it is said once.
static void on_refused(struct producer *producer, const struct weir_produced *produced)
{
    struct reason said = producer->said;
    reason_set(&producer->said, produced->err, "%s", produced->text);
    if (strcmp(said.text, producer->said.text) != 0) {
        progress_clear(&producer->progress);
        cli_say("%s", produced->text);
    }
    producer->status = producer->status ? producer->status : cli_status(produced->err);
}

static int flush(struct producer *producer)
{
    int outcome = output_flush(&producer->output);
    if (outcome == OUTPUT_INTERRUPTED) {
        return cli_status_of_signal(producer->cli);
    }
    if (outcome != 0) {
        if (outcome == OUTPUT_CLOSED) {
            cli_say("nobody reads the ids any more");
        }
        return STATUS_FAILURE;
    }
    progress_update(&producer->progress, producer->acknowledged, clock_now());
    return 0;
}

// `unknown`: what was sent and has no answer, and will not get one.
static void say_unknown(uint64_t unknown)
{
    if (unknown > 0) {
        cli_say("%" PRIu64 " events were sent and not acknowledged: they may or may not be stored",
                unknown);
    }
}

// The client has ended.
static int on_error(struct producer *producer, int err)
{
    (void)!flush(producer);
    progress_clear(&producer->progress);
    int status = cli_failed(producer->weir, err);
    say_unknown(producer->unknown);
    if (weir_pending(producer->weir) > 0) {
        cli_say("%" PRIu64 " events were not sent", weir_pending(producer->weir));
    }
    return status;
}

static int on_produced(struct producer *producer, const struct weir_produced *produced)
{
    if (produced->err == 0) {
        int err = on_stored(producer, produced);
        if (err != 0) {
            cli_say("%s", err_text(err));
            return cli_status(err);
        }
    } else if (produced->err == WEIR_ERR_UNKNOWN) {
        producer->unknown += produced->count;
    } else {
        on_refused(producer, produced);
    }
    return 0;
}

static void on_connection(struct producer *producer, const struct weir_notice *notice)
{
    bool is_lost = notice->kind == WEIR_NOTICE_DISCONNECTED;
    if (is_lost == producer->is_lost) {
        return;
    }
    producer->is_lost = is_lost;
    progress_clear(&producer->progress);
    if (is_lost) {
        cli_say("%s; connecting again", notice->connection->text);
    } else {
        cli_say("connected again, to %s", notice->connection->address);
    }
}

// Everything that has come. 0 or the exit status.
static int take(struct producer *producer)
{
    for (;;) {
        const struct weir_notice *notice;
        int outcome = weir_next(producer->weir, &notice);
        if (outcome == WEIR_NOTHING) {
            return 0;
        }
        if (outcome < 0) {
            return on_error(producer, outcome);
        }
        int status =
            notice->kind == WEIR_NOTICE_PRODUCED ? on_produced(producer, notice->produced) : 0;
        if (status != 0) {
            return status;
        }
        if (notice->kind == WEIR_NOTICE_CONNECTED || notice->kind == WEIR_NOTICE_DISCONNECTED) {
            on_connection(producer, notice);
        }
    }
}

// Waits for the connection, one of `others`, a signal, or the time.
static void wait_for(struct producer *producer, struct pollfd *others, size_t others_count)
{
    bool wants_output;
    struct pollfd polled[4] = {{.fd = weir_descriptor(producer->weir, &wants_output)},
                               {.fd = producer->cli->wake_fd, .events = POLLIN}};
    struct instant until = {.ns = weir_deadline(producer->weir)};
    polled[0].events = (short)(POLLIN | (wants_output ? POLLOUT : 0));
    for (size_t i = 0; i < others_count; i++) {
        polled[2 + i] = others[i];
    }
    if (producer->progress.is_wanted) {
        until = instant_earlier(until, producer->progress.next);
    }
    int64_t timeout_ms = clock_timeout_ms(until);
    int count = poll(polled, 2 + others_count, timeout_ms > INT32_MAX ? -1 : (int)timeout_ms);
    for (size_t i = 0; i < others_count; i++) {
        others[i].revents = count > 0 ? polled[2 + i].revents : 0;
    }
}

int producer_turn(struct producer *producer, struct pollfd *others, size_t others_count, bool waits)
{
    int status = take(producer);
    status = status != 0 ? status : flush(producer);
    if (status != 0 || (others_count == 0 && weir_pending(producer->weir) == 0)) {
        return status;
    }
    if (weir_turn(producer->weir) == WEIR_NOTHING && waits) {
        wait_for(producer, others, others_count);
    }
    if (*producer->cli->signal) {
        progress_clear(&producer->progress);
        say_unknown(weir_pending(producer->weir));
        return cli_status_of_signal(producer->cli);
    }
    return 0;
}

int producer_finish(struct producer *producer)
{
    int status = 0;
    while (status == 0 && weir_pending(producer->weir) > 0) {
        status = producer_turn(producer, NULL, 0, true);
    }
    status = status != 0 ? status : flush(producer);
    progress_clear(&producer->progress);
    if (status == 0 && producer->unknown > 0) {
        say_unknown(producer->unknown);
        status = STATUS_FAILURE;
    }
    return producer->status ? producer->status : status;
}
