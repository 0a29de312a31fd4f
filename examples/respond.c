// Answers the first COUNT events below /questions with one in /answers each, whose parent the
// question is, and waits until each answer is stored before it goes on.
// usage: respond COUNT [ADDRESS...]

#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

static int answer(struct weir *weir, const struct weir_event *question)
{
    char text[200];
    snprintf(text, sizeof text, "%zu bytes were asked", question->data.length);
    struct weir_draft draft = {.size = sizeof draft, .name = "/answers", .data = weir_text(text)};
    uint64_t ticket;
    struct weir_produced produced = {0};
    int err = weir_respond(weir, question, &draft, 1, NULL, &ticket);
    err = err != 0 ? err : weir_wait_produced(weir, ticket, -1, &produced);
    if (err != 0 || produced.err != 0) {
        fprintf(stderr, "%s\n", produced.err ? produced.text : weir_reason_text(weir));
        return 1;
    }
    printf("%.*s: %s\n", (int)question->data.length, (const char *)question->data.data, text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: respond COUNT [ADDRESS...]\n");
        return 2;
    }
    struct weir_options options = {
        .size = sizeof options,
        .addresses = (const char *const *)argv + 2,
        .addresses_count = (size_t)argc - 2,
    };
    struct weir *weir;
    struct weir_reason reason;
    if (weir_open(&options, 10000, &weir, &reason) != 0) {
        fprintf(stderr, "cannot connect: %s\n", reason.text);
        return 1;
    }
    const char *patterns[] = {"/questions/**"};
    struct weir_subscribe_options subscribe = {
        .size = sizeof subscribe,
        .patterns = patterns,
        .patterns_count = 1,
        .limit = strtoull(argv[1], NULL, 10),
    };
    uint64_t subscription;
    const struct weir_notice *notice;
    int status = weir_subscribe(weir, &subscribe, &subscription) != 0;
    while (status == 0 && weir_wait_next(weir, -1, &notice) == 0) {
        if (notice->kind == WEIR_NOTICE_END) {
            break;
        }
        if (notice->kind == WEIR_NOTICE_EVENT) {
            status = answer(weir, notice->event);
        }
    }
    weir_free(weir);
    return status;
}
