#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "server/net/connection.h"
#include "server/net/dialer.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/net/echo.h"

// The port of a socket on 127.0.0.1 that is bound, and listened on if `backlog` is not negative.
static int bound_socket(int backlog, uint16_t *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    ck_assert(backlog < 0 || listen(fd, backlog) == 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

static void dial(struct echo_server *server, uint64_t number, const char *host, uint16_t port)
{
    char address[300];
    snprintf(address, sizeof address, "%s:%u", host, port);
    echo_service_dial(server->services[0], number, address);
}

static bool has_met(void *context)
{
    struct echo_server *server = context;
    return echo_service_dials(server->services[0]).met > 0;
}

static bool has_failed(void *context)
{
    struct echo_server *server = context;
    return echo_service_dials(server->services[0]).failed > 0;
}

static void expect_failure(struct echo_server *server, uint64_t number, const char *word)
{
    ck_assert(echo_wait(has_failed, server));
    struct echo_dials dials = echo_service_dials(server->services[0]);
    ck_assert_uint_eq(dials.last, number);
    ck_assert_uint_eq(dials.met, 0);
    ck_assert(!dials.was_synchronous);
    ck_assert_msg(strstr(dials.why.text, word) != NULL, "%s", dials.why.text);
}

static void expect_met(const char *host)
{
    struct echo_server here;
    struct echo_server there;
    echo_server_start(&here, (struct echo_options){.loops = 2});
    echo_server_start(&there, (struct echo_options){.loops = 2, .is_second = true});
    dial(&here, 7, host, there.port);
    ck_assert(echo_wait(has_met, &here));
    ck_assert_uint_eq(echo_service_dials(here.services[0]).failed, 0);
    ck_assert_uint_eq(net_connections_count(here.net), 0); // peers are no clients
    ck_assert_uint_eq(net_connections_count(there.net), 0);
    ck_assert_int_eq(echo_service_connections(there.services[0]), 0);
    ck_assert(echo_server_stop(&there));
    ck_assert(echo_server_stop(&here));
}

START_TEST(a_dial_becomes_a_peer)
{
    expect_met("127.0.0.1");
}
END_TEST

START_TEST(a_name_is_resolved)
{
    expect_met("localhost");
}
END_TEST

START_TEST(nobody_listening_is_a_failure)
{
    struct echo_server server;
    uint16_t port;
    int fd = bound_socket(-1, &port);
    echo_server_start(&server, (struct echo_options){0});
    dial(&server, 3, "127.0.0.1", port);
    expect_failure(&server, 3, strerror(ECONNREFUSED));
    ck_assert(echo_server_stop(&server));
    close(fd);
}
END_TEST

START_TEST(what_is_no_address_is_a_failure)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){0});
    echo_service_dial(server.services[0], 4, "nowhere");
    expect_failure(&server, 4, "not an address");
    ck_assert(echo_server_stop(&server));
}
END_TEST

// Names below .invalid do not exist; where the name service does not answer, that takes the second.
START_TEST(a_name_that_nobody_knows_is_a_failure)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){0});
    dial(&server, 5, "weir.invalid", 1);
    expect_failure(&server, 5, "the name weir.invalid is not");
    ck_assert(echo_server_stop(&server));
}
END_TEST

// A listener whose queue is full, as one that never accepts has it. Returns how many wait in it.
static unsigned fill_queue(uint16_t port, int *fds, unsigned max)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (unsigned i = 0; i < max; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
    }
    return max;
}

START_TEST(silence_is_a_failure_and_a_stop_does_not_wait_for_it)
{
    enum { WAITING = 8 };
    struct echo_server server;
    uint16_t port;
    int fds[WAITING];
    int listener = bound_socket(0, &port);
    fill_queue(port, fds, WAITING);
    echo_server_start(&server, (struct echo_options){0});
    dial(&server, 6, "127.0.0.1", port);
    expect_failure(&server, 6, "no answer within 1000 ms");
    dial(&server, 7, "127.0.0.1", port);
    ck_assert(echo_server_stop(&server));
    for (unsigned i = 0; i < WAITING; i++) {
        close(fds[i]);
    }
    close(listener);
}
END_TEST

