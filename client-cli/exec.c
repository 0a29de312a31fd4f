// A command per event. Everything is waited for in one place: the node, the commands, the signals.
//
// An event stays in flight while its command runs; what has no free place yet waits here, in
// flight too. The first signal goes to the commands, which may end in peace, and starts none
// anew; the second kills them. What did not succeed then goes to others.

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client-cli/clock.h"
#include "client-cli/command_environment.h"
#include "client-cli/definition_options.h"
#include "client-cli/group_member.h"
#include "client-cli/job.h"
#include "client-cli/option_number.h"
#include "client-cli/parse.h"

enum {
    OPTION_SUBSCRIPTION = 0x200,
    OPTION_NO_CREATE,
    OPTION_IN_FLIGHT,
    OPTION_RETRY_DELAY,
    OPTION_TIMEOUT,
    JOBS_MAX = 1024,
    IN_FLIGHT_MAX = 16384,
    RETRY_DELAY_DEFAULT_MS = 1000,
    RETRY_DELAY_MAX_MS = 300000,
    ACK_WAIT_DEFAULT_MS = 30000,
    ACK_WAIT_BEYOND_TIMEOUT_MS = 10000,
    TAGS_MAX = 64,
};

struct options {
    struct connection_options *connection;
    struct definition_options definition;
    const char *subscription;
    bool is_existing; // it is not created
    uint64_t jobs;
    uint64_t in_flight; // 0: jobs
    uint64_t limit;     // 0: none
    uint64_t retry_delay_ms;
    uint64_t timeout_ms; // 0: none
    char **command;      // NULL at the end; NULL: not given
};

static const struct argp_option option_table[] = {
    {"subscription", OPTION_SUBSCRIPTION, "NAME", 0,
     "The durable subscription whose events it is for; created unless it is there", 0},
    {"no-create", OPTION_NO_CREATE, NULL, 0, "Fail if there is no such subscription", 0},
    {"jobs", 'j', "N", 0, "Run so many commands at one time (default: 1)", 1},
    {"limit", 'l', "N", 0, "End after N commands", 1},
    {"timeout", OPTION_TIMEOUT, "DURATION", 0,
     "Tell a command to end that takes longer, kill it 5 s later (default: none)", 1},
    {"retry-delay", OPTION_RETRY_DELAY, "DURATION", 0,
     "Hand an event out again so long after its command failed, twice as long each time, up to 5m "
     "(default: 1s)",
     1},
    {"in-flight", OPTION_IN_FLIGHT, "N", 0,
     "Take so many events from other consumers, running or waiting here (default: as -j)", 1},
    {0},
};

static uint64_t duration(const char *text, uint64_t min_ms, const char *option,
                         struct argp_state *state)
{
    uint64_t ms = min_ms;
    if (!parse_duration_ms(text, &ms) || ms < min_ms || ms > INT32_MAX) {
        argp_error(state, "%s: '%s' is not a duration (500ms, 10s, 1m)", option, text);
    }
    return ms;
}

static void check_together(const struct options *options, struct argp_state *state)
{
    if (!options->subscription) {
        argp_error(state, "--subscription NAME is missing");
    }
    if (!options->command) {
        argp_error(state, "the command is missing: -- COMMAND [ARGUMENT...]");
    }
    if (options->is_existing && definition_options_are_given(&options->definition)) {
        argp_error(state, "--no-create: options of a creation are of no use with it");
    }
    if (options->in_flight > 0 && options->in_flight < options->jobs) {
        argp_error(state, "--in-flight: fewer than --jobs: some could never run");
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        for (int i = 1; i <= 3; i++) {
            state->child_inputs[i] = &options->definition;
        }
        return 0;
    case OPTION_SUBSCRIPTION:
        options->subscription = argument;
        return 0;
    case OPTION_NO_CREATE:
        options->is_existing = true;
        return 0;
    case 'j':
        options->jobs = option_number(argument, 1, JOBS_MAX, "--jobs", state);
        return 0;
    case 'l':
        options->limit = option_number(argument, 1, INT64_MAX, "--limit", state);
        return 0;
    case OPTION_IN_FLIGHT:
        options->in_flight = option_number(argument, 1, IN_FLIGHT_MAX, "--in-flight", state);
        return 0;
    case OPTION_RETRY_DELAY:
        options->retry_delay_ms = duration(argument, 0, "--retry-delay", state);
        return 0;
    case OPTION_TIMEOUT:
        options->timeout_ms = duration(argument, 1, "--timeout", state);
        return 0;
    case ARGP_KEY_ARG: // the command, and all behind it is its
        options->command = &state->argv[state->next - 1];
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0},
                                             {&start_options_argp, 0, NULL, 0},
                                             {&selection_options_argp, 0, NULL, 0},
                                             {&sharing_options_argp, 0, NULL, 0},
                                             {0}};

