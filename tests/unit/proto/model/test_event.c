// Events are read in every form that msgpack allows and in no other, written in the shortest, and
// judged before they enter a node.

#include "proto/model/event.h"

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_event.h"

static int next_of_hex(const char *hex, struct event *event_out, size_t *left_out)
{
    struct buffer buffer = {0};
    append_hex(&buffer, hex);
    struct bytes copy = exact_copy(buffer_bytes(&buffer));
    struct bytes rest = copy;
    int err = event_next(&rest, event_out);
    if (left_out) {
        *left_out = rest.length;
    }
    exact_free(copy);
    buffer_deinit(&buffer);
    return err;
}

START_TEST(encodings_are_the_published_ones)
{
    struct buffer out = {0};
    append_event(&out, "/a", "hi");
    assert_bytes_are(buffer_bytes(&out), "92 a22f61 c4026869");
    buffer_clear(&out);
    append_event(&out, "a-name-of-thirty-two-bytes-in-all", "");
    assert_bytes_are(buffer_bytes(&out),
                     "92 d921 612d6e616d652d6f662d7468697274792d74776f2d6279746573"
                     "2d696e2d616c6c c400");
    buffer_clear(&out);
    struct attribute attributes[] = {
        {.key = bytes_of_text("type"), .value = bytes_of_text("paid"), .value_is_text = true},
        {.key = bytes_of_text("k"), .value = bytes_of("\0\1", 2)},
    };
    struct event_id parent = {.counter = 258, .actor = 3};
    struct buffer encoded = {0};
    ck_assert_int_eq(attributes_append(&encoded, attributes, 2, parent), 0);
    struct bytes data = bytes_of_text("hi");
    ck_assert_int_eq(event_append(&out, bytes_of_text("/a"), data, buffer_bytes(&encoded)), 0);
    assert_bytes_are(buffer_bytes(&out), "93 a22f61 c4026869 96 a170 c40a 0000000000000102 0003"
                                         "a474797065 a470616964 a16b c4020001");
    buffer_deinit(&encoded);
    buffer_deinit(&out);
}
END_TEST

START_TEST(writers_use_the_shortest_head)
{
    static const struct {
        size_t length;
        const char *head;
    } cases[] = {
        {0, "c400"}, {255, "c4ff"}, {256, "c50100"}, {65535, "c5ffff"}, {65536, "c600010000"}};
    uint8_t *data = calloc(1, 65536);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = {0};
        struct bytes none = {0};
        size_t length = cases[i].length;
        ck_assert_int_eq(event_append(&out, bytes_of_text("a"), bytes_of(data, length), none), 0);
        size_t head = strlen(cases[i].head) / 2;
        ck_assert_uint_eq(out.length, 3 + head + length);
        assert_bytes_are(bytes_of(out.data + 3, head), cases[i].head);
        buffer_deinit(&out);
    }
    free(data);
}
END_TEST

START_TEST(every_form_of_the_same_event_is_read)
{
    static const char *const arrays[] = {"93", "dc0003", "dd00000003"};
    static const char *const names[] = {"a22f61", "d9022f61", "da00022f61", "db000000022f61"};
    static const char *const datas[] = {"c4026869", "c500026869", "c6000000026869"};
    static const char *const pairs[] = {"92a16ba176", "dc0002d9016bd90176",
                                        "dd00000002da00016bda000176", "92db000000016bdb0000000176"};
    for (unsigned i = 0; i < 3 * 4 * 3 * 4; i++) {
        struct buffer buffer = {0};
        append_hex(&buffer, arrays[i % 3]);
        append_hex(&buffer, names[i / 3 % 4]);
        append_hex(&buffer, datas[i / 12 % 3]);
        append_hex(&buffer, pairs[i / 36]);
        struct bytes copy = exact_copy(buffer_bytes(&buffer));
        struct bytes rest = copy;
        struct event event;
        ck_assert_int_eq(event_next(&rest, &event), 0);
        ck_assert_uint_eq(rest.length, 0);
        ck_assert(bytes_equal(event.name, bytes_of_text("/a")));
        ck_assert(bytes_equal(event.data, bytes_of_text("hi")));
        ck_assert_ptr_eq(event.encoded.data, copy.data);
        ck_assert_uint_eq(event.encoded.length, copy.length);
        struct bytes attributes = event.attributes;
        struct attribute attribute;
        size_t count;
        ck_assert_int_eq(attributes_begin(&attributes, &count), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(attributes_next(&attributes, &attribute), 0);
        ck_assert(bytes_equal(attribute.key, bytes_of_text("k")));
        ck_assert(bytes_equal(attribute.value, bytes_of_text("v")));
        ck_assert(attribute.value_is_text);
        exact_free(copy);
        buffer_deinit(&buffer);
    }
}
END_TEST

START_TEST(every_head_of_an_event_without_attributes_is_read)
{
    static const char *const wholes[] = {
        "92a161c400",     "92a161c40178",     "92a161c5000178",       "92a161c50000",
        "92d90161c400",   "92d90161c5000178", "92da000161c40178",     "92a161c60000000178",
        "dc0002a161c400", "92a161c400 c0c1",  "92a161c50001 78 92a1", "92d90161c40178 92",
    };
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        struct event event;
        ck_assert_msg(next_of_hex(wholes[i], &event, NULL) == 0, "%s", wholes[i]);
        ck_assert_uint_eq(event.name.length, 1);
        ck_assert_uint_eq(event.attributes.length, 0);
        ck_assert_uint_le(event.data.length, 1);
    }
}
END_TEST

