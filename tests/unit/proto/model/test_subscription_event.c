// Events about durable subscriptions have one layout for ever; what makes no sense is refused by
// every node alike.

#include "proto/model/subscription_event.h"

#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_definition.h"
#include "tests/unit/sample_bytes.h"

static const uint8_t CURSOR[] = {0x82, 0x01, 0xcd, 0x04, 0x12, 0x02, 0xcd, 0x03, 0xe6};
static const uint8_t POSITION[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x04, 0x12};

static struct subscription_event sample(enum subscription_event_kind kind)
{
    struct subscription_event event = {.kind = kind};
    if (kind == SUBSCRIPTION_CHECKPOINT) {
        event.generation = (struct event_id){998, 2};
        event.position = bytes_of(POSITION, sizeof POSITION);
    } else if (kind != SUBSCRIPTION_DELETED) {
        subscription_definition_init(&event.definition);
        event.definition.entries[0] = (struct filter_entry){bytes_of_text("/a/**"), false};
        event.definition.entries[1] = (struct filter_entry){bytes_of_text("/b"), true};
        event.definition.entries_count = 2;
        event.definition.attributes[0] =
            (struct attribute_match){bytes_of_text("type"), bytes_of_text("x")};
        event.definition.attributes_count = 1;
        event.definition.key = GROUP_KEY_ATTRIBUTE;
        event.definition.key_attribute = bytes_of_text("user");
        event.definition.is_stable_order = true;
        event.start = bytes_of(CURSOR, sizeof CURSOR);
    }
    return event;
}

static int decode_exactly(struct bytes data, struct subscription_event *event_out)
{
    struct bytes copy = exact_copy(data);
    int err = subscription_event_decode(copy, event_out);
    exact_free(copy);
    return err;
}

START_TEST(bytes_are_the_published_ones)
{
    static const char *PUBLISHED[] = {
        "01 01 0001 03 00 0000000000000000 00000400 0000000a 00007530 000003e8 000003e8 000003e8"
        "00000004 0002 0001 75736572 00 0005 2f612f2a2a 01 0002 2f62 04 00000001 74797065 78"
        "00000009 8201cd041202cd03e6",
        "01 02 0001 03 00 0000000000000000 00000400 0000000a 00007530 000003e8 000003e8 000003e8"
        "00000004 0002 0001 75736572 00 0005 2f612f2a2a 01 0002 2f62 04 00000001 74797065 78"
        "00000009 8201cd041202cd03e6",
        "01 03",
        "01 04 00000000000003e6 0002 00000001 00000000 0001 0000000000000412",
    };
    for (int kind = SUBSCRIPTION_CREATED; kind <= SUBSCRIPTION_CHECKPOINT; kind++) {
        struct subscription_event event = sample((enum subscription_event_kind)kind);
        struct buffer out = {0};
        ck_assert_int_eq(subscription_event_encode(&event, &out), 0);
        assert_bytes_are(buffer_bytes(&out), PUBLISHED[kind - 1]);
        buffer_deinit(&out);
    }
}
END_TEST

static void assert_same(const struct subscription_event *a, const struct subscription_event *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert(subscription_definition_equal(&a->definition, &b->definition));
    ck_assert(bytes_equal(a->start, b->start));
    ck_assert_int_eq(event_id_compare(a->generation, b->generation), 0);
    ck_assert(bytes_equal(a->position, b->position));
}

START_TEST(every_kind_survives_the_way_there_and_back)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(1000); round++) {
        struct subscription_event event =
            sample((enum subscription_event_kind)(1 + round % SUBSCRIPTION_CHECKPOINT));
        if (event.kind == SUBSCRIPTION_CREATED || event.kind == SUBSCRIPTION_RESET) {
            sample_definition(&random, &event.definition);
        }
        struct buffer out = {0};
        ck_assert_int_eq(subscription_event_encode(&event, &out), 0);
        struct bytes copy = exact_copy(buffer_bytes(&out));
        struct subscription_event decoded;
        memset(&decoded, 0xa5, sizeof decoded);
        ck_assert_int_eq(subscription_event_decode(copy, &decoded), 0);
        assert_same(&event, &decoded);
        ck_assert(event_id_is_none(decoded.id));
        exact_free(copy);
        buffer_deinit(&out);
    }
}
END_TEST

