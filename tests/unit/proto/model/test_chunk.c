// A chunk's bytes are fixed forever, any change to them is noticed, and nothing beyond them read.

#include "proto/model/chunk.h"

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_event.h"

static struct chunk_header sample_header(uint16_t count)
{
    struct chunk_header header = {
        .actor = 3,
        .count = count,
        .first = 1000,
        .open = 5,
        .prev = 990,
        .timestamp_ms = 1700000000000,
    };
    memset(header.prev_hash.bytes, 0xab, sizeof header.prev_hash.bytes);
    return header;
}

static void append_chunk(struct buffer *out, struct bytes body, uint16_t count, bool compressed)
{
    void *state = compressed ? malloc(compress_state_bytes()) : NULL;
    struct chunk_header header = sample_header(count);
    ck_assert_int_eq(chunk_append(out, &header, body, state), 0);
    free(state);
}

// Two small events, plain.
static void append_small_chunk(struct buffer *out)
{
    struct buffer body = {0};
    append_event(&body, "/a", "hi");
    append_event(&body, "/b", "");
    append_chunk(out, buffer_bytes(&body), 2, false);
    buffer_deinit(&body);
}

static void append_compressed_chunk(struct buffer *out)
{
    size_t start = out->length;
    struct buffer body = {0};
    for (unsigned i = 0; i < 5; i++) {
        append_event(&body, "/orders/eu", "the same words in each of these events");
    }
    append_chunk(out, buffer_bytes(&body), 5, true);
    ck_assert_int_eq(out->data[start + 1], CHUNK_LZ4);
    buffer_deinit(&body);
}

START_TEST(bytes_are_the_published_ones)
{
    struct buffer out = {0};
    append_small_chunk(&out);
    assert_bytes_are(buffer_bytes(&out), "01 00 0000 0003 0002 00000000000003e8" // format .. first
                                         "00000005 0000000e 0000000e 587b5cf5"   // open .. check
                                         "00000000000003de abababababababababababababababab"
                                         "0000018bcfe56800 a067ba49079ae2a5cf340df8b1325c45"
                                         "92a22f61c4026869 92a22f62c400");
    struct hash128 hash = chunk_hash(out.data);
    assert_bytes_are(bytes_of(hash.bytes, 16), "166b0f62c285e9b633e1c1562c920bb4");
    buffer_deinit(&out);
}
END_TEST

static void assert_headers_equal(const struct chunk_header *a, const struct chunk_header *b)
{
    ck_assert_uint_eq(a->encoding, b->encoding);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->actor, b->actor);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_uint_eq(a->first, b->first);
    ck_assert_uint_eq(a->open, b->open);
    ck_assert_uint_eq(a->plain_length, b->plain_length);
    ck_assert_uint_eq(a->encoded_length, b->encoded_length);
    ck_assert_uint_eq(a->prev, b->prev);
    ck_assert(hash128_equal(&a->prev_hash, &b->prev_hash));
    ck_assert_uint_eq(a->timestamp_ms, b->timestamp_ms);
    ck_assert(hash128_equal(&a->body_hash, &b->body_hash));
}

START_TEST(header_comes_back_parsed_and_loaded)
{
    struct buffer out = {0};
    struct buffer body = {0};
    append_event(&body, "/a", "hi");
    struct chunk_header written = sample_header(1);
    ck_assert_int_eq(chunk_append(&out, &written, buffer_bytes(&body), NULL), 0);
    ck_assert_uint_eq(written.plain_length, body.length);
    ck_assert_uint_eq(chunk_last(&written), 1000);
    struct chunk_header parsed;
    struct chunk_header loaded;
    ck_assert_int_eq(chunk_header_parse(buffer_bytes(&out), &parsed), 0);
    chunk_header_load(out.data, &loaded);
    assert_headers_equal(&written, &parsed);
    assert_headers_equal(&written, &loaded);
    buffer_deinit(&body);
    buffer_deinit(&out);
}
END_TEST

