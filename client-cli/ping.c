// One request and its answer, timed.

#include "client-cli/clock.h"
#include "client-cli/command.h"
#include "client-cli/format_options.h"

static const struct argp ping_argp = {
    .options = format_option_table,
    .parser = format_options_parse,
    .doc = "Say how long a node takes to answer.\v"
           "Examples:\n"
           "  weir ping\n"
           "  weir ping --output json\n"
           "  weir -H node1.example -p 3001 ping",
    .children = format_option_children,
};

static int run(struct cli *cli, int argc, char **argv)
{
    struct format_options options = {.connection = &cli->connection};
    argp_parse(&ping_argp, argc, argv, 0, NULL, &options);
    struct weir *weir;
    int status = cli_open(cli, WEIR_RECONNECT_NEVER, 0, &weir);
    if (status != 0) {
        return status;
    }
    struct output output;
    const struct weir_result *result;
    uint64_t ticket = 0;
    output_init(&output, cli->signal);
    struct instant start = clock_now();
    int err = weir_ping(weir, NULL, &ticket);
    status = cli_result(cli, weir, err, ticket, &result);
    if (status == 0) {
        double microseconds = (double)(clock_now().ns - start.ns) / 1000;
        err = options.format == FORMAT_JSON
                  ? output_text(&output, "{\"round_trip_us\":%.1f}\n", microseconds)
                  : output_text(&output, "pong after %.3f ms\n", microseconds / 1000);
        status = output_end(&output, err);
    }
    output_deinit(&output);
    weir_free(weir);
    return status;
}

const struct command command_ping = {
    .name = "ping",
    .summary = "how long a node takes to answer",
    .argp = &ping_argp,
    .run = run,
};
