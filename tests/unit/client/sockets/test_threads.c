// The rules for threads: clients of different threads have nothing to do with each other, one
// client may go from thread to thread, and a wait is ended by another thread through wake_fd. Under
// the thread sanitizer this is also the proof that the library shares nothing.
//
// Client i says that its name is i; what the node gives it has the actor i + 1.

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/weir.h"
#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/unit/check_main.h"

enum { CLIENTS = 4, ROUNDS = 200, CALLS = 3, OPEN_MS = 30000 };

static int listener;
static char address[32];
static int wake_fds[CLIENTS];
static pthread_barrier_t barrier; // of the clients
static pthread_t nodes[CLIENTS];

// What the node knows of a connection.
struct served {
    int fd;
    int client;
    struct buffer received;
    struct buffer output;
    uint64_t counter; // of the last event
    uint64_t subscription;
    uint64_t ping; // that was not answered; 0: none
};

static const struct bytes EMPTY_CURSOR = {(const uint8_t *)"\x80", 1};

static void answer(struct served *served, struct reply reply)
{
    if (reply.kind != DELIVERY_CHUNKS) {
        reply.cursor = EMPTY_CURSOR;
    }
    ck_assert_int_eq(reply_encode(&reply, &served->output), 0);
}

static void on_hello(struct served *served, const struct request *request)
{
    struct bytes name = request->hello.client_name;
    ck_assert_uint_eq(name.length, 1);
    served->client = name.data[0] - '0';
    ck_assert(served->client >= 0 && served->client < CLIENTS);
    answer(served, (struct reply){.kind = REPLY_HELLO,
                                  .id = request->id,
                                  .hello = {.version = 1,
                                            .server_version = bytes_of_text("weir test"),
                                            .actor = 1,
                                            .cluster_name = bytes_of_text("test"),
                                            .cluster = bytes_of("0123456789abcdef", 16),
                                            .node = bytes_of("fedcba9876543210", 16),
                                            .data_bytes_max = MIB}});
}

// The client's events, and nobody else's, come back to its subscription.
static void on_produce(struct served *served, const struct request *request)
{
    struct bytes rest = request->produce.events;
    struct event event;
    char name[16];
    snprintf(name, sizeof name, "/client/%d", served->client);
    while (rest.length > 0) {
        ck_assert_int_eq(event_next(&rest, &event), 0);
        ck_assert(bytes_equal(event.name, bytes_of_text(name)));
    }
    struct chunk_header header = {.actor = (uint16_t)(served->client + 1),
                                  .count = (uint16_t)request->produce.events_count,
                                  .first = served->counter + 1,
                                  .prev = served->counter,
                                  .timestamp_ms = 1700000000};
    served->counter += header.count;
    answer(served, (struct reply){.kind = REPLY_PRODUCED,
                                  .id = request->id,
                                  .produced = {.first = {header.first, header.actor},
                                               .count = header.count,
                                               .nodes_durable = 1}});
    if (served->subscription != 0) {
        struct buffer chunk = {0};
        ck_assert_int_eq(chunk_append(&chunk, &header, request->produce.events, NULL), 0);
        answer(served, (struct reply){.kind = DELIVERY_CHUNKS,
                                      .id = served->subscription,
                                      .events = buffer_bytes(&chunk)});
        buffer_deinit(&chunk);
    }
}

static void wake(int client)
{
    ck_assert_int_eq(eventfd_write(wake_fds[client], 1), 0);
}

// Nothing is answered before the second ping: whoever waits before it is woken instead.
static void on_ping(struct served *served, const struct request *request)
{
    if (served->ping == 0) {
        served->ping = request->id;
        wake(served->client);
        return;
    }
    answer(served, (struct reply){.kind = REPLY_PONG, .id = served->ping});
    answer(served, (struct reply){.kind = REPLY_PONG, .id = request->id});
    served->ping = 0;
}

