// Requests survive the way to bytes and back; whatever is broken is refused without a read beyond
// the message, and what comes from a later version is told apart from what is broken.

#include "proto/base/limits.h"
#include "proto/model/position.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "proto/wire/pack.h"
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
    struct request request;
    struct reason reason = {0};
    int result = request_decode(message, &request, &reason);
    ck_assert((result == 0) == (reason.text[0] == '\0'));
    return result;
}

// Calls `check` with messages of each kind.
static void for_each_kind(void (*check)(decode_function *decode, struct bytes message), int rounds)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct request request;
    for (size_t i = 0; i < rounds * REQUEST_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        do { // not too long: every prefix is tried
            buffer_clear(&frame);
            sample_request(&sample, REQUEST_KINDS[i % REQUEST_KINDS_COUNT], &request);
            ck_assert_int_eq(request_encode(&request, &frame), 0);
        } while (frame.length > 2000);
        check(decode, message_of(&frame));
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}

START_TEST(every_request_survives_the_way_there_and_back)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct request request;
    struct request decoded;
    for (size_t i = 0; i < 200 * REQUEST_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        struct reason reason = {0};
        sample_request(&sample, REQUEST_KINDS[i % REQUEST_KINDS_COUNT], &request);
        ck_assert_int_eq(request_encode(&request, &frame), 0);
        struct bytes copy = exact_copy(message_of(&frame));
        memset(&decoded, 0xa5, sizeof decoded);
        ck_assert_int_eq(request_decode(copy, &decoded, &reason), 0);
        assert_same_request(&request, &decoded);
        exact_free(copy);
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}
END_TEST

