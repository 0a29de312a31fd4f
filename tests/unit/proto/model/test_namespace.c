// Names are UTF-8 without control characters, and the fast way judges as the slow one.

#include "proto/model/namespace.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

static int validate(struct bytes name, struct reason *reason)
{
    struct bytes copy = exact_copy(name);
    int err = namespace_validate(copy, reason);
    exact_free(copy);
    return err;
}

static int validate_text(const char *text)
{
    return validate(bytes_of_text(text), NULL);
}

START_TEST(accepts_names)
{
    ck_assert_int_eq(validate_text("a"), 0);
    ck_assert_int_eq(validate_text("/"), 0);
    ck_assert_int_eq(validate_text("/$weir/members"), 0);
    ck_assert_int_eq(validate_text("/orders/eu/42"), 0);
    ck_assert_int_eq(validate_text(" ~"), 0);
    ck_assert_int_eq(validate_text("caf\xc3\xa9"), 0);
    ck_assert_int_eq(validate_text("\xc2\xa0"), 0);
    ck_assert_int_eq(validate_text("\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"), 0);
}
END_TEST

START_TEST(refuses_what_is_no_name_and_says_where)
{
    struct reason reason;
    ck_assert_int_eq(validate(bytes_of(NULL, 0), &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the namespace is empty");
    ck_assert_int_eq(validate(bytes_of("/a\0b", 4), &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the namespace has a control character (0x00) at byte 2");
    ck_assert_int_eq(validate(bytes_of_text("/ab\x7f"), &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the namespace has a control character (0x7f) at byte 3");
    ck_assert_int_eq(validate(bytes_of_text("0123456789\xc2\x85"), &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the namespace has a control character (0x85) at byte 10");
    ck_assert_int_eq(validate(bytes_of_text("/a\xff/b"), &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "the namespace is not UTF-8 at byte 2");
}
END_TEST

START_TEST(has_at_most_1024_bytes)
{
    uint8_t name[NAMESPACE_BYTES_MAX + 1];
    memset(name, 'n', sizeof name);
    struct reason reason;
    ck_assert_int_eq(validate(bytes_of(name, NAMESPACE_BYTES_MAX), &reason), 0);
    ck_assert_int_eq(validate(bytes_of(name, NAMESPACE_BYTES_MAX + 1), &reason), ERR_LIMIT);
    ck_assert_str_eq(reason.text, "the namespace has 1025 bytes, 1024 are allowed");
}
END_TEST

START_TEST(every_byte_is_judged_at_every_place)
{
    for (size_t length = 1; length <= 27; length++) {
        for (size_t place = 0; place < length; place++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                uint8_t name[27];
                memset(name, 'n', length);
                name[place] = (uint8_t)byte;
                int expected = byte >= 0x20 && byte < 0x7f ? 0 : ERR_INVALID;
                if (namespace_validate(bytes_of(name, length), NULL) != expected) {
                    ck_abort_msg("byte %u at %zu of %zu", byte, place, length);
                }
            }
        }
    }
}
END_TEST

// Decodes and encodes again: what comes back as it was is well formed.
static bool is_utf8_slowly(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t lead = text[i];
        size_t step = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if ((lead >= 0x80 && lead < 0xc0) || lead >= 0xf8 || step > length - i) {
            return false;
        }
        uint32_t character = step == 1 ? lead : lead & (0xffu >> (step + 1));
        for (size_t k = 1; k < step; k++) {
            if (text[i + k] >> 6 != 2) {
                return false;
            }
            character = character << 6 | (text[i + k] & 0x3fu);
        }
        size_t shortest = character < 0x80      ? 1
                          : character < 0x800   ? 2
                          : character < 0x10000 ? 3
                                                : 4;
        bool is_surrogate = character >= 0xd800 && character < 0xe000;
        if (step != shortest || is_surrogate || character > 0x10ffff) {
            return false;
        }
        i += step;
    }
    return true;
}

START_TEST(utf8_is_judged_as_by_decoding)
{
    uint8_t text[4];
    for (uint32_t word = 0; word < 0x1000000; word += getenv("WEIR_TEST_REDUCED") ? 97 : 5) {
        text[0] = (uint8_t)(word >> 16);
        text[1] = (uint8_t)(word >> 8);
        text[2] = (uint8_t)word;
        text[3] = 0x80;
        bool is_valid = utf8_is_valid(bytes_of(text, 4));
        if (is_valid != is_utf8_slowly(text, 4)) {
            ck_abort_msg("%06x was judged %d", (unsigned)word, is_valid);
        }
    }
}
END_TEST

START_TEST(utf8_among_ascii_is_judged_as_by_decoding)
{
    static const char *const pieces[] = {"a",        "0123456",      "0123456789abcdef",
                                         "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                         "\x80",     "\xed\xa0\x80", "\xc0\x80"};
    struct random random;
    random_init(&random, test_seed());
    for (unsigned i = 0; i < test_rounds(20000); i++) {
        struct buffer text = {0};
        size_t count = random_below(&random, 6);
        for (size_t k = 0; k < count; k++) {
            size_t kinds = i % 2 ? 9 : 6; // every other text is well formed
            struct bytes piece = bytes_of_text(pieces[random_below(&random, kinds)]);
            ck_assert_int_eq(buffer_append(&text, piece), 0);
        }
        if (i % 4 > 1 && text.length > 0) {
            text.length--;
        }
        struct bytes copy = exact_copy(buffer_bytes(&text));
        ck_assert_int_eq(utf8_is_valid(copy), is_utf8_slowly(copy.data, copy.length));
        exact_free(copy);
        buffer_deinit(&text);
    }
}
END_TEST

START_TEST(system_names_begin_with_slash_dollar)
{
    ck_assert(namespace_is_system(bytes_of_text("/$")));
    ck_assert(namespace_is_system(bytes_of_text("/$weir")));
    ck_assert(!namespace_is_system(bytes_of_text("/")));
    ck_assert(!namespace_is_system(bytes_of_text("$weir")));
    ck_assert(!namespace_is_system(bytes_of_text("/a/$")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("namespace");
    suite_add(suite, accepts_names);
    suite_add(suite, refuses_what_is_no_name_and_says_where);
    suite_add(suite, has_at_most_1024_bytes);
    suite_add(suite, every_byte_is_judged_at_every_place);
    suite_add(suite, utf8_is_judged_as_by_decoding);
    suite_add(suite, utf8_among_ascii_is_judged_as_by_decoding);
    suite_add(suite, system_names_begin_with_slash_dollar);
    return check_main(suite);
}
