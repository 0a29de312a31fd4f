// Every allocation of the service and the native front end fails once, one at a time, in a
// conversation that uses all of them: nothing crashes, leaks or hangs; what is answered is well
// formed; what was acknowledged is there.

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "server/frontend/frontend.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/node_fixture.h"

// Linked with --wrap: allocations of our own code come here.
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);

static bool is_armed; // while a call into the service or the front end runs
static uint64_t failing_nth;
static uint64_t allocations;

static bool allocation_fails(void)
{
    return is_armed && ++allocations == failing_nth;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(pointer, size);
}

struct conversation {
    struct node_fixture fixture;
    struct frontend *frontend;
    struct buffer unfed;
    struct buffer received;
    int ended;
};

static void put(struct conversation *conversation, const struct request *request)
{
    ck_assert_int_eq(request_encode(request, &conversation->unfed), 0);
}

static void put_produce(struct conversation *conversation, uint64_t id, struct event_id parent,
                        struct bytes after)
{
    struct buffer events = {0};
    struct buffer attributes = {0};
    ck_assert_int_eq(attributes_append(&attributes, NULL, 0, parent), 0);
    for (unsigned i = 0; i < 70; i++) {
        ck_assert_int_eq(event_append(&events, bytes_of_text("/kind1/name1"),
                                      bytes_of_text("1000000"), buffer_bytes(&attributes)),
                         0);
    }
    struct request request = {.kind = REQUEST_PRODUCE, .id = id};
    request.produce.after.cursor = after;
    request.produce.after.timeout_ms = 50;
    request.produce.events = buffer_bytes(&events);
    request.produce.events_count = 70;
    put(conversation, &request);
    buffer_deinit(&events);
    buffer_deinit(&attributes);
}

static void put_requests(struct conversation *conversation)
{
    const struct bytes ahead = bytes_of("\x81\x01\xcd\x7f\xff", 5);
    const struct bytes begin = bytes_of("\x80", 1);
    struct event_id none = {0};
    struct request request = {.kind = REQUEST_HELLO, .id = 1};
    request.hello = (struct request_hello){.version_max = 1, .features = 3};
    put(conversation, &request);
    for (uint64_t id = 2; id < 12; id++) {
        put(conversation, &(struct request){.kind = REQUEST_PING, .id = id});
    }
    request = subscribe_request(100, NULL);
    request.subscribe.heartbeat_ms = 30;
    put(conversation, &request);
    request = subscribe_request(101, "/kind1/**");
    request.subscribe.start = START_AT_CURSOR;
    request.subscribe.start_cursor = begin;
    request.subscribe.limit = 100;
    put(conversation, &request);
    request = subscribe_request(102, "/kind2/*");
    request.subscribe.start = START_LAST;
    request.subscribe.start_last = 20;
    request.subscribe.end = END_CURSOR;
    request.subscribe.end_cursor = ahead;
    put(conversation, &request);
    request = subscribe_request(103, NULL);
    request.subscribe.after.cursor = ahead;
    put(conversation, &request);
    put_produce(conversation, 20, none, (struct bytes){0});
    put_produce(conversation, 21, (struct event_id){.counter = 1, .actor = 9}, (struct bytes){0});
    put_produce(conversation, 22, none, ahead);
    put_produce(conversation, 23, none, (struct bytes){0});
    request = (struct request){.kind = REQUEST_GET, .id = 30};
    request.get.event = (struct event_id){.counter = 1, .actor = 1};
    put(conversation, &request);
    request.id = 31;
    request.get.after.cursor = ahead;
    put(conversation, &request);
    put(conversation,
        &(struct request){.kind = REQUEST_LAST, .id = 32, .last = {.events_max = 90}});
    put(conversation, &(struct request){.kind = REQUEST_NEIGHBOR, .id = 33});
    put(conversation, &(struct request){.kind = REQUEST_NAMESPACES, .id = 34});
    put(conversation, &(struct request){.kind = REQUEST_STATUS, .id = 35});
    put(conversation, &(struct request){.kind = REQUEST_GET, .id = 36}); // refused
}

static void feed(struct conversation *conversation)
{
    size_t taken = 0;
    size_t wanted = 0;
    if (conversation->ended != 0 || conversation->unfed.length == 0) {
        return;
    }
    is_armed = true;
    int result = conversation->frontend->ops->feed(conversation->frontend,
                                                   buffer_bytes(&conversation->unfed),
                                                   conversation->fixture.now, &taken, &wanted);
    is_armed = false;
    conversation->ended = result;
    buffer_consume(&conversation->unfed, taken);
}