static const struct argp exec_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "-- COMMAND [ARGUMENT...]",
    .doc = "Run a command for each event of a durable subscription. Its data is on standard input, "
           "its fields are in WEIR_ID, WEIR_NAMESPACE, WEIR_TIMESTAMP, WEIR_PARENT, WEIR_ATTEMPT, "
           "WEIR_SUBSCRIPTION and WEIR_ATTRIBUTE_<KEY>. Exit status 0 acknowledges it; otherwise "
           "it comes again, and is parked after so many attempts.\v"
           "Several of them, on any node, share the events. A command should take less time than "
           "the subscription's --ack-wait, or its event goes to another one meanwhile. The first "
           "SIGINT or SIGTERM goes to the commands, and none is started anew; the second kills "
           "them.\n\n"
           "Examples:\n"
           "  weir exec --subscription mail -n '/orders/**' -- ./send-mail\n"
           "  weir exec --subscription thumbs -j 8 --timeout 1m -- ./thumbnail\n"
           "  weir exec --subscription files -- sh -c 'cat > \"$WEIR_ID\"'",
    .children = children,
};

struct exec {
    const struct cli *cli;
    const struct options *options;
    struct group_member member;
    int signal_fd;
    int signal_number; // that asked us to end; 0: none
    struct job *running[JOBS_MAX];
    uint64_t running_count;
    struct list_node waiting; // struct job
    uint64_t started;
    bool is_over; // nothing is taken any more
    int status;
    bool has_said_twice;
};

static void finish(struct exec *exec, int status)
{
    if (!exec->is_over) {
        exec->is_over = true;
        exec->status = status;
    }
}

// --- What becomes of an event ------------------------------------------------------------------

static void acknowledge(struct exec *exec, const struct acknowledgement *what)
{
    if (exec->member.has_ended) {
        return;
    }
    int outcome = group_member_acknowledge(&exec->member, what);
    if (outcome < 0 && outcome != WEIR_ERR_NOT_FOUND) {
        finish(exec, cli_failed(exec->member.weir, outcome));
    }
}

static uint32_t retry_delay_ms(const struct options *options, uint32_t attempt)
{
    uint64_t max =
        options->retry_delay_ms > RETRY_DELAY_MAX_MS ? options->retry_delay_ms : RETRY_DELAY_MAX_MS;
    uint64_t delay_ms = options->retry_delay_ms;
    for (uint32_t i = 1; i < attempt && delay_ms > 0 && delay_ms < max; i++) {
        delay_ms *= 2;
    }
    return (uint32_t)(delay_ms < max ? delay_ms : max);
}

static void fail(struct exec *exec, const struct job *job, const char *reason)
{
    char id[WEIR_ID_TEXT_SIZE];
    weir_id_format(job->id, id);
    if (exec->signal_number != 0) {
        cli_say("event %s, attempt %" PRIu32 ": %s; it goes to others", id, job->attempt, reason);
        return; // at once, when this consumer leaves
    }
    struct acknowledgement what = {
        .kind = ACK_NOT,
        .id = job->id,
        .delay_ms = retry_delay_ms(exec->options, job->attempt),
        .reason = reason,
    };
    cli_say("event %s, attempt %" PRIu32 ": %s", id, job->attempt, reason);
    acknowledge(exec, &what);
}

static bool is_limit_reached(const struct exec *exec)
{
    return exec->options->limit > 0 && exec->started == exec->options->limit;
}

static void check_limit(struct exec *exec)
{
    if (is_limit_reached(exec) && exec->running_count == 0) {
        finish(exec, STATUS_OK);
    }
}

static void on_ended(struct exec *exec, struct job **place)
{
    struct job *job = *place;
    int wait_status = job_take_status(job, &exec->member.wakes);
    if (wait_status == 0) {
        struct acknowledgement what = {.kind = ACK_ONE, .id = job->id};
        acknowledge(exec, &what);
    } else {
        char reason[JOB_REASON_LENGTH + 1];
        job_reason(job, wait_status, exec->options->timeout_ms, reason);
        fail(exec, job, reason);
    }
    job_free(job);
    *place = NULL;
    exec->running_count--;
    check_limit(exec);
}

// --- Starting ----------------------------------------------------------------------------------

struct left_out {
    const struct exec *exec;
    const struct weir_event *event;
};

static void say_left_out(void *context, struct weir_bytes key, const char *why)
{
    const struct left_out *left_out = context;
    char id[WEIR_ID_TEXT_SIZE];
    weir_id_format(left_out->event->id, id);
    cli_say("event %s: the attribute %.*s is left out: %s", id, (int)key.length,
            (const char *)key.data, why);
}

