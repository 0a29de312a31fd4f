// Messages between members survive the way to bytes and back; whatever is broken, or cannot be
// meant, is refused without a read beyond the message.

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/pack.h"
#include "proto/wire/peer_wire.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/wire/broken_message.h"
#include "tests/unit/proto/wire/sample_peer.h"
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
    struct peer_scratch scratch = {0};
    struct peer_message decoded;
    struct reason reason = {0};
    int result = peer_decode(message, &scratch, &decoded, &reason);
    ck_assert((result == 0) == (reason.text[0] == '\0'));
    peer_scratch_deinit(&scratch);
    return result;
}

// Calls `check` with messages of each kind.
static void for_each_kind(void (*check)(decode_function *decode, struct bytes message), int rounds)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct peer_message message;
    for (size_t i = 0; i < rounds * PEER_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        do { // not too long: every prefix is tried
            buffer_clear(&frame);
            sample_peer(&sample, PEER_KINDS[i % PEER_KINDS_COUNT], &message);
            ck_assert_int_eq(peer_encode(&message, &frame), 0);
        } while (frame.length > 2000);
        check(decode, message_of(&frame));
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}

START_TEST(every_message_survives_the_way_there_and_back)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct peer_scratch scratch = {0};
    struct peer_message message;
    struct peer_message decoded;
    for (size_t i = 0; i < test_rounds(200) * PEER_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        struct reason reason = {0};
        sample_peer(&sample, PEER_KINDS[i % PEER_KINDS_COUNT], &message);
        ck_assert_int_eq(peer_encode(&message, &frame), 0);
        struct bytes copy = exact_copy(message_of(&frame));
        memset(&decoded, 0xa5, sizeof decoded);
        ck_assert_int_eq(peer_decode(copy, &scratch, &decoded, &reason), 0);
        assert_same_peer(&message, &decoded);
        exact_free(copy);
        buffer_deinit(&frame);
    }
    peer_scratch_deinit(&scratch);
    sample_deinit(&sample);
}
END_TEST

START_TEST(a_head_and_its_chunks_make_the_same_frame)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct peer_message message;
    for (int round = 0; round < 100; round++) {
        struct buffer whole = {0};
        struct buffer parts = {0};
        sample_peer(&sample, PEER_CHUNKS, &message);
        struct bytes chunks = message.chunks.chunks;
        ck_assert_int_eq(peer_encode(&message, &whole), 0);
        message.chunks.chunks = (struct bytes){0};
        ck_assert_int_eq(peer_encode_chunks_head(&message, chunks.length, &parts), 0);
        ck_assert_int_eq(buffer_append(&parts, chunks), 0);
        ck_assert_int_eq(bytes_compare(buffer_bytes(&whole), buffer_bytes(&parts)), 0);
        buffer_deinit(&whole);
        buffer_deinit(&parts);
    }
    sample_deinit(&sample);
}
END_TEST

