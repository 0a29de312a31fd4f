// Events about members have one layout for ever; what makes no sense is refused by every node
// alike.

#include "proto/model/member_event.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

static struct member_event sample(enum member_event_kind kind)
{
    struct member_event event = {
        .kind = kind,
        .actor = 7,
        .node = {{0x11, 0x12}},
        .by = {{0x21, 0x22}},
        .address = bytes_of_text("host:1"),
        .is_forced = true,
        .seal = 1042,
        .seal_hash = {{0x31, 0x32}},
        .first = 900,
        .last = 1000,
    };
    return event;
}

static int decode_exactly(struct bytes data, struct member_event *event_out)
{
    struct bytes copy = exact_copy(data);
    int err = member_event_decode(copy, event_out);
    exact_free(copy);
    return err;
}

START_TEST(bytes_are_the_published_ones)
{
    struct member_event event = sample(MEMBER_ADMITTED);
    struct buffer out = {0};
    ck_assert_int_eq(member_event_encode(&event, &out), 0);
    assert_bytes_are(buffer_bytes(&out), "01 01 0007 0001 11120000000000000000000000000000"
                                         "21220000000000000000000000000000 0000000000000412"
                                         "31320000000000000000000000000000 0000000000000384"
                                         "00000000000003e8 0006 686f73743a31");
    buffer_deinit(&out);
}
END_TEST

START_TEST(every_kind_survives_the_way_there_and_back)
{
    for (int kind = MEMBER_ADMITTED; kind <= MEMBER_FORGIVEN; kind++) {
        struct member_event event = sample((enum member_event_kind)kind);
        event.is_forced = kind % 2;
        struct buffer out = {0};
        ck_assert_int_eq(member_event_encode(&event, &out), 0);
        struct bytes copy = exact_copy(buffer_bytes(&out));
        struct member_event decoded;
        memset(&decoded, 0xa5, sizeof decoded);
        ck_assert_int_eq(member_event_decode(copy, &decoded), 0);
        ck_assert_int_eq(decoded.kind, event.kind);
        ck_assert(event_id_is_none(decoded.id));
        ck_assert_uint_eq(decoded.actor, event.actor);
        ck_assert(uuid_equal(&decoded.node, &event.node));
        ck_assert(uuid_equal(&decoded.by, &event.by));
        ck_assert(bytes_equal(decoded.address, event.address));
        ck_assert_int_eq(decoded.is_forced, event.is_forced);
        ck_assert_uint_eq(decoded.seal, event.seal);
        ck_assert(hash128_equal(&decoded.seal_hash, &event.seal_hash));
        ck_assert_uint_eq(decoded.first, event.first);
        ck_assert_uint_eq(decoded.last, event.last);
        exact_free(copy);
        buffer_deinit(&out);
    }
}
END_TEST

START_TEST(every_prefix_is_refused_and_more_is_passed_over)
{
    struct member_event event = sample(MEMBER_RETIRED);
    struct member_event decoded;
    struct buffer out = {0};
    ck_assert_int_eq(member_event_encode(&event, &out), 0);
    for (size_t length = 0; length < out.length; length++) {
        ck_assert_int_eq(decode_exactly(bytes_of(out.data, length), &decoded), ERR_INVALID);
    }
    append_hex(&out, "00112233");
    ck_assert_int_eq(decode_exactly(buffer_bytes(&out), &decoded), 0);
    buffer_deinit(&out);
}
END_TEST

// Decodes the sample with its byte at `at` replaced.
static int decode_changed(enum member_event_kind kind, size_t at, uint8_t value)
{
    struct member_event event = sample(kind);
    struct member_event decoded;
    struct buffer out = {0};
    ck_assert_int_eq(member_event_encode(&event, &out), 0);
    out.data[at] = value;
    int err = decode_exactly(buffer_bytes(&out), &decoded);
    buffer_deinit(&out);
    return err;
}

START_TEST(other_versions_and_kinds_are_told)
{
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 0, 0), ERR_INVALID);
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 0, 2), ERR_VERSION);
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 0, 255), ERR_VERSION);
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 1, 0), ERR_INVALID);
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 1, 5), ERR_INVALID);
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 4, 0x80), 0); // a flag of a later version
}
END_TEST

static int decode_event(const struct member_event *event)
{
    struct member_event decoded;
    struct buffer out = {0};
    ck_assert_int_eq(member_event_encode(event, &out), 0);
    int err = decode_exactly(buffer_bytes(&out), &decoded);
    buffer_deinit(&out);
    return err;
}

START_TEST(what_makes_no_sense_is_refused)
{
    struct member_event event = sample(MEMBER_FORGIVEN);
    event.actor = 0;
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    event = sample(MEMBER_ADMITTED);
    event.node = (struct uuid){0};
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    event = sample(MEMBER_ADMITTED);
    event.by = (struct uuid){0};
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    event = sample(MEMBER_RETIRED);
    event.seal = COUNTER_MAX;
    ck_assert_int_eq(decode_event(&event), 0);
    event.seal = COUNTER_MAX + 1;
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    event = sample(MEMBER_LOST);
    event.first = event.last;
    ck_assert_int_eq(decode_event(&event), 0);
    event.first = event.last + 1;
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    event.first = 0;
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    event.first = 1;
    event.last = COUNTER_MAX + 1;
    ck_assert_int_eq(decode_event(&event), ERR_INVALID);
    ck_assert_int_eq(decode_changed(MEMBER_ADMITTED, 78, 2), ERR_INVALID); // too long an address
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("member_event");
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, every_kind_survives_the_way_there_and_back);
    suite_add(suite, every_prefix_is_refused_and_more_is_passed_over);
    suite_add(suite, other_versions_and_kinds_are_told);
    suite_add(suite, what_makes_no_sense_is_refused);
    return check_main(suite);
}
