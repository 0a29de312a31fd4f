// Chunks, as they come and with their hashes made right, so that what lies behind the hashes is
// reached too: what is validated can be walked.

#include "proto/model/chunk.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz_target.h"

static void walk(struct bytes chunk, struct buffer *scratch)
{
    struct chunk_header header;
    struct bytes rest = chunk;
    struct bytes taken;
    struct bytes body;
    int err = chunk_next(&rest, &header, &taken);
    assert(err == 0 && rest.length == 0 && taken.length == chunk.length);
    err = chunk_body(&header, taken, scratch, &body);
    assert(err == 0 && body.length == header.plain_length);
    for (unsigned i = 0; i < header.count; i++) {
        struct event event;
        event_next_trusted(&body, &event);
    }
    assert(body.length == 0);
    uint8_t encoded[CHUNK_HEADER_LENGTH];
    chunk_header_encode(&header, encoded);
    assert(memcmp(encoded, chunk.data, sizeof encoded) == 0);
}

static void check(struct bytes chunk)
{
    struct buffer scratch = {0};
    struct reason reason = {0};
    int err = chunk_validate(chunk, 1000, &scratch, &reason);
    assert((err != 0) == (reason.text[0] != '\0'));
    if (err == 0) {
        walk(chunk, &scratch);
    }
    buffer_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    check(bytes_of(data, length));
    if (length < CHUNK_HEADER_LENGTH) {
        return 0;
    }
    uint8_t *copy = malloc(length);
    assert(copy);
    memcpy(copy, data, length);
    copy[0] = CHUNK_FORMAT;
    struct chunk_header header;
    chunk_header_load(copy, &header);
    header.encoded_length = (uint32_t)(length - CHUNK_HEADER_LENGTH);
    header.body_hash = hash128(bytes_of(copy + CHUNK_HEADER_LENGTH, header.encoded_length));
    chunk_header_encode(&header, copy);
    check(bytes_of(copy, length));
    free(copy);
    return 0;
}
