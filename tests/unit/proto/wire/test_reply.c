// Replies survive the way to bytes and back; a client refuses whatever is broken, without a read
// beyond the message, and takes what a later server may add.

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/wire/broken_message.h"
#include "tests/unit/proto/wire/sample_message.h"
#include "tests/unit/sample_bytes.h"

static struct bytes message_of(const struct buffer *frame)
{
    struct bytes rest = buffer_bytes(frame);
    struct bytes message;
    size_t needed;
    ck_assert_int_eq(frame_next(&rest, FRAME_BYTES_MAX, &message, &needed), 0);
    ck_assert_uint_eq(rest.length, 0);
    return message;
}

static int decode(struct bytes message)
{
    struct reply reply;
    struct reason reason = {0};
    int result = reply_decode(message, &reply, &reason);
    ck_assert((result == 0) == (reason.text[0] == '\0'));
    return result;
}

// Calls `check` with messages of each kind.
static void for_each_kind(void (*check)(decode_function *decode, struct bytes message), int rounds)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct reply reply;
    for (size_t i = 0; i < rounds * REPLY_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        do { // not too long: every prefix is tried
            buffer_clear(&frame);
            sample_reply(&sample, REPLY_KINDS[i % REPLY_KINDS_COUNT], &reply);
            ck_assert_int_eq(reply_encode(&reply, &frame), 0);
        } while (frame.length > 2000);
        check(decode, message_of(&frame));
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}

START_TEST(every_reply_survives_the_way_there_and_back)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct reply reply;
    struct reply decoded;
    for (size_t i = 0; i < 200 * REPLY_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        struct reason reason = {0};
        sample_reply(&sample, REPLY_KINDS[i % REPLY_KINDS_COUNT], &reply);
        ck_assert_int_eq(reply_encode(&reply, &frame), 0);
        struct bytes copy = exact_copy(message_of(&frame));
        memset(&decoded, 0xa5, sizeof decoded);
        ck_assert_int_eq(reply_decode(copy, &decoded, &reason), 0);
        assert_same_reply(&reply, &decoded);
        exact_free(copy);
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}
END_TEST

START_TEST(a_head_and_its_events_make_the_same_frame)
{
    static const enum reply_kind KINDS[] = {REPLY_EVENTS, DELIVERY_CHUNKS, DELIVERY_SLICES,
                                            DELIVERY_ASSIGNED, DELIVERY_ASSIGNED_CHUNKS};
    struct sample sample;
    sample_init(&sample, test_seed());
    struct reply reply;
    for (int round = 0; round < 300; round++) {
        struct buffer whole = {0};
        struct buffer parts = {0};
        sample_reply(&sample, KINDS[(size_t)round % (sizeof KINDS / sizeof KINDS[0])], &reply);
        bool is_assigned =
            reply.kind == DELIVERY_ASSIGNED || reply.kind == DELIVERY_ASSIGNED_CHUNKS;
        struct bytes *place = is_assigned ? &reply.assigned.slices : &reply.events;
        struct bytes events = *place;
        ck_assert_int_eq(reply_encode(&reply, &whole), 0);
        *place = (struct bytes){0};
        ck_assert_int_eq(reply_encode_head(&reply, events.length, &parts), 0);
        ck_assert_int_eq(buffer_append(&parts, events), 0);
        ck_assert_int_eq(bytes_compare(buffer_bytes(&whole), buffer_bytes(&parts)), 0);
        buffer_deinit(&whole);
        buffer_deinit(&parts);
    }
    sample_deinit(&sample);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
    for_each_kind(assert_prefixes_refused, 3);
}
END_TEST

START_TEST(bytes_behind_the_array_are_refused)
{
    for_each_kind(assert_longer_bytes_refused, 3);
}
END_TEST

START_TEST(wrong_types_are_refused)
{
    for_each_kind(assert_wrong_types_refused, 3);
}
END_TEST

// How many elements a kind has whose last one may be left out; 0: none may.
static size_t elements_with_optional(struct bytes message)
{
    uint8_t kind = message.data[0] < 0xa0 ? message.data[1] : 0;
    return kind == DELIVERY_MARK ? 6 : kind == REPLY_SUBSCRIPTIONS ? 7 : 0;
}

static void missing_elements(decode_function *decoder, struct bytes message)
{
    bool has_optional = message_elements(message) == elements_with_optional(message);
    assert_missing_elements_refused(decoder, message, has_optional ? 1 : 0);
}

START_TEST(missing_elements_are_refused)
{
    for_each_kind(missing_elements, 3);
}
END_TEST

// Where an optional element is left out, what stands in its place is no further element.
static bool takes_further_elements(struct bytes message)
{
    size_t elements = elements_with_optional(message);
    return elements == 0 || message_elements(message) == elements;
}

