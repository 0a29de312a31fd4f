// The server and the client of the tests of server/net.
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "tests/unit/server/net/echo.h"

enum { SECONDS_MAX = 20 };

static PRINTF_LIKE(4, 0) void count_line(void *context, enum log_level level, const char *part,
                                         const char *format, va_list arguments)
{
    struct echo_server *server = context;
    char text[512];
    ck_assert_int_gt(vsnprintf(text, sizeof text, format, arguments), 0);
    if (level <= LOG_WARNING) {
        atomic_fetch_add(&server->lines, 1);
    }
}

void echo_server_start(struct echo_server *server, struct echo_options options)
{
    struct reason reason = {0};
    *server = (struct echo_server){.loops_count = options.loops == 0 ? 1 : options.loops};
    struct net_config config = {
        .choose = echo_choose,
        .peer = &FRONTEND_ECHO_PEER,
        .loops_count = server->loops_count,
        .connections_max = options.connections_max == 0 ? 10000 : options.connections_max,
        .receive_bytes_max = options.receive_bytes == 0 ? 64 << 20 : options.receive_bytes,
        .log = count_line,
        .log_context = server,
    };
    signal(SIGPIPE, SIG_IGN);
    ck_assert_msg(net_new(&config, &server->net, &reason) == 0, "%s", reason.text);
    for (unsigned i = 0; i < server->loops_count; i++) {
        server->services[i] = echo_service_new(net_env(server->net, i), i);
        net_set_service(server->net, i, server->services[i]);
    }
    ck_assert_msg(net_listen_tcp(server->net, "127.0.0.1", 0, &reason) == 0, "%s", reason.text);
    snprintf(server->socket, sizeof server->socket, "/tmp/weir-test-%d%s.socket", (int)getpid(),
             options.is_second ? "-2" : "");
    ck_assert_msg(net_listen_unix(server->net, server->socket, &reason) == 0, "%s", reason.text);
    ck_assert_uint_eq(net_listeners_count(server->net), 2);
    const char *name = net_listener_name(server->net, 0);
    ck_assert_int_eq(strncmp(name, "127.0.0.1:", 10), 0);
    server->port = (uint16_t)strtoul(name + 10, NULL, 10);
    ck_assert_msg(net_start(server->net, &reason) == 0, "%s", reason.text);
}

bool echo_server_stop(struct echo_server *server)
{
    net_shut_down(server->net);
    while (!net_is_finished(server->net)) {
        struct pollfd event = {.fd = net_event_fd(server->net), .events = POLLIN};
        uint64_t count;
        ck_assert_int_eq(poll(&event, 1, SECONDS_MAX * 1000), 1);
        ck_assert_int_eq(read(event.fd, &count, sizeof count), sizeof count);
    }
    bool is_idle = net_join(server->net);
    ck_assert_uint_eq(net_connections_count(server->net), 0);
    for (unsigned i = 0; i < server->loops_count; i++) {
        echo_service_free(server->services[i]);
    }
    net_free(server->net);
    ck_assert_int_ne(access(server->socket, F_OK), 0);
    return is_idle;
}

static int client_socket(int family, const struct sockaddr *address, socklen_t length)
{
    struct timeval limit = {.tv_sec = SECONDS_MAX};
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    ck_assert_int_eq(connect(fd, address, length), 0);
    return fd;
}

int echo_connect(const struct echo_server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(server->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    return client_socket(AF_INET, (struct sockaddr *)&address, sizeof address);
}

int echo_connect_unix(const struct echo_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, server->socket, strlen(server->socket) + 1);
    return client_socket(AF_UNIX, (struct sockaddr *)&address, sizeof address);
}

void echo_send(int fd, const void *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, (const char *)bytes + done, length - done, MSG_NOSIGNAL);
        ck_assert_msg(sent > 0, "send: %s", strerror(errno));
        done += (size_t)sent;
    }
}

void echo_send_frame(int fd, const void *payload, size_t length)
{
    uint8_t head[4];
    store_be32(head, (uint32_t)length);
    echo_send(fd, head, sizeof head);
    echo_send(fd, payload, length);
}

void echo_send_text(int fd, const char *text)
{
    echo_send_frame(fd, text, strlen(text));
}

void echo_receive(int fd, void *out, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = recv(fd, (char *)out + done, length - done, 0);
        ck_assert_msg(got > 0, "received %zu of %zu: %s", done, length,
                      got == 0 ? "ended" : strerror(errno));
        done += (size_t)got;
    }
}

void echo_expect_text(int fd, const char *text)
{
    uint8_t head[4];
    char payload[64] = "";
    echo_receive(fd, head, sizeof head);
    ck_assert_uint_lt(load_be32(head), sizeof payload);
    echo_receive(fd, payload, load_be32(head));
    ck_assert_str_eq(payload, text);
}

void echo_expect_end(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    ck_assert_msg(got == 0, "%s", got < 0 ? strerror(errno) : "a byte");
}

void echo_expect_gone(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    ck_assert_msg(got == 0 || (got < 0 && errno == ECONNRESET), "%s",
                  got < 0 ? strerror(errno) : "a byte");
}

bool echo_wait(bool (*is_so)(void *context), void *context)
{
    for (int i = 0; i < SECONDS_MAX * 200; i++) {
        if (is_so(context)) {
            return true;
        }
        poll(NULL, 0, 5);
    }
    return false;
}
