// One request, for verify perhaps several: the node answers when it has done what was asked,
// however long the others take.

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client-cli/cluster_options.h"
#include "client-cli/cluster_print.h"
#include "client-cli/command.h"

// Between two questions of verify --wait.
enum { PAUSE_MS_FIRST = 50, PAUSE_MS_MAX = 1000 };

// 0: somebody says yes. Else the exit status.
static int make_sure(const struct cli *cli, const struct cluster_options *options)
{
    if (!options->is_dangerous || options->is_sure) {
        return 0;
    }
    char question[CLUSTER_QUESTION_LENGTH];
    cluster_options_question(options, question);
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        cli_say("%s There is nobody here to ask: say so with --yes", question);
        return STATUS_USAGE;
    }
    char answer[16] = "";
    fprintf(stderr, "weir: %s [y/N] ", question);
    bool has_answer = fgets(answer, sizeof answer, stdin) != NULL;
    if (*cli->signal) {
        putc('\n', stderr);
        return cli_status_of_signal(cli);
    }
    answer[strcspn(answer, "\n")] = '\0';
    if (has_answer && (strcmp(answer, "y") == 0 || strcmp(answer, "yes") == 0)) {
        return 0;
    }
    cli_say("nothing was done");
    return STATUS_FAILURE;
}

// Asks; the answer is valid until the next request. 0 or the exit status.
static int ask(const struct cli *cli, const struct cluster_options *options, struct client *client,
               struct notice *notice_out)
{
    struct request request = {.kind = REQUEST_CLUSTER, .cluster = options->request};
    int err = core_request(client_core(client), &request, 0);
    if (err != 0) {
        cli_say("%s", err_text(err));
        return cli_status(err);
    }
    return cli_answer(cli, client, notice_out);
}

// Nothing is awaited meanwhile. 0 or the exit status.
static int pause_until(const struct cli *cli, struct client *client, struct instant until)
{
    struct notice notice;
    int outcome = client_next(client, until, &notice);
    if (outcome == CLIENT_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (outcome < 0) {
        cli_say("%s", core_reason(client_core(client)));
        return cli_status(outcome);
    }
    return 0;
}

static int verify(const struct cli *cli, const struct cluster_options *options,
                  struct client *client, struct output *output)
{
    struct instant until = instant_add(clock_now(), duration_ms((int64_t)options->wait_ms));
    int64_t pause_ms = PAUSE_MS_FIRST;
    for (bool has_said = false;; has_said = true) {
        struct notice notice;
        int status = ask(cli, options, client, &notice);
        if (status != 0) {
            return status;
        }
        const struct reply_cluster *cluster = &notice.reply.cluster_status;
        bool equal = false;
        int err = cluster_are_equal(cluster, &equal);
        if (err != 0 || equal || !options->waits || instant_reached(until, clock_now())) {
            err = err != 0                         ? err
                  : options->format == FORMAT_JSON ? cluster_print_verdicts_json(output, cluster)
                                                   : cluster_print_verdicts(output, cluster);
            status = output_end(output, err);
            return status != 0 || equal ? status : STATUS_NOT_EQUAL;
        }
        if (!has_said) {
            cli_say_verbose(cli, "the members are not equal yet, waiting");
        }
        struct instant next = instant_add(clock_now(), duration_ms(pause_ms));
        status = pause_until(cli, client, instant_earlier(next, until));
        if (status != 0) {
            return status;
        }
        pause_ms = 2 * pause_ms < PAUSE_MS_MAX ? 2 * pause_ms : PAUSE_MS_MAX;
    }
}

static int print_done(struct output *output, const struct cluster_options *options,
                      const struct reply_cluster *cluster)
{
    if (options->format == FORMAT_JSON) {
        return cluster_print_status_json(output, cluster);
    }
    struct bytes text = cluster->text.length > 0 ? cluster->text : bytes_of_text("done");
    return output_text(output, "%.*s\n", (int)text.length, (const char *)text.data);
}

static int act(const struct cli *cli, const struct cluster_options *options, struct client *client,
               struct output *output)
{
    struct notice notice;
    bool is_status = options->request.which == CLUSTER_STATUS;
    if (!is_status && (cli->connection.is_verbose || isatty(STDERR_FILENO))) {
        cli_say("%s: waiting for the members of the cluster", options->action);
    }
    int status = ask(cli, options, client, &notice);
    if (status != 0) {
        return status;
    }
    const struct reply_cluster *cluster = &notice.reply.cluster_status;
    int err = !is_status                       ? print_done(output, options, cluster)
              : options->format == FORMAT_JSON ? cluster_print_status_json(output, cluster)
                                               : cluster_print_status(output, cluster);
    return output_end(output, err);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct cluster_options options = {.connection = &cli->connection};
    argp_parse(&cluster_argp, argc, argv, 0, NULL, &options);
    int status = make_sure(cli, &options);
    struct client *client;
    status = status != 0 ? status : cli_connect(cli, 0, &client);
    if (status != 0) {
        return status;
    }
    struct output output;
    output_init(&output, cli->signal);
    status = options.request.which == CLUSTER_VERIFY ? verify(cli, &options, client, &output)
                                                     : act(cli, &options, client, &output);
    output_deinit(&output);
    client_close(client);
    return status;
}

const struct command command_cluster = {
    .name = "cluster",
    .summary = "how the cluster is; retire, leave, rescue",
    .argp = &cluster_argp,
    .run = run,
};