START_TEST(an_empty_attributes_array_is_none)
{
    struct event event;
    size_t left;
    ck_assert_int_eq(next_of_hex("93a161c40090 00", &event, &left), 0);
    ck_assert_uint_eq(left, 1);
    ck_assert_uint_eq(event.attributes.length, 0);
    ck_assert_uint_eq(event.encoded.length, 6);
    ck_assert_int_eq(next_of_hex("93a161c400dd00000000", &event, &left), 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(event.attributes.length, 0);
}
END_TEST

START_TEST(what_is_no_event_is_refused)
{
    static const char *const wrong[] = {
        "",
        "90",
        "91a161",
        "94a161c400a161a162",
        "82a161c400",
        "c0",
        "92c40161c400",             // a name that is no str
        "92a161a162",               // data that is no bin
        "92a16105",                 // nor a number
        "92c0c400",                 //
        "93a161c400",               // attributes missing
        "93a161c400c0",             // attributes that are no array
        "93a161c40080",             //
        "93a161c40091a16b",         // a key without a value
        "93a161c40093a16ba176a16b", //
        "93a161c40092c4016ba176",   // a key that is no str
        "93a161c40092a16b01",       // a value that is neither str nor bin
        "93a161c40092a16b90",       //
        "93a161c400dd00000002a16b", // claims more than there is
        "93a161c400ddfffffffea16ba176",
        "93a161c400ddffffffffa16ba176",
        "93a161c400dc0002a16b",
        "ddffffffffa161c400",
        "92a161c6ffffffff00",
        "92dbffffffff61c400",
        "92a161c5ffff00",
        "92d9ff61c400",
        "92bf61c400",
        "92a161c4ff00",
        "92a161c1",
        "c1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct event event;
        ck_assert_msg(next_of_hex(wrong[i], &event, NULL) == ERR_INVALID, "%s", wrong[i]);
    }
}
END_TEST

START_TEST(every_prefix_of_an_event_is_refused)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(60); round++) {
        struct buffer buffer = {0};
        append_random_events(&buffer, &random, 1);
        for (size_t length = 0; length < buffer.length; length++) {
            struct bytes copy = exact_copy(bytes_of(buffer.data, length));
            struct bytes rest = copy;
            struct event event;
            ck_assert_int_eq(event_next(&rest, &event), ERR_INVALID);
            exact_free(copy);
        }
        buffer_deinit(&buffer);
    }
}
END_TEST

START_TEST(both_ways_of_reading_agree_on_any_bytes)
{
    static const uint8_t leads[] = {0x92, 0x93, 0xa0, 0xa1, 0xa5, 0xd9, 0xda, 0xc4, 0xc5, 0xc6,
                                    0x90, 0x92, 0,    1,    2,    3,    0x61, 0xdc, 0xdd, 0xff};
    struct random random;
    random_init(&random, test_seed());
    unsigned events = 0;
    for (unsigned round = 0; round < test_rounds(100000); round++) {
        uint8_t bytes[16] = {0x92, 0xa1};
        size_t length = random_below(&random, sizeof bytes + 1);
        for (size_t i = round % 3; i < length; i++) {
            bytes[i] = leads[random_below(&random, sizeof leads)];
        }
        struct bytes copy = exact_copy(bytes_of(bytes, length));
        struct bytes rests[2] = {copy, copy};
        struct event read[2] = {0};
        int err = event_next(&rests[0], &read[0]);
        if (event_next_any(&rests[1], &read[1]) != err) {
            ck_abort_msg("only one of them takes what begins with %02x%02x", bytes[0], bytes[1]);
        }
        if (err == 0) {
            ck_assert_mem_eq(&read[0], &read[1], sizeof read[0]);
            ck_assert_mem_eq(&rests[0], &rests[1], sizeof rests[0]);
            events++;
        }
        exact_free(copy);
    }
    ck_assert_uint_gt(events, 0);
}
END_TEST

