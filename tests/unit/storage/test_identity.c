// The data directory and the identity in it, in temporary directories.

#include "tests/unit/check_main.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/identity.h"

enum { PATH_BYTES = 64 };

static char root[PATH_BYTES - 16];
static char path[PATH_BYTES]; // of the data directory in it, not yet made
static struct reason reason;

static void setup(void)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/weir-identity-XXXXXX", temporary ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(path, sizeof path, "%s/data", root);
    reason_clear(&reason);
}

static int remove_entry(const char *entry, const struct stat *status, int type, struct FTW *walk)
{
    return remove(entry);
}

static void teardown(void)
{
    ck_assert_int_eq(nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static struct data_dir *open_dir(void)
{
    struct data_dir *dir = NULL;
    int result = data_dir_open(path, &dir, &reason);
    ck_assert_msg(result == 0, "%d: %s", result, reason.text);
    return dir;
}

static void expect_refused(int err, const char *word)
{
    struct data_dir *dir = NULL;
    reason_clear(&reason);
    ck_assert_int_eq(data_dir_open(path, &dir, &reason), err);
    ck_assert_ptr_null(dir);
    ck_assert_msg(strstr(reason.text, path) && strstr(reason.text, word), "%s", reason.text);
}

static void write_text(const char *name, const char *text, size_t length)
{
    char file[PATH_BYTES + 16];
    snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *stream = fopen(file, "we");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(text, 1, length, stream), length);
    ck_assert_int_eq(fclose(stream), 0);
}

static bool exists(const char *name)
{
    char file[PATH_BYTES + 16];
    snprintf(file, sizeof file, "%s/%s", path, name);
    return access(file, F_OK) == 0;
}

// --- The directory

START_TEST(a_missing_directory_is_made_for_us_alone)
{
    struct data_dir *dir = open_dir();
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    char expected[PATH_BYTES + 16];
    snprintf(expected, sizeof expected, "%s/log", path);
    ck_assert_str_eq(data_dir_log_path(dir), expected);
    snprintf(expected, sizeof expected, "%s/index", path);
    ck_assert_str_eq(data_dir_index_path(dir), expected);
    data_dir_close(dir);
    data_dir_close(open_dir());
}
END_TEST

START_TEST(only_the_last_directory_is_made)
{
    snprintf(path, sizeof path, "%s/a/data", root);
    expect_refused(ERR_IO, "create it");
}
END_TEST

START_TEST(a_locked_directory_names_the_process)
{
    struct data_dir *dir = open_dir();
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    expect_refused(ERR_LOCKED, pid);
    data_dir_close(dir);
    data_dir_close(open_dir());
}
END_TEST

START_TEST(the_lock_goes_with_the_process)
{
    int pipe_fds[2];
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct data_dir *dir;
        char opened = data_dir_open(path, &dir, NULL) == 0;
        _exit(write(pipe_fds[1], &opened, 1) == 1 && pause() == 0);
    }
    char opened = 0;
    ck_assert_int_eq(read(pipe_fds[0], &opened, 1), 1);
    ck_assert_int_eq(opened, 1);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)child);
    expect_refused(ERR_LOCKED, pid);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    data_dir_close(open_dir());
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}
END_TEST

START_TEST(a_directory_of_somebody_else_is_left_alone)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_text("thesis.tex", "x", 1);
    expect_refused(ERR_FOREIGN, "thesis.tex");
    ck_assert(!exists("lock"));
}
END_TEST

