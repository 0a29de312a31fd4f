// Attachments to durable subscriptions: what is asked for, what is acknowledged, what becomes of
// both when connections are lost.

#include "client/weir_state.h"
#include "proto/base/limits.h"
#include "proto/model/position.h"
#include "tests/unit/check_main.h"
#include "tests/unit/client/scripted_worker.h"

enum { SECOND_NS = 1000000000 };

static void assert_definition_is_that(const struct request_attach *attach)
{
    const struct subscription_definition *wanted = &attach->definition;
    ck_assert_int_eq(attach->start.kind, START_AT_CURSOR);
    ck_assert(bytes_equal(attach->start.cursor, bytes_of("\x81\x01\x07", 3)));
    ck_assert_uint_eq(wanted->entries_count, 2);
    ck_assert(wanted->entries[1].is_exact && !wanted->entries[0].is_exact);
    ck_assert(bytes_equal(wanted->entries[0].text, bytes_of_text("/orders/**")));
    ck_assert_uint_eq(wanted->attributes_count, 1);
    ck_assert(bytes_equal(wanted->attributes[0].name, bytes_of_text("type")));
    ck_assert(bytes_equal(wanted->attributes[0].value, bytes_of_text("new")));
    ck_assert(bytes_equal(wanted->key_attribute, bytes_of_text("user")));
    ck_assert(wanted->is_stable_order && wanted->key == GROUP_KEY_ATTRIBUTE);
    ck_assert_uint_eq(wanted->timestamp_min_ms, 99);
    ck_assert_uint_eq(wanted->concurrency, 4);
    ck_assert_uint_eq(wanted->attempts, 0);
    ck_assert_uint_eq(wanted->ack_wait_ms, 5);
    ck_assert_uint_eq(wanted->checkpoint_every, 6);
    ck_assert_uint_eq(wanted->checkpoint_after_ms, 7);
    ck_assert_uint_eq(wanted->queue, 8);
    ck_assert(wanted->is_transient);
}

