// Leaving a durable subscription, and what becomes of what was acknowledged before.

#include "tests/unit/check_main.h"
#include "tests/unit/client/scripted_worker.h"

START_TEST(who_leaves_sends_what_lingers)
{
    struct weir_attach_options options = {.size = sizeof options, .ack_linger_us = 1000000};
    struct worker worker;
    worker_init(&worker, &options);
    worker_take_events(&worker, 1, 1);
    worker_ack(&worker, 1, 1);
    ck_assert(!cluster_has_request(&worker.cluster));
    ck_assert_int_eq(weir_detach(worker.cluster.weir, worker.number), 0);
    worker_expect_ack(&worker, "1:1-1");
    ck_assert_uint_eq(cluster_take(&worker.cluster, REQUEST_STOP).id, worker.id);
    worker_deinit(&worker);
}
END_TEST

START_TEST(who_leaves_gets_no_more_events_also_without_a_connection)
{
    struct worker worker;
    worker_init(&worker, NULL);
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 1, 3);
    cluster_expect_event(&worker.cluster, 1, 1);
    ck_assert_int_eq(weir_detach(worker.cluster.weir, worker.number), 0);
    ck_assert_uint_eq(cluster_take(&worker.cluster, REQUEST_STOP).id, worker.id);
    cluster_expect_nothing(&worker.cluster);
    cluster_lose(&worker.cluster);
    cluster_expect(&worker.cluster, WEIR_NOTICE_DISCONNECTED);
    ck_assert_int_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_END)->end->reason,
                     WEIR_END_STOPPED);
    cluster_greet(&worker.cluster, "b:2");
    ck_assert(!cluster_has_request(&worker.cluster));
    worker_deinit(&worker);
}
END_TEST

START_TEST(who_leaves_hears_what_was_not_done)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_ack(&worker, 1, 1);
    uint64_t id = worker_expect_ack(&worker, "1:1-1");
    ck_assert_int_eq(weir_detach(worker.cluster.weir, worker.number), 0);
    cluster_error(&worker.cluster, id, WIRE_BUSY);
    cluster_position(&worker.cluster, DELIVERY_END, worker.id, "@", END_STOPPED);
    ck_assert_int_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked->err, WEIR_ERR_BUSY);
    worker_deinit(&worker);
    worker_init(&worker, NULL);
    worker_ack(&worker, 1, 1);
    worker_expect_ack(&worker, "1:1-1");
    cluster_lose(&worker.cluster);
    worker_ack(&worker, 1, 2);
    ck_assert_int_eq(weir_detach(worker.cluster.weir, worker.number), 0);
    cluster_expect(&worker.cluster, WEIR_NOTICE_DISCONNECTED);
    static const int ERRS[] = {WEIR_ERR_UNKNOWN, WEIR_ERR_CLOSED}; // it was sent, it was not
    for (uint64_t i = 0; i < 2; i++) {
        const struct weir_acked *acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
        ck_assert(acked->ranges[0].first == i + 1 && acked->err == ERRS[i]);
    }
    cluster_expect(&worker.cluster, WEIR_NOTICE_END);
    worker_deinit(&worker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_detach");
    suite_add(suite, who_leaves_sends_what_lingers);
    suite_add(suite, who_leaves_gets_no_more_events_also_without_a_connection);
    suite_add(suite, who_leaves_hears_what_was_not_done);
    return check_main(suite);
}
