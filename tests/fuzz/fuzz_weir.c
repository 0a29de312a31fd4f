// Hostile nodes, for a client of the public API: whatever it receives, over however many
// connections, it hands out what is right and goes on. It has two subscriptions, attaches, produces
// and asks.
// The input is pieces: a byte that says what the program does before (see `act`), a length, bytes.

#include <assert.h>

#include "client/weir_state.h"
#include "tests/fuzz/fuzz_target.h"

static uint64_t results;
static uint64_t produced;

static void on_produced(struct weir *weir, const struct weir_produced *result)
{
    assert(result->count == 1 && result->ticket > 0);
    assert((result->err == 0) == (result->text == NULL));
    results++;
}

static void produce(struct weir *weir)
{
    struct weir_produce_options options = {.size = sizeof options, .on_produced = on_produced};
    struct weir_draft draft = {.size = sizeof draft, .name = "/a", .data = weir_text("x")};
    if (weir_produce(weir, &draft, 1, &options, NULL) == 0) {
        produced++;
    }
}

static void ask(struct weir *weir)
{
    struct weir_cluster_action action = {.size = sizeof action, .kind = WEIR_CLUSTER_LEAVE};
    struct weir_id id = {.counter = 1, .actor = 1};
    (void)!weir_get(weir, id, NULL, NULL);
    (void)!weir_namespaces(weir, NULL, (struct weir_bytes){0}, 0, NULL, NULL);
    (void)!weir_status(weir, NULL, NULL);
    (void)!weir_cluster(weir, &action, NULL, NULL);
    action.kind = WEIR_CLUSTER_STATUS;
    (void)!weir_cluster(weir, &action, NULL, NULL);
    (void)!weir_subscriptions_list(weir, (struct weir_bytes){0}, NULL, NULL);
    (void)!weir_subscriptions_delete(weir, "jobs", NULL, NULL);
}

static void attach(struct weir *weir)
{
    struct weir_definition definition = {.size = sizeof definition};
    struct weir_attach_options options = {.size = sizeof options,
                                          .name = "jobs",
                                          .definition = &definition,
                                          .in_flight = 3,
                                          .has_ack_results = true};
    uint64_t attachment;
    (void)!weir_attach(weir, &options, &attachment);
    options.ack_mode = WEIR_ACK_AUTOMATIC;
    (void)!weir_attach(weir, &options, &attachment);
}

// Says of some events what is to become of them.
static void work(struct weir *weir, const struct weir_notice *notice)
{
    struct weir_id id = notice->event->id;
    uint64_t attachment = notice->subscription;
    int err = 0;
    switch (id.counter % 4) {
    case 0:
        err = weir_ack(weir, attachment, id);
        break;
    case 1:
        err = weir_ack_up_to(weir, attachment, id);
        break;
    case 2:
        err = weir_nack(weir, attachment, id, 1, "later");
        break;
    case 3:
        break;
    }
    assert(err == 0 || err == WEIR_ERR_BUSY);
}

static void look_at_acked(const struct weir_acked *acked)
{
    uint64_t events = 0;
    for (size_t i = 0; i < acked->ranges_count; i++) {
        events += acked->ranges[i].last - acked->ranges[i].first + 1;
    }
    assert(events == acked->events && acked->counted <= events && events > 0);
    assert((acked->err == 0) == (acked->text == NULL));
}

static void look_at_result(const struct weir_result *result)
{
    const struct weir_event *event;
    const struct weir_namespace *row;
    const struct weir_member *member;
    const struct weir_alarm *alarm;
    const char *cursor;
    assert(result->ticket > 0 && (result->err == 0) == (result->text == NULL));
    while (weir_result_event(result, &event) == 0) {
        assert(event->id.counter != 0 && event->id.actor != 0);
    }
    while (weir_result_namespace(result, &row) == 0) {
        assert(row->name.length > 0);
    }
    const struct weir_subscription_row *subscription;
    while (weir_result_subscription(result, &subscription) == 0) {
        assert(subscription->cursor[0] == '@' && subscription->definition->concurrency > 0);
    }
    const struct weir_subscription_consumer *consumer;
    while (weir_result_consumer(result, &consumer) == 0) {
        assert(consumer->client.length <= 255);
    }
    while (weir_result_member(result, &member) == 0) {
        assert(member->node[0]);
    }
    while (weir_result_alarm(result, &alarm) == 0) {
        assert(alarm->code.length + alarm->text.length <= alarm->line.length);
    }
    (void)!weir_result_cursor(result, &cursor);
    assert(result->err != 0 || (result->status != NULL) == (result->kind == WEIR_RESULT_STATUS));
}

