// What tests of attachments share.

#include "tests/unit/client/scripted_worker.h"

#include "proto/model/position.h"
#include "tests/unit/check_main.h"

void worker_take_attach(struct worker *worker)
{
    worker->id = cluster_take(&worker->cluster, REQUEST_ATTACH).id;
}

void worker_init_lingering(struct worker *worker, const struct weir_attach_options *options)
{
    struct weir_attach_options plain = *options;
    plain.name = "orders";
    cluster_init(&worker->cluster, NULL);
    cluster_greet(&worker->cluster, "a:1");
    int err = weir_attach(worker->cluster.weir, &plain, &worker->number);
    ck_assert_msg(err == 0, "%s", weir_reason_text(worker->cluster.weir));
    worker_take_attach(worker);
    cluster_attached(&worker->cluster, worker->id, 1);
    ck_assert_uint_eq(cluster_expect(&worker->cluster, WEIR_NOTICE_ATTACHED)->subscription,
                      worker->number);
}

void worker_init(struct worker *worker, const struct weir_attach_options *options)
{
    struct weir_attach_options plain = {.size = sizeof plain};
    plain = options ? *options : plain;
    plain.ack_linger_us = plain.ack_linger_us ? plain.ack_linger_us : 1;
    worker_init_lingering(worker, &plain);
}

void worker_deinit(struct worker *worker)
{
    cluster_deinit(&worker->cluster);
}

void worker_switch(struct worker *worker, const char *address)
{
    cluster_lose(&worker->cluster);
    cluster_expect(&worker->cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&worker->cluster, address);
    worker_take_attach(worker);
}

void worker_take_events(struct worker *worker, uint64_t first, uint16_t count)
{
    cluster_assigned(&worker->cluster, worker->id, 1, 1, first, count);
    for (uint64_t i = 0; i < count; i++) {
        cluster_expect_event(&worker->cluster, 1, first + i);
    }
}

void worker_ack(struct worker *worker, uint16_t actor, uint64_t counter)
{
    struct weir_id id = {.counter = counter, .actor = actor};
    ck_assert_int_eq(weir_ack(worker->cluster.weir, worker->number, id), 0);
}

uint64_t worker_expect_ack(struct worker *worker, const char *expected)
{
    struct request request = cluster_take(&worker->cluster, REQUEST_ACK);
    ck_assert_uint_eq(request.ack.attachment, worker->id);
    ck_assert(event_id_is_none(request.ack.up_to));
    char text[512] = "";
    size_t length = 0;
    struct done_range range;
    while (request.ack.ranges.length > 0) {
        ck_assert_int_eq(done_range_next(&request.ack.ranges, &range), 0);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%u:%" PRIu64 "-%" PRIu64,
                                   length ? "," : "", range.actor, range.first, range.last);
    }
    ck_assert_str_eq(text, expected);
    return request.id;
}
