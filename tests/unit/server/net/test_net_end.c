#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/check_main.h"
#include "tests/unit/server/net/echo.h"

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(a_stop_tells_subscribers_and_closes)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){.loops = 2});
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = echo_connect(&server);
        echo_send_text(fds[i], "subscribe");
        echo_send_text(fds[i], "x");
        echo_expect_text(fds[i], "x");
    }
    int silent = echo_connect(&server);
    net_shut_down(server.net);
    for (int i = 0; i < 6; i++) {
        echo_expect_text(fds[i], "end");
        echo_expect_end(fds[i]);
        close(fds[i]);
    }
    close(silent);
    ck_assert(echo_server_stop(&server));
}
END_TEST

START_TEST(a_stop_does_not_wait_for_one_that_never_reads)
{
    enum { LENGTH = 1 << 20 };
    struct echo_server server;
    uint8_t *bytes = calloc(1, LENGTH);
    ck_assert_ptr_nonnull(bytes);
    echo_server_start(&server, (struct echo_options){0});
    int fd = echo_connect_unix(&server);
    echo_send_frame(fd, bytes, LENGTH);
    int half = echo_connect(&server);
    echo_send(half, "\0\0\1\0half", 8);
    double begin = seconds();
    ck_assert(echo_server_stop(&server));
    ck_assert_double_lt(seconds() - begin, 10.0); // 3 s, and a slow machine
    close(fd);
    close(half);
    free(bytes);
}
END_TEST

START_TEST(a_service_that_is_never_idle_does_not_keep_the_loop)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){0});
    echo_service_hold(server.services[0]);
    ck_assert(!echo_server_stop(&server));
}
END_TEST

static bool is_fatal(void *context)
{
    struct echo_server *server = context;
    struct reason reason = {0};
    return net_is_fatal(server->net, &reason) && strcmp(reason.text, "the disk is gone") == 0;
}

START_TEST(a_fatal_service_is_reported)
{
    struct echo_server server;
    struct reason reason = {0};
    echo_server_start(&server, (struct echo_options){.loops = 2});
    ck_assert(!net_is_fatal(server.net, &reason));
    echo_service_fail(server.services[1]);
    ck_assert(echo_wait(is_fatal, &server));
    ck_assert(echo_server_stop(&server));
}
END_TEST

static bool has_answered(void *context)
{
    const struct echo_server *server = context;
    return net_has_answered(server->net);
}

START_TEST(pings_are_answered)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){.loops = 3});
    for (int i = 0; i < 10; i++) {
        net_ping(server.net);
        ck_assert(echo_wait(has_answered, &server));
    }
    ck_assert(echo_server_stop(&server));
}
END_TEST

// The listeners rest while there are no files, and go on when there are.
START_TEST(no_more_files_is_a_pause)
{
    struct echo_server server;
    struct rlimit before;
    echo_server_start(&server, (struct echo_options){0});
    int first = echo_connect(&server);
    echo_send_text(first, "x");
    echo_expect_text(first, "x");
    int second = socket(AF_INET, SOCK_STREAM, 0); // the files up to here are used
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)second + 2, .rlim_max = before.rlim_max};
    close(second);
    int clients[2] = {echo_connect(&server), -1};
    echo_send_text(clients[0], "y");
    echo_expect_text(clients[0], "y");
    clients[1] = echo_connect(&server); // may be accepted before the limit
    none.rlim_cur = (rlim_t)clients[1];
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    poll(NULL, 0, 50);
    echo_send_text(first, "still");
    echo_expect_text(first, "still");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    echo_send_text(clients[1], "z");
    echo_expect_text(clients[1], "z");
    close(first);
    close(clients[0]);
    close(clients[1]);
    ck_assert(echo_server_stop(&server));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_end");
    suite_add(suite, a_stop_tells_subscribers_and_closes);
    suite_add(suite, a_stop_does_not_wait_for_one_that_never_reads);
    suite_add(suite, a_service_that_is_never_idle_does_not_keep_the_loop);
    suite_add(suite, a_fatal_service_is_reported);
    suite_add(suite, pings_are_answered);
    suite_add(suite, no_more_files_is_a_pause);
    return check_main(suite);
}