static void look(struct weir *weir, const struct weir_notice *notice)
{
    const char *cursor;
    struct weir_attribute attribute;
    size_t position = 0;
    (void)!weir_cursor(weir, notice->subscription, &cursor);
    if (notice->kind == WEIR_NOTICE_EVENT) {
        assert(notice->event->id.counter != 0 && notice->event->id.actor != 0);
        while (weir_event_attribute(notice->event, &position, &attribute) == 0) {
        }
        if (weir_find_attachment(weir, notice->subscription)) {
            work(weir, notice);
        }
    }
    if (notice->kind == WEIR_NOTICE_ACKED) {
        look_at_acked(notice->acked);
    }
    if (notice->kind == WEIR_NOTICE_RESULT) {
        look_at_result(notice->result);
    }
}

static void take(struct weir *weir, unsigned count)
{
    const struct weir_notice *notice;
    while (count-- > 0 && weir_next(weir, &notice) == 0) {
        look(weir, notice);
    }
}

static void send_all(struct weir *weir)
{
    weir_sent(weir, weir_output(weir).length);
}

// A connection stands, whatever that takes; false: the client has ended.
static bool connect_again(struct weir *weir, int64_t *now)
{
    for (;;) {
        switch (weir_want(weir)) {
        case WEIR_WANT_TIME:
            *now = weir_deadline(weir);
            weir_tick(weir, *now);
            break;
        case WEIR_WANT_CONNECT: {
            int err = weir_connected(weir, *now);
            assert(err == 0);
            break;
        }
        case WEIR_WANT_CLOSE:
            weir_disconnected(weir, 0, NULL, *now);
            break;
        case WEIR_WANT_BYTES:
            return true;
        case WEIR_WANT_NOTHING:
            return false;
        }
    }
}

static void act(struct weir *weir, uint8_t what, int64_t now)
{
    switch (what % 11) {
    case 0:
        take(weir, UINT32_MAX);
        break;
    case 1:
        take(weir, 1);
        break;
    case 2: // waits for a result
        if (weir_want(weir) == WEIR_WANT_BYTES) {
            weir_pump(weir);
        }
        break;
    case 3:
        weir_disconnected(weir, WEIR_ERR_CLOSED, "lost", now);
        break;
    case 4:
        produce(weir);
        break;
    case 5:
        send_all(weir);
        break;
    case 6:
        (void)!weir_unsubscribe(weir, 1);
        weir_leave(weir, now);
        break;
    case 7:
        ask(weir);
        break;
    case 8:
        attach(weir);
        break;
    case 9:
        (void)!weir_detach(weir, 3);
        break;
    case 10:
        weir_flush_acks(weir);
        weir_tick(weir, now);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct weir_subscribe_options limited = {.size = sizeof limited, .limit = 3};
    struct weir *weir;
    uint64_t subscription;
    int64_t now = 1;
    results = produced = 0;
    int err = weir_new(NULL, now, &weir, NULL);
    err = err ? err : weir_subscribe(weir, NULL, &subscription);
    err = err ? err : weir_subscribe(weir, &limited, &subscription);
    assert(err == 0);
    produce(weir);
    size_t i = 0;
    while (i + 2 <= length && connect_again(weir, &now)) {
        act(weir, data[i], now);
        size_t more = data[i + 1];
        i += 2;
        more = more < length - i ? more : length - i;
        if (weir_want(weir) == WEIR_WANT_BYTES) {
            err = weir_feed(weir, data + i, more, now);
            assert(err == 0);
        }
        i += more;
    }
    take(weir, UINT32_MAX);
    assert(results <= produced);
    weir_free(weir);
    return 0;
}