START_TEST(all_that_a_node_offers_can_be_asked_for)
{
    static const char *const patterns[] = {"/orders/**"};
    static const char *const names[] = {"/audit[1]"};
    const struct weir_attribute attributes[] = {
        {.key = weir_text("type"), .value = weir_text("new")}};
    struct weir_definition definition = {
        .size = sizeof definition,
        .patterns = patterns,
        .patterns_count = 1,
        .names = names,
        .names_count = 1,
        .attributes = attributes,
        .attributes_count = 1,
        .time_min_ms = 99,
        .order = WEIR_ORDER_STABLE,
        .key = WEIR_KEY_ATTRIBUTE,
        .key_attribute = "user",
        .concurrency = 4,
        .attempts = WEIR_ATTEMPTS_FOR_EVER,
        .ack_wait_ms = 5,
        .checkpoint_every = 6,
        .checkpoint_after_ms = 7,
        .queue = 8,
        .start = WEIR_START_CURSOR,
        .start_cursor = "@7.1",
        .is_transient = true,
    };
    struct weir_attach_options options = {
        .size = sizeof options,
        .name = "orders",
        .definition = &definition,
        .in_flight = 50,
        .credit_bytes = 1000,
        .heartbeat_ms = 20,
        .after = "@6.1",
        .after_timeout_ms = 30,
        .context = &definition,
    };
    struct scripted_cluster cluster;
    uint64_t number;
    cluster_init(&cluster, NULL);
    ck_assert_int_eq(weir_attach(cluster.weir, &options, &number), 0);
    cluster_greet(&cluster, "a:1");
    struct request request = cluster_take(&cluster, REQUEST_ATTACH);
    const struct request_attach *attach = &request.attach;
    ck_assert(bytes_equal(attach->name, bytes_of_text("orders")) && attach->create);
    ck_assert_uint_eq(attach->in_flight, 50);
    ck_assert_uint_eq(attach->credit_bytes, 1000);
    ck_assert_uint_eq(attach->heartbeat_ms, 20);
    ck_assert(bytes_equal(attach->after.cursor, bytes_of("\x81\x01\x06", 3)));
    ck_assert_uint_eq(attach->after.timeout_ms, 30);
    assert_definition_is_that(attach);
    cluster_attached(&cluster, request.id, 1);
    const struct weir_notice *notice = cluster_expect(&cluster, WEIR_NOTICE_ATTACHED);
    ck_assert_ptr_eq(notice->context, &definition);
    ck_assert(notice->attached->is_created && !notice->attached->remark);
    ck_assert_uint_eq(notice->attached->generation.counter, 1);
    ck_assert_str_eq(notice->attached->coordinator, "30313233-3435-3637-3839-616263646566");
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(what_cannot_be_asked_for_is_refused_with_a_reason)
{
    static const char *const pattern[] = {"/**foo"};
    struct weir_definition bad_pattern = {
        .size = sizeof bad_pattern, .patterns = pattern, .patterns_count = 1};
    struct weir_definition last = {.size = sizeof last, .start = WEIR_START_LAST};
    struct weir_definition no_cursor = {.size = sizeof last, .start = WEIR_START_CURSOR};
    struct weir_definition no_id = {.size = sizeof last, .start = WEIR_START_AT_ID};
    struct weir_definition no_components = {.size = sizeof last, .key = WEIR_KEY_COMPONENTS};
    struct weir_definition crowd = {.size = sizeof last, .concurrency = 1025};
    struct weir_definition no_size = {.concurrency = 1};
    const struct {
        struct weir_attach_options options;
        int err;
    } cases[] = {
        {{.size = 8}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = ""}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a/b"}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a", .in_flight = 16385}, WEIR_ERR_LIMIT},
        {{.size = sizeof cases->options, .name = "a", .credit_bytes = (uint64_t)2 << 30},
         WEIR_ERR_LIMIT},
        {{.size = sizeof cases->options, .name = "a", .ack_mode = (enum weir_ack_mode)2},
         WEIR_ERR_UNSUPPORTED},
        {{.size = sizeof cases->options, .name = "a", .after = "1.1"}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a", .definition = &bad_pattern},
         WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a", .definition = &last}, WEIR_ERR_UNSUPPORTED},
        {{.size = sizeof cases->options, .name = "a", .definition = &no_cursor}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a", .definition = &no_id}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a", .definition = &no_components},
         WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .name = "a", .definition = &crowd}, WEIR_ERR_LIMIT},
        {{.size = sizeof cases->options, .name = "a", .definition = &no_size}, WEIR_ERR_INVALID},
    };
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t number;
        int err = weir_attach(cluster.weir, &cases[i].options, &number);
        ck_assert_msg(err == cases[i].err, "case %zu: %d", i, err);
        ck_assert_int_ne(weir_reason_text(cluster.weir)[0], 0);
    }
    struct weir_id id = {.counter = 1, .actor = 1};
    ck_assert_int_eq(weir_ack(cluster.weir, 1, id), WEIR_NOTHING);
    ck_assert_int_eq(weir_ack_up_to(cluster.weir, 1, id), WEIR_NOTHING);
    ck_assert_int_eq(weir_nack(cluster.weir, 1, id, 0, NULL), WEIR_NOTHING);
    ck_assert_int_eq(weir_detach(cluster.weir, 1), 0);
    ck_assert_uint_eq(weir_acks_pending(cluster.weir, 1), 0);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(events_come_with_their_attempt_and_credit_returns_as_they_are_taken)
{
    struct weir_attach_options options = {.size = sizeof options, .credit_bytes = 100};
    struct worker worker;
    worker_init(&worker, &options);
    cluster_assigned(&worker.cluster, worker.id, 3, 1, 1, 2);
    const struct weir_notice *notice = cluster_expect(&worker.cluster, WEIR_NOTICE_EVENT);
    ck_assert_uint_eq(notice->event->attempt, 3);
    ck_assert_uint_eq(notice->subscription, worker.number);
    const char *cursor;
    ck_assert_int_eq(weir_cursor(worker.cluster.weir, worker.number, &cursor), WEIR_NOTHING);
    cluster_expect_event(&worker.cluster, 1, 2);
    ck_assert(!cluster_has_request(&worker.cluster));
    cluster_position(&worker.cluster, DELIVERY_MARK, worker.id, "@", MARK_CAUGHT_UP);
    ck_assert_int_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_MARK)->mark->kind,
                     WEIR_MARK_CAUGHT_UP);
    ck_assert_uint_eq(cluster_take(&worker.cluster, REQUEST_CREDIT).id, worker.id);
    worker_deinit(&worker);
}
END_TEST

