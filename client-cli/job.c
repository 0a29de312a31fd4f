// The process is watched by a descriptor, so that no signal handler is needed and none is missed.
// It leads a group, so that a signal reaches all that it has started, and none comes twice from a
// terminal.

#include "client-cli/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-cli/clock.h"
#include "proto/base/utf8.h"

enum { READ_BYTES = 4096, GRACE_MS = 5000 };

struct job *job_new(const struct weir_event *event, uint64_t tag)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        return NULL;
    }
    list_init(&job->node);
    job->tag = tag;
    job->id = event->id;
    job->attempt = event->attempt > 0 ? event->attempt : 1;
    job->pid_fd = -1;
    job->input_fd = -1;
    job->said_fd = -1;
    job->deadline = INSTANT_NEVER;
    if (buffer_append(&job->data, bytes_of(event->data.data, event->data.length)) != 0) {
        free(job);
        return NULL;
    }
    return job;
}

void job_free(struct job *job)
{
    if (!job) {
        return;
    }
    for (size_t i = 0; job->environment && job->environment[i]; i++) {
        free(job->environment[i]);
    }
    free(job->environment);
    buffer_deinit(&job->data);
    free(job);
}

static void close_watched(struct wakes *wakes, int *fd)
{
    if (*fd >= 0) {
        wakes_remove(wakes, *fd);
        close(*fd);
        *fd = -1;
    }
}

struct pipes {
    int input[2]; // the command reads from the first
    int said[2];
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            close(pair[i]);
            pair[i] = -1;
        }
    }
}

static int open_pipes(struct pipes *pipes)
{
    *pipes = (struct pipes){.input = {-1, -1}, .said = {-1, -1}};
    if (pipe2(pipes->input, O_CLOEXEC) < 0 || pipe2(pipes->said, O_CLOEXEC) < 0 ||
        fcntl(pipes->input[1], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(pipes->said[0], F_SETFL, O_NONBLOCK) < 0) {
        int error = errno;
        close_pair(pipes->input);
        close_pair(pipes->said);
        return error;
    }
    return 0;
}

// In a group of its own, with the signals as a program expects them.
static int spawn(struct job *job, const struct pipes *pipes, char *const *argv)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = posix_spawn_file_actions_adddup2(&actions, pipes->input[0], STDIN_FILENO);
    error =
        error ? error : posix_spawn_file_actions_adddup2(&actions, pipes->said[1], STDERR_FILENO);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
    error = error ? error
                  : posix_spawnp(&job->pid, argv[0], &actions, &attributes, argv, job->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// Without a way to hear of its end there is no process.
static int give_up(struct job *job, struct wakes *wakes, int error)
{
    (void)kill(-job->pid, SIGKILL);
    (void)waitpid(job->pid, NULL, 0);
    job->pid = 0;
    close_watched(wakes, &job->pid_fd);
    close_watched(wakes, &job->input_fd);
    close_watched(wakes, &job->said_fd);
    return error ? error : EIO;
}

int job_start(struct job *job, struct wakes *wakes, char *const *argv, uint64_t timeout_ms)
{
    struct pipes pipes;
    int error = open_pipes(&pipes);
    if (error != 0) {
        return error;
    }
    error = spawn(job, &pipes, argv);
    if (error != 0) {
        job->pid = 0;
        close_pair(pipes.input);
        close_pair(pipes.said);
        return error;
    }
    close(pipes.input[0]);
    close(pipes.said[1]);
    job->input_fd = pipes.input[1];
    job->said_fd = pipes.said[0];
    job->pid_fd = pidfd_open(job->pid, 0);
    if (job->pid_fd < 0 || wakes_add(wakes, job->pid_fd, false, job->tag + JOB_TAG_PROCESS) != 0 ||
        wakes_add(wakes, job->input_fd, true, job->tag + JOB_TAG_INPUT) != 0 ||
        wakes_add(wakes, job->said_fd, false, job->tag + JOB_TAG_SAID) != 0) {
        return give_up(job, wakes, errno);
    }
    if (timeout_ms > 0) {
        job->deadline = instant_add(clock_now(), duration_ms((int64_t)timeout_ms));
    }
    job_feed(job, wakes);
    return 0;
}

void job_feed(struct job *job, struct wakes *wakes)
{
    while (job->input_fd >= 0 && job->fed < job->data.length) {
        ssize_t written =
            write(job->input_fd, job->data.data + job->fed, job->data.length - job->fed);
        if (written > 0) {
            job->fed += (size_t)written;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            break; // it does not read; that is its business
        }
    }
    close_watched(wakes, &job->input_fd);
}

// Keeps the last line that is not empty.
static void note(struct job *job, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            job->is_line_over = true;
            continue;
        }
        if (job->is_line_over) {
            job->line_length = 0;
            job->is_line_over = false;
        }
        if (job->line_length < sizeof job->line) {
            job->line[job->line_length++] = bytes[i];
        }
    }
}

