// One place gives errors their words and their exit status, so that every command fails alike.

#include "client-cli/command.h"

#include <stdarg.h>
#include <stdio.h>

enum { CONNECT_TIMEOUT_MS = 10000 };

static PRINTF_LIKE(1, 0) void say(const char *format, va_list arguments)
{
    flockfile(stderr);
    fputs("weir: ", stderr);
    vfprintf(stderr, format, arguments);
    putc('\n', stderr);
    funlockfile(stderr);
}

void cli_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void cli_say_verbose(const struct cli *cli, const char *format, ...)
{
    if (!cli->connection.is_verbose) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

int cli_status(int err)
{
    switch ((enum err)err) {
    case ERR_NONE:
        return STATUS_OK;
    case ERR_CONNECT:
        return STATUS_CANNOT_CONNECT;
    case ERR_NOT_FOUND:
        return STATUS_NOT_FOUND;
    case ERR_TIMEOUT:
        return STATUS_TIMED_OUT;
    case ERR_MEMORY:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_INVALID:
    case ERR_LIMIT:
    case ERR_FULL:
    case ERR_LOCKED:
    case ERR_VERSION:
    case ERR_FOREIGN:
    case ERR_CLOSED:
    case ERR_UNKNOWN:
    case ERR_BUSY:
    case ERR_DENIED:
    case ERR_UNSUPPORTED:
        return STATUS_FAILURE;
    }
    return STATUS_FAILURE;
}

int cli_status_of_signal(const struct cli *cli)
{
    return STATUS_SIGNAL + (*cli->signal ? *cli->signal : SIGINT);
}

int cli_open_with(const struct cli *cli, struct weir_options *options, struct weir **weir_out)
{
    struct connection_addresses own;
    struct weir_reason reason = {0};
    if (!options->addresses) {
        connection_options_addresses(&cli->connection, &own);
        options->addresses = own.list;
        options->addresses_count = own.count;
        options->begins_with_first = true;
    }
    options->size = sizeof *options;
    options->name = "weir " WEIR_VERSION;
    options->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    options->wake_fd = cli->wake_fd;
    int outcome = weir_open(options, -1, weir_out, &reason);
    if (outcome == WEIR_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (outcome != 0) {
        bool is_lost = outcome == WEIR_ERR_CLOSED || outcome == WEIR_ERR_IO;
        cli_say("%s", reason.text[0] ? reason.text : weir_err_text(outcome));
        return cli_status(is_lost ? ERR_CONNECT : outcome);
    }
    cli_say_verbose(cli, "connected to %s", weir_address(*weir_out));
    return 0;
}

int cli_open(const struct cli *cli, enum weir_reconnect reconnect, uint32_t silence_ms,
             struct weir **weir_out)
{
    struct weir_options options = {.reconnect = reconnect, .silence_ms = silence_ms};
    return cli_open_with(cli, &options, weir_out);
}

int cli_failed(const struct weir *weir, int err)
{
    cli_say("%s", weir_reason_text(weir));
    return cli_status(err);
}

int cli_result(const struct cli *cli, struct weir *weir, int err, uint64_t ticket,
               const struct weir_result **result_out)
{
    int outcome = err != 0 ? err : weir_wait_result(weir, ticket, -1, result_out);
    if (outcome == WEIR_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (outcome < 0) {
        return cli_failed(weir, outcome);
    }
    if ((*result_out)->err != 0) {
        cli_say("%s", (*result_out)->text);
    }
    return cli_status((*result_out)->err);
}
