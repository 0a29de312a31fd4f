// What --group-key takes.

#include <string.h>

#include "client-cli/definition_options.h"
#include "tests/unit/check_main.h"

START_TEST(keys_have_four_forms)
{
    struct weir_definition definition = {.key = WEIR_KEY_ATTRIBUTE};
    ck_assert(definition_options_parse_key("none", &definition));
    ck_assert_int_eq(definition.key, WEIR_KEY_NONE);
    ck_assert(definition_options_parse_key("namespace", &definition));
    ck_assert_int_eq(definition.key, WEIR_KEY_NAMESPACE);
    ck_assert(definition_options_parse_key("64", &definition));
    ck_assert_int_eq(definition.key, WEIR_KEY_COMPONENTS);
    ck_assert_uint_eq(definition.key_components, 64);
    ck_assert(definition_options_parse_key("attribute:customer id", &definition));
    ck_assert_int_eq(definition.key, WEIR_KEY_ATTRIBUTE);
    ck_assert_str_eq(definition.key_attribute, "customer id");
}
END_TEST

START_TEST(anything_else_is_no_key)
{
    char long_key[10 + DEFINITION_KEY_BYTES_MAX + 2] = "attribute:";
    memset(long_key + 10, 'x', DEFINITION_KEY_BYTES_MAX + 1);
    const char *const wrong[] = {"",     "0",          "65",        "-1",    "1x",
                                 "None", "attribute:", "attribute", long_key};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct weir_definition definition = {0};
        ck_assert_msg(!definition_options_parse_key(wrong[i], &definition), "%s", wrong[i]);
    }
    struct weir_definition definition = {0};
    long_key[10 + DEFINITION_KEY_BYTES_MAX] = '\0';
    ck_assert(definition_options_parse_key(long_key, &definition));
}
END_TEST

START_TEST(what_cannot_be_is_known_without_a_node)
{
    struct weir_reason reason = {0};
    struct weir_definition definition = {.size = sizeof definition};
    ck_assert_int_eq(definition_options_check("mail", &definition, &reason), 0);
    ck_assert_int_eq(definition_options_check("a/b", &definition, &reason), WEIR_ERR_INVALID);
    ck_assert_msg(reason.text[0], "no reason");
    const char *const patterns[] = {"/a/**", "/***"};
    definition.patterns = patterns;
    definition.patterns_count = 1;
    ck_assert_int_eq(definition_options_check("mail", &definition, &reason), 0);
    definition.patterns_count = 2;
    ck_assert_int_eq(definition_options_check("mail", &definition, &reason), WEIR_ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/definition_options");
    suite_add(suite, keys_have_four_forms);
    suite_add(suite, anything_else_is_no_key);
    suite_add(suite, what_cannot_be_is_known_without_a_node);
    return check_main(suite);
}
