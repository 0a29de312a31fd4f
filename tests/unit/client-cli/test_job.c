// Commands as they are run: what they read, what they say, how they end.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-cli/job.h"
#include "tests/unit/check_main.h"

static struct job *new_job(const char *data, size_t length)
{
    struct weir_event event = {
        .id = {.counter = 1, .actor = 1}, .data = {.data = data, .length = length}, .attempt = 2};
    struct job *job = job_new(&event, JOB_TAGS);
    ck_assert_ptr_nonnull(job);
    ck_assert_uint_eq(job->attempt, 2);
    job->environment = calloc(1, sizeof *job->environment);
    ck_assert_ptr_nonnull(job->environment);
    return job;
}

// Runs the shell script over the data until it has ended. Returns its status.
static int run(struct job *job, const char *script, uint64_t timeout_ms)
{
    struct wakes wakes;
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    ck_assert_int_eq(wakes_open(&wakes), 0);
    ck_assert_int_eq(job_start(job, &wakes, argv, timeout_ms), 0);
    for (;;) {
        uint64_t tags[4];
        struct pollfd polled = {.fd = wakes.fd, .events = POLLIN};
        int64_t left_ms = job->deadline.ns == INSTANT_NEVER.ns
                              ? -1
                              : (job->deadline.ns - weir_clock()) / 1000000 + 1;
        if (poll(&polled, 1, left_ms < -1 ? 0 : (int)left_ms) == 0) {
            job_time_out(job);
        }
        size_t count = wakes_take(&wakes, tags, 4);
        for (size_t i = 0; i < count; i++) {
            if (tags[i] == JOB_TAGS + JOB_TAG_SAID) {
                job_listen(job, &wakes);
            } else {
                int status = job_take_status(job, &wakes);
                wakes_close(&wakes);
                return status;
            }
        }
    }
}

static void expect_reason(struct job *job, int status, const char *expected)
{
    char reason[JOB_REASON_LENGTH + 1];
    job_reason(job, status, 50, reason);
    ck_assert_str_eq(reason, expected);
    job_free(job);
}

START_TEST(a_command_reads_all_of_the_data)
{
    size_t length = (size_t)3 << 20;
    char *data = malloc(length);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', length);
    struct job *job = new_job(data, length);
    int status = run(job, "test \"$(wc -c)\" -eq 3145728", 0);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    job_free(job);
    free(data);
}
END_TEST

START_TEST(a_command_need_not_read)
{
    size_t length = (size_t)1 << 20;
    char *data = calloc(1, length);
    ck_assert_ptr_nonnull(data);
    struct job *job = new_job(data, length);
    int status = run(job, "exec <&-; echo 'not now' >&2; exit 3", 0);
    expect_reason(job, status, "exit status 3: not now");
    free(data);
}
END_TEST

// The command's output ends when it does, and nobody else has it.
START_TEST(a_command_reads_all_of_the_data_of_one_who_has_died)
{
    size_t length = (size_t)3 << 20;
    char *data = calloc(1, length);
    ck_assert_ptr_nonnull(data);
    struct job *job = new_job(data, length);
    int output[2];
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char *const argv[] = {(char *)"wc", (char *)"-c", NULL};
        struct wakes wakes;
        bool is_ready = dup2(output[1], STDOUT_FILENO) >= 0 && wakes_open(&wakes) == 0;
        _exit(is_ready && job_start(job, &wakes, argv, 0) == 0 ? 0 : 1);
    }
    int status;
    char text[64];
    size_t used = 0;
    ssize_t count;
    close(output[1]);
    while ((count = read(output[0], text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)count;
    }
    text[used] = '\0';
    close(output[0]);
    ck_assert_str_eq(text, "3145728\n");
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    job_free(job);
    free(data);
}
END_TEST

START_TEST(the_reason_is_the_last_line_that_says_something)
{
    struct job *job = new_job("", 0);
    expect_reason(job, run(job, "echo first >&2; printf 'last\\tone\\n\\n' >&2; exit 1", 0),
                  "exit status 1: last?one");
    job = new_job("", 0);
    expect_reason(job, run(job, "printf 'no newline' >&2; exit 1", 0), "exit status 1: no newline");
    job = new_job("", 0);
    expect_reason(job, run(job, "printf '\\377\\n' >&2; exit 1", 0), "exit status 1: ?");
    job = new_job("", 0);
    expect_reason(job, run(job, "exit 255", 0), "exit status 255");
}
END_TEST

START_TEST(a_long_line_is_cut_between_characters)
{
    struct job *job = new_job("", 0);
    int status = run(job,
                     "i=0; while [ $i -lt 150 ]; do printf '\xc3\xa4' >&2; i=$((i+1)); done; "
                     "exit 1",
                     0);
    char reason[JOB_REASON_LENGTH + 1];
    job_reason(job, status, 0, reason);
    ck_assert_uint_le(strlen(reason), JOB_REASON_LENGTH);
    ck_assert(weir_is_text(weir_text(reason)));
    job_free(job);
}
END_TEST

START_TEST(a_signal_has_a_name)
{
    struct job *job = new_job("", 0);
    expect_reason(job, run(job, "kill -KILL $$", 0), "signal 9 (SIGKILL)");
}
END_TEST

START_TEST(what_takes_too_long_is_told_to_end)
{
    struct job *job = new_job("", 0);
    // The shell waits for what it has started: the signal reaches both.
    expect_reason(job, run(job, "cat /dev/zero > /dev/null; exit 0", 50), "took longer than 50 ms");
}
END_TEST

START_TEST(a_signal_of_pipes_ends_a_command_as_it_should)
{
    struct job *job = new_job("", 0);
    expect_reason(job, run(job, "kill -PIPE $$; exit 4", 0), "signal 13 (SIGPIPE)");
}
END_TEST

START_TEST(what_cannot_be_run_says_so)
{
    struct wakes wakes;
    struct job *job = new_job("", 0);
    char *const argv[] = {(char *)"/no/such/command", NULL};
    ck_assert_int_eq(wakes_open(&wakes), 0);
    ck_assert_int_eq(job_start(job, &wakes, argv, 0), ENOENT);
    job_free(job);
    wakes_close(&wakes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/job");
    suite_add(suite, a_command_reads_all_of_the_data);
    suite_add(suite, a_command_need_not_read);
    suite_add(suite, a_command_reads_all_of_the_data_of_one_who_has_died);
    suite_add(suite, the_reason_is_the_last_line_that_says_something);
    suite_add(suite, a_long_line_is_cut_between_characters);
    suite_add(suite, a_signal_has_a_name);
    suite_add(suite, what_takes_too_long_is_told_to_end);
    suite_add(suite, a_signal_of_pipes_ends_a_command_as_it_should);
    suite_add(suite, what_cannot_be_run_says_so);
    return check_main(suite);
}
