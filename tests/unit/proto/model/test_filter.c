// A filter matches what any of its entries matches, the remembered verdicts are the real ones, and
// its conditions hold.

#include "proto/model/filter.h"

#include <stdio.h>

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_event.h"

// Entries separated by blanks; '=' in front of one makes it an exact name.
static struct filter *filter_of(const char *text)
{
    struct filter_entry entries[PATTERNS_MAX];
    size_t count = 0;
    while (*text) {
        const char *blank = strchr(text, ' ');
        size_t length = blank ? (size_t)(blank - text) : strlen(text);
        bool is_exact = *text == '=';
        entries[count++] = (struct filter_entry){
            .text = bytes_of(text + is_exact, length - is_exact), .is_exact = is_exact};
        text += length + (blank != NULL);
    }
    struct filter *filter = NULL;
    ck_assert_int_eq(filter_new(entries, count, &filter, NULL), 0);
    return filter;
}

static bool matches(const char *entries, const char *name)
{
    struct filter *filter = filter_of(entries);
    bool is_match = filter_matches(filter, bytes_of_text(name));
    filter_unref(filter);
    return is_match;
}

START_TEST(matches_what_any_entry_matches)
{
    ck_assert(matches("/a/* /b", "/a/x"));
    ck_assert(matches("/a/* /b", "/b"));
    ck_assert(!matches("/a/* /b", "/c"));
    ck_assert(matches("=/a/*", "/a/*"));
    ck_assert(!matches("=/a/*", "/a/x"));
    ck_assert(!matches("=**", "/a"));
}
END_TEST

START_TEST(everything_does_not_include_the_systems_names)
{
    static const char *const everything[] = {"", "**", "/**/*", "/a ** =b", "** /$weir/**"};
    for (size_t i = 0; i < sizeof everything / sizeof everything[0]; i++) {
        struct filter *filter = filter_of(everything[i]);
        ck_assert(filter_is_everything(filter));
        ck_assert(filter_matches(filter, bytes_of_text("x")));
        ck_assert(filter_matches(filter, bytes_of_text("/.a")));
        ck_assert(!filter_matches(filter, bytes_of_text("/$other")));
        ck_assert_int_eq(filter_matches(filter, bytes_of_text("/$weir/a")), i == 4);
        filter_unref(filter);
    }
    struct filter *filter = filter_of("/**");
    ck_assert(!filter_is_everything(filter));
    filter_unref(filter);
}
END_TEST

static void assert_same_key(const char *left, const char *right, bool expected)
{
    struct filter *a = filter_of(left);
    struct filter *b = filter_of(right);
    ck_assert_msg(bytes_equal(filter_key(a), filter_key(b)) == expected, "%s and %s", left, right);
    filter_unref(a);
    filter_unref(b);
}

START_TEST(equal_filters_have_equal_keys)
{
    assert_same_key("/a /b", "/b /a /a", true);
    assert_same_key("", "**", true);
    assert_same_key("**", "/**/* =x /y", true);
    assert_same_key("** =/$weir", "=/$weir /a **", true);
    assert_same_key("/a", "/b", false);
    assert_same_key("/a /b", "/a", false);
    assert_same_key("=/a*", "/a*", false);
    assert_same_key("=**", "**", false);
    assert_same_key("**", "** =/$weir", false);
}
END_TEST

START_TEST(globs_are_the_entries)
{
    struct filter *filter = filter_of("=/b /a/*");
    bool is_exact;
    ck_assert_uint_eq(filter_globs_count(filter), 2);
    ck_assert(bytes_equal(glob_prefix(filter_glob(filter, 0), &is_exact), bytes_of_text("/a/")));
    ck_assert(!is_exact);
    ck_assert(bytes_equal(glob_prefix(filter_glob(filter, 1), &is_exact), bytes_of_text("/b")));
    ck_assert(is_exact);
    filter_unref(filter);
    filter = filter_of("");
    ck_assert_uint_eq(filter_globs_count(filter), 1);
    ck_assert(glob_is_everything(filter_glob(filter, 0)));
    filter_unref(filter);
}
END_TEST