static void on_request(struct served *served, const struct request *request)
{
    if (request->kind == REQUEST_HELLO) {
        on_hello(served, request);
    } else if (request->kind == REQUEST_PRODUCE) {
        on_produce(served, request);
    } else if (request->kind == REQUEST_PING) {
        on_ping(served, request);
    } else if (request->kind == REQUEST_SUBSCRIBE && request->subscribe.end == END_NOW) {
        wake(served->client); // and never answered
    } else if (request->kind == REQUEST_SUBSCRIBE) {
        served->subscription = request->id;
        answer(served, (struct reply){.kind = REPLY_SUBSCRIBED, .id = request->id});
    } else {
        ck_assert_int_eq(request->kind, REQUEST_CREDIT);
    }
}

static void serve_received(struct served *served)
{
    struct bytes rest = buffer_bytes(&served->received);
    struct bytes message;
    size_t needed;
    while (frame_next(&rest, FRAME_BYTES_MAX, &message, &needed) == 0) {
        struct request request;
        struct reason reason = {0};
        ck_assert_msg(request_decode(message, &request, &reason) == 0, "%s", reason.text);
        on_request(served, &request);
    }
    buffer_consume(&served->received, served->received.length - rest.length);
    struct bytes output = buffer_bytes(&served->output);
    if (output.length > 0) {
        ck_assert_int_eq(send(served->fd, output.data, output.length, MSG_NOSIGNAL), output.length);
        buffer_clear(&served->output);
    }
}

// The node, as one client sees it, from accepting it to its end.
static void *serve(void *unused)
{
    struct served served = {.fd = accept(listener, NULL, NULL)};
    uint8_t bytes[4096];
    ssize_t length;
    ck_assert_int_ge(served.fd, 0);
    while ((length = recv(served.fd, bytes, sizeof bytes, 0)) > 0) {
        ck_assert_int_eq(buffer_append(&served.received, bytes_of(bytes, (size_t)length)), 0);
        serve_received(&served);
    }
    close(served.fd);
    buffer_deinit(&served.received);
    buffer_deinit(&served.output);
    return NULL;
}

static void setup(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, length), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, CLIENTS), 0);
    for (int i = 0; i < CLIENTS; i++) {
        wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ck_assert_int_ge(wake_fds[i], 0);
    }
}

static void teardown(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        close(wake_fds[i]);
    }
    pthread_barrier_destroy(&barrier);
    close(listener);
}

static struct weir *opened(int client)
{
    const char *const addresses[] = {address};
    const char name[] = {(char)('0' + client), '\0'};
    const struct weir_options options = {
        .size = sizeof options,
        .addresses = addresses,
        .addresses_count = 1,
        .name = name,
        .batch_events_max = CHUNK_EVENTS_MAX,
        .wake_fd = wake_fds[client],
        .reconnect = WEIR_RECONNECT_NEVER,
    };
    struct weir *weir;
    struct weir_reason reason = {{0}};
    ck_assert_msg(weir_open(&options, OPEN_MS, &weir, &reason) == 0, "%s", reason.text);
    return weir;
}

// What has been handed out to one client.
struct seen {
    int client;
    uint64_t results; // by callback
    uint64_t events;
    struct weir_id last;
};

static void on_produced(struct weir *weir, const struct weir_produced *produced)
{
    struct seen *seen = produced->context;
    ck_assert_int_eq(produced->err, 0);
    ck_assert_uint_eq(produced->first.actor, seen->client + 1);
    seen->results++;
}

// One event with the client's number and `number`, as msgpack; `on_result` may be NULL.
static uint64_t produce(struct weir *weir, struct seen *seen, uint64_t number,
                        weir_on_produced *on_result)
{
    char name[16];
    uint64_t ticket;
    struct weir_pack *pack = weir_pack_new();
    struct weir_draft draft = {.size = sizeof draft, .name = name};
    struct weir_produce_options options = {
        .size = sizeof options, .on_produced = on_result, .context = seen};
    ck_assert_ptr_nonnull(pack);
    snprintf(name, sizeof name, "/client/%d", seen->client);
    weir_pack_array(pack, 2);
    weir_pack_int(pack, seen->client);
    weir_pack_uint(pack, number);
    ck_assert_int_eq(weir_pack_data(pack, &draft.data), 0);
    ck_assert_int_eq(weir_produce(weir, &draft, 1, &options, &ticket), 0);
    weir_pack_free(pack);
    return ticket;
}