START_TEST(every_prefix_is_refused_and_more_is_passed_over)
{
    for (int kind = SUBSCRIPTION_CREATED; kind <= SUBSCRIPTION_CHECKPOINT; kind++) {
        struct subscription_event event = sample((enum subscription_event_kind)kind);
        struct subscription_event decoded;
        struct buffer out = {0};
        ck_assert_int_eq(subscription_event_encode(&event, &out), 0);
        for (size_t length = 0; length < out.length; length++) {
            ck_assert_int_eq(decode_exactly(bytes_of(out.data, length), &decoded), ERR_INVALID);
        }
        append_hex(&out, "00112233");
        ck_assert_int_eq(decode_exactly(buffer_bytes(&out), &decoded), 0);
        buffer_deinit(&out);
    }
}
END_TEST

// Decodes the sample with its byte at `at` replaced.
static int decode_changed(enum subscription_event_kind kind, size_t at, uint8_t value)
{
    struct subscription_event event = sample(kind);
    struct subscription_event decoded;
    struct buffer out = {0};
    ck_assert_int_eq(subscription_event_encode(&event, &out), 0);
    out.data[at] = value;
    int err = decode_exactly(buffer_bytes(&out), &decoded);
    buffer_deinit(&out);
    return err;
}

START_TEST(other_versions_and_kinds_are_told)
{
    ck_assert_int_eq(decode_changed(SUBSCRIPTION_DELETED, 0, 0), ERR_INVALID);
    ck_assert_int_eq(decode_changed(SUBSCRIPTION_DELETED, 0, 2), ERR_VERSION);
    ck_assert_int_eq(decode_changed(SUBSCRIPTION_DELETED, 0, 255), ERR_VERSION);
    ck_assert_int_eq(decode_changed(SUBSCRIPTION_DELETED, 1, 0), ERR_INVALID);
    ck_assert_int_eq(decode_changed(SUBSCRIPTION_DELETED, 1, 5), ERR_INVALID);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    static const struct {
        enum subscription_event_kind kind;
        size_t at;
        uint8_t value;
    } CHANGES[] = {
        {SUBSCRIPTION_CREATED, 2, 0x80},     // a flag that would change what it means
        {SUBSCRIPTION_CREATED, 4, 0},        // a key without a kind
        {SUBSCRIPTION_CREATED, 4, 4},        // a kind of key that is unknown
        {SUBSCRIPTION_CREATED, 5, 1},        // an attribute and components
        {SUBSCRIPTION_CREATED, 16, 0},       // concurrency 0
        {SUBSCRIPTION_CREATED, 14, 1},       // concurrency beyond the limit
        {SUBSCRIPTION_CREATED, 38, 0xff},    // a long name of an attribute
        {SUBSCRIPTION_CREATED, 43, 65},      // more patterns than there may be
        {SUBSCRIPTION_CREATED, 45, 17},      // more attributes
        {SUBSCRIPTION_CREATED, 50, 2},       // a kind of entry that is unknown
        {SUBSCRIPTION_CREATED, 52, 0},       // an empty pattern
        {SUBSCRIPTION_CREATED, 63, 0},       // an attribute without a name
        {SUBSCRIPTION_RESET, 77, 0x81},      // a start that is less than what is there
        {SUBSCRIPTION_RESET, 77, 0x93},      // no cursor
        {SUBSCRIPTION_CHECKPOINT, 11, 0},    // a generation of no actor
        {SUBSCRIPTION_CHECKPOINT, 2, 0x80},  // of a counter of 2^63
        {SUBSCRIPTION_CHECKPOINT, 21, 0},    // a position that decodes to nothing
        {SUBSCRIPTION_CHECKPOINT, 12, 0xff}, // more of it than there is
    };
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        int err = decode_changed(CHANGES[i].kind, CHANGES[i].at, CHANGES[i].value);
        ck_assert_msg(err == ERR_INVALID, "change %zu: %d", i, err);
    }
    ck_assert_int_eq(decode_changed(SUBSCRIPTION_CREATED, 3, 0), 0); // what is known may be unset
}
END_TEST

