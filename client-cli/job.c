// The process is watched by a descriptor, so that no signal handler is needed and none is missed.
// It leads a group, so that a signal reaches all that it has started, and none comes twice from a
// terminal. Its input is a file in memory, which is complete before it starts: whoever runs it may
// die at any moment, and no command takes a part of an event, or none, for the whole.

#include "client-cli/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

// What the command has of us.
struct ends {
    int input;
    int said[2]; // it writes to the second
};

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void close_ends(struct ends *ends)
{
    close_end(&ends->input);
    close_end(&ends->said[0]);
    close_end(&ends->said[1]);
}

static int write_all(int fd, struct bytes data)
{
    while (data.length > 0) {
        ssize_t written = write(fd, data.data, data.length);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        if (written > 0) {
            data = bytes_of(data.data + written, data.length - (size_t)written);
        }
    }
    return 0;
}

// Read from its beginning, and changed by nobody. Negative: see errno.
static int open_input(struct bytes data)
{
    int fd = memfd_create("event", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -1;
    }
    int error = write_all(fd, data);
    if (error == 0 && lseek(fd, 0, SEEK_SET) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0) {
        return fd;
    }
    error = error ? error : errno;
    close(fd);
    errno = error;
    return -1;
}

static int open_ends(const struct job *job, struct ends *ends)
{
    *ends = (struct ends){.input = -1, .said = {-1, -1}};
    ends->input = open_input(buffer_bytes(&job->data));
    if (ends->input < 0 || pipe2(ends->said, O_CLOEXEC) < 0 ||
        fcntl(ends->said[0], F_SETFL, O_NONBLOCK) < 0) {
        int error = errno;
        close_ends(ends);
        return error;
    }
    return 0;
}

// In a group of its own, with the signals as a program expects them.
static int spawn(struct job *job, const struct ends *ends, char *const *argv)
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
    error = posix_spawn_file_actions_adddup2(&actions, ends->input, STDIN_FILENO);
    error =
        error ? error : posix_spawn_file_actions_adddup2(&actions, ends->said[1], STDERR_FILENO);
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
    close_watched(wakes, &job->said_fd);
    return error ? error : EIO;
}

int job_start(struct job *job, struct wakes *wakes, char *const *argv, uint64_t timeout_ms)
{
    struct ends ends;
    int error = open_ends(job, &ends);
    if (error != 0) {
        return error;
    }
    error = spawn(job, &ends, argv);
    if (error != 0) {
        job->pid = 0;
        close_ends(&ends);
        return error;
    }
    close(ends.input);
    close(ends.said[1]);
    buffer_deinit(&job->data);
    job->said_fd = ends.said[0];
    job->pid_fd = pidfd_open(job->pid, 0);
    if (job->pid_fd < 0 || wakes_add(wakes, job->pid_fd, false, job->tag + JOB_TAG_PROCESS) != 0 ||
        wakes_add(wakes, job->said_fd, false, job->tag + JOB_TAG_SAID) != 0) {
        return give_up(job, wakes, errno);
    }
    if (timeout_ms > 0) {
        job->deadline = instant_add(clock_now(), duration_ms((int64_t)timeout_ms));
    }
    return 0;
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