static void see(struct seen *seen, const struct weir_event *event)
{
    struct weir_bytes rest = event->data;
    struct weir_value values[3];
    char text[WEIR_ID_TEXT_SIZE];
    struct weir_id id;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_unpack(&rest, &values[i]), 0);
    }
    ck_assert_uint_eq(values[1].number, seen->client);
    ck_assert_uint_eq(values[2].number, seen->events);
    ck_assert_uint_eq(event->id.actor, seen->client + 1);
    ck_assert_int_lt(weir_id_compare(seen->last, event->id), 0);
    weir_id_format(event->id, text);
    ck_assert_int_eq(weir_id_parse(text, &id, NULL), 0);
    ck_assert_int_eq(weir_id_compare(id, event->id), 0);
    seen->last = id;
    seen->events++;
}

static void take_events(struct weir *weir, struct seen *seen, uint64_t count)
{
    const struct weir_notice *notice;
    while (seen->events < count) {
        ck_assert_int_eq(weir_wait_next(weir, -1, &notice), 0);
        if (notice->kind == WEIR_NOTICE_EVENT) {
            see(seen, notice->event);
        }
    }
}

static void expect_refusal(struct weir *weir, uint32_t replicas)
{
    const struct weir_draft draft = {.size = sizeof draft, .name = "/a"};
    const struct weir_produce_options options = {.size = sizeof options, .replicas = replicas};
    char expected[32];
    snprintf(expected, sizeof expected, "%u replicas", replicas);
    ck_assert_int_eq(weir_produce(weir, &draft, 1, &options, NULL), WEIR_ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(weir_reason_text(weir), expected));
}

static void *produce_and_consume(void *number)
{
    struct seen seen = {.client = *(const int *)number};
    struct weir *weir = opened(seen.client);
    const unsigned rounds = test_rounds(ROUNDS);
    uint64_t subscription;
    const char *cursor;
    char expected[32];
    pthread_barrier_wait(&barrier); // all are connected, and go on at the same time
    ck_assert_int_eq(weir_subscribe(weir, NULL, &subscription), 0);
    for (uint64_t sent = 0; sent < CALLS * rounds; sent += CALLS) {
        struct weir_produced produced;
        (void)produce(weir, &seen, sent, on_produced);
        uint64_t ticket = produce(weir, &seen, sent + 1, NULL);
        (void)produce(weir, &seen, sent + 2, on_produced);
        expect_refusal(weir, 100 + (uint32_t)seen.client);
        ck_assert_int_eq(weir_wait_produced(weir, ticket, -1, &produced), 0);
        ck_assert_int_eq(produced.err, 0);
        ck_assert_uint_eq(produced.first.counter, sent + 2);
        take_events(weir, &seen, sent + CALLS);
    }
    ck_assert_int_eq(weir_wait_settled(weir, 0, -1), 0);
    ck_assert_uint_eq(seen.results, 2 * rounds);
    snprintf(expected, sizeof expected, "@%u.%d", CALLS * rounds, seen.client + 1);
    ck_assert_int_eq(weir_cursor(weir, subscription, &cursor), 0);
    ck_assert_str_eq(cursor, expected);
    weir_free(weir);
    return NULL;
}

static void drain(struct weir *weir)
{
    const struct weir_notice *notice;
    int outcome;
    while ((outcome = weir_next(weir, &notice)) == 0) {
    }
    ck_assert_int_eq(outcome, WEIR_NOTHING);
}

static void expect_woken(int client)
{
    eventfd_t count;
    ck_assert_int_eq(eventfd_read(wake_fds[client], &count), 0);
    ck_assert_uint_eq(count, 1);
}

