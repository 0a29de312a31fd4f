// One command that `weir exec` runs for one event: its process, what it reads, what it says.
#pragma once

#include <sys/types.h>

#include "client-cli/wakes.h"
#include "client/weir.h"
#include "proto/base/bytes.h"
#include "proto/base/instant.h"
#include "proto/base/list.h"

enum { JOB_REASON_LENGTH = 200, JOB_LINE_LENGTH = 120 };

struct job {
    struct list_node node; // the caller's
    uint64_t tag;          // of its process in the wakes; + 1 of what it says
    struct weir_id id;
    uint32_t attempt;
    struct buffer data; // for its standard input; empty once it is started
    char **environment; // NULL at the end; of command_environment_make

    pid_t pid; // of the process and its group; 0: none
    int pid_fd;
    int said_fd; // -1: closed
    bool is_timed_out;
    struct instant deadline; // when it is told to end, and then ended

    char line[JOB_LINE_LENGTH]; // of its standard error: the last that is not empty, cut
    size_t line_length;
    bool is_line_over; // the next byte begins another one
};

// What a tag is a tag of.
enum { JOB_TAG_PROCESS = 0, JOB_TAG_SAID = 1, JOB_TAGS = 2 };

// A job for the event, with a copy of what is needed. `tag` is a multiple of JOB_TAGS and not 0.
// NULL: no memory.
struct job *job_new(const struct weir_event *event, uint64_t tag);

// Frees a job whose process has ended or was not started.
void job_free(struct job *job);

// Starts argv[0], looked for in PATH, in a process group of its own. `timeout_ms` 0: none. 0, or an
// errno: ENOENT, EACCES, E2BIG, EAGAIN and others.
int job_start(struct job *job, struct wakes *wakes, char *const *argv, uint64_t timeout_ms);

// The process says something.
void job_listen(struct job *job, struct wakes *wakes);

// The deadline has come: tells the group to end, and ends it when told before.
void job_time_out(struct job *job);

// Sends a signal to the group.
void job_signal(const struct job *job, int number);

// The process has ended: takes its status, as of waitpid, and closes what is open.
int job_take_status(struct job *job, struct wakes *wakes);

// Why it failed, for people: "exit status 1: no stock"; UTF-8.
void job_reason(const struct job *job, int wait_status, uint64_t timeout_ms,
                char out[JOB_REASON_LENGTH + 1]);
