// Finds the subcommand and hands over. The signals that ask a program to end set a flag and wake
// every wait through a pipe, so that a command can first write what it must; the second one ends
// it at once.

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-cli/command.h"

static volatile sig_atomic_t signal_received;
static int wake_fd = -1;

const char *argp_program_version = "weir " WEIR_VERSION;

static const struct command *const commands[] = {
    &command_produce,
    &command_consume,
    &command_get,
    &command_last,
    &command_namespaces,
    &command_subscriptions,
    &command_exec,
    &command_status,
    &command_cluster,
    &command_ping,
    &command_bench,
    &command_completion,
    NULL,
};

static void on_signal(int number)
{
    int before = errno;
    signal_received = number;
    (void)!write(wake_fd, "", 1);
    errno = before;
}

static int set_up_signals(int *readable_out)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -1;
    }
    wake_fd = ends[1];
    *readable_out = ends[0];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    return sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
                   sigaction(SIGPIPE, &ignore, NULL) < 0
               ? -1
               : 0;
}

struct arguments {
    struct connection_options connection;
    const struct command *command;
    int command_index; // in argv
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->connection;
        return 0;
    case ARGP_KEY_ARG:
        for (size_t i = 0; commands[i]; i++) {
            if (strcmp(commands[i]->name, argument) == 0) {
                arguments->command = commands[i];
            }
        }
        if (!arguments->command) {
            argp_error(state, "'%s' is not a command", argument);
        }
        arguments->command_index = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a command is missing");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// The list of commands in --help.
static char *filter_help(int key, const char *text, void *input)
{
    if (key != ARGP_KEY_HELP_POST_DOC) {
        return (char *)text;
    }
    char *help = NULL;
    size_t length;
    FILE *out = open_memstream(&help, &length);
    if (!out) {
        return (char *)text;
    }
    fputs("Commands:\n", out);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "  weir %-13s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n`weir COMMAND --help' shows its options and examples.\n", out);
    fclose(out);
    return help;
}

static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0}, {0}};

static const struct argp main_argp = {
    .parser = parse,
    .args_doc = "COMMAND [OPTION...]",
    .doc = "Produce events to a weir node and consume them.\v",
    .children = children,
    .help_filter = filter_help,
};

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments);

    int readable = -1;
    if (set_up_signals(&readable) < 0) {
        cli_say("cannot set up signals: %s", strerror(errno));
        return STATUS_FAILURE;
    }
    char name[64];
    snprintf(name, sizeof name, "weir %s", arguments.command->name);
    argv[arguments.command_index] = name;
    struct cli cli = {
        .connection = arguments.connection,
        .signal = &signal_received,
        .wake_fd = readable,
        .commands = commands,
    };
    int status = arguments.command->run(&cli, argc - arguments.command_index,
                                        argv + arguments.command_index);
    close(readable);
    close(wake_fd);
    return status;
}