// What the node's thread answers by waking was sent inside the wait.
static void *wait_and_be_woken(void *number)
{
    const int client = *(const int *)number;
    struct weir *weir = opened(client);
    const struct weir_subscribe_options until_now = {.size = sizeof until_now,
                                                     .stop = WEIR_STOP_NOW};
    const struct weir_notice *notice;
    const struct weir_result *result;
    uint64_t subscription;
    uint64_t tickets[2];
    drain(weir);
    pthread_barrier_wait(&barrier);
    ck_assert_int_eq(weir_subscribe(weir, &until_now, &subscription), 0);
    ck_assert_int_eq(weir_wait_next(weir, -1, &notice), WEIR_WOKEN);
    expect_woken(client);
    ck_assert_int_eq(weir_ping(weir, NULL, &tickets[0]), 0);
    ck_assert_int_eq(weir_wait_result(weir, tickets[0], -1, &result), WEIR_WOKEN);
    expect_woken(client);
    ck_assert_int_eq(weir_ping(weir, NULL, &tickets[1]), 0);
    for (size_t i = 0; i < 2; i++) { // a wait that was ended takes nothing away
        ck_assert_int_eq(weir_wait_result(weir, tickets[i], -1, &result), 0);
        ck_assert_int_eq(result->err, 0);
        ck_assert_int_eq(result->kind, WEIR_RESULT_PONG);
    }
    weir_free(weir);
    return NULL;
}

// Runs it for each client, in a thread of its own, beside a node for each.
static void run_clients(void *(*run)(void *number))
{
    static const int numbers[CLIENTS] = {0, 1, 2, 3};
    pthread_t clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_create(&nodes[i], NULL, serve, NULL), 0);
        ck_assert_int_eq(pthread_create(&clients[i], NULL, run, (void *)&numbers[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_join(clients[i], NULL), 0);
        ck_assert_int_eq(pthread_join(nodes[i], NULL), 0);
    }
}

START_TEST(clients_of_many_threads_produce_and_consume_at_the_same_time)
{
    run_clients(produce_and_consume);
}
END_TEST

START_TEST(waits_of_many_threads_are_ended_by_another_thread)
{
    run_clients(wait_and_be_woken);
}
END_TEST

// A client that goes from thread to thread.
struct shared {
    pthread_mutex_t lock;
    struct weir *weir;
    struct seen seen;
    uint64_t sent;
};

static void *take_turns(void *given)
{
    struct shared *shared = given;
    struct weir_produced produced;
    for (unsigned i = test_rounds(ROUNDS); i > 0; i--) {
        pthread_mutex_lock(&shared->lock);
        uint64_t ticket = produce(shared->weir, &shared->seen, shared->sent++, NULL);
        ck_assert_int_eq(weir_wait_produced(shared->weir, ticket, -1, &produced), 0);
        ck_assert_uint_eq(produced.first.counter, shared->sent);
        take_events(shared->weir, &shared->seen, shared->sent);
        pthread_mutex_unlock(&shared->lock);
    }
    return NULL;
}

START_TEST(one_client_is_used_by_one_thread_after_another)
{
    struct shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[2];
    uint64_t subscription;
    ck_assert_int_eq(pthread_create(&nodes[0], NULL, serve, NULL), 0);
    shared.weir = opened(0);
    ck_assert_int_eq(weir_subscribe(shared.weir, NULL, &subscription), 0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, &shared), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(shared.seen.events, 2 * test_rounds(ROUNDS));
    weir_free(shared.weir);
    ck_assert_int_eq(pthread_join(nodes[0], NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/sockets/threads");
    const TTest *tests[] = {
        clients_of_many_threads_produce_and_consume_at_the_same_time,
        waits_of_many_threads_are_ended_by_another_thread,
        one_client_is_used_by_one_thread_after_another,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(test_case, setup, teardown);
        tcase_set_timeout(test_case, 60);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    return check_main(suite);
}
