// The cursor file: absent, read, replaced as a whole, refused when it is none.

#include "client-cli/cursor_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check_main.h"

static char folder[64];
static char path[96];

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/weir-cursor-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cursor", folder);
}

static void tear_down(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); // nothing else is left behind
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(is_new_then_holds_the_last_cursor)
{
    struct cursor_file file;
    struct buffer cursor = {0};
    struct reason reason = {0};
    ck_assert_int_eq(cursor_file_open(&file, path, &cursor, &reason), CURSOR_FILE_NEW);
    ck_assert_int_ne(access(path, F_OK), 0);
    for (int i = 1; i <= 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "@%d.7", i);
        ck_assert_int_eq(
            cursor_file_write(&file, bytes_of_text(text), (struct instant){0}, &reason), 0);
    }
    cursor_file_close(&file);
    ck_assert_int_eq(cursor_file_open(&file, path, &cursor, &reason), 0);
    ck_assert_str_eq((const char *)cursor.data, "@3.7");
    ck_assert_uint_eq(cursor.length, 4);
    cursor_file_close(&file);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(is_not_written_again_for_the_same_cursor)
{
    struct cursor_file file;
    struct buffer cursor = {0};
    ck_assert_int_eq(cursor_file_open(&file, path, &cursor, NULL), CURSOR_FILE_NEW);
    ck_assert_int_eq(cursor_file_write(&file, bytes_of_text("@1.1"), (struct instant){0}, NULL), 0);
    unlink(path);
    ck_assert_int_eq(cursor_file_write(&file, bytes_of_text("@1.1"), (struct instant){0}, NULL), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    cursor_file_close(&file);
}
END_TEST

START_TEST(what_is_no_cursor_is_refused)
{
    static const char *const wrong[] = {"", "\n", "1.1\n", "@1\n", "@1.1\n@2.1\n", "@1.1,2.1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cursor_file file;
        struct buffer cursor = {0};
        struct reason reason = {0};
        write_file(wrong[i]);
        ck_assert_int_eq(cursor_file_open(&file, path, &cursor, &reason), ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(reason.text, path));
        cursor_file_close(&file);
        buffer_deinit(&cursor);
    }
}
END_TEST

START_TEST(a_folder_that_is_missing_is_said_at_once)
{
    struct cursor_file file;
    struct buffer cursor = {0};
    struct reason reason = {0};
    ck_assert_int_eq(cursor_file_open(&file, "/nonexistent/cursor", &cursor, &reason), ERR_IO);
    ck_assert_ptr_nonnull(strstr(reason.text, "/nonexistent/cursor"));
    cursor_file_close(&file);
}
END_TEST

START_TEST(without_a_path_nothing_happens)
{
    struct cursor_file file;
    struct buffer cursor = {0};
    ck_assert_int_eq(cursor_file_open(&file, NULL, &cursor, NULL), CURSOR_FILE_NEW);
    ck_assert_int_eq(cursor_file_write(&file, bytes_of_text("@1.1"), (struct instant){0}, NULL), 0);
    cursor_file_close(&file);
}
END_TEST

static void add(Suite *suite, const TTest *test)
{
    TCase *test_case = tcase_create(test->name);
    tcase_add_checked_fixture(test_case, set_up, tear_down);
    tcase_add_test(test_case, test);
    suite_add_tcase(suite, test_case);
}

int main(void)
{
    Suite *suite = suite_create("client-cli/cursor_file");
    add(suite, is_new_then_holds_the_last_cursor);
    add(suite, is_not_written_again_for_the_same_cursor);
    add(suite, what_is_no_cursor_is_refused);
    add(suite, a_folder_that_is_missing_is_said_at_once);
    add(suite, without_a_path_nothing_happens);
    return check_main(suite);
}