START_TEST(peers_that_come_stay_in_the_first_loop)
{
    struct echo_server server;
    int fds[6];
    uint8_t frame[5];
    echo_server_start(&server, (struct echo_options){.loops = 3});
    for (int i = 0; i < 6; i++) {
        fds[i] = i % 2 == 0 ? echo_connect(&server) : echo_connect_unix(&server);
        echo_send_text(fds[i], "peer");
        echo_expect_text(fds[i], "met");
        echo_send_text(fds[i], "where");
        echo_expect_text(fds[i], "local");
        echo_send_text(fds[i], "loop");
        echo_receive(fds[i], frame, sizeof frame);
        ck_assert_uint_eq(frame[4], 0);
    }
    for (int i = 0; i < 6; i++) {
        close(fds[i]);
    }
    ck_assert(echo_server_stop(&server));
}
END_TEST

START_TEST(a_greeting_may_come_byte_by_byte)
{
    static const uint8_t PEER[] = {0, 0, 0, 4, 'p', 'e', 'e', 'r'};
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){.loops = 2});
    for (size_t cut = 1; cut < sizeof PEER; cut++) {
        int fd = echo_connect(&server);
        echo_send(fd, PEER, cut);
        int other = echo_connect(&server); // by when it is answered the first bytes are read
        echo_send_text(other, "in");
        echo_expect_text(other, "in");
        echo_send(fd, PEER + cut, sizeof PEER - cut);
        echo_expect_text(fd, "met");
        close(other);
        close(fd);
    }
    ck_assert(echo_server_stop(&server));
}
END_TEST

struct hearing {
    struct echo_server *server;
    unsigned before;
};

static bool has_heard(void *context)
{
    const struct hearing *hearing = context;
    return echo_service_dials(hearing->server->services[0]).heard > hearing->before;
}

START_TEST(a_peer_is_heard_while_a_large_frame_comes)
{
    enum { LENGTH = 1 << 20, PIECES = 8 };
    struct echo_server server;
    uint8_t head[4];
    uint8_t *bytes = calloc(1, LENGTH);
    ck_assert_ptr_nonnull(bytes);
    store_be32(head, LENGTH);
    echo_server_start(&server, (struct echo_options){0});
    int fd = echo_connect(&server);
    echo_send_text(fd, "peer");
    echo_expect_text(fd, "met");
    echo_send(fd, head, sizeof head);
    for (int i = 0; i < PIECES; i++) {
        struct hearing hearing = {&server, echo_service_dials(server.services[0]).heard};
        echo_send(fd, bytes, i < PIECES - 1 ? LENGTH / PIECES : LENGTH / PIECES - 1);
        ck_assert(echo_wait(has_heard, &hearing));
    }
    echo_send(fd, bytes, 1);
    echo_receive(fd, head, sizeof head);
    ck_assert_uint_eq(load_be32(head), LENGTH);
    echo_receive(fd, bytes, LENGTH);
    close(fd);
    free(bytes);
    ck_assert(echo_server_stop(&server));
}
END_TEST

// Those that come in leave room for dials.
START_TEST(peers_are_bounded)
{
    enum { PEERS = PEERS_COME_IN_MAX };
    struct echo_server server;
    struct echo_server there;
    int fds[PEERS];
    echo_server_start(&server, (struct echo_options){0});
    echo_server_start(&there, (struct echo_options){.is_second = true});
    for (int i = 0; i < PEERS; i++) {
        fds[i] = echo_connect(&server);
        echo_send_text(fds[i], "peer");
        echo_expect_text(fds[i], "met");
    }
    int fd = echo_connect(&server);
    echo_send_text(fd, "peer");
    echo_expect_end(fd);
    ck_assert_uint_eq(atomic_load(&server.lines), 1);
    dial(&server, 9, "127.0.0.1", there.port);
    ck_assert(echo_wait(has_met, &server));
    ck_assert_uint_eq(echo_service_dials(server.services[0]).failed, 0);
    close(fd);
    for (int i = 0; i < PEERS; i++) {
        close(fds[i]);
    }
    ck_assert(echo_server_stop(&there));
    ck_assert(echo_server_stop(&server));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialer");
    suite_add(suite, a_dial_becomes_a_peer);
    suite_add(suite, a_name_is_resolved);
    suite_add(suite, nobody_listening_is_a_failure);
    suite_add(suite, what_is_no_address_is_a_failure);
    suite_add(suite, a_name_that_nobody_knows_is_a_failure);
    suite_add(suite, silence_is_a_failure_and_a_stop_does_not_wait_for_it);
    suite_add(suite, peers_that_come_stay_in_the_first_loop);
    suite_add(suite, a_greeting_may_come_byte_by_byte);
    suite_add(suite, a_peer_is_heard_while_a_large_frame_comes);
    suite_add(suite, peers_are_bounded);
    return check_main(suite);
}