START_TEST(a_fresh_file_system_is_empty)
{
    char lost[PATH_BYTES + 16];
    snprintf(lost, sizeof lost, "%s/lost+found", path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(mkdir(lost, 0700), 0);
    data_dir_close(open_dir());
    ck_assert(exists("lock"));
}
END_TEST

START_TEST(a_file_is_not_a_directory)
{
    FILE *stream = fopen(path, "we");
    ck_assert_ptr_nonnull(stream);
    fclose(stream);
    expect_refused(ERR_FOREIGN, "not a directory");
}
END_TEST

// Runs without the rights of root, which has all.
START_TEST(a_directory_we_cannot_write_to_is_denied)
{
    ck_assert_int_eq(mkdir(path, 0555), 0);
    ck_assert_int_eq(chmod(root, 0755), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct data_dir *dir;
        if (geteuid() == 0 && seteuid(65534) != 0) {
            _exit(2);
        }
        int result = data_dir_open(path, &dir, &reason);
        _exit(result == ERR_DENIED && strstr(reason.text, path) ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

// --- The identity

static const char TEXT[] = "format: 2\n"
                           "cluster-name: river\n"
                           "cluster: 00112233-4455-4677-8899-aabbccddeeff\n"
                           "node: ffeeddcc-bbaa-4988-b766-554433221100\n"
                           "actor: 65535\n"
                           "run: 18446744073709551615\n"
                           "runs: 0123456789abcdef ffffffffffffffff 0000000000000000\n";

START_TEST(an_identity_is_read_as_written)
{
    struct data_dir *dir = open_dir();
    struct identity identity = {.cluster_name = "a name: with a colon", .actor = 7, .run = 42};
    ck_assert_int_eq(uuid_random(&identity.cluster), 0);
    ck_assert_int_eq(uuid_random(&identity.node), 0);
    struct identity found;
    ck_assert_int_eq(identity_read(dir, &found, &reason), IDENTITY_FRESH);
    for (unsigned i = 0; i < 2 * RUNS_REMEMBERED_MAX; i++) {
        identity_begin_run(&identity, i);
        ck_assert_int_eq(identity_write(dir, &identity, &reason), 0);
        ck_assert(!exists("identity.new"));
        ck_assert_int_eq(identity_read(dir, &found, &reason), 0);
        ck_assert_str_eq(found.cluster_name, identity.cluster_name);
        ck_assert_mem_eq(&found.cluster, &identity.cluster, sizeof found.cluster);
        ck_assert_mem_eq(&found.node, &identity.node, sizeof found.node);
        ck_assert_uint_eq(found.actor, 7);
        ck_assert_uint_eq(found.run, 43 + i);
        ck_assert_uint_eq(found.run_randoms_count,
                          i + 1 < RUNS_REMEMBERED_MAX ? i + 1 : RUNS_REMEMBERED_MAX);
        for (unsigned j = 0; j < found.run_randoms_count; j++) {
            ck_assert_uint_eq(found.run_randoms[j], i - j);
        }
    }
    data_dir_close(dir);
}
END_TEST

START_TEST(the_text_is_stable)
{
    struct data_dir *dir = open_dir();
    write_text("identity", TEXT, strlen(TEXT));
    struct identity identity;
    ck_assert_int_eq(identity_read(dir, &identity, &reason), 0);
    ck_assert_str_eq(identity.cluster_name, "river");
    ck_assert_uint_eq(identity.cluster.bytes[1], 0x11);
    ck_assert_uint_eq(identity.actor, 65535);
    ck_assert_uint_eq(identity.run, UINT64_MAX);
    ck_assert_int_eq(identity_write(dir, &identity, &reason), 0);
    char file[PATH_BYTES + 16];
    char text[512] = "";
    snprintf(file, sizeof file, "%s/identity", path);
    FILE *stream = fopen(file, "re");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fread(text, 1, sizeof text, stream), strlen(TEXT));
    fclose(stream);
    ck_assert_str_eq(text, TEXT);
    data_dir_close(dir);
}
END_TEST

// As a version without runs wrote it: nothing is remembered, and the next start begins to.
START_TEST(an_older_format_is_read)
{
    static const char OLD[] = "format: 1\n"
                              "cluster-name: river\n"
                              "cluster: 00112233-4455-4677-8899-aabbccddeeff\n"
                              "node: ffeeddcc-bbaa-4988-b766-554433221100\n"
                              "actor: 1\n"
                              "run: 7\n";
    struct data_dir *dir = open_dir();
    write_text("identity", OLD, strlen(OLD));
    struct identity identity;
    ck_assert_int_eq(identity_read(dir, &identity, &reason), 0);
    ck_assert_uint_eq(identity.run_randoms_count, 0);
    identity_begin_run(&identity, 5);
    ck_assert_uint_eq(identity.run, 8);
    ck_assert_int_eq(identity_write(dir, &identity, &reason), 0);
    ck_assert_int_eq(identity_read(dir, &identity, &reason), 0);
    ck_assert_uint_eq(identity.run_randoms_count, 1);
    ck_assert_uint_eq(identity.run_randoms[0], 5);
    data_dir_close(dir);
}
END_TEST

START_TEST(a_node_without_a_cluster_is_read_as_written)
{
    struct data_dir *dir = open_dir();
    struct identity identity = {.cluster_name = "weir"};
    struct identity found = {.actor = 1};
    ck_assert_int_eq(uuid_random(&identity.node), 0);
    identity_begin_run(&identity, 1);
    ck_assert_int_eq(identity_write(dir, &identity, &reason), 0);
    ck_assert_int_eq(identity_read(dir, &found, &reason), 0);
    ck_assert_uint_eq(found.actor, 0);
    ck_assert(uuid_is_zero(&found.cluster));
    data_dir_close(dir);
}
END_TEST

START_TEST(a_cluster_name_is_one_line)
{
    struct data_dir *dir = open_dir();
    struct identity identity = {.cluster_name = "two\nlines"};
    ck_assert_int_eq(identity_write(dir, &identity, &reason), ERR_INVALID);
    identity.cluster_name[0] = '\0';
    ck_assert_int_eq(identity_write(dir, &identity, &reason), ERR_INVALID);
    ck_assert(!exists("identity"));
    data_dir_close(dir);
}
END_TEST

static void expect_bad(struct data_dir *dir, const char *text, size_t length, int err,
                       const char *word)
{
    struct identity identity;
    write_text("identity", text, length);
    reason_clear(&reason);
    int result = identity_read(dir, &identity, &reason);
    ck_assert_msg(result == err, "%d for \"%.*s\"", result, (int)length, text);
    ck_assert_msg(strstr(reason.text, "/identity") && strstr(reason.text, word), "%s", reason.text);
}

START_TEST(every_shortened_identity_is_refused)
{
    struct data_dir *dir = open_dir();
    for (size_t length = 0; length < strlen(TEXT); length++) {
        expect_bad(dir, TEXT, length, ERR_CORRUPT, "line");
    }
    data_dir_close(dir);
}
END_TEST

START_TEST(what_is_wrong_is_named_with_its_line)
{
    static const struct {
        const char *from, *to;
        int err;
        const char *word;
    } CASES[] = {
        {"format: 2", "format: 3", ERR_VERSION, "format 3"},
        {"format: 2", "format: 1", ERR_CORRUPT, "line 7:"},
        {"format: 2", "format: 0", ERR_CORRUPT, "line 1:"},
        {"format: 2", "format: 02", ERR_CORRUPT, "line 1:"},
        {"format: 2", "format:2", ERR_CORRUPT, "line 1:"},
        {"format: 2\n", "", ERR_CORRUPT, "line 1:"},
        {"cluster-name: river", "cluster-name: ", ERR_CORRUPT, "line 2:"},
        {"cluster-name: river", "cluster-name: a\tb", ERR_CORRUPT, "line 2:"},
        {"cluster-name", "cluster", ERR_CORRUPT, "line 2:"},
        {"aabbccddeeff", "aabbccddeef", ERR_CORRUPT, "line 3:"},
        {"-8899", "88990", ERR_CORRUPT, "line 3:"},
        {"ffeeddcc", "gfeeddcc", ERR_CORRUPT, "line 4:"},
        {"actor: 65535", "actor: 65536", ERR_CORRUPT, "line 5:"},
        {"actor: 65535", "actor: -1", ERR_CORRUPT, "line 5:"},
        {"actor: 65535", "actor: 0", ERR_CORRUPT, "line 5:"},
        {"00112233-4455-4677-8899-aabbccddeeff", "00000000-0000-0000-0000-000000000000",
         ERR_CORRUPT, "line 5:"},
        {"18446744073709551615", "18446744073709551616", ERR_CORRUPT, "line 6:"},
        {"run: 18446744073709551615", "run: 1 ", ERR_CORRUPT, "line 6:"},
        {"551615\n", "551615\nrun: 1\n", ERR_CORRUPT, "line 7:"},
        {"runs: 0", "runs: ", ERR_CORRUPT, "line 7:"},
        {"runs: 0", "runs: A", ERR_CORRUPT, "line 7:"},
        {" ffff", "  fff", ERR_CORRUPT, "line 7:"},
        {"0000\n", "0000 \n", ERR_CORRUPT, "line 7:"},
        {"0000\n", "00000\n", ERR_CORRUPT, "line 7:"},
        {"0000\n", "0000\nrun: 1\n", ERR_CORRUPT, "line 8:"},
        {"0000\n", "0000\n\n", ERR_CORRUPT, "line 8:"},
    };
    struct data_dir *dir = open_dir();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const char *at = strstr(TEXT, CASES[i].from);
        ck_assert_ptr_nonnull(at);
        char text[512];
        int length = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - TEXT), TEXT, CASES[i].to,
                              at + strlen(CASES[i].from));
        expect_bad(dir, text, (size_t)length, CASES[i].err, CASES[i].word);
    }
    expect_bad(dir, "format: 1\0\n", 11, ERR_CORRUPT, "line 1:");
    char large[4096];
    memset(large, 'x', sizeof large);
    expect_bad(dir, large, sizeof large, ERR_CORRUPT, "longer");
    data_dir_close(dir);
}
END_TEST

