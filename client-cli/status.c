// How a node is: one request, printed for people or as one JSON object.

#include <inttypes.h>
#include <stdio.h>

#include "client-cli/command.h"
#include "client-cli/format_options.h"
#include "client-cli/status_text.h"

static const struct argp status_argp = {
    .options = format_option_table,
    .parser = format_options_parse,
    .doc = "Say how a node is and what it holds.\v"
           "Examples:\n"
           "  weir status\n"
           "  weir status --output json | jq .cursor\n"
           "  weir -H node1.example status",
    .children = format_option_children,
};

static int append_alarms(struct buffer *out, const struct weir_result *result)
{
    const struct weir_alarm *alarm;
    int outcome = 0;
    int err = json_append(out, ",\"alarms\":[");
    for (bool is_first = true; err == 0; is_first = false) {
        outcome = weir_result_alarm(result, &alarm);
        if (outcome != 0) {
            break;
        }
        err = is_first ? 0 : json_append(out, ",");
        err = err != 0 ? err : status_append_text(out, alarm->line);
    }
    err = err == 0 && outcome < 0 ? outcome : err;
    return err != 0 ? err : json_append(out, "]}\n");
}

static int print_json(struct output *output, const struct weir_result *result, const char *cursor)
{
    const struct weir_node_status *status = result->status;
    struct buffer *out = &output->buffer;
    int err = status_append_field(out, "{\"version\":", status->version);
    err = err != 0 ? err
                   : output_text(output, ",\"uptime_seconds\":%" PRIu64 ".%03u",
                                 status->uptime_ms / 1000, (unsigned)(status->uptime_ms % 1000));
    err =
        err != 0 ? err : status_append_field(out, ",\"cluster\":{\"name\":", status->cluster_name);
    err = err != 0 ? err
                   : output_text(output,
                                 ",\"uuid\":\"%s\"},\"node\":{\"uuid\":\"%s\",\"actor\":%u}"
                                 ",\"cursor\":\"%s\"",
                                 status->cluster, status->node, status->actor, cursor);
    err = err != 0
              ? err
              : output_text(output,
                            ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"namespaces\":%" PRIu64
                            ",\"connections\":%" PRIu64 ",\"subscriptions\":%" PRIu64
                            ",\"memory_bytes\":%" PRIu64 ",\"disk_used_bytes\":%" PRIu64
                            ",\"disk_free_bytes\":%" PRIu64 ",\"index_behind\":%" PRIu64,
                            status->events, status->bytes, status->namespaces, status->connections,
                            status->subscriptions, status->memory_bytes, status->disk_used_bytes,
                            status->disk_free_bytes, status->index_behind);
    return err != 0 ? err : append_alarms(out, result);
}

static void bytes_format(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double scaled = (double)bytes;
    size_t unit = 0;
    for (; scaled >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++) {
        scaled /= 1024;
    }
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", scaled, units[unit]);
}

static void uptime_format(uint64_t ms, char out[64])
{
    uint64_t seconds = ms / 1000;
    if (seconds >= 86400) {
        snprintf(out, 64, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
    } else if (seconds >= 3600) {
        snprintf(out, 64, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
    } else if (seconds >= 60) {
        snprintf(out, 64, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    } else {
        snprintf(out, 64, "%" PRIu64 " s", seconds);
    }
}

static int print_alarms(struct output *output, const struct weir_result *result)
{
    const struct weir_alarm *alarm;
    int outcome;
    int err = 0;
    while (err == 0 && (outcome = weir_result_alarm(result, &alarm)) != WEIR_NOTHING) {
        err = outcome != 0 ? outcome
                           : output_text(output, "ALARM:         %.*s\n", (int)alarm->line.length,
                                         (const char *)alarm->line.data);
    }
    return err;
}

static int print_human(struct output *output, const struct weir_result *result, const char *cursor)
{
    const struct weir_node_status *status = result->status;
    char uptime[64];
    char bytes[32];
    char memory[32];
    char disk_used[32];
    char disk_free[32];
    uptime_format(status->uptime_ms, uptime);
    bytes_format(status->bytes, bytes);
    bytes_format(status->memory_bytes, memory);
    bytes_format(status->disk_used_bytes, disk_used);
    bytes_format(status->disk_free_bytes, disk_free);
    int err = output_text(
        output,
        "Version:       %.*s\nUptime:        %s\nCluster:       %.*s (%s)\n"
        "Node:          actor %u (%s)\nCursor:        %s\nEvents:        %" PRIu64 " (%s)\n"
        "Namespaces:    %" PRIu64 "\nConnections:   %" PRIu64 "\nSubscriptions: %" PRIu64 "\n"
        "Memory:        %s\nDisk:          %s used, %s free\nIndex behind:  %" PRIu64 " events\n",
        (int)status->version.length, (const char *)status->version.data, uptime,
        (int)status->cluster_name.length, (const char *)status->cluster_name.data, status->cluster,
        status->actor, status->node, cursor, status->events, bytes, status->namespaces,
        status->connections, status->subscriptions, memory, disk_used, disk_free,
        status->index_behind);
    return err != 0 ? err : print_alarms(output, result);
}

static int print(const struct format_options *options, struct output *output,
                 const struct weir_result *result)
{
    const char *cursor = "@";
    int err = weir_result_cursor(result, &cursor);
    if (err >= 0) {
        err = options->format == FORMAT_JSON ? print_json(output, result, cursor)
                                             : print_human(output, result, cursor);
    }
    return output_end(output, err);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct format_options options = {.connection = &cli->connection};
    argp_parse(&status_argp, argc, argv, 0, NULL, &options);
    struct weir *weir;
    int status = cli_open(cli, WEIR_RECONNECT_NEVER, 0, &weir);
    if (status != 0) {
        return status;
    }
    struct output output;
    const struct weir_result *result;
    uint64_t ticket = 0;
    output_init(&output, cli->signal);
    int err = weir_status(weir, NULL, &ticket);
    status = cli_result(cli, weir, err, ticket, &result);
    if (status == 0) {
        status = print(&options, &output, result);
    }
    output_deinit(&output);
    weir_free(weir);
    return status;
}

const struct command command_status = {
    .name = "status",
    .summary = "how a node is and what it holds",
    .argp = &status_argp,
    .run = run,
};