START_TEST(a_head_and_its_message_make_the_same_frame)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct peer_message message;
    for (int round = 0; round < 100; round++) {
        struct buffer whole = {0};
        struct buffer parts = {0};
        sample_peer(&sample, round % 2 ? PEER_FORWARD : PEER_FORWARDED, &message);
        struct bytes forwarded = message.forward.message;
        ck_assert_int_eq(peer_encode(&message, &whole), 0);
        message.forward.message = (struct bytes){0};
        ck_assert_int_eq(peer_encode_forward_head(&message, forwarded.length, &parts), 0);
        ck_assert_int_eq(buffer_append(&parts, forwarded), 0);
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

static bool is_forward_end(struct bytes message)
{
    return message.data[0] < 0xa0 && message.data[1] == PEER_FORWARD_END;
}

// What was not taken may be left out of FORWARD_END.
static void missing_elements(decode_function *decoder, struct bytes message)
{
    bool has_optional = is_forward_end(message) && message_elements(message) == 4;
    assert_missing_elements_refused(decoder, message, has_optional ? 1 : 0);
}

// Where it is, what stands in its place is no further element.
static bool takes_further_elements(struct bytes message)
{
    return !is_forward_end(message) || message_elements(message) == 4;
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

START_TEST(missing_elements_are_refused)
{
    for_each_kind(missing_elements, 3);
}
END_TEST

START_TEST(further_elements_are_passed)
{
    for_each_kind(further_elements, 3);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    for_each_kind(deep_nesting, 1);
}
END_TEST

START_TEST(changed_bytes_are_refused_or_mean_a_message)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct peer_scratch scratch = {0};
    struct peer_scratch scratch_again = {0};
    struct peer_message message;
    struct peer_message again;
    for (size_t i = 0; i < test_rounds(500) * PEER_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        struct buffer second = {0};
        sample_peer(&sample, PEER_KINDS[i % PEER_KINDS_COUNT], &message);
        ck_assert_int_eq(peer_encode(&message, &frame), 0);
        size_t near = frame.length - 4 < 200 ? frame.length - 4 : 200;
        for (uint64_t changes = 1 + random_below(&sample.random, 3); changes > 0; changes--) {
            size_t place = random_below(&sample.random, near);
            frame.data[4 + place] = (uint8_t)random_u64(&sample.random);
        }
        struct bytes copy = exact_copy(message_of(&frame));
        if (peer_decode(copy, &scratch, &message, NULL) == 0) {
            ck_assert_int_eq(peer_encode(&message, &second), 0);
            int err = peer_decode(message_of(&second), &scratch_again, &again, NULL);
            ck_assert_int_eq(err, 0);
            assert_same_peer(&message, &again);
        }
        buffer_deinit(&second);
        exact_free(copy);
        buffer_deinit(&frame);
    }
    peer_scratch_deinit(&scratch_again);
    peer_scratch_deinit(&scratch);
    sample_deinit(&sample);
}
END_TEST

static int decode_hex(const char *hex)
{
    struct buffer bytes = {0};
    append_hex(&bytes, hex);
    struct bytes copy = exact_copy(buffer_bytes(&bytes));
    int result = decode(copy);
    exact_free(copy);
    buffer_deinit(&bytes);
    return result;
}

START_TEST(unknown_kinds_are_told_apart)
{
    static const char *UNKNOWN[] = {"92 00 00", "92 01 00", "92 5f 00", "93 70 00 c0",
                                    "92 ccff 00"};
    for (size_t i = 0; i < sizeof UNKNOWN / sizeof UNKNOWN[0]; i++) {
        ck_assert_int_eq(decode_hex(UNKNOWN[i]), MESSAGE_UNKNOWN_KIND);
    }
    ck_assert_int_eq(decode_hex("93 70 00 a2 61"), ERR_INVALID);
}
END_TEST

#define HASH "c410 00000000000000000000000000000000"
#define UUID "c410 01000000000000000000000000000000"

START_TEST(what_cannot_be_meant_is_refused)
{
    static const char *SOUND[] = {
        "94 62 00 00 92 93 01 05 " HASH "93 02 05 " HASH,
        "93 63 00 92 93 01 05 05 93 02 05 00",
        "95 65 00 01 00 " HASH,
        "93 66 00 01",
        "94 68 00 01 c400",
        "93 61 00 c400",
        "93 64 00 91 96 " UUID "00 01 02 c3 a0",
        "97 6a 00 01 00 00 " HASH "a0",   // may be asked without an actor
        "97 6a 00 cc63 00 00 " HASH "a0", // a question of a later version
    };
    static const char *BROKEN[] = {
        "94 62 00 00 92 93 02 05 " HASH "93 01 05 " HASH, // actors out of order
        "94 62 00 00 92 93 02 05 " HASH "93 02 05 " HASH, // twice
        "94 62 00 00 91 93 00 05 " HASH,                  // actor 0
        "94 62 00 00 91 93 01 cf8000000000000000 " HASH,  // counter of 2^63
        "94 62 00 00 91 92 01 05",                        // an entry that is too short
        "94 62 00 00 92 93 01 05 " HASH,                  // fewer entries than claimed
        "93 63 00 92 93 02 05 05 93 01 05 05",            // actors out of order
        "93 63 00 91 93 00 05 05",                        // actor 0
        "93 63 00 91 93 01 05 06",                        // a head above the promise
        "95 65 00 00 00 " HASH,                           // pull of actor 0
        "95 65 00 01 cf8000000000000000 " HASH,           // of a counter of 2^63
        "93 66 00 00",                                    // unpull of actor 0
        "93 66 00 ce00010000",                            // of actor 65536
        "95 67 00 ce40000001 00 00",                      // credit above 1 GiB
        "94 68 00 00 c400",                               // chunks of actor 0
        "93 61 00 c401 00",                               // a proof of one byte
        "93 64 00 91 96 " HASH "01 01 02 c3 a0",          // a member without a node
        "97 6a 00 04 00 00 " HASH "a0",                   // what do you hold of actor 0
    };
    for (size_t i = 0; i < sizeof SOUND / sizeof SOUND[0]; i++) {
        ck_assert_msg(decode_hex(SOUND[i]) == 0, "%s", SOUND[i]);
    }
    for (size_t i = 0; i < sizeof BROKEN / sizeof BROKEN[0]; i++) {
        ck_assert_msg(decode_hex(BROKEN[i]) == ERR_INVALID, "%s", BROKEN[i]);
    }
}
END_TEST

// A frame's message with one text of `length` bytes in place of element `index`.
static int decode_with_text(struct peer_message *message, size_t index, size_t length)
{
    struct buffer frame = {0};
    struct buffer text = {0};
    struct buffer value = {0};
    struct buffer longer = {0};
    struct pack pack;
    ck_assert_int_eq(peer_encode(message, &frame), 0);
    ck_assert_int_eq(buffer_reserve(&text, length), 0);
    memset(text.data, 'a', length);
    pack_init(&pack, &value);
    pack_text(&pack, bytes_of(text.data, length));
    ck_assert_int_eq(pack_finish(&pack), 0);
    append_with_element(&longer, message_of(&frame), index, buffer_bytes(&value));
    int result = decode(buffer_bytes(&longer));
    buffer_deinit(&longer);
    buffer_deinit(&value);
    buffer_deinit(&text);
    buffer_deinit(&frame);
    return result;
}

START_TEST(texts_are_bounded)
{
    static const struct {
        enum peer_message_kind kind;
        size_t index;
        size_t length_max;
    } TEXTS[] = {
        {PEER_HELLO, 5, NAME_BYTES_MAX},          {PEER_HELLO, 6, NAME_BYTES_MAX},
        {PEER_HELLO, 14, PEER_ADDRESS_BYTES_MAX}, {PEER_ASK, 6, PEER_ADDRESS_BYTES_MAX},
        {PEER_ANSWER, 8, PEER_TEXT_BYTES_MAX},    {PEER_REFUSE, 3, PEER_TEXT_BYTES_MAX},
    };
    struct sample sample;
    sample_init(&sample, test_seed());
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct peer_message message;
        sample_peer(&sample, TEXTS[i].kind, &message);
        ck_assert_int_eq(decode_with_text(&message, TEXTS[i].index, TEXTS[i].length_max), 0);
        int longer = decode_with_text(&message, TEXTS[i].index, TEXTS[i].length_max + 1);
        ck_assert_int_eq(longer, ERR_LIMIT);
    }
    sample_deinit(&sample);
}
END_TEST