START_TEST(whole_chunks_are_read_as_slices_are)
{
    struct worker worker;
    worker_init(&worker, NULL);
    cluster_assigned_chunk(&worker.cluster, worker.id, 2, 1, 40, 3);
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 43, 1);
    for (uint64_t i = 0; i < 4; i++) {
        const struct weir_notice *notice = cluster_expect(&worker.cluster, WEIR_NOTICE_EVENT);
        ck_assert_uint_eq(notice->event->id.counter, 40 + i);
        ck_assert_uint_eq(notice->event->attempt, i < 3 ? 2 : 1);
        worker_ack(&worker, 1, 40 + i);
    }
    worker_expect_ack(&worker, "1:40-43");
    worker_deinit(&worker);
}
END_TEST

START_TEST(a_long_run_is_one_range_and_what_lies_between_is_not_acknowledged)
{
    struct weir_attach_options options = {.size = sizeof options, .in_flight = 16384};
    struct worker worker;
    worker_init(&worker, &options);
    for (uint64_t i = 1; i <= 4096; i++) {
        worker_ack(&worker, 1, i);
        worker_ack(&worker, 2, 2 * i);
        worker_ack(&worker, 1, i); // twice is no error
        if (i <= 2) {
            worker_ack(&worker, 3, 10 - i);
        }
    }
    ck_assert_uint_eq(weir_acks_pending(worker.cluster.weir, worker.number), 3 * 4096 + 2);
    struct request request = cluster_take(&worker.cluster, REQUEST_ACK);
    ck_assert_uint_eq(request.ack.ranges.length, (1 + 4096 + 1) * DONE_RANGE_LENGTH);
    struct done_range range;
    ck_assert_int_eq(done_range_next(&request.ack.ranges, &range), 0);
    ck_assert(range.actor == 1 && range.first == 1 && range.last == 4096);
    ck_assert_int_eq(done_range_next(&request.ack.ranges, &range), 0);
    ck_assert(range.actor == 2 && range.first == 2 && range.last == 2);
    ck_assert_uint_eq(weir_acks_pending(worker.cluster.weir, worker.number), 2 * 4096 + 2);
    cluster_acked(&worker.cluster, request.id, 2 * 4096 + 2);
    cluster_expect_nothing(&worker.cluster);
    ck_assert_uint_eq(weir_acks_pending(worker.cluster.weir, worker.number), 0);
    worker_deinit(&worker);
}
END_TEST

