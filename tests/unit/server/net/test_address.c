#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/net/address.h"
#include "tests/unit/check_main.h"

START_TEST(hosts_and_ports_are_split)
{
    static const struct {
        const char *text;
        const char *host; // NULL: is refused
        unsigned port;
    } CASES[] = {
        {"127.0.0.1:3000", "127.0.0.1", 3000},
        {"db1.example:1", "db1.example", 1},
        {"[::1]:65535", "::1", 65535},
        {"[fe80::1%eth0]:5", "fe80::1%eth0", 5},
        {"", NULL, 0},
        {":3000", NULL, 0},
        {"[]:3000", NULL, 0},
        {"host", NULL, 0},
        {"host:", NULL, 0},
        {"host:0", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:123456", NULL, 0},
        {"host:3000x", NULL, 0},
        {"host: 3000", NULL, 0},
        {"::1:3000", NULL, 0},
        {"[::1:3000", NULL, 0},
        {"[", NULL, 0},
        {"[:1", NULL, 0},
    };
    for (unsigned i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char host[64] = "";
        uint16_t port = 0;
        bool is_split = net_address_split(CASES[i].text, host, &port);
        ck_assert_msg(is_split == (CASES[i].host != NULL), "%s", CASES[i].text);
        if (is_split) {
            ck_assert_str_eq(host, CASES[i].host);
            ck_assert_uint_eq(port, CASES[i].port);
        }
    }
}
END_TEST

START_TEST(unix_sockets_and_loopback_are_this_machine)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ck_assert(net_address_is_local(pair[0]));
    ck_assert(!net_address_is_self(pair[0]));
    close(pair[0]);
    close(pair[1]);
    union net_address address = {
        .in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 7)}};
    socklen_t length = sizeof address.in;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, &address.any, length), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, &address.any, &length), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(!net_address_is_local(fd)); // not connected
    ck_assert_int_eq(connect(fd, &address.any, length), 0);
    ck_assert(net_address_is_local(fd));
    ck_assert(!net_address_is_self(fd));
    close(fd);
    close(listener);
}
END_TEST

// A port that nobody listens on, connected to from itself: TCP allows it.
START_TEST(a_socket_that_met_itself_is_found_out)
{
    union net_address address = {
        .in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address.in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, &address.any, length), 0);
    ck_assert_int_eq(getsockname(fd, &address.any, &length), 0);
    ck_assert_int_eq(connect(fd, &address.any, length), 0);
    ck_assert(net_address_is_self(fd));
    close(fd);
}
END_TEST

START_TEST(addresses_are_written)
{
    union net_address address = {
        .in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    char text[NET_ADDRESS_TEXT_MAX + 1];
    net_address_set_port(&address, 3000);
    net_address_format(&address, net_address_length(&address), text, sizeof text);
    ck_assert_str_eq(text, "[::1]:3000");
    ck_assert_uint_eq(net_address_port(&address), 3000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    suite_add(suite, hosts_and_ports_are_split);
    suite_add(suite, unix_sockets_and_loopback_are_this_machine);
    suite_add(suite, a_socket_that_met_itself_is_found_out);
    suite_add(suite, addresses_are_written);
    return check_main(suite);
}
