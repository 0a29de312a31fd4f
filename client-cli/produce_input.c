// A batch is what there is without waiting: one event when lines trickle in, up to a quarter of
// what may be in flight when they pour. So latency stays low and throughput high, with nothing to
// tune. Lines are handed to libweir many at a time, where they were read; what they are checked for
// does not depend on the line.

#include "client-cli/produce_input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-cli/event_json.h"
#include "client-cli/line_source.h"
#include "client-cli/views.h"

enum { BATCH_EVENTS_MAX = 1024, BATCH_BYTES_CLOSE = 256 * 1024 };

// Beyond these a line of JSON cannot hold an event that is accepted: six bytes for one (\u0000).
enum { JSON_BYTES_PER_BYTE = 6, JSON_BYTES_EXTRA = 1024 * 1024 };

struct stream {
    const struct produce_input *input;
    struct producer *producer;
    struct line_source source;
    struct event_json json;
    struct weir_draft *drafts; // lines that are not added yet; batch_max of them
    uint32_t drafts_count;
    size_t drafts_bytes;
    uint32_t batch_max;
    uint32_t added; // events since the last turn
    bool is_full;   // libweir takes no more now
    bool has_ended; // nothing more is read
    struct buffer *name;
    bool *names_several;
};

static void note_name(struct stream *stream, const char *name)
{
    if (stream->name->length == 0) {
        (void)!buffer_append(stream->name, bytes_of_text(name));
    } else if (!bytes_equal(bytes_of_text(name), buffer_bytes(stream->name))) {
        *stream->names_several = true;
    }
}

static int add(struct stream *stream, const struct weir_draft *drafts, uint32_t count,
               struct reason *reason)
{
    int err = producer_add(stream->producer, drafts, count);
    if (err != 0) {
        return reason_set(reason, err, "%s", weir_reason_text(stream->producer->weir));
    }
    stream->added += count;
    note_name(stream, drafts[0].name);
    return 0;
}

static struct weir_draft draft_of(const struct stream *stream, struct bytes line)
{
    const struct produce_input *input = stream->input;
    return (struct weir_draft){
        .size = sizeof(struct weir_draft),
        .name = input->name,
        .data = bytes_to(line),
        .parent = input->parent,
        .attributes = input->attributes,
        .attributes_count = input->attributes_count,
    };
}

static int add_json(struct stream *stream, struct bytes line, struct reason *reason)
{
    const struct produce_input *input = stream->input;
    struct weir_draft draft = draft_of(stream, line);
    struct event_json *json = &stream->json;
    int err = event_json_read(json, line, input->parent, input->attributes, input->attributes_count,
                              reason);
    if (err != 0) {
        return err;
    }
    if (!json->name && !input->name) {
        return reason_set(reason, ERR_INVALID, "namespace is missing");
    }
    draft.name = json->name ? json->name : input->name;
    draft.data = json->data;
    draft.parent = json->parent;
    draft.attributes = json->attributes;
    draft.attributes_count = json->attributes_count;
    return add(stream, &draft, 1, reason);
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

// Hands over the lines that were collected. false: nothing is to be added now.
static bool add_drafts(struct stream *stream)
{
    struct reason reason = {0};
    int err =
        stream->drafts_count > 0 ? add(stream, stream->drafts, stream->drafts_count, &reason) : 0;
    if (err == ERR_BUSY) {
        stream->is_full = true;
        return false;
    }
    stream->drafts_count = 0;
    stream->drafts_bytes = 0;
    if (err != 0) {
        end_with(stream, reason.text);
    }
    return err == 0;
}

static bool add_line(struct stream *stream, struct bytes line)
{
    struct reason reason = {0};
    if (!stream->input->is_json) {
        if (stream->drafts_bytes + line.length > BATCH_BYTES_CLOSE && !add_drafts(stream)) {
            return false;
        }
        stream->drafts[stream->drafts_count++] = draft_of(stream, line);
        stream->drafts_bytes += line.length;
        line_source_take(&stream->source);
        return true;
    }
    int err = add_json(stream, line, &reason);
    if (err == ERR_BUSY) {
        stream->is_full = true;
    } else if (err != 0) {
        end_with_line(stream, reason.text[0] ? reason.text : err_text(err));
    } else {
        line_source_take(&stream->source);
    }
    return err == 0;
}

// One line, or a read. false: nothing is to be added now.
static bool add_more(struct stream *stream)
{
    struct bytes line;
    struct reason reason = {0};
    int outcome = line_source_peek(&stream->source, &line);
    if (outcome == 0) {
        return add_line(stream, line);
    }
    if (!add_drafts(stream)) {
        return false; // they point to where a read would put more
    }
    if (outcome == LINE_NONE) {
        if (!line_source_is_readable(&stream->source)) {
            return false;
        }
        if (line_source_read(&stream->source, &reason) != 0) {
            end_with(stream, reason.text);
        }
        return true;
    }
    stream->has_ended = true;
    if (outcome != LINE_END) {
        char text[96];
        snprintf(text, sizeof text, "longer than %zu bytes, the most that this node takes",
                 stream->source.line_max);
        end_with_line(stream, text);
    }
    return false;
}

static bool has_room(const struct stream *stream)
{
    uint32_t count = stream->drafts_count;
    return !stream->has_ended && !stream->is_full && stream->added + count < stream->batch_max &&
           weir_pending(stream->producer->weir) + count < stream->input->in_flight_max;
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
        while (has_room(stream) && add_more(stream)) {
        }
        (void)!add_drafts(stream);
        if (stream->has_ended) {
            return producer_finish(producer);
        }
        struct pollfd readable = {.fd = stream->source.fd, .events = POLLIN};
        stream->added = 0;
        bool wants_more = has_room(stream);
        stream->is_full = false;
        int status =
            producer_turn(producer, &readable, wants_more, !wants_more || !has_line(stream));
        if (status != 0) {
            return status;
        }
        stream->has_ended = stream->has_ended || producer->status != 0;
    }
}

uint32_t produce_input_batch_max(uint64_t in_flight_max)
{
    uint64_t batch_max = in_flight_max / 4;
    return batch_max < 1                  ? 1
           : batch_max < BATCH_EVENTS_MAX ? (uint32_t)batch_max
                                          : BATCH_EVENTS_MAX;
}

int produce_input_run(const struct produce_input *input, struct producer *producer,
                      struct buffer *name_out, bool *names_several_out)
{
    struct stream stream = {
        .input = input,
        .producer = producer,
        .batch_max = produce_input_batch_max(input->in_flight_max),
        .name = name_out,
        .names_several = names_several_out,
    };
    size_t line_max = weir_data_bytes_max(producer->weir);
    if (input->is_json) {
        line_max = line_max * JSON_BYTES_PER_BYTE + JSON_BYTES_EXTRA;
    }
    struct reason reason = {0};
    int status = STATUS_FAILURE;
    stream.drafts = calloc(stream.batch_max, sizeof *stream.drafts);
    if (!stream.drafts) {
        cli_say("%s", err_text(ERR_MEMORY));
        return STATUS_FAILURE;
    }
    if (line_source_open(&stream.source, input->path, line_max, &reason) == 0) {
        status = run(&stream);
    } else {
        cli_say("%s", reason.text);
    }
    line_source_close(&stream.source);
    event_json_deinit(&stream.json);
    free(stream.drafts);
    return status;
}
