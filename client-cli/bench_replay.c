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

static int on_events(struct replay_bench *bench, struct events *events)
{
    struct received_event event;
    uint64_t bytes = 0;
    uint64_t slashes = 0;
    while (events_next(events, &event) == 0) {
        bytes += event.fields.name.length + event.fields.data.length;
        slashes += event.fields.name.data[0] == '/';
    }
    bench->result->events += events->taken;
    bench->bytes += bytes;
    bench->slashes += slashes;
    return 0;
}

static int on_notice(void *context, struct bench_connection *connection, struct notice *notice)
{
    struct replay_bench *bench = context;
    if (notice->kind == NOTICE_EVENTS) {
        return on_events(bench, notice->events);
    }
    if (notice->kind == NOTICE_END) {
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
    for (uint32_t i = 0; i < bench->loop.count; i++) {
        struct request request = {.kind = REQUEST_SUBSCRIBE, .subscribe = {.end = END_NOW}};
        memcpy(request.subscribe.entries, options->patterns.entries,
               sizeof request.subscribe.entries);
        request.subscribe.entries_count = options->patterns.count;
        int err = core_subscribe(bench->loop.connections[i].core, &request, 0);
        if (err != 0) {
            cli_say("%s", err_text(err));
            return cli_status(err);
        }
        bench_loop_send(&bench->loop, &bench->loop.connections[i]);
        bench->open++;
    }
    int status = 0;
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
    int status = bench_loop_open(&bench.loop, cli, (uint32_t)options->connections, NULL);
    status = status != 0 ? status : run(&bench, options);
    cli_say_verbose(cli, "%llu bytes of names and data, %llu names with a slash in front",
                    (unsigned long long)bench.bytes, (unsigned long long)bench.slashes);
    bench_loop_close(&bench.loop);
    return status;
}