static bool is_here(const struct exec *exec, struct weir_id id)
{
    for (uint64_t i = 0; i < exec->options->jobs; i++) {
        if (exec->running[i] && weir_id_compare(exec->running[i]->id, id) == 0) {
            return true;
        }
    }
    LIST_FOR_EACH(&exec->waiting, link)
    {
        if (weir_id_compare(container_of(link, struct job, node)->id, id) == 0) {
            return true;
        }
    }
    return false;
}

static void on_event(struct exec *exec, const struct weir_event *event)
{
    if (exec->is_over || is_limit_reached(exec)) {
        return; // goes to others
    }
    if (is_here(exec, event->id)) {
        if (!exec->has_said_twice) {
            char id[WEIR_ID_TEXT_SIZE];
            weir_id_format(event->id, id);
            cli_say("event %s came again before its command has ended: the connection was lost, or "
                    "commands take longer than the subscription's --ack-wait",
                    id);
        }
        exec->has_said_twice = true;
        return; // its command acknowledges it
    }
    struct job *job = job_new(event, JOB_TAGS);
    struct command_environment environment = {0};
    struct left_out left_out = {.exec = exec, .event = event};
    int err = job ? command_environment_make(&environment, environ, exec->options->subscription,
                                             event, say_left_out, &left_out)
                  : WEIR_ERR_MEMORY;
    if (err != 0) {
        command_environment_deinit(&environment);
        job_free(job);
        cli_say("%s", weir_err_text(err));
        finish(exec, cli_status(err));
        return;
    }
    job->environment = environment.variables;
    list_append(&exec->waiting, &job->node);
}

// What no event can help: the command itself cannot be run.
static bool is_of_command(int error)
{
    return error == ENOENT || error == EACCES || error == ENOEXEC || error == ENOTDIR ||
           error == ELOOP || error == ENAMETOOLONG || error == EPERM || error == EINVAL;
}

static void start(struct exec *exec, uint64_t index, struct job *job)
{
    job->tag = JOB_TAGS * (index + 1);
    int error =
        job_start(job, &exec->member.wakes, exec->options->command, exec->options->timeout_ms);
    exec->started++;
    if (error == 0) {
        exec->running[index] = job;
        exec->running_count++;
        return;
    }
    char reason[JOB_REASON_LENGTH + 1];
    snprintf(reason, sizeof reason, "cannot run %.100s: %s", exec->options->command[0],
             strerror(error));
    if (is_of_command(error)) {
        cli_say("%s", reason);
        finish(exec, STATUS_FAILURE);
    } else {
        fail(exec, job, reason);
        check_limit(exec);
    }
    job_free(job);
}

static void start_waiting(struct exec *exec)
{
    for (uint64_t i = 0; i < exec->options->jobs; i++) {
        struct list_node *link = list_first(&exec->waiting);
        if (!link || exec->is_over || is_limit_reached(exec)) {
            return;
        }
        if (!exec->running[i]) {
            list_remove(link);
            start(exec, i, container_of(link, struct job, node));
        }
    }
}

// --- Waiting -----------------------------------------------------------------------------------

static void signal_all(const struct exec *exec, int number)
{
    for (uint64_t i = 0; i < exec->options->jobs; i++) {
        if (exec->running[i]) {
            job_signal(exec->running[i], number);
        }
    }
}

static void on_signal(struct exec *exec)
{
    struct signalfd_siginfo info;
    if (read(exec->signal_fd, &info, sizeof info) != (ssize_t)sizeof info) {
        return;
    }
    bool is_second = exec->signal_number != 0;
    if (!is_second) {
        exec->signal_number = (int)info.ssi_signo;
        finish(exec, STATUS_SIGNAL + exec->signal_number);
        if (exec->running_count > 0) {
            cli_say("waiting for %" PRIu64 " command%s; another signal kills %s",
                    exec->running_count, exec->running_count > 1 ? "s" : "",
                    exec->running_count > 1 ? "them" : "it");
        }
    }
    signal_all(exec, is_second ? SIGKILL : exec->signal_number);
}

static void on_woken(struct exec *exec)
{
    uint64_t tags[TAGS_MAX];
    size_t count = wakes_take(&exec->member.wakes, tags, TAGS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (tags[i] == GROUP_MEMBER_SIGNAL) {
            on_signal(exec);
            continue;
        }
        struct job **place = &exec->running[tags[i] / JOB_TAGS - 1];
        if (!*place) {
            continue; // it has ended in this very round
        }
        if (tags[i] % JOB_TAGS == JOB_TAG_SAID) {
            job_listen(*place, &exec->member.wakes);
        } else {
            on_ended(exec, place);
        }
    }
}

// Those whose time is over; returns how long until the next, -1: for ever.
static int64_t time_out(struct exec *exec)
{
    struct instant next = INSTANT_NEVER;
    struct instant at = clock_now();
    for (uint64_t i = 0; i < exec->options->jobs; i++) {
        if (!exec->running[i]) {
            continue;
        }
        if (instant_reached(exec->running[i]->deadline, at)) {
            job_time_out(exec->running[i]);
        }
        next = instant_earlier(next, exec->running[i]->deadline);
    }
    return clock_timeout_ms(next);
}