START_TEST(bodies_come_back_plain_and_compressed)
{
    struct random random;
    random_init(&random, test_seed());
    struct buffer scratch = {0};
    struct buffer out = {0};
    for (unsigned round = 0; round < test_rounds(300); round++) {
        struct buffer body = {0};
        uint16_t count = (uint16_t)(1 + random_below(&random, CHUNK_EVENTS_MAX));
        append_random_events_of(&body, &random, count, false);
        buffer_clear(&out);
        append_chunk(&out, buffer_bytes(&body), count, round % 2);
        struct bytes copy = exact_copy(buffer_bytes(&out));
        struct bytes rest = copy;
        struct chunk_header header;
        struct bytes chunk;
        struct bytes plain;
        ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
        ck_assert_uint_eq(rest.length, 0);
        ck_assert(bytes_equal(chunk, copy));
        ck_assert_int_eq(chunk_verify(&header, chunk), 0);
        ck_assert_int_eq(chunk_body(&header, chunk, &scratch, &plain), 0);
        ck_assert(bytes_equal(plain, buffer_bytes(&body)));
        ck_assert_int_eq(chunk_validate(copy, 2000, &scratch, NULL), 0);
        exact_free(copy);
        buffer_deinit(&body);
    }
    buffer_deinit(&out);
    buffer_deinit(&scratch);
}
END_TEST

START_TEST(a_body_is_compressed_only_if_an_eighth_is_saved)
{
    struct random random;
    random_init(&random, 1);
    uint8_t noise[1000];
    random_bytes(&random, noise, sizeof noise);
    struct bytes none = {0};
    for (size_t repeated = 0; repeated <= sizeof noise / 2; repeated += 20) {
        struct buffer body = {0};
        struct buffer out = {0};
        memset(noise, 'r', repeated);
        struct bytes data = bytes_of(noise, sizeof noise);
        ck_assert_int_eq(event_append(&body, bytes_of_text("/a"), data, none), 0);
        append_chunk(&out, buffer_bytes(&body), 1, true);
        size_t encoded = out.length - CHUNK_HEADER_LENGTH;
        if (out.data[1] == CHUNK_LZ4) {
            ck_assert_uint_le(encoded, body.length - body.length / 8);
        } else {
            ck_assert_uint_eq(encoded, body.length);
            ck_assert_uint_lt(repeated, 200);
        }
        buffer_deinit(&body);
        buffer_deinit(&out);
    }
}
END_TEST

// What a receiver does with bytes: 0 only if all of it is right.
static int receive(struct bytes bytes, struct buffer *scratch)
{
    struct bytes copy = exact_copy(bytes);
    struct bytes rest = copy;
    struct chunk_header header;
    struct bytes chunk;
    int err = chunk_next(&rest, &header, &chunk);
    if (err == 0) {
        err = chunk_verify(&header, chunk);
    }
    int validated = chunk_validate(copy, 1000, scratch, NULL);
    ck_assert_int_eq(validated == 0, err == 0);
    exact_free(copy);
    return err;
}