START_TEST(a_head_and_its_events_make_the_same_frame)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct request request;
    for (int round = 0; round < 200; round++) {
        struct buffer whole = {0};
        struct buffer parts = {0};
        sample_request(&sample, REQUEST_PRODUCE, &request);
        struct bytes events = request.produce.events;
        ck_assert_int_eq(request_encode(&request, &whole), 0);
        request.produce.events = (struct bytes){0};
        ck_assert_int_eq(request_encode_head(&request, events.length, &parts), 0);
        ck_assert_int_eq(buffer_append(&parts, events), 0);
        ck_assert_int_eq(request_encode_tail(&request, &parts), 0);
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

// How many elements the message must have; more may follow: of PRODUCE replicas and their timeout,
// of ATTACH the client.
static size_t required_elements(struct bytes message)
{
    uint8_t kind = message.data[1];
    return kind == REQUEST_PRODUCE || kind == REQUEST_ATTACH ? 5 : message_elements(message);
}

static void missing_elements(decode_function *decoder, struct bytes message)
{
    size_t optional = message_elements(message) - required_elements(message);
    assert_missing_elements_refused(decoder, message, optional);
}

START_TEST(missing_elements_are_refused)
{
    for_each_kind(missing_elements, 3);
}
END_TEST

// Where a later element may be missing, what stands in its place is no further element.
static bool has_all_elements(struct bytes message)
{
    size_t elements = message_elements(message);
    return message.data[1] == REQUEST_PRODUCE  ? elements == 7
           : message.data[1] == REQUEST_ATTACH ? elements == 6
                                               : true;
}

static void further_elements(decode_function *decoder, struct bytes message)
{
    if (has_all_elements(message)) {
        assert_further_elements_passed(decoder, message);
    }
}

static void deep_nesting(decode_function *decoder, struct bytes message)
{
    if (has_all_elements(message)) {
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

START_TEST(changed_bytes_are_refused_or_mean_a_request)
{
    struct sample sample;
    sample_init(&sample, test_seed());
    struct request request;
    struct request again;
    for (size_t i = 0; i < 500 * REQUEST_KINDS_COUNT; i++) {
        struct buffer frame = {0};
        sample_request(&sample, REQUEST_KINDS[i % REQUEST_KINDS_COUNT], &request);
        ck_assert_int_eq(request_encode(&request, &frame), 0);
        size_t near = frame.length - 4 < 100 ? frame.length - 4 : 100;
        for (uint64_t changes = 1 + random_below(&sample.random, 3); changes > 0; changes--) {
            size_t place = random_below(&sample.random, near);
            frame.data[4 + place] = (uint8_t)random_u64(&sample.random);
        }
        struct bytes copy = exact_copy(message_of(&frame));
        struct buffer second = {0};
        if (request_decode(copy, &request, NULL) == 0) {
            ck_assert_int_eq(request_encode(&request, &second), 0);
            ck_assert_int_eq(request_decode(message_of(&second), &again, NULL), 0);
            assert_same_request(&request, &again);
        }
        buffer_deinit(&second);
        exact_free(copy);
        buffer_deinit(&frame);
    }
    sample_deinit(&sample);
}
END_TEST

static int decode_hex(const char *hex, uint64_t *id_out, struct reason *reason)
{
    struct buffer bytes = {0};
    append_hex(&bytes, hex);
    struct bytes copy = exact_copy(buffer_bytes(&bytes));
    struct request request;
    *reason = (struct reason){0};
    int result = request_decode(copy, &request, reason);
    *id_out = request.id;
    exact_free(copy);
    buffer_deinit(&bytes);
    return result;
}

START_TEST(unknown_kinds_are_told_with_their_id)
{
    static const char *UNKNOWN[] = {
        "92 00 07", "92 11 07",           "92 20 07",         "93 3f 07 c0",
        "92 41 07", "94 cc80 07 a161 80", "92 cd ffff cc 07", "92 cf ffffffffffffffff 07",
    };
    for (size_t i = 0; i < sizeof UNKNOWN / sizeof UNKNOWN[0]; i++) {
        uint64_t id;
        struct reason reason;
        ck_assert_int_eq(decode_hex(UNKNOWN[i], &id, &reason), MESSAGE_UNKNOWN_KIND);
        ck_assert_uint_eq(id, 7);
        ck_assert(reason.text[0] != '\0');
    }
}
END_TEST

START_TEST(a_broken_message_of_an_unknown_kind_is_broken)
{
    uint64_t id;
    struct reason reason;
    ck_assert_int_eq(decode_hex("93 11 07 a2 61", &id, &reason), ERR_INVALID);
    ck_assert_int_eq(decode_hex("92 11 07 c0", &id, &reason), ERR_INVALID);
}
END_TEST

START_TEST(what_comes_from_a_later_version_is_unsupported)
{
    static const char *LATER[] = {
        "94 04 07 c0 81 00 01", // option 0
        "94 04 07 c0 81 09 01", // option 9
        "94 04 07 c0 81 cf 8000000000000001 01",
        "94 04 07 c0 81 01 91 92 02 a161", // kind of a filter's entry
        "94 04 07 c0 81 02 91 07",         // start
        "94 04 07 c0 81 02 92 07 01",      // start
        "94 04 07 c0 81 03 91 03",         // end
        "94 04 07 c0 81 07 02",            // order
        "96 09 07 c0 03 c0 90",            // neighbor
        "97 0c 07 07 01 00 00 c2",         // a question to the cluster
        "94 04 07 c0 81 13 01",            // an option of something else
        "95 0d 07 c0 a161 81 15 01",       // option 21
        "95 0d 07 c0 a161 81 03 91 00",    // an end, where there is none
        "95 0d 07 c0 a161 81 08 c3",       // marks
        "95 0d 07 c0 a161 81 02 92 06 01", // the last N
        "95 0d 07 c0 a161 81 0d 91 04",    // a kind of key
        "97 10 07 c0 05 a0 a0 80",         // what to do with subscriptions
        "97 10 07 c0 00 a0 a0 81 05 01",   // a consumer's option
        "97 10 07 c0 00 a0 a0 81 0a c3",   // the same
    };
    for (size_t i = 0; i < sizeof LATER / sizeof LATER[0]; i++) {
        uint64_t id;
        struct reason reason;
        ck_assert_int_eq(decode_hex(LATER[i], &id, &reason), ERR_UNSUPPORTED);
        ck_assert_uint_eq(id, 7);
    }
}
END_TEST

START_TEST(what_contradicts_itself_is_refused)
{
    static const char *BROKEN[] = {
        "94 04 07 c0 82 04 01 04 01",                       // an option twice
        "94 04 07 c0 82 01 90 01 90",                       // the same, without an effect
        "94 04 07 c0 81 02 90",                             // a start without a kind
        "94 04 07 c0 81 02 91 02",                          // a start without its id
        "94 04 07 c0 81 02 92 02 c4 09 000000000000000001", // an id of nine bytes
        "94 04 07 c0 81 02 92 04 90",                       // a cursor that is no map
        "94 04 07 c0 81 03 91 02",                          // an end without its cursor
        "94 04 07 c0 81 01 91 91 00",                       // an entry without text
        "94 04 07 c0 81 a0 01",                             // a key that is no number
        "94 04 07 91 80 80",                                // an after without time
        "94 04 07 92 80 cf 0000000100000000 80",            // a time beyond 32 bits
        "94 07 07 c0 c4 0b 0000000000000000000001",         // an id of eleven bytes
        "95 0d 07 c0 a161 82 09 01 09 01",                  // an option twice
        "95 0d 07 c0 a161 81 0d 90",                        // a key without a kind
        "95 0d 07 c0 a161 81 0d 91 02",                     // a key without its components
        "95 0d 07 c0 a161 81 0b 91 91 a161",                // an attribute without a value
        "95 0d 07 c0 a161 81 0b 91 92 a161 a162",           // a value that is no bin
        "96 0e 07 92 80 00 01 c0 c400",                     // an ack that is to wait
        "96 0e 07 c0 01 c0 c401 00",                        // a range of one byte
        "96 0e 07 c0 01 c0 c412 0000 0000000000000001 0000000000000001",    // of actor 0
        "96 0e 07 c0 01 c0 c412 0001 0000000000000002 0000000000000001",    // of nothing
        "97 0f 07 c0 01 c412 0001 0000000000000000 0000000000000001 00 a0", // from 0
        "92 02 00",                                                         // id 0
    };
    for (size_t i = 0; i < sizeof BROKEN / sizeof BROKEN[0]; i++) {
        uint64_t id;
        struct reason reason;
        ck_assert_int_eq(decode_hex(BROKEN[i], &id, &reason), ERR_INVALID);
    }
}
END_TEST

START_TEST(a_reason_names_message_and_field)
{
    uint64_t id;
    struct reason reason;
    ck_assert_int_eq(decode_hex("95 03 07 c0 01 a161", &id, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "produce: events is not a bin");
    ck_assert_uint_eq(id, 7);
    ck_assert_int_eq(decode_hex("94 03 07 c0 01", &id, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "produce: the array has too few elements");
}
END_TEST

START_TEST(more_entries_than_a_filter_takes_are_beyond_the_limit)
{
    for (uint32_t count = PATTERNS_TOTAL_MAX; count <= PATTERNS_TOTAL_MAX + 1; count++) {
        struct buffer message = {0};
        struct pack pack;
        append_hex(&message, "94 04 07 c0 81 01");
        pack_init(&pack, &message);
        pack_array(&pack, count);
        for (uint32_t i = 0; i < count; i++) {
            pack_array(&pack, 2);
            pack_uint(&pack, i % 2);
            pack_text(&pack, bytes_of_text("/a"));
        }
        ck_assert_int_eq(pack_finish(&pack), 0);
        struct request request;
        int expected = count > PATTERNS_TOTAL_MAX ? ERR_LIMIT : 0;
        ck_assert_int_eq(request_decode(buffer_bytes(&message), &request, NULL), expected);
        ck_assert_uint_eq(request.id, 7);
        buffer_deinit(&message);
    }
}
END_TEST

static int decode_attach(const char *options, struct request *request_out)
{
    struct buffer bytes = {0};
    append_hex(&bytes, "95 0d 07 c0 a161");
    append_hex(&bytes, options);
    int result = request_decode(buffer_bytes(&bytes), request_out, NULL);
    buffer_deinit(&bytes);
    return result;
}

START_TEST(what_is_left_out_or_0_has_its_default)
{
    struct subscription_definition defaults;
    struct request request;
    subscription_definition_init(&defaults);
    memset(&request, 0xa5, sizeof request);
    ck_assert_int_eq(decode_attach("80", &request), 0);
    ck_assert(subscription_definition_equal(&request.attach.definition, &defaults));
    ck_assert_int_eq(request.attach.start.kind, START_BEGINNING);
    ck_assert(!request.attach.create);
    ck_assert_uint_eq(request.attach.in_flight, 0);
    ck_assert_int_eq(decode_attach("86 0e 00 10 00 11 00 12 00 13 00 09 00", &request), 0);
    ck_assert(subscription_definition_equal(&request.attach.definition, &defaults));
    ck_assert_int_eq(decode_attach("81 0f 00", &request), 0);
    ck_assert_uint_eq(request.attach.definition.attempts, 0); // for ever
}
END_TEST

// The result for a message that ends with `count` attributes.
static int decode_attributes(const char *head, uint32_t count)
{
    struct request request;
    struct buffer message = {0};
    struct pack pack;
    append_hex(&message, head);
    pack_init(&pack, &message);
    pack_array(&pack, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_array(&pack, 2);
        pack_text(&pack, bytes_of_text("a"));
        pack_bin(&pack, bytes_of_text("b"));
    }
    ck_assert_int_eq(pack_finish(&pack), 0);
    int result = request_decode(buffer_bytes(&message), &request, NULL);
    buffer_deinit(&message);
    return result;
}

START_TEST(what_a_consumer_asks_for_is_bounded)
{
    struct request request;
    ck_assert_int_eq(decode_attach("81 09 cd4000", &request), 0);
    ck_assert_int_eq(decode_attach("81 09 cd4001", &request), ERR_LIMIT);
    ck_assert_int_eq(decode_attributes("95 0d 07 c0 a161 81 0b", ATTRIBUTE_MATCHES_MAX), 0);
    ck_assert_int_eq(decode_attributes("95 0d 07 c0 a161 81 0b", ATTRIBUTE_MATCHES_MAX + 1),
                     ERR_LIMIT);
}
END_TEST

START_TEST(what_a_subscription_wants_of_attributes_is_bounded)
{
    struct request request;
    struct buffer message = {0};
    ck_assert_int_eq(decode_attributes("94 04 07 c0 81 0b", ATTRIBUTE_MATCHES_MAX), 0);
    ck_assert_int_eq(decode_attributes("94 04 07 c0 81 0b", ATTRIBUTE_MATCHES_MAX + 1), ERR_LIMIT);
    memset(&request, 0xa5, sizeof request);
    append_hex(&message, "94 04 07 c0 80");
    ck_assert_int_eq(request_decode(buffer_bytes(&message), &request, NULL), 0);
    ck_assert_uint_eq(request.subscribe.attributes_count, 0);
    ck_assert_uint_eq(request.subscribe.timestamp_min_ms, 0);
    buffer_deinit(&message);
}
END_TEST

START_TEST(ranges_of_an_ack_are_bounded)
{
    struct buffer ranges = {0};
    struct done_range range = {.actor = 1, .first = 1, .last = 1};
    for (uint32_t i = 0; i < ACK_RANGES_MAX; i++) {
        ck_assert_int_eq(done_range_append(&ranges, &range), 0);
    }
    for (int more = 0; more < 2; more++) {
        struct request request = {
            .kind = REQUEST_ACK, .id = 7, .ack = {.ranges = buffer_bytes(&ranges)}};
        struct buffer frame = {0};
        ck_assert_int_eq(request_encode(&request, &frame), 0);
        ck_assert_int_eq(decode(message_of(&frame)), more ? ERR_LIMIT : 0);
        ck_assert_int_eq(done_range_append(&ranges, &range), 0);
        buffer_deinit(&frame);
    }
    buffer_deinit(&ranges);
}
END_TEST

START_TEST(a_long_client_name_is_beyond_the_limit)
{
    char name[NAME_BYTES_MAX + 1];
    memset(name, 'a', sizeof name);
    for (size_t length = NAME_BYTES_MAX; length <= NAME_BYTES_MAX + 1; length++) {
        struct request request = {
            .kind = REQUEST_HELLO,
            .id = 1,
            .hello = {.version_max = 1, .client_name = bytes_of(name, length)},
        };
        struct buffer frame = {0};
        ck_assert_int_eq(request_encode(&request, &frame), 0);
        ck_assert_int_eq(decode(message_of(&frame)), length > NAME_BYTES_MAX ? ERR_LIMIT : 0);
        buffer_deinit(&frame);
    }
}
END_TEST

START_TEST(a_frame_beyond_the_ceiling_is_not_written)
{
    struct request request = {.kind = REQUEST_PRODUCE, .id = 1, .produce = {.events_count = 1}};
    struct buffer out = {0};
    append_hex(&out, "0102");
    ck_assert_int_eq(request_encode_head(&request, FRAME_BYTES_MAX, &out), ERR_LIMIT);
    ck_assert_int_eq(request_encode_head(&request, UINT32_MAX, &out), ERR_LIMIT);
    assert_bytes_are(buffer_bytes(&out), "0102");
    ck_assert_int_eq(request_encode_head(&request, EVENT_BYTES_MAX, &out), 0);
    buffer_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    suite_add(suite, every_request_survives_the_way_there_and_back);
    suite_add(suite, a_head_and_its_events_make_the_same_frame);
    suite_add(suite, every_prefix_is_refused);
    suite_add(suite, bytes_behind_the_array_are_refused);
    suite_add(suite, wrong_types_are_refused);
    suite_add(suite, missing_elements_are_refused);
    suite_add(suite, further_elements_are_passed);
    suite_add(suite, deep_nesting_is_refused);
    suite_add(suite, changed_bytes_are_refused_or_mean_a_request);
    suite_add(suite, unknown_kinds_are_told_with_their_id);
    suite_add(suite, a_broken_message_of_an_unknown_kind_is_broken);
    suite_add(suite, what_comes_from_a_later_version_is_unsupported);
    suite_add(suite, what_contradicts_itself_is_refused);
    suite_add(suite, a_reason_names_message_and_field);
    suite_add(suite, more_entries_than_a_filter_takes_are_beyond_the_limit);
    suite_add(suite, what_is_left_out_or_0_has_its_default);
    suite_add(suite, what_a_consumer_asks_for_is_bounded);
    suite_add(suite, what_a_subscription_wants_of_attributes_is_bounded);
    suite_add(suite, ranges_of_an_ack_are_bounded);
    suite_add(suite, a_long_client_name_is_beyond_the_limit);
    suite_add(suite, a_frame_beyond_the_ceiling_is_not_written);
    return check_main(suite);
}
