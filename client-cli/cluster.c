// One request, for verify perhaps several: the node answers when it has done what was asked,
// however long the others take.

#include <unistd.h>

#include "client-cli/clock.h"
#include "client-cli/cluster_options.h"
#include "client-cli/cluster_print.h"
#include "client-cli/command.h"
#include "client-cli/confirm.h"

// Between two questions of verify --wait.
enum { PAUSE_MS_FIRST = 50, PAUSE_MS_MAX = 1000 };

// 0: somebody says yes. Else the exit status.
static int make_sure(const struct cli *cli, const struct cluster_options *options)
{
    if (!options->is_dangerous) {
        return 0;
    }
    char question[CLUSTER_QUESTION_LENGTH];
    cluster_options_question(options, question);
    return confirm(cli, question, options->is_sure);
}

// Asks; the answer is valid until the next question. 0 or the exit status.
static int ask(const struct cli *cli, const struct cluster_options *options, struct weir *weir,
               const struct weir_result **result_out)
{
    struct weir_cluster_action action = options->request;
    uint64_t ticket = 0;
    action.size = sizeof action;
    int err = weir_cluster(weir, &action, NULL, &ticket);
    return cli_result(cli, weir, err, ticket, result_out);
}

// Nothing is awaited meanwhile. 0 or the exit status.
static int pause_until(const struct cli *cli, struct weir *weir, struct instant until)
{
    for (;;) {
        const struct weir_notice *notice;
        int outcome = weir_wait_next(weir, clock_timeout_ms(until), &notice);
        if (outcome == WEIR_WOKEN) {
            return cli_status_of_signal(cli);
        }
        if (outcome < 0) {
            return cli_failed(weir, outcome);
        }
        if (outcome == WEIR_LATE) {
            return 0;
        }
    }
}

static int verify(const struct cli *cli, const struct cluster_options *options, struct weir *weir,
                  struct output *output)
{
    struct instant until = instant_add(clock_now(), duration_ms((int64_t)options->wait_ms));
    int64_t pause_ms = PAUSE_MS_FIRST;
    for (bool has_said = false;; has_said = true) {
        const struct weir_result *result;
        int status = ask(cli, options, weir, &result);
        if (status != 0) {
            return status;
        }
        struct cluster_table table = {0};
        int err = cluster_table_read(&table, result);
        bool equal = err == 0 && cluster_are_equal(&table);
        if (err != 0 || equal || !options->waits || instant_reached(until, clock_now())) {
            err = err != 0                         ? err
                  : options->format == FORMAT_JSON ? cluster_print_verdicts_json(output, &table)
                                                   : cluster_print_verdicts(output, &table);
            cluster_table_deinit(&table);
            status = output_end(output, err);
            return status != 0 || equal ? status : STATUS_NOT_EQUAL;
        }
        cluster_table_deinit(&table);
        if (!has_said) {
            cli_say_verbose(cli, "the members are not equal yet, waiting");
        }
        struct instant next = instant_add(clock_now(), duration_ms(pause_ms));
        status = pause_until(cli, weir, instant_earlier(next, until));
        if (status != 0) {
            return status;
        }
        pause_ms = 2 * pause_ms < PAUSE_MS_MAX ? 2 * pause_ms : PAUSE_MS_MAX;
    }
}

static int print_done(struct output *output, const struct weir_result *result)
{
    struct weir_bytes said = result->cluster->text;
    struct weir_bytes text = said.length > 0 ? said : weir_text("done");
    return output_text(output, "%.*s\n", (int)text.length, (const char *)text.data);
}

static int print_answer(struct output *output, const struct cluster_options *options,
                        const struct weir_result *result)
{
    bool is_json = options->format == FORMAT_JSON;
    if (!is_json && options->request.kind != WEIR_CLUSTER_STATUS) {
        return print_done(output, result);
    }
    struct cluster_table table = {0};
    int err = cluster_table_read(&table, result);
    err = err != 0  ? err
          : is_json ? cluster_print_status_json(output, &table)
                    : cluster_print_status(output, &table);
    cluster_table_deinit(&table);
    return err;
}

static int act(const struct cli *cli, const struct cluster_options *options, struct weir *weir,
               struct output *output)
{
    const struct weir_result *result;
    bool is_status = options->request.kind == WEIR_CLUSTER_STATUS;
    if (!is_status && (cli->connection.is_verbose || isatty(STDERR_FILENO))) {
        cli_say("%s: waiting for the members of the cluster", options->action);
    }
    int status = ask(cli, options, weir, &result);
    return status != 0 ? status : output_end(output, print_answer(output, options, result));
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct cluster_options options = {.connection = &cli->connection};
    argp_parse(&cluster_argp, argc, argv, 0, NULL, &options);
    int status = make_sure(cli, &options);
    struct weir *weir;
    status = status != 0 ? status : cli_open(cli, WEIR_RECONNECT_NEVER, 0, &weir);
    if (status != 0) {
        return status;
    }
    struct output output;
    output_init(&output, cli->signal);
    status = options.request.kind == WEIR_CLUSTER_VERIFY ? verify(cli, &options, weir, &output)
                                                         : act(cli, &options, weir, &output);
    output_deinit(&output);
    weir_free(weir);
    return status;
}

const struct command command_cluster = {
    .name = "cluster",
    .summary = "how the cluster is; retire, leave, rescue",
    .argp = &cluster_argp,
    .run = run,
};
