// One place gives errors their words and their exit status, so that every command fails alike.

#include "client-cli/command.h"

#include <stdarg.h>
#include <stdio.h>

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

int cli_connect(const struct cli *cli, uint32_t silence_ms, struct client **client_out)
{
    struct client_config config = {
        .address = connection_options_address(&cli->connection),
        .name = "weir " WEIR_VERSION,
        .silence_ms = silence_ms,
        .wake_fd = cli->wake_fd,
    };
    struct reason reason = {0};
    int err = client_open(&config, client_out, &reason);
    if (err == CLIENT_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (err != 0) {
        cli_say("%s", reason.text);
        return cli_status(err);
    }
    if (config.address.socket_path) {
        cli_say_verbose(cli, "connected to %s", config.address.socket_path);
    } else {
        cli_say_verbose(cli, "connected to %s port %s", config.address.host, config.address.port);
    }
    return 0;
}

int cli_refused(const struct notice *notice)
{
    struct reason reason = {0};
    struct bytes text = notice->reply.error.text;
    int err = reason_set(&reason, refusal_err(notice->reply.error.code), "%.*s", (int)text.length,
                         (const char *)text.data);
    cli_say("%s", reason.text[0] ? reason.text : err_text(err));
    return cli_status(err);
}

int cli_answer(const struct cli *cli, struct client *client, struct notice *notice_out)
{
    int outcome = client_next(client, INSTANT_NEVER, notice_out);
    if (outcome == CLIENT_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (outcome < 0) {
        cli_say("%s", core_reason(client_core(client)));
        return cli_status(outcome);
    }
    return notice_out->kind == NOTICE_REFUSED ? cli_refused(notice_out) : 0;
}
