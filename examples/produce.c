// Produces each line of standard input as an event of one namespace, and waits until all are
// stored. usage: produce NAMESPACE [ADDRESS...] < lines

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

// Called once per line, in their order, when its fate is known.
static void on_produced(struct weir *weir, const struct weir_produced *produced)
{
    unsigned *failures = produced->context;
    if (produced->err == 0) {
        char id[WEIR_ID_TEXT_SIZE];
        weir_id_format(produced->first, id);
        printf("%s\n", id);
    } else {
        fprintf(stderr, "not stored: %s\n", produced->text);
        ++*failures;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: produce NAMESPACE [ADDRESS...] < lines\n");
        return 2;
    }
    struct weir_options options = {
        .size = sizeof options,
        .name = "produce example",
        .addresses = (const char *const *)argv + 2,
        .addresses_count = (size_t)argc - 2,
    };
    struct weir *weir;
    struct weir_reason reason;
    int err = weir_open(&options, 10000, &weir, &reason);
    if (err != 0) {
        fprintf(stderr, "cannot connect: %s\n", reason.text);
        return 1;
    }
    unsigned failures = 0;
    struct weir_produce_options produce = {
        .size = sizeof produce, .on_produced = on_produced, .context = &failures};
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while (err == 0 && (length = getline(&line, &size, stdin)) > 0) {
        struct weir_draft draft = {.size = sizeof draft, .name = argv[1]};
        draft.data.data = line;
        draft.data.length = (size_t)length - (line[length - 1] == '\n');
        err = weir_produce(weir, &draft, 1, &produce, NULL);
        if (err == 0 && weir_pending(weir) >= 10000) {
            err = weir_wait_settled(weir, 5000, -1); // keeps the pipe full, and bounded
        }
    }
    err = err != 0 ? err : weir_wait_settled(weir, 0, -1);
    if (err != 0) {
        fprintf(stderr, "%s\n", weir_reason_text(weir));
    }
    free(line);
    weir_free(weir);
    return err != 0 || failures > 0;
}
