// Events as JSON: what is printed is JSON that jansson reads back to the same event; lines that are
// no event are refused with a reason.

#include "client-cli/event_json.h"
#include "client-cli/json.h"
#include "client-cli/print_event.h"
#include "client-cli/views.h"
#include "proto/base/random.h"
#include "proto/model/event.h"
#include "tests/unit/check_main.h"

static struct event encode(struct buffer *out, struct bytes name, struct bytes data,
                           struct bytes attributes)
{
    struct event event;
    ck_assert_int_eq(event_append(out, name, data, attributes), 0);
    struct bytes rest = buffer_bytes(out);
    ck_assert_int_eq(event_next(&rest, &event), 0);
    return event;
}

// The printed line, without its newline.
static struct bytes print(struct output *output, const struct event *fields)
{
    struct event_id parent = event_parent(fields);
    struct weir_event event = {
        .id = {7, 3},
        .parent = {parent.counter, parent.actor},
        .timestamp_ms = 1795226199123,
        .name = bytes_to(fields->name),
        .data = bytes_to(fields->data),
        .attributes = bytes_to(fields->attributes),
    };
    buffer_clear(&output->buffer);
    ck_assert_int_eq(print_event(output, FORMAT_JSON, &event), 0);
    struct bytes line = buffer_bytes(&output->buffer);
    ck_assert_uint_eq(line.data[line.length - 1], '\n');
    return bytes_of(line.data, line.length - 1);
}

static void expect_printed(const struct event *fields, const char *expected)
{
    struct output output = {0};
    struct bytes line = print(&output, fields);
    ck_assert_msg(bytes_equal(line, bytes_of_text(expected)), "%.*s", (int)line.length, line.data);
    output_deinit(&output);
}

START_TEST(keys_come_in_their_order)
{
    struct buffer encoded = {0};
    struct buffer attributes = {0};
    struct attribute pairs[] = {
        {bytes_of_text("k"), bytes_of_text("1"), true},
        {bytes_of_text("b"), bytes_of("\xff\x00", 2), false},
        {bytes_of_text("k"), bytes_of_text("\"2\""), true},
    };
    ck_assert_int_eq(attributes_append(&attributes, pairs, 3, (struct event_id){5, 2}), 0);
    struct event event =
        encode(&encoded, bytes_of_text("/a"), bytes_of("x\0y\n", 4), buffer_bytes(&attributes));
    expect_printed(&event,
                   "{\"id\":\"0000000000000000000700003\",\"namespace\":\"/a\","
                   "\"timestamp\":\"2026-11-21T01:56:39.123Z\","
                   "\"parent\":\"0000000000000000000500002\","
                   "\"attributes\":{\"k\":[\"1\",\"\\\"2\\\"\"],\"b\":{\"base64\":\"/wA=\"}},"
                   "\"data\":\"x\\u0000y\\n\"}");
    buffer_clear(&encoded);
    event = encode(&encoded, bytes_of_text("/\xc3\xa4"), bytes_of("\xc3", 1), (struct bytes){0});
    expect_printed(&event, "{\"id\":\"0000000000000000000700003\",\"namespace\":\"/\xc3\xa4\","
                           "\"timestamp\":\"2026-11-21T01:56:39.123Z\",\"parent\":null,"
                           "\"attributes\":null,\"data_base64\":\"ww==\"}");
    buffer_deinit(&encoded);
    buffer_deinit(&attributes);
}
END_TEST

static void encode_attributes(const struct event_json *read, struct buffer *out)
{
    struct attribute pairs[ATTRIBUTES_MAX];
    struct event_id parent = {read->parent.counter, read->parent.actor};
    for (size_t i = 0; i < read->attributes_count; i++) {
        const struct weir_attribute *from = &read->attributes[i];
        pairs[i] =
            (struct attribute){bytes_from(from->key), bytes_from(from->value), from->is_text};
    }
    ck_assert_int_eq(attributes_append(out, pairs, read->attributes_count, parent), 0);
}

