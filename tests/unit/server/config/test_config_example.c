// The example file deploy/weir.yaml is the documentation of every key, so it is held to that.
#include <string.h>

#include "tests/unit/check_main.h"
#include "tests/unit/server/config/config_fixture.h"

START_TEST(the_example_says_the_defaults)
{
    struct config config;
    struct config example;
    struct reason reason = {0};
    config_init(&config);
    config_init(&example);
    ck_assert_msg(config_read_file(&example, CONFIG_EXAMPLE, &reason) == 0, "%s", reason.text);
    memset(example.sources, 0, sizeof example.sources);
    // Bytes behind the end of a text may differ, so the printed forms are compared, and the
    // automatic values, which print as what the machine makes of them, one by one.
    struct printed printed;
    struct printed printed_example;
    print_values(&config, &printed);
    print_values(&example, &printed_example);
    ck_assert_str_eq(printed.text, printed_example.text);
    ck_assert_uint_eq(example.actor_id, CONFIG_AUTO);
    ck_assert_uint_eq(example.connections_max, CONFIG_AUTO);
    ck_assert_uint_eq(example.recent_cache_mb, CONFIG_AUTO);
    ck_assert_uint_eq(example.io_threads, CONFIG_AUTO);
    ck_assert_uint_eq(example.read_threads, CONFIG_AUTO);
    ck_assert_uint_eq(example.disk_reserve_mb, CONFIG_AUTO);
}
END_TEST

// A comment is joined to one line, so that a word may be looked for across line ends.
static void check_comment(const char *name, const char *comment)
{
    enum config_key key;
    ck_assert_msg(config_key_find(name, &key) == 0, "%s is no key", name);
    const char *environment = config_key_environment(key);
    const char *flag = config_key_flag(key);
    ck_assert_msg(strlen(comment) > 40, "%s is not explained", name);
    ck_assert_msg(strstr(comment, environment) != NULL, "%s: no word of %s", name, environment);
    ck_assert_msg(flag == NULL || strstr(comment, flag) != NULL, "%s: no word of %s", name, flag);
}

START_TEST(every_key_stands_in_the_example_with_an_explanation)
{
    FILE *file = fopen(CONFIG_EXAMPLE, "r");
    ck_assert_ptr_nonnull(file);
    char line[256];
    char comment[4096] = "";
    unsigned keys_count = 0;
    bool is_nested = false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *text = line + strspn(line, " ");
        text[strcspn(text, "\n")] = '\0';
        if (text[0] == '#') {
            strncat(comment, text + 1, sizeof comment - strlen(comment) - 1);
        } else if (text[0] == '\0') {
            comment[0] = '\0';
        } else if (strcmp(text, "log:") == 0) {
            is_nested = true;
        } else if (text[0] != '-') {
            char name[64];
            snprintf(name, sizeof name, "%s%.*s", is_nested ? "log." : "", (int)strcspn(text, ":"),
                     text);
            check_comment(name, comment);
            keys_count++;
        }
    }
    fclose(file);
    ck_assert_uint_eq(keys_count, CONFIG_KEYS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_example");
    suite_add(suite, the_example_says_the_defaults);
    suite_add(suite, every_key_stands_in_the_example_with_an_explanation);
    return check_main(suite);
}
