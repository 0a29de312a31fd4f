// A batch is what there is without waiting: one event when lines trickle in, up to a quarter of
// what may be in flight when they pour. So latency stays low and throughput high, with nothing to
// tune. Every event is checked before it joins a batch, because a node refuses a batch as a whole.

#include "client-cli/produce_input.h"

#include <inttypes.h>
#include <stdio.h>

#include "client-cli/event_json.h"
#include "client-cli/line_source.h"
#include "proto/base/limits.h"

enum {
    BATCH_EVENTS_MAX = 1024,
    BATCH_BYTES_CLOSE = 256 * 1024,
    UNSENT_BYTES_MAX = 4 * 1024 * 1024
};

// Beyond these a line of JSON cannot hold an event that is accepted: six bytes for one (\u0000).
enum { JSON_BYTES_PER_BYTE = 6, JSON_BYTES_EXTRA = 1024 * 1024 };

struct stream {
    const struct produce_input *input;
    struct producer *producer;
    struct line_source source;
    struct event_json json;
    struct batch batch;
    uint32_t batch_max;
    bool has_ended; // nothing more is read
    struct buffer *name;
    bool *names_several;
};

static void note_name(struct stream *stream, struct bytes name)
{
    if (stream->name->length == 0) {
        (void)!buffer_append(stream->name, name);
    } else if (!bytes_equal(name, buffer_bytes(stream->name))) {
        *stream->names_several = true;
    }
}

static int add_line(struct stream *stream, struct bytes line, struct reason *reason)
{
    const struct produce_input *input = stream->input;
    uint64_t data_max = core_data_bytes_max(client_core(stream->producer->client));
    if (!input->is_json) {
        note_name(stream, input->name);
        return batch_add(&stream->batch, input->name, line, input->attributes_encoded, data_max,
                         reason);
    }
    struct event_json *json = &stream->json;
    int err = event_json_read(json, line, input->parent, input->attributes, input->attributes_count,
                              reason);
    if (err != 0) {
        return err;
    }
    struct bytes name = json->has_name ? json->name : input->name;
    if (!json->has_name && name.length == 0) {
        return reason_set(reason, ERR_INVALID, "namespace is missing");
    }
    err = batch_add(&stream->batch, name, json->data, buffer_bytes(&json->attributes), data_max,
                    reason);
    if (err == 0) {
        note_name(stream, name);
    }
    return err;
}

static void end_with(struct stream *stream, const char *text)
{
    progress_clear(&stream->producer->progress);
    cli_say("%s", text);
    stream->producer->status = stream->producer->status ? stream->producer->status : STATUS_FAILURE;
    stream->has_ended = true;
}

static void end_with_line(struct stream *stream, const char *text)
{
    char said[REASON_LENGTH_MAX + 64];
    snprintf(said, sizeof said, "line %" PRIu64 ": %s", stream->source.number + 1, text);
    end_with(stream, said);
}

// One line, or a read. false: the batch is not to grow now.
static bool grow_batch(struct stream *stream)
{
    struct bytes line;
    struct reason reason = {0};
    int outcome = line_source_peek(&stream->source, &line);
    if (outcome == LINE_NONE) {
        if (!line_source_is_readable(&stream->source)) {
            return false;
        }
        if (line_source_read(&stream->source, &reason) != 0) {
            end_with(stream, reason.text);
        }
        return true;
    }
    if (outcome == LINE_END) {
        stream->has_ended = true;
        return false;
    }
    if (outcome != 0) {
        char text[96];
        snprintf(text, sizeof text, "longer than %zu bytes, the most that this node takes",
                 stream->source.line_max);
        end_with_line(stream, text);
        return false;
    }
    outcome = add_line(stream, line, &reason);
    if (outcome == BATCH_FULL) {
        return false;
    }
    if (outcome != 0) {
        end_with_line(stream, reason.text[0] ? reason.text : err_text(outcome));
        return false;
    }
    line_source_take(&stream->source);
    return true;
}

static bool has_room(const struct stream *stream)
{
    const struct batch *batch = &stream->batch;
    return !stream->has_ended && batch->count < stream->batch_max &&
           batch->events.length < BATCH_BYTES_CLOSE &&
           stream->producer->in_flight + batch->count < stream->input->in_flight_max &&
           core_output(client_core(stream->producer->client)).length < UNSENT_BYTES_MAX;
}

static bool has_line(struct stream *stream)
{
    struct bytes line;
    return line_source_peek(&stream->source, &line) != LINE_NONE;
}

static int run(struct stream *stream)
{
    struct producer *producer = stream->producer;
    for (;;) {
        while (has_room(stream) && grow_batch(stream)) {
        }
        int status = stream->batch.count > 0 ? producer_send(producer, &stream->batch) : 0;
        if (status != 0) {
            return status;
        }
        if (stream->has_ended) {
            return producer_finish(producer);
        }
        struct pollfd readable = {.fd = stream->source.fd, .events = POLLIN};
        bool wants_more = has_room(stream);
        status = producer_turn(producer, &readable, wants_more, !wants_more || !has_line(stream));
        if (status != 0) {
            return status;
        }
        stream->has_ended = stream->has_ended || producer->status != 0;
    }
}

int produce_input_run(const struct produce_input *input, struct producer *producer,
                      struct buffer *name_out, bool *names_several_out)
{
    uint64_t batch_max = input->in_flight_max / 4;
    struct stream stream = {
        .input = input,
        .producer = producer,
        .batch_max = batch_max < 1                  ? 1
                     : batch_max < BATCH_EVENTS_MAX ? (uint32_t)batch_max
                                                    : BATCH_EVENTS_MAX,
        .name = name_out,
        .names_several = names_several_out,
    };
    size_t line_max = core_data_bytes_max(client_core(producer->client));
    if (input->is_json) {
        line_max = line_max * JSON_BYTES_PER_BYTE + JSON_BYTES_EXTRA;
    }
    struct reason reason = {0};
    int status = STATUS_FAILURE;
    if (line_source_open(&stream.source, input->path, line_max, &reason) == 0) {
        status = run(&stream);
    } else {
        cli_say("%s", reason.text);
    }
    line_source_close(&stream.source);
    event_json_deinit(&stream.json);
    batch_deinit(&stream.batch);
    return status;
}
