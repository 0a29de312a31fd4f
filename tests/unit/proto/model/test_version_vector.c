// A vector behaves as a plain array indexed by actor, and its text and msgpack forms come back.

#include "proto/model/version_vector.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

enum { ACTORS = 40 };

static void assert_is(const struct version_vector *vector, const uint64_t *counters)
{
    uint32_t count = 0;
    for (uint16_t actor = 1; actor < ACTORS; actor++) {
        count += counters[actor] != 0;
        ck_assert_uint_eq(version_vector_get(vector, actor), counters[actor]);
    }
    ck_assert_uint_eq(vector->count, count);
    for (uint32_t i = 1; i < vector->count; i++) {
        ck_assert_uint_lt(vector->entries[i - 1].actor, vector->entries[i].actor);
    }
    ck_assert_uint_eq(version_vector_get(vector, 65535), 0);
}

START_TEST(behaves_as_an_array_by_actor)
{
    struct random random;
    random_init(&random, test_seed());
    struct version_vector vector = {0};
    uint64_t counters[ACTORS] = {0};
    for (unsigned i = 0; i < test_rounds(20000); i++) {
        uint16_t actor = (uint16_t)(1 + random_below(&random, ACTORS - 1));
        uint64_t counter = random_below(&random, 4);
        if (i % 2 == 0) {
            ck_assert_int_eq(version_vector_set(&vector, actor, counter), 0);
            counters[actor] = counter;
        } else {
            ck_assert_int_eq(version_vector_raise(&vector, actor, counter), 0);
            counters[actor] = counter > counters[actor] ? counter : counters[actor];
        }
        if (i % 50 == 0) {
            assert_is(&vector, counters);
        }
        if (random_below(&random, 500) == 0) {
            version_vector_clear(&vector);
            memset(counters, 0, sizeof counters);
        }
    }
    version_vector_deinit(&vector);
}
END_TEST

static void random_vector(struct random *random, struct version_vector *vector, uint64_t *counters)
{
    memset(counters, 0, ACTORS * sizeof *counters);
    version_vector_clear(vector);
    uint64_t count =
        random_below(random, 3) == 0 ? random_below(random, 3) : random_below(random, ACTORS);
    for (uint64_t i = 0; i < count; i++) {
        uint16_t actor = (uint16_t)(1 + random_below(random, ACTORS - 1));
        counters[actor] = 1 + random_below(random, 3);
        ck_assert_int_eq(version_vector_set(vector, actor, counters[actor]), 0);
    }
}

START_TEST(merge_is_the_pointwise_maximum)
{
    struct random random;
    random_init(&random, test_seed());
    struct version_vector a = {0};
    struct version_vector b = {0};
    struct version_vector copy = {0};
    uint64_t of_a[ACTORS];
    uint64_t of_b[ACTORS];
    for (unsigned i = 0; i < test_rounds(500); i++) {
        random_vector(&random, &a, of_a);
        random_vector(&random, &b, of_b);
        bool includes = true;
        bool equal = true;
        for (unsigned actor = 0; actor < ACTORS; actor++) {
            includes &= of_a[actor] >= of_b[actor];
            equal &= of_a[actor] == of_b[actor];
        }
        ck_assert_int_eq(version_vector_includes(&a, &b), includes);
        ck_assert_int_eq(version_vector_equal(&a, &b), equal);
        ck_assert_int_eq(version_vector_copy(&copy, &a), 0);
        ck_assert(version_vector_equal(&copy, &a));
        ck_assert_int_eq(version_vector_merge(&a, &b), 0);
        for (unsigned actor = 0; actor < ACTORS; actor++) {
            of_a[actor] = of_a[actor] > of_b[actor] ? of_a[actor] : of_b[actor];
        }
        assert_is(&a, of_a);
        assert_is(&b, of_b);
        ck_assert(version_vector_includes(&a, &copy));
        ck_assert(version_vector_includes(&a, &b));
        ck_assert_int_eq(version_vector_merge(&a, &a), 0);
        assert_is(&a, of_a);
    }
    version_vector_deinit(&a);
    version_vector_deinit(&b);
    version_vector_deinit(&copy);
}
END_TEST

START_TEST(covers_what_is_up_to_its_counters)
{
    struct version_vector vector = {0};
    ck_assert_int_eq(version_vector_set(&vector, 2, 10), 0);
    ck_assert(version_vector_covers(&vector, (struct event_id){.counter = 10, .actor = 2}));
    ck_assert(!version_vector_covers(&vector, (struct event_id){.counter = 11, .actor = 2}));
    ck_assert(!version_vector_covers(&vector, (struct event_id){.counter = 1, .actor = 1}));
    version_vector_deinit(&vector);
}
END_TEST

static int parse(const char *text, struct version_vector *vector)
{
    struct bytes copy = exact_copy(bytes_of_text(text));
    struct reason reason = {0};
    int err = version_vector_parse(copy, vector, &reason);
    ck_assert_int_eq(err != 0, reason.text[0] != '\0');
    exact_free(copy);
    return err;
}

