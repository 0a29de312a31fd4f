// What is not clearly yes is no.

#include "client-cli/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int confirm(const struct cli *cli, const char *question, bool is_sure)
{
    if (is_sure) {
        return 0;
    }
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