START_TEST(up_to_is_what_was_handed_out_and_not_said_before)
{
    struct worker worker;
    worker_init(&worker, NULL);
    cluster_assigned(&worker.cluster, worker.id, 1, 2, 50, 1);
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 1, 9);
    cluster_expect_event(&worker.cluster, 2, 50);
    for (uint64_t i = 1; i <= 8; i++) {
        cluster_expect_event(&worker.cluster, 1, i);
    }
    worker_ack(&worker, 1, 3);
    ck_assert_int_eq(weir_nack(worker.cluster.weir, worker.number,
                               (struct weir_id){.counter = 6, .actor = 1}, 7, "later"),
                     0);
    struct weir_id up_to = {.counter = 7, .actor = 1};
    ck_assert_int_eq(weir_ack_up_to(worker.cluster.weir, worker.number, up_to), 0);
    ck_assert_int_eq(weir_ack_up_to(worker.cluster.weir, worker.number, up_to), WEIR_ERR_NOT_FOUND);
    worker_expect_ack(&worker, "1:3-3");
    struct request nack = cluster_take(&worker.cluster, REQUEST_NACK);
    ck_assert_uint_eq(nack.nack.attachment, worker.id);
    ck_assert_uint_eq(nack.nack.delay_ms, 7);
    ck_assert(bytes_equal(nack.nack.reason, bytes_of_text("later")));
    worker_expect_ack(&worker, "1:1-2,1:4-5,1:7-7,2:50-50");
    ck_assert(!cluster_has_request(&worker.cluster));
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_has_no_answer_is_said_again_to_the_next_node)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 4);
    worker_ack(&worker, 1, 1);
    worker_ack(&worker, 1, 2);
    worker_expect_ack(&worker, "1:1-2");
    worker_ack(&worker, 1, 4);
    ck_assert_int_eq(weir_nack(worker.cluster.weir, worker.number,
                               (struct weir_id){.counter = 3, .actor = 1}, 0, NULL),
                     0);
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 5, 2); // go to others: not handed out
    worker_switch(&worker, "b:2");
    ck_assert(!cluster_has_request(&worker.cluster));
    cluster_attached(&worker.cluster, worker.id, 1);
    cluster_expect(&worker.cluster, WEIR_NOTICE_ATTACHED);
    uint64_t again = worker_expect_ack(&worker, "1:1-2");
    worker_expect_ack(&worker, "1:4-4");
    ck_assert(!cluster_has_request(&worker.cluster)); // what was refused comes again anyway
    // The node had handed out the events again before: what is acknowledged is so for certain now.
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 1, 3);
    cluster_expect_event(&worker.cluster, 1, 3);
    worker_expect_ack(&worker, "1:1-2");
    cluster_error(&worker.cluster, again, WIRE_NOT_IN_FLIGHT);
    const struct weir_acked *acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
    ck_assert(acked->is_repeated && !acked->is_nack);
    ck_assert_int_eq(acked->err, WEIR_ERR_NOT_FOUND);
    ck_assert_uint_eq(acked->events, 2);
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_is_moved_is_said_again_on_the_same_connection)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 2);
    worker_ack(&worker, 1, 1);
    uint64_t first = worker_expect_ack(&worker, "1:1-1");
    cluster_position(&worker.cluster, DELIVERY_MARK, worker.id, "@", MARK_MOVED);
    ck_assert_int_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_MARK)->mark->kind,
                     WEIR_MARK_MOVED);
    uint64_t second = worker_expect_ack(&worker, "1:1-1");
    cluster_acked(&worker.cluster, first, 1); // late, and of no account
    cluster_expect_nothing(&worker.cluster);
    ck_assert_uint_eq(weir_acks_pending(worker.cluster.weir, worker.number), 1);
    cluster_acked(&worker.cluster, second, 1);
    cluster_expect_nothing(&worker.cluster);
    ck_assert_uint_eq(weir_acks_pending(worker.cluster.weir, worker.number), 0);
    worker_deinit(&worker);
}
END_TEST