START_TEST(what_was_written_is_read_back)
{
    struct random random;
    random_init(&random, test_seed());
    struct buffer body = {0};
    append_random_events(&body, &random, 500);
    struct buffer again = {0};
    struct bytes copy = exact_copy(buffer_bytes(&body));
    struct bytes rest = copy;
    for (unsigned i = 0; i < 500; i++) {
        struct event event;
        event_next_trusted(&rest, &event);
        ck_assert_int_eq(event_append(&again, event.name, event.data, event.attributes), 0);
    }
    ck_assert_uint_eq(rest.length, 0);
    ck_assert(bytes_equal(copy, buffer_bytes(&again)));
    exact_free(copy);
    buffer_deinit(&body);
    buffer_deinit(&again);
}
END_TEST

static int validate_hex(const char *hex, uint64_t data_max, bool allow_system,
                        struct reason *reason)
{
    struct buffer buffer = {0};
    append_hex(&buffer, hex);
    struct bytes copy = exact_copy(buffer_bytes(&buffer));
    struct bytes rest = copy;
    struct event event;
    ck_assert_int_eq(event_next(&rest, &event), 0);
    ck_assert_uint_eq(rest.length, 0);
    reason_clear(reason);
    int err = event_validate(&event, data_max, allow_system, reason);
    ck_assert_int_eq(event_validate(&event, data_max, allow_system, NULL), err);
    ck_assert_int_eq(err != 0, reason->text[0] != '\0');
    exact_free(copy);
    buffer_deinit(&buffer);
    return err;
}