void job_listen(struct job *job, struct wakes *wakes)
{
    char bytes[READ_BYTES];
    while (job->said_fd >= 0) {
        ssize_t count = read(job->said_fd, bytes, sizeof bytes);
        if (count > 0) {
            note(job, bytes, (size_t)count);
            (void)fwrite(bytes, 1, (size_t)count, stderr);
        } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
            close_watched(wakes, &job->said_fd);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

void job_signal(const struct job *job, int number)
{
    if (job->pid > 0) {
        (void)kill(-job->pid, number);
    }
}

void job_time_out(struct job *job)
{
    job_signal(job, job->is_timed_out ? SIGKILL : SIGTERM);
    job->deadline =
        job->is_timed_out ? INSTANT_NEVER : instant_add(clock_now(), duration_ms(GRACE_MS));
    job->is_timed_out = true;
}

int job_take_status(struct job *job, struct wakes *wakes)
{
    int status = 0;
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) {
    }
    job_listen(job, wakes); // what it said last; what it has left running may say no more
    job->pid = 0;
    job->deadline = INSTANT_NEVER;
    close_watched(wakes, &job->pid_fd);
    close_watched(wakes, &job->input_fd);
    close_watched(wakes, &job->said_fd);
    return status;
}

// Appends what is UTF-8 and no control character, the rest as "?", while there is room for it.
static void append_shown(char *out, size_t max, const char *bytes, size_t length)
{
    size_t used = strlen(out);
    size_t i = 0;
    while (i < length) {
        size_t sequence = utf8_sequence((const uint8_t *)bytes + i, length - i);
        bool is_shown = sequence > 1 || (sequence == 1 && (unsigned char)bytes[i] >= ' ' &&
                                         (unsigned char)bytes[i] != 0x7f);
        size_t taken = sequence > 0 ? sequence : 1;
        if (used + taken > max) {
            break;
        }
        if (is_shown) {
            memcpy(out + used, bytes + i, taken);
            used += taken;
        } else {
            out[used++] = '?';
        }
        i += taken;
    }
    out[used] = '\0';
}

void job_reason(const struct job *job, int wait_status, uint64_t timeout_ms,
                char out[JOB_REASON_LENGTH + 1])
{
    if (job->is_timed_out) {
        snprintf(out, JOB_REASON_LENGTH + 1, "took longer than %llu ms",
                 (unsigned long long)timeout_ms);
    } else if (WIFSIGNALED(wait_status)) {
        const char *name = sigabbrev_np(WTERMSIG(wait_status));
        snprintf(out, JOB_REASON_LENGTH + 1, "signal %d (%s%s)", WTERMSIG(wait_status),
                 name ? "SIG" : "unknown", name ? name : "");
    } else {
        snprintf(out, JOB_REASON_LENGTH + 1, "exit status %d", WEXITSTATUS(wait_status));
    }
    if (job->line_length > 0) {
        append_shown(out, JOB_REASON_LENGTH, ": ", 2);
        append_shown(out, JOB_REASON_LENGTH, job->line, job->line_length);
    }
}