START_TEST(automatic_is_with_the_next_notice)
{
    struct weir_attach_options options = {.size = sizeof options, .ack_mode = WEIR_ACK_AUTOMATIC};
    struct worker worker;
    worker_init(&worker, &options);
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 1, 4);
    cluster_expect_event(&worker.cluster, 1, 1);
    ck_assert(!cluster_has_request(&worker.cluster));
    cluster_expect_event(&worker.cluster, 1, 2);
    worker_expect_ack(&worker, "1:1-1");
    ck_assert_int_eq(weir_nack(worker.cluster.weir, worker.number,
                               (struct weir_id){.counter = 2, .actor = 1}, 0, NULL),
                     0);
    cluster_expect_event(&worker.cluster, 1, 3);
    cluster_take(&worker.cluster, REQUEST_NACK);
    ck_assert(!cluster_has_request(&worker.cluster));
    // Whoever leaves while it works on an event acknowledges that with the next notice.
    ck_assert_int_eq(weir_detach(worker.cluster.weir, worker.number), 0);
    ck_assert(!cluster_has_request(&worker.cluster));
    cluster_expect_nothing(&worker.cluster);
    worker_expect_ack(&worker, "1:3-3");
    ck_assert_uint_eq(cluster_take(&worker.cluster, REQUEST_STOP).id, worker.id);
    ck_assert(!cluster_has_request(&worker.cluster));
    cluster_position(&worker.cluster, DELIVERY_END, worker.id, "@", END_STOPPED);
    for (uint64_t i = 1; i <= 3; i++) { // never answered, and told so
        const struct weir_acked *acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
        ck_assert(acked->is_nack == (i == 2) && acked->ranges[0].first == i);
        ck_assert_int_eq(acked->err, WEIR_ERR_UNKNOWN);
    }
    const struct weir_end *end = cluster_expect(&worker.cluster, WEIR_NOTICE_END)->end;
    ck_assert_int_eq(end->reason, WEIR_END_STOPPED);
    ck_assert_uint_eq(end->delivered, 3);
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_does_not_count_is_told)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 3);
    worker_ack(&worker, 1, 1);
    worker_ack(&worker, 1, 2);
    cluster_acked(&worker.cluster, worker_expect_ack(&worker, "1:1-2"), 1);
    const struct weir_acked *acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
    ck_assert(acked->err == 0 && !acked->text && !acked->is_repeated);
    ck_assert_uint_eq(acked->events, 2);
    ck_assert_uint_eq(acked->counted, 1);
    ck_assert_uint_eq(acked->ranges_count, 1);
    ck_assert_uint_eq(acked->ranges[0].last, 2);
    worker_ack(&worker, 1, 3);
    cluster_error(&worker.cluster, worker_expect_ack(&worker, "1:3-3"), WIRE_NOT_IN_FLIGHT);
    acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
    ck_assert_int_eq(acked->err, WEIR_ERR_NOT_FOUND);
    ck_assert_str_eq(acked->text, "as scripted");
    cluster_expect_nothing(&worker.cluster);
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_counts_is_told_to_who_asks)
{
    struct weir_attach_options options = {.size = sizeof options, .has_ack_results = true};
    struct worker worker;
    worker_init(&worker, &options);
    worker_ack(&worker, 1, 1);
    cluster_acked(&worker.cluster, worker_expect_ack(&worker, "1:1-1"), 1);
    const struct weir_acked *acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
    ck_assert(acked->err == 0 && acked->counted == 1 && acked->events == 1);
    worker_deinit(&worker);
}
END_TEST

START_TEST(a_busy_node_is_asked_again_later)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_ack(&worker, 1, 1);
    cluster_error(&worker.cluster, worker_expect_ack(&worker, "1:1-1"), WIRE_BUSY);
    cluster_expect_nothing(&worker.cluster);
    ck_assert(!cluster_has_request(&worker.cluster));
    int64_t deadline = weir_deadline(worker.cluster.weir);
    ck_assert(deadline > worker.cluster.now && deadline <= worker.cluster.now + SECOND_NS);
    worker.cluster.now = deadline;
    weir_tick(worker.cluster.weir, deadline);
    worker_expect_ack(&worker, "1:1-1");
    worker_deinit(&worker);
}
END_TEST

START_TEST(acknowledgements_linger_and_go_when_there_are_many)
{
    struct weir_attach_options options = {
        .size = sizeof options, .ack_batch_max = 3, .ack_linger_us = 1000};
    struct worker worker;
    worker_init(&worker, &options);
    worker_ack(&worker, 1, 1);
    ck_assert(!cluster_has_request(&worker.cluster));
    ck_assert_int_eq(weir_deadline(worker.cluster.weir), worker.cluster.now + 1000000);
    worker_ack(&worker, 1, 2);
    worker_ack(&worker, 1, 3);
    worker_expect_ack(&worker, "1:1-3");
    worker_ack(&worker, 1, 4);
    ck_assert(!cluster_has_request(&worker.cluster));
    worker.cluster.now += 1000000;
    weir_tick(worker.cluster.weir, worker.cluster.now);
    worker_expect_ack(&worker, "1:4-4");
    worker_deinit(&worker);
}
END_TEST