START_TEST(events_are_judged_with_a_reason)
{
    static const struct {
        const char *hex;
        int expected;          // from a client
        int expected_internal; // where the system may write
        const char *reason;
    } cases[] = {
        {"92a161c400", 0, 0, ""},
        {"92a161c40401020304", 0, 0, ""},
        {"92a161c4050102030405", ERR_LIMIT, ERR_LIMIT, "the data has 5 bytes, 4 are allowed"},
        {"92a0c400", ERR_INVALID, ERR_INVALID, "the namespace is empty"},
        {"92a10ac400", ERR_INVALID, ERR_INVALID,
         "the namespace has a control character (0x0a) at byte 0"},
        {"92a22f24c400", ERR_INVALID, 0, "namespaces that begin with \"/$\" are the system's"},
        {"93a161c400 92a16ba176", 0, 0, ""},
        {"93a161c400 92a16bc401ff", 0, 0, ""},
        {"93a161c400 92a0a176", ERR_INVALID, ERR_INVALID,
         "an attribute key has 0 bytes, it must have 1..255"},
        {"93a161c400 92a1ffa176", ERR_INVALID, ERR_INVALID, "an attribute key is not UTF-8"},
        {"93a161c400 92a16ba1ff", ERR_INVALID, ERR_INVALID,
         "the text value of the attribute \"k\" is not UTF-8: send it as bin"},
        {"93a161c400 92a2246ba176", ERR_INVALID, 0,
         "the attribute key \"$k\" begins with '$': those are the system's"},
        {"93a161c400 92a170c40a00000000000000010001", 0, 0, ""},
        {"93a161c400 94a16ba176a16ba177", 0, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reason reason;
        ck_assert_int_eq(validate_hex(cases[i].hex, 4, false, &reason), cases[i].expected);
        ck_assert_str_eq(reason.text, cases[i].reason);
        ck_assert_int_eq(validate_hex(cases[i].hex, 4, true, &reason), cases[i].expected_internal);
    }
}
END_TEST

START_TEST(the_parent_is_one_valid_id)
{
    static const char *const wrong[] = {
        "93a161c400 92a170aa00000000000000010001",     // str
        "93a161c400 92a170c409000000000000000100",     // 9 bytes
        "93a161c400 92a170c40b0000000000000001000100", // 11 bytes
        "93a161c400 92a170c40a00000000000000000001",   // counter 0
        "93a161c400 92a170c40a00000000000000010000",   // actor 0
        "93a161c400 92a170c40a80000000000000000001",   // counter beyond the limit
        "93a161c400 94a170c40a00000000000000010001a170c40a00000000000000010001", // twice
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct reason reason;
        ck_assert_msg(validate_hex(wrong[i], 4, true, &reason) == ERR_INVALID, "%s", wrong[i]);
        ck_assert_str_eq(reason.text, "the attribute \"p\" is one event id in 10 bytes (bin)");
    }
}
END_TEST

START_TEST(the_parent_is_found_among_the_attributes)
{
    struct event event;
    struct bytes body;
    struct buffer buffer = {0};
    append_hex(&buffer, "93a161c400 94 a16ba176 a170c40a 0000000000000102 0003");
    append_hex(&buffer, "93a161c400 92 a16ba176");
    append_event(&buffer, "a", "");
    body = buffer_bytes(&buffer);
    event_next_trusted(&body, &event);
    struct event_id parent = event_parent(&event);
    ck_assert_uint_eq(parent.counter, 258);
    ck_assert_uint_eq(parent.actor, 3);
    event_next_trusted(&body, &event);
    ck_assert(event_id_is_none(event_parent(&event)));
    event_next_trusted(&body, &event);
    ck_assert(event_id_is_none(event_parent(&event)));
    buffer_deinit(&buffer);
}
END_TEST

static int validate_attributes(size_t pairs, size_t value_length, size_t key_length)
{
    struct buffer encoded = {0};
    struct attribute *attributes = calloc(pairs, sizeof *attributes);
    uint8_t *text = malloc(value_length + key_length);
    memset(text, 'v', value_length + key_length);
    for (size_t i = 0; i < pairs; i++) {
        attributes[i] = (struct attribute){.key = bytes_of(text, key_length),
                                           .value = bytes_of(text, value_length),
                                           .value_is_text = i % 2 == 0};
    }
    struct event_id none = {0};
    ck_assert_int_eq(attributes_append(&encoded, attributes, pairs, none), 0);
    struct event event = {.name = bytes_of_text("a"), .attributes = buffer_bytes(&encoded)};
    int err = event_validate(&event, 0, false, NULL);
    free(text);
    free(attributes);
    buffer_deinit(&encoded);
    return err;
}

START_TEST(attributes_are_limited)
{
    ck_assert_int_eq(validate_attributes(ATTRIBUTES_MAX, 1, 1), 0);
    ck_assert_int_eq(validate_attributes(ATTRIBUTES_MAX + 1, 1, 1), ERR_LIMIT);
    ck_assert_int_eq(validate_attributes(1, 1, 255), 0);
    ck_assert_int_eq(validate_attributes(1, 1, 256), ERR_INVALID);
    size_t largest = ATTRIBUTES_BYTES_MAX - 1 - 2 - 3;
    ck_assert_int_eq(validate_attributes(1, largest, 1), 0);
    ck_assert_int_eq(validate_attributes(1, largest + 1, 1), ERR_LIMIT);
}
END_TEST

START_TEST(no_attributes_are_no_bytes)
{
    struct buffer encoded = {0};
    struct event_id none = {0};
    ck_assert_int_eq(attributes_append(&encoded, NULL, 0, none), 0);
    ck_assert_uint_eq(encoded.length, 0);
    struct bytes rest = {0};
    size_t count = 7;
    ck_assert_int_eq(attributes_begin(&rest, &count), 0);
    ck_assert_uint_eq(count, 0);
    buffer_deinit(&encoded);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event");
    suite_add(suite, encodings_are_the_published_ones);
    suite_add(suite, writers_use_the_shortest_head);
    suite_add(suite, every_form_of_the_same_event_is_read);
    suite_add(suite, every_head_of_an_event_without_attributes_is_read);
    suite_add(suite, an_empty_attributes_array_is_none);
    suite_add(suite, what_is_no_event_is_refused);
    suite_add(suite, every_prefix_of_an_event_is_refused);
    suite_add(suite, both_ways_of_reading_agree_on_any_bytes);
    suite_add(suite, what_was_written_is_read_back);
    suite_add(suite, events_are_judged_with_a_reason);
    suite_add(suite, the_parent_is_one_valid_id);
    suite_add(suite, the_parent_is_found_among_the_attributes);
    suite_add(suite, attributes_are_limited);
    suite_add(suite, no_attributes_are_no_bytes);
    return check_main(suite);
}