START_TEST(text_is_sorted_by_actor)
{
    struct version_vector vector = {0};
    struct buffer out = {0};
    ck_assert_int_eq(version_vector_format(&vector, &out), 0);
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of_text("@")));
    ck_assert_int_eq(parse("@998.2,9223372036854775807.65535,1042-1", &vector), 0);
    buffer_clear(&out);
    ck_assert_int_eq(version_vector_format(&vector, &out), 0);
    struct bytes expected = bytes_of_text("@1042.1,998.2,9223372036854775807.65535");
    ck_assert(bytes_equal(buffer_bytes(&out), expected));
    ck_assert_int_eq(parse("@0000000000000000000700003", &vector), 0);
    ck_assert_uint_eq(version_vector_get(&vector, 3), 7);
    ck_assert_uint_eq(vector.count, 1);
    ck_assert_int_eq(parse("@", &vector), 0);
    ck_assert_uint_eq(vector.count, 0);
    buffer_deinit(&out);
    version_vector_deinit(&vector);
}
END_TEST

START_TEST(other_text_is_refused_and_changes_nothing)
{
    static const char *const wrong[] = {
        "",      "1.1",   "@,",        "@1.1,", "@,1.1",    "@1.1,1",   "@1.1 ",
        "@ 1.1", "@@1.1", "@1.1,,2.2", "@0.1",  "@1.1;2.2", "@1.1,2.1", "@1.1,2.2,3.1"};
    struct version_vector vector = {0};
    ck_assert_int_eq(version_vector_set(&vector, 9, 99), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(parse(wrong[i], &vector) == ERR_INVALID, "%s", wrong[i]);
        ck_assert_uint_eq(vector.count, 1);
        ck_assert_uint_eq(version_vector_get(&vector, 9), 99);
    }
    version_vector_deinit(&vector);
}
END_TEST

START_TEST(msgpack_is_the_published_one)
{
    struct version_vector vector = {0};
    struct buffer out = {0};
    ck_assert_int_eq(version_vector_encode(&vector, &out), 0);
    assert_bytes_are(buffer_bytes(&out), "80");
    ck_assert_int_eq(parse("@127.1,128.127,255.128,256.255,65535.256,65536.257,4294967295.300,"
                           "4294967296.65535",
                           &vector),
                     0);
    buffer_clear(&out);
    ck_assert_int_eq(version_vector_encode(&vector, &out), 0);
    assert_bytes_are(buffer_bytes(&out), "88 01 7f 7f cc80 cc80 ccff ccff cd0100 cd0100 cdffff"
                                         "cd0101 ce00010000 cd012c ceffffffff"
                                         "cdffff cf0000000100000000");
    for (uint16_t actor = 1; actor <= 16; actor++) {
        ck_assert_int_eq(version_vector_set(&vector, actor, 1), 0);
    }
    buffer_clear(&out);
    ck_assert_int_eq(version_vector_encode(&vector, &out), 0);
    assert_bytes_are(bytes_of(out.data, 5), "de0017 01 01");
    buffer_deinit(&out);
    version_vector_deinit(&vector);
}
END_TEST

static int decode_hex(const char *hex, struct version_vector *vector, size_t *left_out)
{
    struct buffer buffer = {0};
    append_hex(&buffer, hex);
    struct bytes copy = exact_copy(buffer_bytes(&buffer));
    struct bytes rest = copy;
    struct bytes skipped = rest;
    int err = version_vector_decode(&rest, vector);
    ck_assert_int_eq(version_vector_skip(&skipped), err);
    ck_assert_uint_eq(skipped.length, rest.length);
    *left_out = rest.length;
    exact_free(copy);
    buffer_deinit(&buffer);
    return err;
}

START_TEST(every_form_of_msgpack_numbers_is_read)
{
    static const char *const forms[] = {
        "82 01 05 02 07",
        "de0002 cc01 cc05 cd0002 cd0007",
        "df00000002 ce00000001 ce00000005 cf0000000000000002 cf0000000000000007",
        "82 d001 d005 d10002 d10007",
        "82 d200000001 d200000005 d30000000000000002 d30000000000000007 ff",
    };
    struct version_vector vector = {0};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t left;
        ck_assert_msg(decode_hex(forms[i], &vector, &left) == 0, "%s", forms[i]);
        ck_assert_uint_eq(left, i == 4);
        ck_assert_uint_eq(vector.count, 2);
        ck_assert_uint_eq(version_vector_get(&vector, 1), 5);
        ck_assert_uint_eq(version_vector_get(&vector, 2), 7);
    }
    version_vector_deinit(&vector);
}
END_TEST