START_TEST(unless_told_otherwise_an_eighth_is_sent_or_what_is_5_ms_old)
{
    struct weir_attach_options options = {.size = sizeof options, .in_flight = 16};
    struct worker worker;
    worker_init_lingering(&worker, &options);
    worker_ack(&worker, 1, 1);
    ck_assert(!cluster_has_request(&worker.cluster));
    ck_assert_int_eq(weir_deadline(worker.cluster.weir), worker.cluster.now + 5000000);
    worker_ack(&worker, 1, 2);
    worker_expect_ack(&worker, "1:1-2");
    worker_deinit(&worker);
    options.in_flight = 1;
    worker_init_lingering(&worker, &options);
    worker_ack(&worker, 1, 1);
    worker_expect_ack(&worker, "1:1-1");
    worker_deinit(&worker);
}
END_TEST

START_TEST(who_was_not_attached_is_refused_for_good)
{
    static const enum wire_error codes[] = {WIRE_BUSY, WIRE_NOT_FOUND};
    static const int errs[] = {WEIR_ERR_BUSY, WEIR_ERR_NOT_FOUND};
    for (size_t i = 0; i < 2; i++) {
        struct weir_attach_options options = {.size = sizeof options, .name = "orders"};
        struct scripted_cluster cluster;
        uint64_t number;
        cluster_init(&cluster, NULL);
        cluster_greet(&cluster, "a:1");
        ck_assert_int_eq(weir_attach(cluster.weir, &options, &number), 0);
        struct request request = cluster_take(&cluster, REQUEST_ATTACH);
        ck_assert(!request.attach.create);
        cluster_error(&cluster, request.id, codes[i]);
        const struct weir_end *end = cluster_expect(&cluster, WEIR_NOTICE_END)->end;
        ck_assert_int_eq(end->reason, WEIR_END_ERROR);
        ck_assert_int_eq(end->err, errs[i]);
        ck_assert_str_eq(end->text, "as scripted");
        ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_BYTES);
        cluster_deinit(&cluster);
    }
}
END_TEST

START_TEST(who_was_attached_is_asked_for_again_for_a_while)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_switch(&worker, "b:2");
    int64_t begun = worker.cluster.now;
    uint32_t asked = 1;
    for (;; asked++) {
        cluster_error(&worker.cluster, worker.id, asked % 2 ? WIRE_BUSY : WIRE_NOT_FOUND);
        const struct weir_notice *notice;
        if (weir_next(worker.cluster.weir, &notice) == 0) {
            ck_assert_int_eq(notice->kind, WEIR_NOTICE_END);
            break;
        }
        ck_assert(!cluster_has_request(&worker.cluster));
        worker.cluster.now = weir_deadline(worker.cluster.weir);
        weir_tick(worker.cluster.weir, worker.cluster.now);
        worker_take_attach(&worker);
    }
    ck_assert_int_ge(worker.cluster.now - begun, (int64_t)10 * SECOND_NS);
    ck_assert_int_le(worker.cluster.now - begun, (int64_t)11 * SECOND_NS);
    ck_assert_uint_lt(asked, 20);
    worker_deinit(&worker);
}
END_TEST

START_TEST(a_node_that_does_not_forward_is_left_with_a_pause)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_switch(&worker, "b:2");
    uint64_t pauses = 0;
    for (uint32_t i = 1; i <= 6; i++) {
        struct weir_draft draft = {.size = sizeof draft, .name = "/a"};
        ck_assert_int_eq(weir_produce(worker.cluster.weir, &draft, 1, NULL, NULL), 0);
        uint64_t id = cluster_take(&worker.cluster, REQUEST_PRODUCE).id;
        cluster_produced(&worker.cluster, id, i, 1); // it is good for something else
        cluster_expect(&worker.cluster, WEIR_NOTICE_PRODUCED);
        cluster_error(&worker.cluster, worker.id, WIRE_REFUSED);
        cluster_expect_nothing(&worker.cluster);
        weir_disconnected(worker.cluster.weir, 0, NULL, worker.cluster.now);
        cluster_expect(&worker.cluster, WEIR_NOTICE_DISCONNECTED);
        pauses += weir_want(worker.cluster.weir) == WEIR_WANT_TIME;
        cluster_greet(&worker.cluster, i % 2 ? "a:1" : "b:2");
        worker_take_attach(&worker);
    }
    ck_assert_uint_eq(pauses, 3);
    worker_deinit(&worker);
}
END_TEST

