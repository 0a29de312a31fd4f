// The core hands answers out in the order of the requests, so ids are printed in the order of the
// input. When the connection is lost with events in flight, they may or may not have been stored:
// that is said, with their number, and nothing is sent twice.

#include "client-cli/producer.h"

#include <inttypes.h>

int producer_open(struct producer *producer, const struct cli *cli, enum format format,
                  bool is_quiet, const struct produce_options *produce)
{
    *producer =
        (struct producer){.cli = cli, .format = format, .is_quiet = is_quiet, .produce = *produce};
    output_init(&producer->output, cli->signal);
    progress_init(&producer->progress, producer->output.is_terminal && !is_quiet, clock_now());
    return cli_connect(cli, 0, &producer->client);
}

void producer_close(struct producer *producer)
{
    progress_clear(&producer->progress);
    client_close(producer->client);
    output_deinit(&producer->output);
}

int producer_send(struct producer *producer, struct batch *batch)
{
    int err = core_produce(client_core(producer->client), batch, &producer->produce, batch->count);
    if (err < 0 && err != ERR_MEMORY && err != ERR_BUSY) {
        return 0; // the connection has failed: the next turn says why
    }
    if (err != 0) {
        cli_say("%s", err_text(err));
        return cli_status(err);
    }
    producer->in_flight += batch->count;
    batch_clear(batch);
    return 0;
}

static int print_id_json(struct producer *producer, const char *id, uint32_t nodes_durable)
{
    return producer->produce.replicas > 0
               ? output_text(&producer->output, "{\"id\":\"%.25s\",\"nodes\":%u}\n", id,
                             nodes_durable)
               : output_text(&producer->output, "{\"id\":\"%.25s\"}\n", id);
}

static int print_ids(struct producer *producer, const struct reply_produced *produced)
{
    struct event_id id = produced->first;
    bool is_json = producer->format == FORMAT_JSON;
    for (uint32_t i = 0; i < produced->count && !producer->is_quiet; i++, id.counter++) {
        char text[EVENT_ID_TEXT_LENGTH + 1];
        event_id_format(id, text);
        text[EVENT_ID_TEXT_LENGTH] = '\n';
        int err = is_json ? print_id_json(producer, text, produced->nodes_durable)
                          : buffer_append(&producer->output.buffer, bytes_of(text, sizeof text));
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static void note_late(struct producer *producer, const struct reply_produced *produced)
{
    if (!(produced->remarks & REMARK_REPLICAS_LATE)) {
        return;
    }
    if (producer->late == 0 || produced->nodes_durable < producer->late_nodes) {
        producer->late_nodes = produced->nodes_durable;
    }
    producer->late += produced->count;
}

static int on_produced(struct producer *producer, const struct notice *notice)
{
    const struct reply_produced *produced = &notice->reply.produced;
    producer->in_flight -= notice->tag;
    producer->acknowledged += produced->count;
    if ((produced->remarks & REMARK_NOT_AFTER_PARENT) && !producer->has_remarked) {
        char id[EVENT_ID_TEXT_LENGTH + 1];
        event_id_format(produced->first, id);
        progress_clear(&producer->progress);
        cli_say("%s: not ordered after its parent, which did not arrive here in time", id);
        producer->has_remarked = true;
    }
    note_late(producer, produced);
    return print_ids(producer, produced);
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

static void say_unknown(struct producer *producer)
{
    if (producer->in_flight > 0) {
        cli_say("%" PRIu64 " events were sent and not acknowledged: they may or may not be stored",
                producer->in_flight);
    }
}

// Everything that has come. 0 or the exit status.
static int take(struct producer *producer)
{
    for (;;) {
        struct notice notice;
        struct core *core = client_core(producer->client);
        int outcome = core_next(core, &notice);
        if (outcome == CORE_NOTHING) {
            return 0;
        }
        if (outcome < 0) {
            (void)!flush(producer);
            progress_clear(&producer->progress);
            cli_say("%s", core_reason(core));
            say_unknown(producer);
            return cli_status(outcome);
        }
        if (notice.kind == NOTICE_REFUSED) {
            producer->in_flight -= notice.tag;
            progress_clear(&producer->progress);
            int status = cli_refused(&notice);
            producer->status = producer->status ? producer->status : status;
        } else if (notice.kind == NOTICE_PRODUCED) {
            int err = on_produced(producer, &notice);
            if (err != 0) {
                cli_say("%s", err_text(err));
                return cli_status(err);
            }
        }
    }
}

int producer_turn(struct producer *producer, struct pollfd *others, size_t others_count, bool waits)
{
    int status = take(producer);
    status = status != 0 ? status : flush(producer);
    if (status != 0 || (others_count == 0 && producer->in_flight == 0)) {
        return status;
    }
    struct instant until = !waits                         ? clock_now()
                           : producer->progress.is_wanted ? producer->progress.next
                                                          : INSTANT_NEVER;
    int outcome = client_wait(producer->client, others, others_count, until);
    if (outcome == CLIENT_WOKEN || *producer->cli->signal) {
        progress_clear(&producer->progress);
        say_unknown(producer);
        return cli_status_of_signal(producer->cli);
    }
    return 0;
}

int producer_finish(struct producer *producer)
{
    int status = 0;
    while (status == 0 && producer->in_flight > 0) {
        status = producer_turn(producer, NULL, 0, true);
    }
    status = status != 0 ? status : flush(producer);
    progress_clear(&producer->progress);
    return producer->status ? producer->status : status;
}