// Appends `count` promises without anything wrong but their number.
static void append_promises(struct buffer *out, uint32_t count)
{
    struct pack pack;
    pack_init(&pack, out);
    pack_array(&pack, 3);
    pack_uint(&pack, PEER_PROMISES);
    pack_uint(&pack, 0);
    pack_array(&pack, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_array(&pack, 3);
        pack_uint(&pack, i + 1);
        pack_uint(&pack, 7);
        pack_uint(&pack, 7);
    }
    ck_assert_int_eq(pack_finish(&pack), 0);
}

START_TEST(counts_are_bounded_before_there_is_room_made)
{
    struct buffer message = {0};
    append_promises(&message, PEER_ENTRIES_MAX);
    ck_assert_int_eq(decode(buffer_bytes(&message)), 0);
    buffer_clear(&message);
    append_promises(&message, PEER_ENTRIES_MAX + 1);
    ck_assert_int_eq(decode(buffer_bytes(&message)), ERR_LIMIT);
    buffer_deinit(&message);
    ck_assert_int_eq(decode_hex("93 63 00 ddffffffff"), ERR_INVALID);
}
END_TEST

START_TEST(a_result_of_a_later_version_is_a_refusal)
{
    struct peer_message message = {.kind = PEER_ANSWER, .answer = {.token = 7}};
    message.answer.result = (enum peer_answer_result)3;
    struct buffer frame = {0};
    struct peer_scratch scratch = {0};
    ck_assert_int_eq(peer_encode(&message, &frame), 0);
    ck_assert_int_eq(peer_decode(message_of(&frame), &scratch, &message, NULL), 0);
    ck_assert_int_eq(message.answer.result, ANSWER_REFUSED);
    ck_assert_uint_eq(message.answer.token, 7);
    peer_scratch_deinit(&scratch);
    buffer_deinit(&frame);
}
END_TEST

