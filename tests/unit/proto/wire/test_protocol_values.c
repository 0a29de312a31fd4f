// docs/protocol.md: its ids, cursors, patterns, single events and table of errors are what weir
// does.

#include <ctype.h>

#include "proto/model/event.h"
#include "proto/model/filter.h"
#include "proto/model/reply.h"
#include "proto/model/version_vector.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/wire/protocol_document.h"
#include "tests/unit/sample_bytes.h"

// Calls `check` for each line of the block with this heading; returns how many there were.
static size_t for_each_line(const char *heading, void (*check)(struct bytes line))
{
    struct document document;
    struct bytes first;
    struct bytes second;
    struct bytes lines;
    size_t count = 0;
    document_open(&document);
    while (document_next(&document, &first, &second, &lines)) {
        struct bytes line;
        while (text_is(first, heading) && text_next_line(&lines, &line)) {
            check(line);
            count++;
        }
    }
    document_close(&document);
    return count;
}

static uint64_t number_of(struct bytes word)
{
    uint64_t number = 0;
    ck_assert_uint_gt(word.length, 0);
    for (size_t i = 0; i < word.length; i++) {
        ck_assert(isdigit(word.data[i]));
        number = 10 * number + (uint64_t)(word.data[i] - '0');
    }
    return number;
}

static void check_id(struct bytes line)
{
    struct bytes text;
    struct bytes counter;
    struct bytes actor;
    struct event_id id;
    struct reason reason = {0};
    ck_assert(text_next_word(&line, &text) && text_next_word(&line, &counter));
    int err = event_id_parse(text, &id, &reason);
    if (text_is(counter, "error")) {
        ck_assert_int_eq(err, ERR_INVALID);
        return;
    }
    ck_assert_int_eq(err, 0);
    ck_assert(text_next_word(&line, &actor));
    ck_assert_uint_eq(id.counter, number_of(counter));
    ck_assert_uint_eq(id.actor, number_of(actor));
    char canonical[EVENT_ID_TEXT_LENGTH + 1];
    event_id_format(id, canonical);
    ck_assert(text.length != EVENT_ID_TEXT_LENGTH || text_is(text, canonical));
}

START_TEST(ids_read_as_the_document_says)
{
    ck_assert_uint_ge(for_each_line("vector-id", check_id), 15);
}
END_TEST

static void check_cursor(struct bytes line)
{
    struct bytes text;
    struct buffer encoded = {0};
    struct buffer out = {0};
    struct version_vector vector = {0};
    struct version_vector parsed = {0};
    ck_assert(text_next_word(&line, &text));
    append_commented_hex(&encoded, line);
    struct bytes copy = exact_copy(buffer_bytes(&encoded));
    struct bytes rest = copy;
    int err = version_vector_decode(&rest, &vector);
    if (text_is(text, "error")) {
        ck_assert_int_eq(err, ERR_INVALID);
    } else {
        ck_assert_int_eq(err, 0);
        ck_assert_uint_eq(rest.length, 0);
        ck_assert_int_eq(version_vector_format(&vector, &out), 0);
        ck_assert(bytes_equal(buffer_bytes(&out), text));
        ck_assert_int_eq(version_vector_parse(text, &parsed, NULL), 0);
        buffer_clear(&out);
        ck_assert_int_eq(version_vector_encode(&parsed, &out), 0);
        ck_assert(bytes_equal(buffer_bytes(&out), copy));
    }
    version_vector_deinit(&parsed);
    version_vector_deinit(&vector);
    exact_free(copy);
    buffer_deinit(&out);
    buffer_deinit(&encoded);
}

START_TEST(cursors_read_and_are_written_as_the_document_says)
{
    ck_assert_uint_ge(for_each_line("vector-cursor", check_cursor), 10);
}
END_TEST

static void check_glob(struct bytes line)
{
    struct bytes pattern;
    struct bytes name;
    struct bytes verdict;
    struct filter *filter;
    struct reason reason = {0};
    ck_assert(text_next_word(&line, &pattern) && text_next_word(&line, &name));
    ck_assert(text_next_word(&line, &verdict));
    struct filter_entry entry = {.text = pattern};
    int err = filter_new(&entry, 1, &filter, &reason);
    if (text_is(verdict, "error")) {
        ck_assert_msg(err == ERR_INVALID, "%.*s", (int)pattern.length, pattern.data);
        return;
    }
    ck_assert_msg(err == 0, "%.*s: %s", (int)pattern.length, pattern.data, reason.text);
    ck_assert(text_is(verdict, "yes") || text_is(verdict, "no"));
    ck_assert_msg(filter_matches(filter, name) == text_is(verdict, "yes"), "%.*s %.*s",
                  (int)pattern.length, pattern.data, (int)name.length, name.data);
    filter_unref(filter);
}

START_TEST(patterns_match_as_the_document_says)
{
    ck_assert_uint_ge(for_each_line("vector-glob", check_glob), 40);
}
END_TEST