START_TEST(other_msgpack_is_refused_and_changes_nothing)
{
    static const char *const wrong[] = {
        "",
        "90",
        "c0",
        "81",
        "8101",
        "82010502",
        "810005",
        "810100",
        "8201050105",
        "82020501 05",
        "81 01 a0",
        "81 a0 01",
        "81 01 cf8000000000000000",
        "81 ce00010000 01",
        "81 d0ff 01",
        "81 01 d0ff",
        "81 01 d3ffffffffffffffff",
        "dfffffffff 0101",
        "deffff 0101",
        "df00010000 0101",
        "81 01 e0",
        "de00",
        "df000000",
        "81 01 cf00000000000000",
    };
    struct version_vector vector = {0};
    ck_assert_int_eq(version_vector_set(&vector, 9, 99), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t left;
        ck_assert_msg(decode_hex(wrong[i], &vector, &left) == ERR_INVALID, "%s", wrong[i]);
        ck_assert_uint_eq(vector.count, 1);
        ck_assert_uint_eq(version_vector_get(&vector, 9), 99);
    }
    version_vector_deinit(&vector);
}
END_TEST

START_TEST(both_forms_come_back_and_every_prefix_of_msgpack_is_refused)
{
    struct random random;
    random_init(&random, test_seed());
    struct version_vector vector = {0};
    struct version_vector back = {0};
    struct buffer out = {0};
    for (unsigned i = 0; i < test_rounds(300); i++) {
        version_vector_clear(&vector);
        for (uint64_t n = random_below(&random, 30); n > 0; n--) {
            uint16_t actor = (uint16_t)(1 + random_below(&random, 65535));
            uint64_t counter = 1 + (random_u64(&random) >> (1 + random_below(&random, 63)));
            counter = counter > COUNTER_MAX ? COUNTER_MAX : counter;
            ck_assert_int_eq(version_vector_set(&vector, actor, counter), 0);
        }
        buffer_clear(&out);
        ck_assert_int_eq(version_vector_format(&vector, &out), 0);
        ck_assert_int_eq(version_vector_parse(buffer_bytes(&out), &back, NULL), 0);
        ck_assert(version_vector_equal(&vector, &back));
        buffer_clear(&out);
        ck_assert_int_eq(version_vector_encode(&vector, &out), 0);
        struct bytes rest = buffer_bytes(&out);
        ck_assert_int_eq(version_vector_decode(&rest, &back), 0);
        ck_assert_uint_eq(rest.length, 0);
        ck_assert(version_vector_equal(&vector, &back));
        for (size_t length = 0; length < out.length; length++) {
            struct bytes copy = exact_copy(bytes_of(out.data, length));
            rest = copy;
            ck_assert_int_eq(version_vector_decode(&rest, &back), ERR_INVALID);
            exact_free(copy);
        }
    }
    buffer_deinit(&out);
    version_vector_deinit(&vector);
    version_vector_deinit(&back);
}
END_TEST

// An insertion into its place for each entry would take half a minute.
START_TEST(every_actor_in_backward_order_is_read)
{
    struct buffer text = {0};
    struct version_vector vector = {0};
    ck_assert_int_eq(buffer_append(&text, bytes_of_text("@")), 0);
    for (unsigned actor = ACTORS_MAX; actor > 0; actor--) {
        char id[EVENT_ID_SHORT_LENGTH_MAX + 2];
        struct event_id one = {.counter = actor, .actor = (uint16_t)actor};
        size_t length = event_id_format_short(one, id);
        id[length] = ',';
        length += actor > 1;
        ck_assert_int_eq(buffer_append(&text, bytes_of(id, length)), 0);
    }
    ck_assert_int_eq(version_vector_parse(buffer_bytes(&text), &vector, NULL), 0);
    ck_assert_uint_eq(vector.count, ACTORS_MAX);
    ck_assert_uint_eq(version_vector_get(&vector, 65535), 65535);
    ck_assert_int_eq(buffer_append(&text, bytes_of_text(",1.1")), 0);
    ck_assert_int_eq(version_vector_parse(buffer_bytes(&text), &vector, NULL), ERR_INVALID);
    struct buffer encoded = {0};
    ck_assert_int_eq(version_vector_encode(&vector, &encoded), 0);
    struct bytes rest = buffer_bytes(&encoded);
    ck_assert_int_eq(version_vector_decode(&rest, &vector), 0);
    ck_assert_uint_eq(vector.count, ACTORS_MAX);
    buffer_deinit(&encoded);
    buffer_deinit(&text);
    version_vector_deinit(&vector);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("version_vector");
    suite_add(suite, behaves_as_an_array_by_actor);
    suite_add(suite, merge_is_the_pointwise_maximum);
    suite_add(suite, covers_what_is_up_to_its_counters);
    suite_add(suite, text_is_sorted_by_actor);
    suite_add(suite, other_text_is_refused_and_changes_nothing);
    suite_add(suite, msgpack_is_the_published_one);
    suite_add(suite, every_form_of_msgpack_numbers_is_read);
    suite_add(suite, other_msgpack_is_refused_and_changes_nothing);
    suite_add(suite, both_forms_come_back_and_every_prefix_of_msgpack_is_refused);
    suite_add(suite, every_actor_in_backward_order_is_read);
    return check_main(suite);
}