// As weir_wait_acked does it, which takes no notices.
START_TEST(who_waits_for_answers_gets_them_over_a_change_of_node)
{
    struct worker worker;
    uint64_t subscription;
    uint64_t other;
    worker_init(&worker, NULL);
    struct weir *weir = worker.cluster.weir;
    subscription = cluster_subscribe(&worker.cluster, NULL, &other);
    worker_take_events(&worker, 1, 1);
    worker_ack(&worker, 1, 1);
    cluster_position(&worker.cluster, REPLY_SUBSCRIBED, other, "@", 0);
    cluster_slice(&worker.cluster, other, 2, 1, 1); // holds up the subscription, nothing else
    worker_expect_ack(&worker, "1:1-1");
    cluster_lose(&worker.cluster);
    cluster_connect(&worker.cluster, "b:2");
    cluster_say_hello(&worker.cluster);
    worker_take_attach(&worker);
    cluster_attached(&worker.cluster, worker.id, 1);
    weir_pump(weir);
    uint64_t first = worker_expect_ack(&worker, "1:1-1");
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 2, 1);
    cluster_position(&worker.cluster, DELIVERY_MARK, worker.id, "@", MARK_MOVED);
    weir_pump(weir);
    uint64_t second = worker_expect_ack(&worker, "1:1-1");
    cluster_acked(&worker.cluster, first, 1);
    weir_pump(weir);
    ck_assert_uint_eq(weir_acks_pending(weir, worker.number), 1);
    cluster_acked(&worker.cluster, second, 1);
    weir_pump(weir);
    ck_assert_uint_eq(weir_acks_pending(weir, worker.number), 0);
    // All else comes then.
    ck_assert_uint_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_SUBSCRIBED)->subscription,
                      subscription);
    cluster_expect_event(&worker.cluster, 2, 1);
    cluster_expect(&worker.cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_expect(&worker.cluster, WEIR_NOTICE_CONNECTED);
    cluster_expect(&worker.cluster, WEIR_NOTICE_ATTACHED);
    cluster_expect(&worker.cluster, WEIR_NOTICE_MARK);
    cluster_expect_event(&worker.cluster, 1, 2);
    worker_deinit(&worker);
}
END_TEST

START_TEST(who_waits_hears_of_the_end_and_what_came_before_is_of_no_account)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 1);
    cluster_assigned(&worker.cluster, worker.id, 1, 1, 2, 1);
    cluster_position(&worker.cluster, DELIVERY_MARK, worker.id, "@", MARK_CAUGHT_UP);
    cluster_position(&worker.cluster, DELIVERY_END, worker.id, "@", END_DELETED);
    weir_pump(worker.cluster.weir);
    struct weir_id id = {.counter = 1, .actor = 1};
    ck_assert_int_eq(weir_ack(worker.cluster.weir, worker.number, id), WEIR_NOTHING);
    ck_assert_int_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_END)->end->reason,
                     WEIR_END_DELETED);
    cluster_expect_nothing(&worker.cluster);
    ck_assert_int_eq(weir_want(worker.cluster.weir), WEIR_WANT_BYTES);
    worker_deinit(&worker);
}
END_TEST

