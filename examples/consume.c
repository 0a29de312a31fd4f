// Prints the events that match a pattern, as they are and as they come, on whichever node answers.
// After COUNT events it prints the cursor, which may be given to go on there, and ends.
// usage: consume PATTERN COUNT CURSOR|- [ADDRESS...]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

static void print_event(const struct weir_event *event)
{
    char id[WEIR_ID_TEXT_SIZE];
    weir_id_format(event->id, id);
    printf("%s %.*s %.*s\n", id, (int)event->name.length, (const char *)event->name.data,
           (int)event->data.length, (const char *)event->data.data);
    fflush(stdout);
}

static int consume(struct weir *weir, uint64_t subscription)
{
    for (;;) {
        const struct weir_notice *notice;
        int err = weir_wait_next(weir, -1, &notice);
        if (err != 0) {
            fprintf(stderr, "%s\n", weir_reason_text(weir));
            return 1;
        }
        const char *cursor;
        switch (notice->kind) {
        case WEIR_NOTICE_EVENT:
            print_event(notice->event);
            break;
        case WEIR_NOTICE_CONNECTED:
            fprintf(stderr, "connected to %s%s\n", notice->connection->address,
                    notice->connection->is_switch ? ", another node" : "");
            break;
        case WEIR_NOTICE_DISCONNECTED:
            fprintf(stderr, "lost %s: %s\n", notice->connection->address, notice->connection->text);
            break;
        case WEIR_NOTICE_END:
            if (notice->end->reason == WEIR_END_ERROR) {
                fprintf(stderr, "%s\n", notice->end->text);
                return 1;
            }
            if (weir_cursor(weir, subscription, &cursor) == 0) {
                printf("%s\n", cursor);
            }
            return 0;
        case WEIR_NOTICE_SUBSCRIBED:
        case WEIR_NOTICE_MARK:
        case WEIR_NOTICE_PRODUCED:
        case WEIR_NOTICE_RESULT:
        case WEIR_NOTICE_ATTACHED:
        case WEIR_NOTICE_ACKED:
            break;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: consume PATTERN COUNT CURSOR|- [ADDRESS...]\n");
        return 2;
    }
    const char *patterns[] = {argv[1]};
    struct weir_subscribe_options subscribe = {
        .size = sizeof subscribe,
        .patterns = patterns,
        .patterns_count = 1,
        .limit = strtoull(argv[2], NULL, 10),
    };
    if (strcmp(argv[3], "-") != 0) {
        subscribe.start = WEIR_START_CURSOR;
        subscribe.start_cursor = argv[3];
    }
    struct weir_options options = {
        .size = sizeof options,
        .name = "consume example",
        .addresses = (const char *const *)argv + 4,
        .addresses_count = (size_t)argc - 4,
        .begins_with_first = true,
    };
    struct weir *weir;
    struct weir_reason reason;
    if (weir_open(&options, 10000, &weir, &reason) != 0) {
        fprintf(stderr, "cannot connect: %s\n", reason.text);
        return 1;
    }
    uint64_t subscription;
    int status = 1;
    if (weir_subscribe(weir, &subscribe, &subscription) == 0) {
        status = consume(weir, subscription);
    } else {
        fprintf(stderr, "%s\n", weir_reason_text(weir));
    }
    weir_free(weir);
    return status;
}