static void pull(struct conversation *conversation)
{
    struct frontend *frontend = conversation->frontend;
    struct iovec pieces[8];
    for (;;) {
        is_armed = true;
        size_t count = frontend->ops->peek(frontend, pieces, 8);
        is_armed = false;
        size_t total = 0;
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_eq(buffer_append(&conversation->received,
                                           bytes_of(pieces[i].iov_base, pieces[i].iov_len)),
                             0);
            total += pieces[i].iov_len;
        }
        if (total == 0) {
            return;
        }
        frontend->ops->sent(frontend, total);
    }
}

static void turn(struct conversation *conversation)
{
    struct node_fixture *fixture = &conversation->fixture;
    fixture->now = instant_add(fixture->now, duration_ms(12));
    is_armed = true;
    if (instant_reached(service_deadline(fixture->service), fixture->now)) {
        service_tick(fixture->service, fixture->now);
    }
    fixture->is_woken = false;
    service_turn(fixture->service, fixture->now);
    while (service_take_ready(fixture->service, true) != NULL) {
    }
    if (conversation->ended == 0) {
        conversation->ended =
            conversation->frontend->ops->tick(conversation->frontend, fixture->now);
    }
    is_armed = false;
}

// Everything that was sent is whole frames of known replies. Returns how many produces were
// acknowledged.
static unsigned check_received(const struct conversation *conversation)
{
    struct bytes rest = buffer_bytes(&conversation->received);
    unsigned produced = 0;
    while (rest.length > 0) {
        struct bytes message;
        struct reply reply;
        struct reason reason;
        size_t needed;
        ck_assert_int_eq(frame_next(&rest, FRAME_BYTES_MAX, &message, &needed), 0);
        ck_assert_int_eq(reply_decode(message, &reply, &reason), 0);
        produced += reply.kind == REPLY_PRODUCED;
    }
    return produced;
}

static void converse(void)
{
    struct conversation *conversation = __real_calloc(1, sizeof *conversation);
    struct node_fixture *fixture = &conversation->fixture;
    node_fixture_begin(fixture, 3);
    fixture->log.config.recent_bytes_max = 2048;
    node_fixture_open(fixture);
    for (unsigned i = 0; i < 5; i++) {
        fixture_produce_group(&fixture->log, 3);
    }
    node_settle(fixture);
    uint64_t before = fixture->log.events_count;
    const struct frontend_config config = {.service = fixture->service, .peer_name = "test"};
    is_armed = true;
    int result = FRONTEND_NATIVE.open(&config, &conversation->frontend);
    is_armed = false;
    if (result == 0) {
        put_requests(conversation);
        for (unsigned i = 0; i < 60; i++) {
            feed(conversation);
            turn(conversation);
            store_step_read(fixture->log.store);
            store_step_commit(fixture->log.store, fixture->log.now_ms);
            store_step_index(fixture->log.store);
            if (i > 30 && i % 3 == 0) {
                fixture_produce(&fixture->log, 20);
                before += 20;
            }
            turn(conversation);
            pull(conversation);
            if (i == 50) {
                is_armed = true;
                service_shut_down(fixture->service);
                is_armed = false;
            }
        }
        unsigned produced = check_received(conversation);
        node_settle(fixture);
        struct store_status status;
        store_status(fixture->log.store, &status);
        ck_assert_uint_ge(status.events, before + 70 * produced);
        if (failing_nth == 0) {
            ck_assert_uint_eq(produced, 3);
        }
        conversation->frontend->ops->close(conversation->frontend);
    }
    node_fixture_deinit(fixture);
    buffer_deinit(&conversation->unfed);
    buffer_deinit(&conversation->received);
    free(conversation);
}

START_TEST(each_allocation_may_fail)
{
    failing_nth = 0;
    allocations = 0;
    converse();
    uint64_t count = allocations;
    ck_assert_uint_gt(count, 50);
    unsigned step = test_rounds(10) < 10 ? 5 : 1;
    for (uint64_t nth = 1; nth <= count; nth += step) {
        failing_nth = nth;
        allocations = 0;
        converse();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_allocations");
    suite_add(suite, each_allocation_may_fail);
    return check_main(suite);
}