static void check_flips(struct buffer *chunk)
{
    struct buffer scratch = {0};
    ck_assert_int_eq(receive(buffer_bytes(chunk), &scratch), 0);
    for (size_t bit = 0; bit < 8 * chunk->length; bit++) {
        chunk->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(receive(buffer_bytes(chunk), &scratch) < 0, "bit %zu", bit);
        if (bit < 8 * CHUNK_HEADER_LENGTH) {
            struct chunk_header header;
            ck_assert_int_lt(chunk_header_parse(buffer_bytes(chunk), &header), 0);
        }
        chunk->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buffer_deinit(&scratch);
}

START_TEST(every_flipped_bit_is_noticed)
{
    struct buffer out = {0};
    append_small_chunk(&out);
    check_flips(&out);
    buffer_clear(&out);
    append_compressed_chunk(&out);
    check_flips(&out);
    buffer_deinit(&out);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
    struct buffer scratch = {0};
    struct buffer out = {0};
    for (unsigned kind = 0; kind < 2; kind++) {
        buffer_clear(&out);
        if (kind == 0) {
            append_small_chunk(&out);
        } else {
            append_compressed_chunk(&out);
        }
        for (size_t length = 0; length < out.length; length++) {
            ck_assert_int_eq(receive(bytes_of(out.data, length), &scratch), ERR_CORRUPT);
        }
    }
    buffer_deinit(&out);
    buffer_deinit(&scratch);
}
END_TEST

START_TEST(chunks_are_taken_one_by_one)
{
    struct buffer out = {0};
    append_small_chunk(&out);
    append_compressed_chunk(&out);
    struct bytes rest = buffer_bytes(&out);
    struct chunk_header header;
    struct bytes chunk;
    ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
    ck_assert_uint_eq(header.count, 2);
    ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
    ck_assert_uint_eq(header.count, 5);
    ck_assert_uint_eq(rest.length, 0);
    ck_assert_int_eq(chunk_next(&rest, &header, &chunk), ERR_CORRUPT);
    buffer_deinit(&out);
}
END_TEST

// The header of the small chunk with one change, and its check made right again.
static int parse_changed(void (*change)(struct chunk_header *))
{
    struct chunk_header header = sample_header(2);
    header.plain_length = header.encoded_length = 14;
    if (change) {
        change(&header);
    }
    uint8_t encoded[CHUNK_HEADER_LENGTH];
    chunk_header_encode(&header, encoded);
    struct chunk_header parsed = {.actor = 77};
    int err = chunk_header_parse(bytes_of(encoded, sizeof encoded), &parsed);
    ck_assert_int_eq(parsed.actor == 77, err != 0);
    return err;
}

#define CHANGE(name, statement)                                                                    \
    static void name(struct chunk_header *header)                                                  \
    {                                                                                              \
        statement;                                                                                 \
    }
CHANGE(no_actor, header->actor = 0)
CHANGE(no_events, header->count = 0)
CHANGE(too_many_events, header->count = 65; header->plain_length = header->encoded_length = 999)
CHANGE(no_counter, header->first = 0; header->prev = 0)
CHANGE(counter_too_high, header->first = COUNTER_MAX)
CHANGE(counter_highest, header->first = COUNTER_MAX - 1)
CHANGE(prev_not_below, header->prev = header->first)
CHANGE(hash_without_prev, header->prev = 0)
CHANGE(plain_and_shorter, header->encoded_length--)
CHANGE(too_short_for_its_events, header->plain_length = header->encoded_length = 9)
CHANGE(compressed_to_more, header->encoding = CHUNK_LZ4)
CHANGE(compressed_to_less, header->encoding = CHUNK_LZ4; header->encoded_length = 13)
CHANGE(compressed_impossibly, header->encoding = CHUNK_LZ4; header->plain_length = 256;
       header->encoded_length = 1)
CHANGE(other_encoding, header->encoding = 2)
CHANGE(system_flag, header->flags = CHUNK_HAS_SYSTEM)
CHANGE(unknown_flag, header->flags = CHUNK_HAS_SYSTEM | 2)
CHANGE(body_too_long,
       header->plain_length = header->encoded_length = (uint32_t)(CHUNK_BODY_BYTES_MAX + 1))
CHANGE(body_longest, header->plain_length = header->encoded_length = CHUNK_BODY_BYTES_MAX)
CHANGE(too_many_open, header->open = PRODUCE_EVENTS_MAX + 1)

START_TEST(headers_that_make_no_sense_are_refused)
{
    ck_assert_int_eq(parse_changed(NULL), 0);
    ck_assert_int_eq(parse_changed(no_actor), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(no_events), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(too_many_events), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(no_counter), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(counter_too_high), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(counter_highest), 0);
    ck_assert_int_eq(parse_changed(prev_not_below), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(hash_without_prev), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(plain_and_shorter), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(too_short_for_its_events), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(compressed_to_more), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(compressed_to_less), 0);
    ck_assert_int_eq(parse_changed(compressed_impossibly), ERR_CORRUPT);
    ck_assert_int_eq(parse_changed(other_encoding), ERR_VERSION);
    ck_assert_int_eq(parse_changed(system_flag), 0);
    ck_assert_int_eq(parse_changed(unknown_flag), ERR_VERSION);
    ck_assert_int_eq(parse_changed(body_too_long), ERR_LIMIT);
    ck_assert_int_eq(parse_changed(body_longest), 0);
    ck_assert_int_eq(parse_changed(too_many_open), ERR_LIMIT);
    uint8_t newer[CHUNK_HEADER_LENGTH] = {CHUNK_FORMAT + 1};
    struct chunk_header header;
    ck_assert_int_eq(chunk_header_parse(bytes_of(newer, sizeof newer), &header), ERR_VERSION);
}
END_TEST

static int validate_flagged_body(const char *hex, uint16_t count, uint16_t flags,
                                 struct reason *reason)
{
    struct buffer body = {0};
    struct buffer out = {0};
    struct buffer scratch = {0};
    append_hex(&body, hex);
    struct chunk_header header = sample_header(count);
    header.flags = flags;
    ck_assert_int_eq(chunk_append(&out, &header, buffer_bytes(&body), NULL), 0);
    struct bytes copy = exact_copy(buffer_bytes(&out));
    reason_clear(reason);
    int err = chunk_validate(copy, 4, &scratch, reason);
    exact_free(copy);
    buffer_deinit(&body);
    buffer_deinit(&out);
    buffer_deinit(&scratch);
    return err;
}

static int validate_body(const char *hex, uint16_t count, struct reason *reason)
{
    return validate_flagged_body(hex, count, 0, reason);
}

START_TEST(a_chunk_holds_exactly_its_events)
{
    struct reason reason;
    ck_assert_int_eq(validate_body("92a161c400 92a162c400", 2, &reason), 0);
    ck_assert_int_eq(validate_body("92a161c400 92a162c400", 1, &reason), ERR_CORRUPT);
    ck_assert_str_eq(reason.text, "the chunk 1000.3 holds more than its 1 events");
    ck_assert_int_eq(validate_body("92a161c400 92a162c4050000", 2, &reason), ERR_CORRUPT);
    ck_assert_str_eq(reason.text, "event 1 of the chunk 1000.3 is malformed");
    ck_assert_int_eq(validate_body("92a161c4050102030405", 1, &reason), ERR_LIMIT);
    ck_assert_int_eq(validate_body("92a1ffc400", 1, &reason), ERR_INVALID);
}
END_TEST

START_TEST(namespaces_of_the_system_stand_in_chunks_of_their_own)
{
    static const char *SYSTEM = "92a22f24c400 92a22f24c400";
    static const char *USERS = "92a161c400 92a162c400";
    static const char *MIXED = "92a22f24c400 92a162c400";
    struct reason reason;
    ck_assert_int_eq(validate_flagged_body(SYSTEM, 2, CHUNK_HAS_SYSTEM, &reason), 0);
    ck_assert_int_eq(validate_flagged_body(SYSTEM, 2, 0, &reason), ERR_INVALID);
    ck_assert_int_eq(validate_flagged_body(USERS, 2, 0, &reason), 0);
    ck_assert_int_eq(validate_flagged_body(USERS, 2, CHUNK_HAS_SYSTEM, &reason), ERR_INVALID);
    ck_assert_int_eq(validate_flagged_body(MIXED, 2, 0, &reason), ERR_INVALID);
    ck_assert_int_eq(validate_flagged_body(MIXED, 2, CHUNK_HAS_SYSTEM, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text,
                     "the chunk 1000.3 of the system holds an event of another namespace");
}
END_TEST

START_TEST(a_chunk_with_something_behind_it_is_no_chunk)
{
    struct buffer out = {0};
    struct buffer scratch = {0};
    struct reason reason;
    append_small_chunk(&out);
    ck_assert_int_eq(buffer_append(&out, bytes_of_text("x")), 0);
    ck_assert_int_eq(chunk_validate(buffer_bytes(&out), 10, &scratch, &reason), ERR_CORRUPT);
    ck_assert_str_eq(reason.text, "the chunk 1000.3 has 95 bytes instead of 94");
    buffer_deinit(&out);
    buffer_deinit(&scratch);
}
END_TEST

START_TEST(a_body_that_is_not_lz4_is_corrupt)
{
    struct buffer out = {0};
    struct buffer scratch = {0};
    append_compressed_chunk(&out);
    struct chunk_header header;
    struct bytes body;
    ck_assert_int_eq(chunk_header_parse(buffer_bytes(&out), &header), 0);
    header.plain_length++;
    ck_assert_int_eq(chunk_body(&header, buffer_bytes(&out), &scratch, &body), ERR_CORRUPT);
    header.plain_length -= 2;
    ck_assert_int_eq(chunk_body(&header, buffer_bytes(&out), &scratch, &body), ERR_CORRUPT);
    buffer_deinit(&out);
    buffer_deinit(&scratch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk");
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, header_comes_back_parsed_and_loaded);
    suite_add(suite, bodies_come_back_plain_and_compressed);
    suite_add(suite, a_body_is_compressed_only_if_an_eighth_is_saved);
    suite_add(suite, every_flipped_bit_is_noticed);
    suite_add(suite, every_prefix_is_refused);
    suite_add(suite, chunks_are_taken_one_by_one);
    suite_add(suite, headers_that_make_no_sense_are_refused);
    suite_add(suite, a_chunk_holds_exactly_its_events);
    suite_add(suite, namespaces_of_the_system_stand_in_chunks_of_their_own);
    suite_add(suite, a_chunk_with_something_behind_it_is_no_chunk);
    suite_add(suite, a_body_that_is_not_lz4_is_corrupt);
    return check_main(suite);
}
