// One of a group that shares the work of a durable subscription, which is created by the first. An
// event whose data begins with "later" is refused when it comes for the first time, and comes
// again. After COUNT events (0: never) it leaves; the others, and the next one, go on where it was.
// usage: worker NAME PATTERN COUNT [ADDRESS...]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

struct work {
    struct weir *weir;
    uint64_t attachment;
    uint64_t left; // to be done; 0: without end
};

// Does the work, which here is to print it, and says what became of it. Whether all is done.
static bool handle(struct work *work, const struct weir_event *event)
{
    char id[WEIR_ID_TEXT_SIZE];
    weir_id_format(event->id, id);
    bool is_refused =
        event->attempt == 1 && event->data.length >= 5 && memcmp(event->data.data, "later", 5) == 0;
    int err;
    if (is_refused) {
        err = weir_nack(work->weir, work->attachment, event->id, 100, "not at the first time");
    } else {
        printf("%s %u %.*s\n", id, event->attempt, (int)event->data.length,
               (const char *)event->data.data);
        fflush(stdout);
        err = weir_ack(work->weir, work->attachment, event->id);
    }
    if (err != 0) {
        fprintf(stderr, "event %s: %s\n", id, weir_reason_text(work->weir));
    }
    return !is_refused && work->left > 0 && --work->left == 0;
}

static void print_acked(const struct weir_acked *acked)
{
    if (!acked->is_repeated) { // else they were counted before the connection was lost
        fprintf(stderr, "%llu of %llu acknowledgements do not count: %s\n",
                (unsigned long long)(acked->events - acked->counted),
                (unsigned long long)acked->events,
                acked->text ? acked->text : "the events had come again elsewhere");
    }
}

// What was acknowledged is answered, then it leaves.
static int leave(struct work *work)
{
    int err = weir_wait_acked(work->weir, work->attachment, 10000);
    if (err != 0) {
        fprintf(stderr, "what was done may come again: %s\n", weir_reason_text(work->weir));
    }
    return weir_detach(work->weir, work->attachment);
}

static int run(struct work *work)
{
    for (;;) {
        const struct weir_notice *notice;
        int err = weir_wait_next(work->weir, -1, &notice);
        if (err != 0) {
            fprintf(stderr, "%s\n", weir_reason_text(work->weir));
            return 1;
        }
        if (notice->kind == WEIR_NOTICE_EVENT && handle(work, notice->event)) {
            err = leave(work);
        } else if (notice->kind == WEIR_NOTICE_ACKED) {
            print_acked(notice->acked);
        } else if (notice->kind == WEIR_NOTICE_ATTACHED) {
            fprintf(stderr, "attached%s\n", notice->attached->is_created ? ", and created" : "");
        } else if (notice->kind == WEIR_NOTICE_DISCONNECTED) {
            fprintf(stderr, "lost %s: %s\n", notice->connection->address, notice->connection->text);
        } else if (notice->kind == WEIR_NOTICE_END) {
            const char *text = notice->end->text ? notice->end->text : "it was deleted";
            bool is_left = notice->end->reason == WEIR_END_STOPPED;
            fprintf(stderr, "%s\n", is_left ? "left" : text);
            return is_left ? 0 : 1;
        }
        if (err != 0) {
            fprintf(stderr, "%s\n", weir_reason_text(work->weir));
            return 1;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: worker NAME PATTERN COUNT [ADDRESS...]\n");
        return 2;
    }
    const char *patterns[] = {argv[2]};
    struct weir_definition definition = {
        .size = sizeof definition, .patterns = patterns, .patterns_count = 1};
    struct weir_attach_options attach = {
        .size = sizeof attach, .name = argv[1], .definition = &definition};
    struct weir_options options = {
        .size = sizeof options,
        .name = "worker example",
        .addresses = (const char *const *)argv + 4,
        .addresses_count = (size_t)argc - 4,
        .begins_with_first = true,
    };
    struct work work = {.left = strtoull(argv[3], NULL, 10)};
    struct weir_reason reason;
    if (weir_open(&options, 10000, &work.weir, &reason) != 0) {
        fprintf(stderr, "cannot connect: %s\n", reason.text);
        return 1;
    }
    int status = 1;
    if (weir_attach(work.weir, &attach, &work.attachment) == 0) {
        status = run(&work);
    } else {
        fprintf(stderr, "%s\n", weir_reason_text(work.weir));
    }
    weir_free(work.weir);
    return status;
}