static const struct expected_event {
    const char *vector;
    const char *name;
    const char *data;
    size_t attributes;
    struct event_id parent;
} EVENTS[] = {
    {"event-plain", "/greetings", "hello", 0, {0, 0}},
    {"event-empty", "/a", "", 0, {0, 0}},
    {"event-attributes", "/a", "hi", 4, {1042, 1}},
};

static void check_event(const struct expected_event *expected, struct bytes encoded)
{
    struct bytes rest = encoded;
    struct event event;
    ck_assert_int_eq(event_next(&rest, &event), 0);
    ck_assert_uint_eq(rest.length, 0);
    ck_assert_int_eq(event_validate(&event, 100, false, NULL), 0);
    ck_assert(text_is(event.name, expected->name));
    ck_assert(text_is(event.data, expected->data));
    ck_assert_int_eq(event_id_compare(event_parent(&event), expected->parent), 0);
    struct bytes attributes = event.attributes;
    size_t count;
    ck_assert_int_eq(attributes_begin(&attributes, &count), 0);
    ck_assert_uint_eq(count, expected->attributes);
    struct buffer again = {0};
    ck_assert_int_eq(event_append(&again, event.name, event.data, event.attributes), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), encoded));
    buffer_deinit(&again);
}

START_TEST(events_are_as_the_document_says)
{
    struct document document;
    struct bytes first;
    struct bytes second;
    struct bytes lines;
    size_t seen = 0;
    document_open(&document);
    while (document_next(&document, &first, &second, &lines)) {
        for (size_t i = 0; i < sizeof EVENTS / sizeof EVENTS[0]; i++) {
            if (text_is(first, "vector-event") && text_is(second, EVENTS[i].vector)) {
                struct buffer encoded = {0};
                append_commented_hex(&encoded, lines);
                struct bytes copy = exact_copy(buffer_bytes(&encoded));
                check_event(&EVENTS[i], copy);
                exact_free(copy);
                buffer_deinit(&encoded);
                seen++;
            }
        }
    }
    document_close(&document);
    ck_assert_uint_eq(seen, sizeof EVENTS / sizeof EVENTS[0]);
}
END_TEST

START_TEST(attributes_are_as_the_document_says)
{
    static const struct {
        const char *key;
        const char *value;
        bool is_text;
    } ATTRIBUTES[] = {{"type", "greeting", true}, {"tag", "\1", false}, {"tag", "\2", false}};
    struct document document;
    struct bytes first;
    struct bytes second;
    struct bytes lines;
    document_open(&document);
    do {
        ck_assert(document_next(&document, &first, &second, &lines));
    } while (!text_is(second, "event-attributes"));
    struct buffer encoded = {0};
    append_commented_hex(&encoded, lines);
    struct bytes rest = buffer_bytes(&encoded);
    struct event event;
    struct attribute attribute;
    size_t count;
    ck_assert_int_eq(event_next(&rest, &event), 0);
    ck_assert_int_eq(attributes_begin(&event.attributes, &count), 0);
    ck_assert_int_eq(attributes_next(&event.attributes, &attribute), 0);
    ck_assert(text_is(attribute.key, ATTRIBUTE_PARENT));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(attributes_next(&event.attributes, &attribute), 0);
        ck_assert(text_is(attribute.key, ATTRIBUTES[i].key));
        ck_assert(text_is(attribute.value, ATTRIBUTES[i].value));
        ck_assert_int_eq(attribute.value_is_text, ATTRIBUTES[i].is_text);
    }
    ck_assert_uint_eq(event.attributes.length, 0);
    buffer_deinit(&encoded);
    document_close(&document);
}
END_TEST

// Rows of the table of errors begin "| code | NAME |".
START_TEST(errors_have_the_numbers_and_names_of_the_document)
{
    struct document document;
    struct bytes line;
    size_t count = 0;
    document_open(&document);
    do {
        ck_assert(text_next_line(&document.rest, &line));
    } while (!text_is(line, "## Errors"));
    while (text_next_line(&document.rest, &line) && !text_is(line, "## Limits")) {
        struct bytes bar;
        struct bytes code;
        struct bytes name;
        if (!text_next_word(&line, &bar) || !text_is(bar, "|") || !text_next_word(&line, &code) ||
            !isdigit(code.data[0]) || !text_next_word(&line, &bar)) {
            continue;
        }
        ck_assert(text_next_word(&line, &name));
        const char *expected = wire_error_name((enum wire_error)number_of(code));
        if (islower(name.data[0])) {
            continue; // a row of another table
        }
        ck_assert_uint_eq(name.length, strlen(expected));
        for (size_t i = 0; i < name.length; i++) {
            ck_assert_int_eq(name.data[i], toupper(expected[i]));
        }
        count++;
    }
    document_close(&document);
    ck_assert_uint_eq(count, 26);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol_values");
    suite_add(suite, ids_read_as_the_document_says);
    suite_add(suite, cursors_read_and_are_written_as_the_document_says);
    suite_add(suite, patterns_match_as_the_document_says);
    suite_add(suite, events_are_as_the_document_says);
    suite_add(suite, attributes_are_as_the_document_says);
    suite_add(suite, errors_have_the_numbers_and_names_of_the_document);
    return check_main(suite);
}
