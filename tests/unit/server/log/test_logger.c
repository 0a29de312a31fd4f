#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log/logger.h"
#include "tests/unit/check_main.h"

static char directory[] = "/tmp/weir-test-XXXXXX";
static char path[64];

static void make_directory(void)
{
    snprintf(directory, sizeof directory, "/tmp/weir-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/log", directory);
}

static void remove_directory(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static struct logger *open_logger(const char *dest, enum log_level level)
{
    static const struct logger_part PARTS[] = {{.name = "net", .level = LOG_TRACE},
                                               {.name = "store", .level = LOG_ERROR}};
    struct logger_config config = {.level = level, .parts = PARTS, .parts_count = 2, .dest = dest};
    struct logger *logger = NULL;
    struct reason reason = {0};
    ck_assert_msg(logger_open(&config, &logger, &reason) == 0, "%s", reason.text);
    return logger;
}

static const char *content(const char *name)
{
    static char text[8192];
    FILE *file = fopen(name, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

START_TEST(a_line_has_time_level_and_part)
{
    make_directory();
    struct logger *logger = open_logger(path, LOG_INFO);
    logger_write(logger, LOG_WARNING, "server", "the %s is %d", "answer", 42);
    const char *line = content(path);
    ck_assert_uint_eq(strspn(line, "0123456789-:.TZ"), strlen("2024-05-01T12:00:00.123Z"));
    ck_assert_str_eq(line + 24, " warning server: the answer is 42\n");
    logger_close(logger);
    remove_directory();
}
END_TEST

START_TEST(parts_have_levels_of_their_own)
{
    make_directory();
    struct logger *logger = open_logger(path, LOG_INFO);
    logger_write(logger, LOG_DEBUG, "server", "no");
    logger_write(logger, LOG_WARNING, "store", "no");
    ck_assert_str_eq(content(path), "");
    logger_write(logger, LOG_TRACE, "net", "yes");
    logger_write(logger, LOG_ERROR, "store", "yes");
    ck_assert_ptr_nonnull(strstr(content(path), "trace net: yes\n"));
    ck_assert_ptr_nonnull(strstr(content(path), "error store: yes\n"));
    ck_assert(logger_is_on(logger, LOG_TRACE, "net"));
    ck_assert(!logger_is_on(logger, LOG_DEBUG, "server"));
    logger_close(logger);
    remove_directory();
}
END_TEST

START_TEST(a_line_is_one_line_and_bounded)
{
    make_directory();
    struct logger *logger = open_logger(path, LOG_INFO);
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "a\nb\033c", 5);
    logger_write(logger, LOG_INFO, "server", "%s", text);
    const char *line = content(path);
    ck_assert_ptr_nonnull(strstr(line, "server: a?b?cxxx"));
    ck_assert_uint_le(strlen(line), 2048);
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    logger_close(logger);
    remove_directory();
}
END_TEST

START_TEST(a_file_is_opened_anew_under_its_name)
{
    make_directory();
    struct logger *logger = open_logger(path, LOG_INFO);
    struct reason reason = {0};
    char before[80];
    snprintf(before, sizeof before, "%s.1", path);
    logger_write(logger, LOG_INFO, "server", "first");
    ck_assert_int_eq(rename(path, before), 0);
    logger_write(logger, LOG_INFO, "server", "second");
    ck_assert_int_eq(logger_reopen(logger, &reason), 0);
    logger_write(logger, LOG_INFO, "server", "third");
    ck_assert_ptr_nonnull(strstr(content(before), "second"));
    ck_assert_ptr_null(strstr(content(before), "third"));
    ck_assert_ptr_nonnull(strstr(content(path), "third"));
    ck_assert_ptr_null(strstr(content(path), "second"));
    logger_close(logger);
    unlink(before);
    remove_directory();
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_anew_leaves_the_old_one_in_use)
{
    make_directory();
    struct logger *logger = open_logger(path, LOG_INFO);
    struct reason reason = {0};
    char before[80];
    snprintf(before, sizeof before, "%s.1", path);
    ck_assert_int_eq(rename(path, before), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_ne(logger_reopen(logger, &reason), 0);
    ck_assert_ptr_nonnull(strstr(reason.text, path));
    logger_write(logger, LOG_INFO, "server", "still here");
    ck_assert_ptr_nonnull(strstr(content(before), "still here"));
    logger_close(logger);
    rmdir(path);
    unlink(before);
    remove_directory();
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_named)
{
    struct logger_config config = {.level = LOG_INFO, .dest = "/nowhere/log"};
    struct logger *logger = NULL;
    struct reason reason = {0};
    ck_assert_int_eq(logger_open(&config, &logger, &reason), ERR_IO);
    ck_assert_str_eq(reason.text, "cannot open the log file /nowhere/log: No such file or "
                                  "directory; choose another with --log-dest");
}
END_TEST

// What a logger to `dest` writes to a stderr that is a file.
static const char *written_to_stderr(const char *dest)
{
    int kept = dup(STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    struct logger *logger = open_logger(dest, LOG_INFO);
    logger_write(logger, LOG_ERROR, "server", "text");
    logger_write(logger, LOG_TRACE, "net", "text");
    logger_close(logger);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    close(kept);
    close(fd);
    return content(path);
}

START_TEST(the_journal_gets_priorities_and_no_times)
{
    make_directory();
    unsetenv("JOURNAL_STREAM");
    ck_assert_str_eq(written_to_stderr("journal"), "<3>server: text\n<7>net: text\n");
    ck_assert_ptr_nonnull(strstr(written_to_stderr("stderr"), "Z error server: text\n"));
    // stderr that systemd has connected to the journal is found out.
    struct stat status;
    char stream[64];
    ck_assert_int_eq(stat(path, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    ck_assert_str_eq(written_to_stderr("stderr"), "<3>server: text\n<7>net: text\n");
    unsetenv("JOURNAL_STREAM");
    remove_directory();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logger");
    suite_add(suite, a_line_has_time_level_and_part);
    suite_add(suite, parts_have_levels_of_their_own);
    suite_add(suite, a_line_is_one_line_and_bounded);
    suite_add(suite, a_file_is_opened_anew_under_its_name);
    suite_add(suite, a_file_that_cannot_be_opened_anew_leaves_the_old_one_in_use);
    suite_add(suite, a_file_that_cannot_be_opened_is_named);
    suite_add(suite, the_journal_gets_priorities_and_no_times);
    return check_main(suite);
}