static void turn(struct exec *exec)
{
    const struct weir_notice *notice;
    int64_t timeout_ms = time_out(exec);
    if (exec->member.has_ended) {
        struct pollfd polled = {.fd = exec->member.wakes.fd, .events = POLLIN};
        (void)poll(&polled, 1, (int)timeout_ms);
        on_woken(exec);
        return;
    }
    int outcome = weir_wait_next(exec->member.weir, timeout_ms, &notice);
    if (outcome == WEIR_WOKEN) {
        on_woken(exec);
    } else if (outcome < 0) {
        finish(exec, cli_failed(exec->member.weir, outcome));
        exec->member.has_ended = true; // there is nobody to tell any more
    } else if (outcome == 0 && notice->kind == WEIR_NOTICE_EVENT) {
        on_event(exec, notice->event);
    } else if (outcome == 0) {
        int status;
        if (group_member_notice(&exec->member, notice, &status)) {
            finish(exec, status);
        }
    }
}

static void drop_waiting(struct exec *exec)
{
    struct list_node *link;
    while ((link = list_first(&exec->waiting)) != NULL) {
        list_remove(link);
        job_free(container_of(link, struct job, node));
    }
}

static int follow(struct exec *exec)
{
    while (!exec->is_over || exec->running_count > 0) {
        start_waiting(exec);
        if (exec->is_over) {
            drop_waiting(exec);
        }
        if (!exec->is_over || exec->running_count > 0) {
            turn(exec);
        }
    }
    drop_waiting(exec);
    group_member_leave(&exec->member);
    return exec->status;
}

// Signals are taken from a descriptor from now on. -1: see errno.
static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    return sigprocmask(SIG_BLOCK, &signals, NULL) < 0
               ? -1
               : signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// For a signal that came before there was anything to follow.
static int status_of_waiting_signal(const struct exec *exec)
{
    struct signalfd_siginfo info;
    bool is_read = read(exec->signal_fd, &info, sizeof info) == (ssize_t)sizeof info;
    return is_read ? STATUS_SIGNAL + (int)info.ssi_signo : cli_status_of_signal(exec->cli);
}

static int attach_and_follow(struct exec *exec)
{
    const struct options *options = exec->options;
    struct weir_definition definition = options->definition.definition;
    struct weir_attach_options attach = {
        .size = sizeof attach,
        .name = options->subscription,
        .definition = options->is_existing ? NULL : &definition,
        .in_flight = (uint32_t)(options->in_flight > 0 ? options->in_flight : options->jobs),
    };
    if (definition.ack_wait_ms == 0 &&
        options->timeout_ms + ACK_WAIT_BEYOND_TIMEOUT_MS > ACK_WAIT_DEFAULT_MS) {
        definition.ack_wait_ms = (uint32_t)options->timeout_ms + ACK_WAIT_BEYOND_TIMEOUT_MS;
    }
    int status = group_member_open(&exec->member, exec->cli, exec->signal_fd, true, &attach);
    exec->member.says_remark =
        definition_options_are_given(&options->definition) || exec->cli->connection.is_verbose;
    if (status == 0) {
        status = follow(exec);
    } else if (status > STATUS_SIGNAL) {
        status = status_of_waiting_signal(exec);
    }
    group_member_close(&exec->member);
    return status;
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {
        .connection = &cli->connection, .jobs = 1, .retry_delay_ms = RETRY_DELAY_DEFAULT_MS};
    struct weir_reason reason = {0};
    definition_options_init(&options.definition);
    argp_parse(&exec_argp, argc, argv, ARGP_IN_ORDER, NULL, &options);
    int err =
        definition_options_check(options.subscription, &options.definition.definition, &reason);
    if (err != 0) {
        cli_say("%s", reason.text);
        return err == WEIR_ERR_INVALID ? STATUS_USAGE : cli_status(err);
    }
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec) {
        cli_say("%s", weir_err_text(WEIR_ERR_MEMORY));
        return STATUS_FAILURE;
    }
    exec->cli = cli;
    exec->options = &options;
    list_init(&exec->waiting);
    exec->signal_fd = open_signals();
    int status = STATUS_FAILURE;
    if (exec->signal_fd < 0) {
        cli_say("cannot set up signals: %s", strerror(errno));
    } else {
        status = *cli->signal ? cli_status_of_signal(cli) : attach_and_follow(exec);
        close(exec->signal_fd);
    }
    free(exec);
    return status;
}

const struct command command_exec = {
    .name = "exec",
    .summary = "run a command for each event of a durable subscription",
    .argp = &exec_argp,
    .run = run,
};
