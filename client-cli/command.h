// A subcommand of `weir`, and what every one of them is given.
#pragma once

#include <argp.h>
#include <signal.h>

#include "client-cli/connection_options.h"
#include "client/weir.h"
#include "proto/base/err.h"

// Exit statuses; scripts rely on them.
enum {
    STATUS_OK = 0,
    STATUS_FAILURE = 1,
    STATUS_USAGE = 2,
    STATUS_CANNOT_CONNECT = 3,
    STATUS_FEWER_REPLICAS = 4, // produced, but on fewer nodes than asked for
    STATUS_NOT_FOUND = 5,
    STATUS_NOT_EQUAL = 6, // the members of the cluster do not hold the same
    STATUS_TIMED_OUT = 7,
    STATUS_SIGNAL = 128, // plus the signal's number
};

struct cli {
    struct connection_options connection;
    const volatile sig_atomic_t *signal;   // the signal that asked us to end, 0: none
    int wake_fd;                           // readable from then on
    const struct command *const *commands; // all, NULL at the end
};

struct command {
    const char *name;
    const char *summary;
    const struct argp *argp;
    // argv[0] is "weir NAME". Returns the exit status.
    int (*run)(struct cli *cli, int argc, char **argv);
};

extern const struct command command_bench;
extern const struct command command_cluster;
extern const struct command command_completion;
extern const struct command command_consume;
extern const struct command command_exec;
extern const struct command command_get;
extern const struct command command_last;
extern const struct command command_namespaces;
extern const struct command command_ping;
extern const struct command command_produce;
extern const struct command command_status;
extern const struct command command_subscriptions;

// A line on stderr that begins with "weir: ".
void cli_say(const char *format, ...) PRINTF_LIKE(1, 2);
// The same, with -v only.
void cli_say_verbose(const struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);

// The exit status for an error.
int cli_status(int err);

// The exit status after a signal.
int cli_status_of_signal(const struct cli *cli);

// Connects, or says why not. `silence_ms` as in struct weir_options. Returns 0 or the exit status.
int cli_open(const struct cli *cli, enum weir_reconnect reconnect, uint32_t silence_ms,
             struct weir **weir_out);
// The same with all options but the name, which are completed. The addresses are cli's, in their
// order, unless they have some.
int cli_open_with(const struct cli *cli, struct weir_options *options, struct weir **weir_out);

// Why the last call failed with `err`, or why the client has ended; returns the exit status.
int cli_failed(const struct weir *weir, int err);

// Waits for the result of a request, whose call returned `err` and the ticket. Returns 0, or says
// what is wrong and returns the exit status.
int cli_result(const struct cli *cli, struct weir *weir, int err, uint64_t ticket,
               const struct weir_result **result_out);