START_TEST(what_is_printed_is_read_back)
{
    struct random random;
    random_init(&random, test_seed());
    struct output output = {0};
    struct event_json read = {0};
    for (unsigned round = 0; round < test_rounds(20000); round++) {
        struct buffer encoded = {0};
        struct buffer attributes = {0};
        uint8_t data[64];
        uint8_t value[16];
        size_t length = random_below(&random, sizeof data + 1);
        random_bytes(&random, data, length);
        random_bytes(&random, value, sizeof value);
        for (size_t i = 0; i < length && random_below(&random, 2); i++) {
            data[i] &= 0x7f; // often text
        }
        struct attribute pairs[] = {
            {bytes_of_text("k"), bytes_of_text("v\t\x7f"), true},
            {bytes_of_text("raw"), bytes_of(value, 1 + random_below(&random, 15)), false},
        };
        pairs[1].value_is_text = false;
        struct event_id parent = {random_below(&random, 2), 1};
        parent.actor = parent.counter ? 1 : 0;
        if (parent.counter || random_below(&random, 2)) {
            ck_assert_int_eq(
                attributes_append(&attributes, pairs, random_below(&random, 2), parent), 0);
        }
        struct event event = encode(&encoded, bytes_of_text("/a\"\\"), bytes_of(data, length),
                                    buffer_bytes(&attributes));
        struct reason reason = {0};
        ck_assert_msg(event_json_read(&read, print(&output, &event), (struct weir_id){0}, NULL, 0,
                                      &reason) == 0,
                      "%s: %.*s", reason.text, (int)output.buffer.length, output.buffer.data);
        ck_assert(bytes_equal(bytes_of_text(read.name), event.name));
        ck_assert(bytes_equal(bytes_from(read.data), event.data));
        struct buffer again = {0};
        encode_attributes(&read, &again);
        ck_assert(again.length == 0 || bytes_equal(buffer_bytes(&again), event.attributes));
        buffer_deinit(&again);
        buffer_deinit(&encoded);
        buffer_deinit(&attributes);
    }
    event_json_deinit(&read);
    output_deinit(&output);
}
END_TEST

START_TEST(lines_that_are_no_event_are_refused)
{
    static const char *const wrong[] = {
        "",
        "{not json",
        "[]",
        "7",
        "{\"namespace\":7}",
        "{\"namespace\":\"/a\\u0000b\"}",
        "{\"namespace\":\"/a\",\"data\":7}",
        "{\"namespace\":\"/a\",\"data\":\"a\",\"data\":\"b\"}",
        "{\"namespace\":\"/a\",\"data\":\"a\",\"data_base64\":\"\"}",
        "{\"namespace\":\"/a\",\"data_base64\":\"%%%%\"}",
        "{\"namespace\":\"/a\",\"data_base64\":\"YQ\"}",
        "{\"namespace\":\"/a\",\"data_base64\":\"YQ==YQ==\"}",
        "{\"namespace\":\"/a\",\"dta\":\"x\"}",
        "{\"namespace\":\"/a\",\"parent\":\"x\"}",
        "{\"namespace\":\"/a\",\"parent\":5}",
        "{\"namespace\":\"/a\",\"attributes\":[]}",
        "{\"namespace\":\"/a\",\"attributes\":{\"k\":7}}",
        "{\"namespace\":\"/a\",\"attributes\":{\"k\":[7]}}",
        "{\"namespace\":\"/a\",\"attributes\":{\"p\":\"x\"}}",
        "{\"namespace\":\"/a\"} x",
    };
    struct event_json read = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct reason reason = {0};
        int err =
            event_json_read(&read, bytes_of_text(wrong[i]), (struct weir_id){0}, NULL, 0, &reason);
        ck_assert_msg(err == ERR_INVALID && reason.text[0], "%s: %d", wrong[i], err);
    }
    event_json_deinit(&read);
}
END_TEST

START_TEST(what_a_line_does_not_say_is_taken_from_the_options)
{
    struct event_json read = {0};
    struct weir_attribute pair = {weir_text("k"), weir_text("v"), true};
    struct weir_id parent = {1, 1};
    ck_assert_int_eq(
        event_json_read(&read, bytes_of_text("{\"parent\":null}"), parent, &pair, 1, NULL), 0);
    ck_assert_ptr_null(read.name);
    ck_assert_uint_eq(read.data.length, 0);
    ck_assert_uint_eq(read.parent.counter, 1);
    ck_assert_uint_eq(read.attributes_count, 1);
    ck_assert_ptr_eq(read.attributes, &pair);
    ck_assert_int_eq(event_json_read(&read, bytes_of_text("{\"parent\":\"2-1\",\"attributes\":{}}"),
                                     parent, &pair, 1, NULL),
                     0);
    ck_assert_uint_eq(read.parent.counter, 2);
    ck_assert_uint_eq(read.attributes_count, 0);
    event_json_deinit(&read);
}
END_TEST

START_TEST(base64_of_every_length_comes_back)
{
    uint8_t data[100];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 37);
    }
    for (size_t length = 0; length <= sizeof data; length++) {
        struct buffer text = {0};
        struct buffer back = {0};
        ck_assert_int_eq(json_append_base64(&text, bytes_of(data, length)), 0);
        struct bytes inner = bytes_of(text.data + 1, text.length - 2);
        ck_assert_int_eq(base64_decode(inner, &back), 0);
        ck_assert(bytes_equal(buffer_bytes(&back), bytes_of(data, length)));
        buffer_deinit(&text);
        buffer_deinit(&back);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/event_json");
    suite_add(suite, keys_come_in_their_order);
    suite_add(suite, what_is_printed_is_read_back);
    suite_add(suite, lines_that_are_no_event_are_refused);
    suite_add(suite, what_a_line_does_not_say_is_taken_from_the_options);
    suite_add(suite, base64_of_every_length_comes_back);
    return check_main(suite);
}
