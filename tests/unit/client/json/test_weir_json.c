// Data as JSON: what is written is read back, and what is no JSON is refused with its place.

#include <string.h>

#include "client/weir_json.h"
#include "tests/unit/check_main.h"

START_TEST(values_come_back)
{
    static const char *const texts[] = {
        "{\"b\":[1,2.5,null,true],\"a\":\"\\u00e9\"}", "[]", "\"text\"", "17", "null",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct weir_bytes data = {texts[i], strlen(texts[i])};
        json_t *value;
        json_t *again;
        struct weir_bytes written;
        ck_assert_int_eq(weir_json_read(data, &value, NULL), 0);
        ck_assert_int_eq(weir_json_write(value, &written), 0);
        ck_assert_int_eq(weir_json_read(written, &again, NULL), 0);
        ck_assert(json_equal(value, again));
        weir_json_free(written);
        json_decref(value);
        json_decref(again);
    }
}
END_TEST

START_TEST(what_is_no_json_is_refused)
{
    static const char *const texts[] = {"", "{", "{} x", "\"\xff\"", "nul"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct weir_bytes data = {texts[i], strlen(texts[i])};
        struct weir_reason reason = {{0}};
        json_t *value;
        ck_assert_int_eq(weir_json_read(data, &value, &reason), WEIR_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(reason.text, "line"));
    }
    json_t *value;
    ck_assert_int_eq(weir_json_read((struct weir_bytes){0}, &value, NULL), WEIR_ERR_INVALID);
}
END_TEST

// The reason quotes the data: what would do something to a terminal does not get there.
START_TEST(reasons_are_plain_text)
{
    static const char *const texts[] = {"[\b]", "\x7f", "[1 \x7f", "{} \"\xc2\x9b\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct weir_reason reason = {{0}};
        json_t *value;
        ck_assert_int_eq(weir_json_read(weir_text(texts[i]), &value, &reason), WEIR_ERR_INVALID);
        ck_assert_ptr_nonnull(strchr(reason.text, '?'));
        for (const char *at = reason.text; *at; at++) {
            ck_assert_msg(*at >= ' ' && *at < 0x7f, "%s", reason.text);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/json/weir_json");
    suite_add(suite, values_come_back);
    suite_add(suite, what_is_no_json_is_refused);
    suite_add(suite, reasons_are_plain_text);
    return check_main(suite);
}