START_TEST(a_node_that_stops_hands_over_to_the_next)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 1);
    worker_ack(&worker, 1, 1);
    cluster_error(&worker.cluster, worker_expect_ack(&worker, "1:1-1"), WIRE_SHUTTING_DOWN);
    cluster_position(&worker.cluster, DELIVERY_END, worker.id, "@", END_SHUTDOWN);
    cluster_expect_nothing(&worker.cluster);
    weir_disconnected(worker.cluster.weir, 0, NULL, worker.cluster.now);
    cluster_expect(&worker.cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&worker.cluster, "b:2");
    worker_take_attach(&worker);
    cluster_attached(&worker.cluster, worker.id, 1);
    cluster_expect(&worker.cluster, WEIR_NOTICE_ATTACHED);
    worker_expect_ack(&worker, "1:1-1");
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_was_said_of_another_generation_does_not_count_for_this_one)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 2);
    worker_ack(&worker, 1, 1);
    worker_switch(&worker, "b:2");
    cluster_attached(&worker.cluster, worker.id, 9);
    const struct weir_attached *attached =
        cluster_expect(&worker.cluster, WEIR_NOTICE_ATTACHED)->attached;
    ck_assert_str_eq(attached->remark, "was there");
    const struct weir_acked *acked = cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED)->acked;
    ck_assert_int_eq(acked->err, WEIR_ERR_NOT_FOUND);
    ck_assert(!cluster_has_request(&worker.cluster));
    struct weir_id second = {.counter = 2, .actor = 1};
    ck_assert_int_eq(weir_ack_up_to(worker.cluster.weir, worker.number, second),
                     WEIR_ERR_NOT_FOUND);
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_is_deleted_ends_and_what_has_no_answer_is_told_before)
{
    struct worker worker;
    worker_init(&worker, NULL);
    worker_take_events(&worker, 1, 1);
    worker_ack(&worker, 1, 1);
    cluster_position(&worker.cluster, DELIVERY_END, worker.id, "@", END_DELETED);
    cluster_expect(&worker.cluster, WEIR_NOTICE_ACKED);
    ck_assert_int_eq(cluster_expect(&worker.cluster, WEIR_NOTICE_END)->end->reason,
                     WEIR_END_DELETED);
    cluster_expect_nothing(&worker.cluster);
    struct weir_id id = {.counter = 1, .actor = 1};
    ck_assert_int_eq(weir_ack(worker.cluster.weir, worker.number, id), WEIR_NOTHING);
    worker_deinit(&worker);
}
END_TEST

START_TEST(what_only_subscriptions_get_is_no_protocol_for_attachments)
{
    struct worker worker;
    worker_init(&worker, NULL);
    cluster_slice(&worker.cluster, worker.id, 1, 1, 1);
    cluster_expect_nothing(&worker.cluster);
    ck_assert_int_eq(weir_want(worker.cluster.weir), WEIR_WANT_CLOSE);
    worker_deinit(&worker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_attach");
    suite_add(suite, all_that_a_node_offers_can_be_asked_for);
    suite_add(suite, what_cannot_be_asked_for_is_refused_with_a_reason);
    suite_add(suite, events_come_with_their_attempt_and_credit_returns_as_they_are_taken);
    suite_add(suite, whole_chunks_are_read_as_slices_are);
    suite_add(suite, a_long_run_is_one_range_and_what_lies_between_is_not_acknowledged);
    suite_add(suite, up_to_is_what_was_handed_out_and_not_said_before);
    suite_add(suite, what_has_no_answer_is_said_again_to_the_next_node);
    suite_add(suite, what_is_moved_is_said_again_on_the_same_connection);
    suite_add(suite, automatic_is_with_the_next_notice);
    suite_add(suite, what_does_not_count_is_told);
    suite_add(suite, what_counts_is_told_to_who_asks);
    suite_add(suite, a_busy_node_is_asked_again_later);
    suite_add(suite, acknowledgements_linger_and_go_when_there_are_many);
    suite_add(suite, unless_told_otherwise_an_eighth_is_sent_or_what_is_5_ms_old);
    suite_add(suite, who_was_not_attached_is_refused_for_good);
    suite_add(suite, who_was_attached_is_asked_for_again_for_a_while);
    suite_add(suite, a_node_that_does_not_forward_is_left_with_a_pause);
    suite_add(suite, who_waits_for_answers_gets_them_over_a_change_of_node);
    suite_add(suite, who_waits_hears_of_the_end_and_what_came_before_is_of_no_account);
    suite_add(suite, a_node_that_stops_hands_over_to_the_next);
    suite_add(suite, what_was_said_of_another_generation_does_not_count_for_this_one);
    suite_add(suite, what_is_deleted_ends_and_what_has_no_answer_is_told_before);
    suite_add(suite, what_only_subscriptions_get_is_no_protocol_for_attachments);
    return check_main(suite);
}
