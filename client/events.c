// A message is a sequence of runs: whole chunks, whose bodies may be compressed, or slices, which
// are plain. The inline part walks inside a run; this part, once per run, checks what came (the
// header's own check, the body's hash) and decodes. Everything is checked although a node sent it:
// a library must not crash on what the network brings.

#include "client/events.h"

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/slice.h"

void events_init(struct events *events, struct bytes message, bool is_chunks,
                 struct buffer *scratch, struct version_vector *cursor)
{
    *events = (struct events){
        .rest = message,
        .is_chunks = is_chunks,
        .scratch = scratch,
        .cursor = cursor,
    };
}

static int fail(struct events *events, int err)
{
    events->left = 0;
    events->err = err == ERR_MEMORY ? ERR_MEMORY : ERR_CORRUPT;
    return events->err;
}

int events_settle(struct events *events)
{
    if (!events->cursor || events->next == 0) {
        return 0;
    }
    return version_vector_raise(events->cursor, events->actor, events->next - 1);
}

static int begin_chunk(struct events *events)
{
    struct chunk_header header;
    struct bytes chunk;
    int err = chunk_next(&events->rest, &header, &chunk);
    if (err == 0) {
        err = chunk_verify(&header, chunk);
    }
    if (err == 0) {
        err = chunk_body(&header, chunk, events->scratch, &events->run);
    }
    if (err != 0) {
        return err;
    }
    events->actor = header.actor;
    events->next = header.first;
    events->left = header.count;
    events->timestamp_ms = header.timestamp_ms;
    return 0;
}

static int begin_slice(struct events *events)
{
    struct slice slice;
    int err = slice_next(&events->rest, &slice);
    if (err != 0) {
        return err;
    }
    if (slice.actor == 0 || slice.count == 0 || slice.first == 0 ||
        slice.first > COUNTER_MAX - slice.count) {
        return ERR_CORRUPT;
    }
    events->run = slice.events;
    events->actor = slice.actor;
    events->next = slice.first;
    events->left = slice.count;
    events->timestamp_ms = slice.timestamp_ms;
    return 0;
}

int events_advance(struct events *events)
{
    if (events->err) {
        return events->err;
    }
    if (events->run.length != 0) {
        return fail(events, ERR_CORRUPT); // more bytes than events
    }
    int err = events_settle(events);
    if (err != 0) {
        return fail(events, err);
    }
    if (events->rest.length == 0) {
        return EVENTS_END;
    }
    err = events->is_chunks ? begin_chunk(events) : begin_slice(events);
    return err != 0 ? fail(events, err) : 0;
}