START_TEST(one_that_is_too_long_is_not_written)
{
    struct subscription_event event = sample(SUBSCRIPTION_CREATED);
    struct buffer value = {0};
    struct buffer out = {0};
    ck_assert_int_eq(buffer_reserve(&value, ATTRIBUTES_BYTES_MAX), 0);
    memset(value.data, 'v', ATTRIBUTES_BYTES_MAX);
    event.definition.attributes_count = ATTRIBUTE_MATCHES_MAX;
    for (uint32_t i = 0; i < ATTRIBUTE_MATCHES_MAX; i++) {
        event.definition.attributes[i].name = bytes_of_text("n");
        event.definition.attributes[i].value = bytes_of(value.data, ATTRIBUTES_BYTES_MAX);
    }
    append_hex(&out, "0102");
    ck_assert_int_eq(subscription_event_encode(&event, &out), ERR_LIMIT);
    assert_bytes_are(buffer_bytes(&out), "0102");
    buffer_deinit(&out);
    buffer_deinit(&value);
}
END_TEST

START_TEST(definitions_that_differ_are_not_equal)
{
    struct random random;
    random_init(&random, test_seed());
    struct subscription_definition a;
    struct subscription_definition b;
    struct buffer of_a = {0};
    struct buffer of_b = {0};
    for (unsigned round = 0; round < test_rounds(2000); round++) {
        struct random copy = random;
        sample_definition(&random, &a);
        sample_definition(round % 2 == 0 ? &copy : &random, &b);
        buffer_clear(&of_a);
        buffer_clear(&of_b);
        ck_assert_int_eq(subscription_definition_encode(&a, &of_a), 0);
        ck_assert_int_eq(subscription_definition_encode(&b, &of_b), 0);
        ck_assert_int_eq(subscription_definition_equal(&a, &b),
                         bytes_equal(buffer_bytes(&of_a), buffer_bytes(&of_b)));
    }
    buffer_deinit(&of_a);
    buffer_deinit(&of_b);
}
END_TEST

START_TEST(a_definition_says_what_is_wrong_with_it)
{
    struct subscription_definition definition;
    struct reason reason = {0};
    subscription_definition_init(&definition);
    ck_assert_int_eq(subscription_definition_check(&definition, &reason), 0);
    ck_assert_str_eq(reason.text, "");
    definition.concurrency = 2000;
    ck_assert_int_eq(subscription_definition_check(&definition, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the concurrency is 1 to 1024, not 2000");
    subscription_definition_init(&definition);
    definition.key = GROUP_KEY_COMPONENTS;
    ck_assert_int_eq(subscription_definition_check(&definition, &reason), ERR_INVALID);
    subscription_definition_init(&definition);
    definition.queue = 0;
    ck_assert_int_eq(subscription_definition_check(&definition, &reason), ERR_INVALID);
}
END_TEST

START_TEST(names_are_one_component_of_a_namespace)
{
    static const char *VALID[] = {"a", "orders", "o.1", "größe", "a b", "$x", "-"};
    static const char *INVALID[] = {"",    ".",    ".hidden",  "a/b", "/",
                                    "a\n", "\x7f", "\xc2\x85", "\xff"};
    char longest[SUBSCRIPTION_NAME_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof VALID / sizeof VALID[0]; i++) {
        ck_assert(subscription_name_is_valid(bytes_of_text(VALID[i]), NULL));
    }
    for (size_t i = 0; i < sizeof INVALID / sizeof INVALID[0]; i++) {
        struct reason reason = {0};
        ck_assert(!subscription_name_is_valid(bytes_of_text(INVALID[i]), &reason));
        ck_assert(reason.text[0] != '\0');
    }
    memset(longest, 'a', sizeof longest);
    ck_assert(subscription_name_is_valid(bytes_of(longest, sizeof longest - 1), NULL));
    ck_assert(!subscription_name_is_valid(bytes_of(longest, sizeof longest), NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subscription_event");
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, every_kind_survives_the_way_there_and_back);
    suite_add(suite, every_prefix_is_refused_and_more_is_passed_over);
    suite_add(suite, other_versions_and_kinds_are_told);
    suite_add(suite, what_makes_no_sense_is_refused);
    suite_add(suite, one_that_is_too_long_is_not_written);
    suite_add(suite, definitions_that_differ_are_not_equal);
    suite_add(suite, a_definition_says_what_is_wrong_with_it);
    suite_add(suite, names_are_one_component_of_a_namespace);
    return check_main(suite);
}