START_TEST(a_frame_beyond_the_ceiling_is_not_written)
{
    struct peer_message message = {.kind = PEER_CHUNKS, .chunks = {.actor = 1}};
    struct buffer out = {0};
    append_hex(&out, "0102");
    ck_assert_int_eq(peer_encode_chunks_head(&message, FRAME_BYTES_MAX, &out), ERR_LIMIT);
    assert_bytes_are(buffer_bytes(&out), "0102");
    ck_assert_int_eq(peer_encode_chunks_head(&message, EVENT_BYTES_MAX, &out), 0);
    buffer_deinit(&out);
}
END_TEST

START_TEST(every_refusal_has_a_name_of_its_own)
{
    size_t named = 0;
    for (uint32_t code = 0; code < 64; code++) {
        const char *name = peer_refusal_name((enum peer_refusal)code);
        ck_assert_ptr_nonnull(name);
        if (strcmp(name, "unknown_refusal") == 0) {
            continue;
        }
        named++;
        for (uint32_t other = 0; other < code; other++) {
            ck_assert_str_ne(name, peer_refusal_name((enum peer_refusal)other));
        }
    }
    ck_assert_uint_eq(named, REFUSAL_PROTOCOL);
    ck_assert_str_eq(peer_refusal_name(REFUSAL_CLUSTER), "another_cluster");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer");
    suite_add(suite, every_message_survives_the_way_there_and_back);
    suite_add(suite, a_head_and_its_chunks_make_the_same_frame);
    suite_add(suite, a_head_and_its_message_make_the_same_frame);
    suite_add(suite, every_prefix_is_refused);
    suite_add(suite, bytes_behind_the_array_are_refused);
    suite_add(suite, wrong_types_are_refused);
    suite_add(suite, missing_elements_are_refused);
    suite_add(suite, further_elements_are_passed);
    suite_add(suite, deep_nesting_is_refused);
    suite_add(suite, changed_bytes_are_refused_or_mean_a_message);
    suite_add(suite, unknown_kinds_are_told_apart);
    suite_add(suite, what_cannot_be_meant_is_refused);
    suite_add(suite, texts_are_bounded);
    suite_add(suite, counts_are_bounded_before_there_is_room_made);
    suite_add(suite, a_result_of_a_later_version_is_a_refusal);
    suite_add(suite, a_frame_beyond_the_ceiling_is_not_written);
    suite_add(suite, every_refusal_has_a_name_of_its_own);
    return check_main(suite);
}
