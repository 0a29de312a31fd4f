// Lines come whole, whatever the pieces that are read.

#include "client-cli/line_source.h"

#include <unistd.h>

#include "tests/unit/check_main.h"

// A source that reads from a pipe, and the end to write to.
static struct line_source open_pipe(int *write_out, size_t line_max)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    *write_out = ends[1];
    return (struct line_source){.fd = ends[0], .line_max = line_max};
}

static void put(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect_line(struct line_source *source, const char *expected)
{
    struct bytes line;
    ck_assert_int_eq(line_source_peek(source, &line), 0);
    ck_assert_int_eq(line_source_peek(source, &line), 0); // it stays
    ck_assert_msg(bytes_equal(line, bytes_of_text(expected)), "%.*s", (int)line.length, line.data);
    line_source_take(source);
}

static void expect_outcome(struct line_source *source, int outcome)
{
    struct bytes line;
    ck_assert_int_eq(line_source_peek(source, &line), outcome);
}

START_TEST(lines_come_as_they_are_complete)
{
    int fd;
    struct line_source source = open_pipe(&fd, 100);
    expect_outcome(&source, LINE_NONE);
    ck_assert(!line_source_is_readable(&source));
    put(fd, "one\n\ntw");
    ck_assert(line_source_is_readable(&source));
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_line(&source, "one");
    expect_line(&source, "");
    expect_outcome(&source, LINE_NONE);
    put(fd, "o");
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_outcome(&source, LINE_NONE);
    put(fd, "\r\nlast");
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_line(&source, "two\r");
    ck_assert_uint_eq(source.number, 3);
    expect_outcome(&source, LINE_NONE);
    close(fd);
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_line(&source, "last");
    expect_outcome(&source, LINE_END);
    line_source_close(&source);
}
END_TEST

START_TEST(a_newline_at_the_end_is_no_further_line)
{
    int fd;
    struct line_source source = open_pipe(&fd, 100);
    put(fd, "x\n");
    close(fd);
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_line(&source, "x");
    expect_outcome(&source, LINE_NONE);
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_outcome(&source, LINE_END);
    line_source_close(&source);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_refused_before_it_is_complete)
{
    int fd;
    struct line_source source = open_pipe(&fd, 5);
    put(fd, "12345\n123456");
    ck_assert_int_eq(line_source_read(&source, NULL), 0);
    expect_line(&source, "12345");
    expect_outcome(&source, ERR_LIMIT);
    close(fd);
    line_source_close(&source);
}
END_TEST

START_TEST(a_file_that_is_missing_is_named)
{
    struct line_source source;
    struct reason reason = {0};
    ck_assert_int_eq(line_source_open(&source, "/nonexistent/lines", 100, &reason), ERR_IO);
    ck_assert_ptr_nonnull(strstr(reason.text, "/nonexistent/lines"));
    line_source_close(&source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/line_source");
    suite_add(suite, lines_come_as_they_are_complete);
    suite_add(suite, a_newline_at_the_end_is_no_further_line);
    suite_add(suite, a_line_that_is_too_long_is_refused_before_it_is_complete);
    suite_add(suite, a_file_that_is_missing_is_named);
    return check_main(suite);
}
