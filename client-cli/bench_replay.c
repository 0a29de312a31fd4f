// Reads from the beginning to what is there now, walking every event: its namespace and the length
// of its data are looked at, as the least that any program does.

#include "client-cli/bench.h"
#include "client-cli/bench_loop.h"

struct replay_bench {
    struct progress *progress;
    struct bench_result *result;
    struct bench_loop loop;
    uint32_t open;    // subscriptions
    uint64_t bytes;   // of names and data
    uint64_t slashes; // names that begin with one
};

static int on_notice(void *context, struct bench_connection *connection,
                     const struct weir_notice *notice)
{
    struct replay_bench *bench = context;
    if (notice->kind == WEIR_NOTICE_EVENT) {
        const struct weir_event *event = notice->event;
        bench->result->events++;
        bench->bytes += event->name.length + event->data.length;
        bench->slashes += *(const char *)event->name.data == '/';
    } else if (notice->kind == WEIR_NOTICE_END) {
        bench->open--;
    }
    return 0;
}

static int run(struct replay_bench *bench, const struct bench_options *options)
{
    struct bench_handler handler = {.on_notice = on_notice, .context = bench};
    struct instant start = clock_now();
    struct instant until =
        options->duration_s > 0
            ? instant_add(start, duration_ms((int64_t)options->duration_s * 1000))
            : INSTANT_NEVER;
    struct weir_subscribe_options subscribe = {
        .size = sizeof subscribe,
        .patterns = options->patterns.texts,
        .patterns_count = options->patterns.count,
        .stop = WEIR_STOP_NOW,
    };
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < bench->loop.count; i++) {
        status = bench_loop_subscribe(&bench->loop, &bench->loop.connections[i], &subscribe);
        bench->open++;
    }
    struct instant now = start;
    while (status == 0 && bench->open > 0 && !instant_reached(until, now)) {
        status =
            bench_loop_turn(&bench->loop, instant_earlier(until, bench->progress->next), &handler);
        now = clock_now();
        progress_update(bench->progress, bench->result->events, now);
    }
    bench->result->seconds = (double)(now.ns - start.ns) / 1e9;
    return status;
}

int bench_replay(const struct cli *cli, const struct bench_options *options,
                 struct progress *progress, struct bench_result *result)
{
    struct replay_bench bench = {.progress = progress, .result = result};
    int status = bench_loop_open(&bench.loop, cli, (uint32_t)options->connections, NULL, 0);
    status = status != 0 ? status : run(&bench, options);
    cli_say_verbose(cli, "%llu bytes of names and data, %llu names with a slash in front",
                    (unsigned long long)bench.bytes, (unsigned long long)bench.slashes);
    bench_loop_close(&bench.loop);
    return status;
}