static void further_elements(decode_function *decoder, struct bytes message)
{
    if (takes_further_elements(message)) {
        assert_further_elements_passed(decoder, message);
    }
}

static void deep_nesting(decode_function *decoder, struct bytes message)
{
    if (takes_further_elements(message)) {
        assert_deep_nesting_refused(decoder, message);
    }
}

START_TEST(further_elements_are_passed)
{
    for_each_kind(further_elements, 3);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    for_each_kind(deep_nesting, 3);
}
END_TEST

START_TEST(changed_bytes_are_refused_or_mean_a_reply)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct reply reply;
    struct reply again;
    for (size_t i = 0; i < 500 * REPLY_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        sample_reply(&sample, REPLY_KINDS[i % REPLY_KINDS_COUNT], &reply);
        ck_assert_int_eq(reply_encode(&reply, &frame), 0);
        size_t near = frame.length - 4 < 100 ? frame.length - 4 : 100;
        for (uint64_t changes = 1 + random_below(&sample.random, 3); changes > 0; changes--) {
            size_t place = random_below(&sample.random, near);
            frame.data[4 + place] = (uint8_t)random_u64(&sample.random);
        }
        struct bytes copy = exact_copy(message_of(&frame));
        struct buffer second = {0};
        if (reply_decode(copy, &reply, NULL) == 0) {
            ck_assert_int_eq(reply_encode(&reply, &second), 0);
            ck_assert_int_eq(reply_decode(message_of(&second), &again, NULL), 0);
            assert_same_reply(&reply, &again);
        }
        buffer_deinit(&second);
        exact_free(copy);
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}
END_TEST

START_TEST(unknown_kinds_are_told_with_their_id)
{
    static const char *UNKNOWN[] = {
        "92 01 07", "92 00 07",         "92 40 07",   "93 4d 07 c0",
        "92 4f 07", "94 56 07 a161 80", "92 cc80 07", "92 cf ffffffffffffffff 07",
    };
    for (size_t i = 0; i < sizeof UNKNOWN / sizeof UNKNOWN[0]; i++) {
        struct buffer bytes = {0};
        append_hex(&bytes, UNKNOWN[i]);
        struct reply reply;
        struct reason reason = {0};
        int result = reply_decode(buffer_bytes(&bytes), &reply, &reason);
        ck_assert_int_eq(result, MESSAGE_UNKNOWN_KIND);
        ck_assert_uint_eq(reply.id, 7);
        ck_assert(reason.text[0] != '\0');
        buffer_deinit(&bytes);
    }
}
END_TEST

START_TEST(a_frame_beyond_the_ceiling_is_not_written)
{
    struct reply reply = {.kind = DELIVERY_CHUNKS, .id = 1};
    struct buffer out = {0};
    append_hex(&out, "0102");
    ck_assert_int_eq(reply_encode_head(&reply, FRAME_BYTES_MAX, &out), ERR_LIMIT);
    assert_bytes_are(buffer_bytes(&out), "0102");
    ck_assert_int_eq(reply_encode_head(&reply, EVENT_BYTES_MAX, &out), 0);
    buffer_deinit(&out);
}
END_TEST

START_TEST(every_error_has_a_name_of_its_own)
{
    size_t named = 0;
    for (uint32_t code = 0; code < 256; code++) {
        const char *name = wire_error_name((enum wire_error)code);
        ck_assert_ptr_nonnull(name);
        if (strcmp(name, "unknown_error") == 0) {
            continue;
        }
        named++;
        for (uint32_t other = 0; other < code; other++) {
            ck_assert_str_ne(name, wire_error_name((enum wire_error)other));
        }
    }
    ck_assert_uint_eq(named, 26);
    ck_assert_str_eq(wire_error_name(WIRE_INVALID_GLOB), "invalid_glob");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    suite_add(suite, every_reply_survives_the_way_there_and_back);
    suite_add(suite, a_head_and_its_events_make_the_same_frame);
    suite_add(suite, every_prefix_is_refused);
    suite_add(suite, bytes_behind_the_array_are_refused);
    suite_add(suite, wrong_types_are_refused);
    suite_add(suite, missing_elements_are_refused);
    suite_add(suite, further_elements_are_passed);
    suite_add(suite, deep_nesting_is_refused);
    suite_add(suite, changed_bytes_are_refused_or_mean_a_reply);
    suite_add(suite, unknown_kinds_are_told_with_their_id);
    suite_add(suite, a_frame_beyond_the_ceiling_is_not_written);
    suite_add(suite, every_error_has_a_name_of_its_own);
    return check_main(suite);
}
