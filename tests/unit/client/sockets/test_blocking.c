// The blocking layer over real sockets, where the socket itself makes a difference.

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/weir.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/unit/check_main.h"

static char folder[32];
static char address[64];
static int listener;
static int accepted; // of the first connection; later ones are left to the backlog

static void setup(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "/tmp/weir-blocking-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address, sizeof address, "%s/socket", folder);
    memcpy(name.sun_path, address, strlen(address) + 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, sizeof name), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
}

static void teardown(void)
{
    close(accepted);
    close(listener);
    unlink(address);
    rmdir(folder);
}

static uint64_t hello_id(void)
{
    static struct buffer received;
    struct request request;
    struct reason reason;
    struct bytes message;
    size_t needed;
    buffer_clear(&received);
    for (;;) {
        uint8_t bytes[4096];
        ssize_t length = recv(accepted, bytes, sizeof bytes, 0);
        ck_assert_int_gt(length, 0);
        ck_assert_int_eq(buffer_append(&received, bytes_of(bytes, (size_t)length)), 0);
        struct bytes rest = buffer_bytes(&received);
        if (frame_next(&rest, FRAME_BYTES_MAX, &message, &needed) == 0) {
            break;
        }
    }
    ck_assert_int_eq(request_decode(message, &request, &reason), 0);
    ck_assert_int_eq(request.kind, REQUEST_HELLO);
    uint64_t id = request.id;
    buffer_deinit(&received);
    return id;
}

// The node: it says hello, and nothing more.
static void *greet(void *unused)
{
    accepted = accept(listener, NULL, NULL);
    ck_assert_int_ge(accepted, 0);
    struct buffer frame = {0};
    const struct reply reply = {
        .kind = REPLY_HELLO,
        .id = hello_id(),
        .cursor = bytes_of("\x80", 1),
        .hello = {.version = 1,
                  .server_version = bytes_of_text("weir test"),
                  .actor = 1,
                  .cluster_name = bytes_of_text("test"),
                  .cluster = bytes_of("0123456789abcdef", 16),
                  .node = bytes_of("fedcba9876543210", 16),
                  .data_bytes_max = MIB},
    };
    ck_assert_int_eq(reply_encode(&reply, &frame), 0);
    ck_assert_int_eq(send(accepted, frame.data, frame.length, MSG_NOSIGNAL), frame.length);
    buffer_deinit(&frame);
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

// A client that is connected, and has nothing to say.
static struct weir *opened(void)
{
    const char *const addresses[] = {address, address, address};
    const struct weir_options options = {
        .size = sizeof options, .addresses = addresses, .addresses_count = 3};
    struct weir *weir;
    struct weir_reason reason;
    pthread_t node;
    ck_assert_int_eq(pthread_create(&node, NULL, greet, NULL), 0);
    ck_assert_int_eq(weir_open(&options, 30000, &weir, &reason), 0);
    ck_assert_int_eq(pthread_join(node, NULL), 0);
    drain(weir);
    ck_assert_int_eq(weir_turn(weir), WEIR_NOTHING);
    return weir;
}

static void expect_lost(struct weir *weir)
{
    const struct weir_notice *notice;
    ck_assert_int_eq(weir_next(weir, &notice), 0);
    ck_assert_int_eq(notice->kind, WEIR_NOTICE_DISCONNECTED);
    drain(weir);
}

// Nothing is received, and the next connection, to the node's backlog, stands within the same turn:
// its socket may have the number of the one that was lost.
START_TEST(a_turn_in_which_the_connection_was_lost_has_brought_something)
{
    struct weir *weir = opened();
    weir_leave(weir, weir_clock());
    ck_assert_int_eq(weir_turn(weir), 0);
    expect_lost(weir);
    ck_assert_int_eq(weir_turn(weir), WEIR_NOTHING);
    weir_free(weir);
}
END_TEST

START_TEST(a_turn_in_which_nobody_could_be_connected_has_brought_something)
{
    struct weir *weir = opened();
    ck_assert_int_eq(unlink(address), 0);
    weir_leave(weir, weir_clock());
    ck_assert_int_eq(weir_turn(weir), 0); // lost, and one address tried
    expect_lost(weir);
    ck_assert_int_eq(weir_turn(weir), 0); // another one
    expect_lost(weir);
    weir_free(weir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/sockets/blocking");
    const TTest *tests[] = {
        a_turn_in_which_the_connection_was_lost_has_brought_something,
        a_turn_in_which_nobody_could_be_connected_has_brought_something,
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