START_TEST(a_log_without_an_identity_is_not_fresh)
{
    struct data_dir *dir = open_dir();
    ck_assert_int_eq(mkdir(data_dir_log_path(dir), 0700), 0);
    struct identity identity;
    ck_assert_int_eq(identity_read(dir, &identity, &reason), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(reason.text, data_dir_log_path(dir)));
    data_dir_close(dir);
}
END_TEST

// --- Uuids

START_TEST(uuids_are_read_as_written)
{
    for (unsigned i = 0; i < 100; i++) {
        struct uuid uuid;
        struct uuid parsed;
        char text[UUID_TEXT_LENGTH + 1];
        ck_assert_int_eq(uuid_random(&uuid), 0);
        uuid_format(&uuid, text);
        ck_assert_uint_eq(strlen(text), UUID_TEXT_LENGTH);
        ck_assert_int_eq(text[14], '4');
        ck_assert_int_eq(uuid_parse(text, &parsed), 0);
        ck_assert_mem_eq(&parsed, &uuid, sizeof uuid);
    }
    struct uuid upper;
    struct uuid lower;
    ck_assert_int_eq(uuid_parse("ABCDEF01-2345-6789-ABCD-EF0123456789", &upper), 0);
    ck_assert_int_eq(uuid_parse("abcdef01-2345-6789-abcd-ef0123456789", &lower), 0);
    ck_assert_mem_eq(&upper, &lower, sizeof upper);
    static const char *const BAD[] = {
        "",
        "abcdef01-2345-6789-abcd-ef012345678",
        "abcdef01-2345-6789-abcd-ef01234567890",
        "abcdef0102345-6789-abcd-ef0123456789",
        "abcdef01-2345-6789-abcd-ef012345678g",
        "abcdef01-2345-6789-abcd--f0123456789",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        ck_assert_int_eq(uuid_parse(BAD[i], &lower), ERR_INVALID);
    }
}
END_TEST