START_TEST(wrong_entries_are_refused_with_a_reason)
{
    struct filter_entry entries[PATTERNS_MAX + 1];
    for (size_t i = 0; i <= PATTERNS_MAX; i++) {
        entries[i] = (struct filter_entry){.text = bytes_of_text("/a")};
    }
    struct filter *filter = NULL;
    struct reason reason = {0};
    ck_assert_int_eq(filter_new(entries, PATTERNS_MAX + 1, &filter, &reason), ERR_LIMIT);
    ck_assert_str_eq(reason.text, "the filter has 65 entries, 64 are allowed");
    entries[63].text = bytes_of_text("/[");
    ck_assert_int_eq(filter_new(entries, PATTERNS_MAX, &filter, &reason), ERR_INVALID);
    entries[63] = (struct filter_entry){.text = bytes_of_text(""), .is_exact = true};
    ck_assert_int_eq(filter_new(entries, PATTERNS_MAX, &filter, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the namespace is empty");
    ck_assert_ptr_null(filter);
    entries[63].text = bytes_of_text("/[");
    ck_assert_int_eq(filter_new(entries, PATTERNS_MAX, &filter, &reason), 0);
    ck_assert_uint_eq(filter_globs_count(filter), 2);
    filter_unref(filter_ref(filter));
    ck_assert(filter_matches(filter, bytes_of_text("/[")));
    filter_unref(filter);
    filter_unref(NULL);
}
END_TEST

START_TEST(positions_are_those_of_matching_events)
{
    static const char *const filters[] = {
        "",      "** /$weir",          "=/a",     "/a/**", "/*",
        "=/a x", "/names/** /$weir/*", "=/$weir", "/$*",   "nothing/*"};
    struct random random;
    random_init(&random, test_seed());
    for (size_t f = 0; f < sizeof filters / sizeof filters[0]; f++) {
        struct filter *filter = filter_of(filters[f]);
        struct filter_cache *cache = filter_cache_new(filter, random_u64(&random));
        for (unsigned round = 0; round < test_rounds(100); round++) {
            struct buffer body = {0};
            uint16_t count = (uint16_t)(1 + random_below(&random, CHUNK_EVENTS_MAX));
            append_random_events(&body, &random, count);
            uint64_t expected = 0;
            struct bytes copy = exact_copy(buffer_bytes(&body));
            struct bytes rest = copy;
            for (unsigned i = 0; i < count; i++) {
                struct event event;
                event_next_trusted(&rest, &event);
                expected |= (uint64_t)filter_matches(filter, event.name) << i;
            }
            ck_assert_uint_eq(filter_positions(cache, copy, count), expected);
            exact_free(copy);
            buffer_deinit(&body);
        }
        filter_unref(filter);
        filter_cache_free(cache);
    }
    filter_cache_free(NULL);
}
END_TEST

// Far more names than places, so that they push each other out.
START_TEST(verdicts_stay_right_when_names_push_each_other_out)
{
    struct random random;
    random_init(&random, test_seed());
    struct filter *filter = filter_of("/n/*7 /n/1*");
    struct filter_cache *cache = filter_cache_new(filter, 5);
    for (unsigned round = 0; round < test_rounds(1000); round++) {
        struct buffer body = {0};
        uint64_t expected = 0;
        for (unsigned i = 0; i < 64; i++) {
            char name[32];
            snprintf(name, sizeof name, "/n/%u", (unsigned)random_below(&random, 30000));
            append_event(&body, name, "");
            expected |= (uint64_t)filter_matches(filter, bytes_of_text(name)) << i;
        }
        ck_assert_uint_eq(filter_positions(cache, buffer_bytes(&body), 64), expected);
        buffer_deinit(&body);
    }
    filter_cache_free(cache);
    filter_unref(filter);
}
END_TEST

// Names with their value, separated by blanks: "a=1 b=2".
static struct filter *filter_with(const char *entries, const char *attributes, uint64_t min_ms)
{
    struct attribute_match matches[ATTRIBUTE_MATCHES_MAX];
    struct filter_conditions conditions = {.attributes = matches, .timestamp_min_ms = min_ms};
    while (*attributes) {
        size_t length = strcspn(attributes, " ");
        size_t name = strcspn(attributes, "=");
        matches[conditions.attributes_count++] = (struct attribute_match){
            .name = bytes_of(attributes, name),
            .value = bytes_of(attributes + name + 1, length - name - 1),
        };
        attributes += length + (attributes[length] == ' ');
    }
    ck_assert_int_eq(attribute_matches_check(matches, conditions.attributes_count, NULL), 0);
    struct filter_entry entry = {.text = bytes_of_text(entries)};
    struct filter *filter = NULL;
    ck_assert_int_eq(filter_new_with(&entry, *entries != 0, &conditions, &filter, NULL), 0);
    return filter;
}

static bool has_key_of(const struct filter *filter, const char *entries, const char *attributes,
                       uint64_t min_ms)
{
    struct filter *other = filter_with(entries, attributes, min_ms);
    bool is_same = bytes_equal(filter_key(filter), filter_key(other));
    filter_unref(other);
    return is_same;
}

START_TEST(conditions_are_part_of_the_key)
{
    struct filter *filter = filter_with("/a", "b=2 a=1", 7);
    ck_assert(has_key_of(filter, "/a", "a=1 b=2 a=1", 7));
    ck_assert(!has_key_of(filter, "/a", "a=1 b=2", 8));
    ck_assert(!has_key_of(filter, "/a", "a=1", 7));
    ck_assert(!has_key_of(filter, "/a", "a=12 b=", 7));
    ck_assert(!has_key_of(filter, "/b", "a=1 b=2", 7));
    ck_assert(!has_key_of(filter, "/a", "", 0));
    ck_assert(filter_has_conditions(filter));
    filter_unref(filter);
    filter = filter_with("/a", "", 0);
    ck_assert(!filter_has_conditions(filter));
    ck_assert(!has_key_of(filter, "/a", "", 1));
    filter_unref(filter);
}
END_TEST

START_TEST(everything_with_conditions_is_not_everything)
{
    struct filter *filter = filter_with("", "a=1", 0);
    ck_assert(filter_is_every_name(filter));
    ck_assert(!filter_is_everything(filter));
    ck_assert(!filter_excludes_time(filter, 0));
    filter_unref(filter);
    filter = filter_with("**", "", 10);
    ck_assert(filter_is_every_name(filter));
    ck_assert(!filter_is_everything(filter));
    ck_assert(filter_excludes_time(filter, 9));
    ck_assert(!filter_excludes_time(filter, 10));
    ck_assert(!filter_excludes_time(NULL, 0));
    filter_unref(filter);
}
END_TEST

static void append_with(struct buffer *body, const char *name, const struct attribute *attributes,
                        size_t count)
{
    struct buffer encoded = {0};
    struct event_id none = {0};
    if (count > 0) {
        ck_assert_int_eq(attributes_append(&encoded, attributes, count, none), 0);
    }
    ck_assert_int_eq(
        event_append(body, bytes_of_text(name), bytes_of_text("data"), buffer_bytes(&encoded)), 0);
    buffer_deinit(&encoded);
}

static uint64_t positions_with(const char *entries, const char *attributes, struct bytes body)
{
    struct filter *filter = filter_with(entries, attributes, 0);
    struct filter_cache *cache = filter_cache_new(filter, 3);
    uint64_t positions = filter_positions(cache, body, 6);
    ck_assert_uint_eq(filter_narrow(filter, body, 6, positions), positions);
    ck_assert_uint_eq(filter_narrow(filter, body, 6, 0), 0);
    filter_cache_free(cache);
    filter_unref(filter);
    return positions;
}

START_TEST(attributes_match_by_name_and_whole_value)
{
    const struct attribute attributes[] = {
        {bytes_of_text("type"), bytes_of_text("new"), .value_is_text = true},
        {bytes_of_text("user"), bytes_of_text("7")},
        {bytes_of_text("type"), bytes_of_text("old")},
        {bytes_of_text("none"), bytes_of_text("")},
    };
    struct buffer body = {0};
    append_with(&body, "/a", attributes, 0);
    append_with(&body, "/a", attributes, 1);
    append_with(&body, "/b", attributes, 2);
    append_with(&body, "/a", attributes, 3);
    append_with(&body, "/a", attributes + 2, 2);
    append_with(&body, "/$weir/a", attributes, 4);
    struct bytes copy = exact_copy(buffer_bytes(&body));
    ck_assert_uint_eq(positions_with("", "", copy), 0x1f);
    ck_assert_uint_eq(positions_with("", "type=new", copy), 0x0e);
    ck_assert_uint_eq(positions_with("/a", "type=new", copy), 0x0a);
    ck_assert_uint_eq(positions_with("", "type=new user=7", copy), 0x0c);
    ck_assert_uint_eq(positions_with("", "type=old type=new", copy), 0x08);
    ck_assert_uint_eq(positions_with("", "none=", copy), 0x10);
    ck_assert_uint_eq(positions_with("", "type=ne", copy), 0);
    ck_assert_uint_eq(positions_with("", "type=newer", copy), 0);
    ck_assert_uint_eq(positions_with("", "typ=new", copy), 0);
    ck_assert_uint_eq(positions_with("/$weir/*", "user=7", copy), 0x20);
    exact_free(copy);
    buffer_deinit(&body);
}
END_TEST

// More than an event can have is not kept, and matches nothing.
START_TEST(what_no_event_can_have_matches_nothing)
{
    static uint8_t large[ATTRIBUTES_BYTES_MAX];
    struct attribute_match matches[] = {
        {bytes_of_text("a"), bytes_of(large, sizeof large)},
        {bytes_of_text("a"), bytes_of(large, sizeof large - 1)},
    };
    struct filter_conditions conditions = {.attributes = matches, .attributes_count = 2};
    struct filter *filter = NULL;
    ck_assert_int_eq(attribute_matches_check(matches, 2, NULL), 0);
    ck_assert_int_eq(filter_new_with(NULL, 0, &conditions, &filter, NULL), 0);
    ck_assert_uint_lt(filter_key(filter).length, 100);
    ck_assert(filter_has_conditions(filter));
    ck_assert(filter_excludes_time(filter, UINT64_MAX));
    struct buffer body = {0};
    append_event(&body, "/a", "");
    ck_assert_uint_eq(filter_narrow(filter, buffer_bytes(&body), 1, 1), 0);
    filter_unref(filter);
    conditions = (struct filter_conditions){.attributes = matches + 1, .attributes_count = 1};
    ck_assert_int_eq(filter_new_with(NULL, 0, &conditions, &filter, NULL), 0);
    ck_assert(!filter_excludes_time(filter, 0));
    filter_unref(filter);
    buffer_deinit(&body);
}
END_TEST

START_TEST(unsound_matches_are_refused_with_a_reason)
{
    static uint8_t large[ATTRIBUTES_BYTES_MAX + 1];
    struct attribute_match matches[ATTRIBUTE_MATCHES_MAX + 1];
    struct reason reason = {0};
    memset(large, 'a', sizeof large);
    for (size_t i = 0; i <= ATTRIBUTE_MATCHES_MAX; i++) {
        matches[i] = (struct attribute_match){.name = bytes_of_text("a")};
    }
    ck_assert_int_eq(attribute_matches_check(matches, ATTRIBUTE_MATCHES_MAX, &reason), 0);
    ck_assert_int_eq(attribute_matches_check(matches, ATTRIBUTE_MATCHES_MAX + 1, &reason),
                     ERR_INVALID);
    ck_assert_str_eq(reason.text, "a subscription wants at most 16 attributes, not 17");
    matches[0].name = bytes_of(large, ATTRIBUTE_NAME_BYTES_MAX);
    matches[0].value = bytes_of(large, ATTRIBUTES_BYTES_MAX);
    ck_assert_int_eq(attribute_matches_check(matches, 1, &reason), 0);
    matches[0].value = bytes_of(large, ATTRIBUTES_BYTES_MAX + 1);
    ck_assert_int_eq(attribute_matches_check(matches, 1, &reason), ERR_INVALID);
    matches[0] = (struct attribute_match){.name = bytes_of(large, ATTRIBUTE_NAME_BYTES_MAX + 1)};
    ck_assert_int_eq(attribute_matches_check(matches, 1, &reason), ERR_INVALID);
    matches[0].name = (struct bytes){0};
    ck_assert_int_eq(attribute_matches_check(matches, 1, &reason), ERR_INVALID);
    matches[0].name = bytes_of("a\xff", 2);
    ck_assert_int_eq(attribute_matches_check(matches, 1, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "an attribute's name is not UTF-8");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter");
    suite_add(suite, matches_what_any_entry_matches);
    suite_add(suite, everything_does_not_include_the_systems_names);
    suite_add(suite, equal_filters_have_equal_keys);
    suite_add(suite, globs_are_the_entries);
    suite_add(suite, wrong_entries_are_refused_with_a_reason);
    suite_add(suite, positions_are_those_of_matching_events);
    suite_add(suite, verdicts_stay_right_when_names_push_each_other_out);
    suite_add(suite, conditions_are_part_of_the_key);
    suite_add(suite, everything_with_conditions_is_not_everything);
    suite_add(suite, attributes_match_by_name_and_whole_value);
    suite_add(suite, what_no_event_can_have_matches_nothing);
    suite_add(suite, unsound_matches_are_refused_with_a_reason);
    return check_main(suite);
}