static void suite_add_in_directory(Suite *suite, const TTest *test)
{
    TCase *test_case = tcase_create(test->name);
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, test);
    suite_add_tcase(suite, test_case);
}

int main(void)
{
    Suite *suite = suite_create("identity");
    suite_add_in_directory(suite, a_missing_directory_is_made_for_us_alone);
    suite_add_in_directory(suite, only_the_last_directory_is_made);
    suite_add_in_directory(suite, a_locked_directory_names_the_process);
    suite_add_in_directory(suite, the_lock_goes_with_the_process);
    suite_add_in_directory(suite, a_directory_of_somebody_else_is_left_alone);
    suite_add_in_directory(suite, a_fresh_file_system_is_empty);
    suite_add_in_directory(suite, a_file_is_not_a_directory);
    suite_add_in_directory(suite, a_directory_we_cannot_write_to_is_denied);
    suite_add_in_directory(suite, an_identity_is_read_as_written);
    suite_add_in_directory(suite, the_text_is_stable);
    suite_add_in_directory(suite, an_older_format_is_read);
    suite_add_in_directory(suite, a_node_without_a_cluster_is_read_as_written);
    suite_add_in_directory(suite, a_cluster_name_is_one_line);
    suite_add_in_directory(suite, every_shortened_identity_is_refused);
    suite_add_in_directory(suite, what_is_wrong_is_named_with_its_line);
    suite_add_in_directory(suite, a_log_without_an_identity_is_not_fresh);
    suite_add(suite, uuids_are_read_as_written);
    return check_main(suite);
}
