#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/check_main.h"
#include "tests/unit/server/net/echo.h"

static void ignore(void *context, enum log_level level, const char *part, const char *format,
                   va_list arguments)
{
}

static struct net *make_net(void)
{
    struct net_config config = {
        .choose = echo_choose,
        .peer = &FRONTEND_ECHO_PEER,
        .loops_count = 1,
        .connections_max = 10,
        .receive_bytes_max = 1 << 20,
        .log = ignore,
    };
    struct net *net = NULL;
    struct reason reason = {0};
    ck_assert_int_eq(net_new(&config, &net, &reason), 0);
    return net;
}

static uint16_t port_of(const struct net *net, unsigned listener)
{
    return (uint16_t)strtoul(strrchr(net_listener_name(net, listener), ':') + 1, NULL, 10);
}

START_TEST(a_port_in_use_is_named_with_a_remedy)
{
    struct net *net = make_net();
    struct net *other = make_net();
    struct reason reason = {0};
    char expected[300];
    ck_assert_int_eq(net_listen_tcp(net, "127.0.0.1", 0, &reason), 0);
    uint16_t port = port_of(net, 0);
    ck_assert_uint_ne(port, 0);
    ck_assert_int_eq(net_listen_tcp(other, "127.0.0.1", port, &reason), ERR_BUSY);
    snprintf(expected, sizeof expected,
             "cannot listen on 127.0.0.1:%u: the port is in use by another process; stop that, or "
             "choose another with --port (0: any free one)",
             port);
    ck_assert_str_eq(reason.text, expected);
    ck_assert_uint_eq(net_listeners_count(other), 0);
    net_free(other);
    net_free(net);
}
END_TEST

START_TEST(an_address_that_is_not_ours_is_named)
{
    struct net *net = make_net();
    struct reason reason = {0};
    ck_assert_int_eq(net_listen_tcp(net, "192.0.2.1", 3000, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "cannot listen on 192.0.2.1:3000: this machine has no such "
                                  "address; correct --listen");
    ck_assert_int_eq(net_listen_tcp(net, "no.such.name.invalid", 3000, &reason), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(reason.text, "no.such.name.invalid"));
    net_free(net);
}
END_TEST

START_TEST(a_name_may_stand_for_several_addresses)
{
    struct net *net = make_net();
    struct reason reason = {0};
    ck_assert_msg(net_listen_tcp(net, "*", 0, &reason) == 0, "%s", reason.text);
    ck_assert_uint_ge(net_listeners_count(net), 1);
    ck_assert_msg(net_listen_tcp(net, "localhost", 0, &reason) == 0, "%s", reason.text);
    net_free(net);
}
END_TEST

static char path[64];
static void set_path(void)
{
    snprintf(path, sizeof path, "/tmp/weir-test-%d.socket", (int)getpid());
}

START_TEST(a_socket_is_for_owner_and_group_and_goes_at_the_end)
{
    set_path();
    struct net *net = make_net();
    struct reason reason = {0};
    struct stat status;
    char name[80];
    ck_assert_int_eq(net_listen_unix(net, path, &reason), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
    snprintf(name, sizeof name, "unix:%s", path);
    ck_assert_str_eq(net_listener_name(net, 0), name);
    net_free(net);
    ck_assert_int_ne(stat(path, &status), 0);
}
END_TEST

START_TEST(a_socket_left_behind_is_replaced)
{
    set_path();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    ck_assert_int_eq(access(path, F_OK), 0);
    struct net *net = make_net();
    struct reason reason = {0};
    ck_assert_msg(net_listen_unix(net, path, &reason) == 0, "%s", reason.text);
    net_free(net);
}
END_TEST

START_TEST(a_socket_in_use_is_not_touched)
{
    set_path();
    struct net *net = make_net();
    struct net *other = make_net();
    struct reason reason = {0};
    ck_assert_int_eq(net_listen_unix(net, path, &reason), 0);
    ck_assert_int_eq(net_listen_unix(other, path, &reason), ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(reason.text, "another process answers on it"));
    net_free(other);
    ck_assert_int_eq(access(path, F_OK), 0);
    net_free(net);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_not_touched)
{
    set_path();
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    struct net *net = make_net();
    struct reason reason = {0};
    ck_assert_int_eq(net_listen_unix(net, path, &reason), ERR_FOREIGN);
    ck_assert_ptr_nonnull(strstr(reason.text, path));
    net_free(net);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_socket_path_that_cannot_be_is_refused)
{
    struct net *net = make_net();
    struct reason reason = {0};
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(net_listen_unix(net, longer, &reason), ERR_LIMIT);
    ck_assert_int_eq(net_listen_unix(net, "/nowhere/socket", &reason), ERR_IO);
    ck_assert_str_eq(reason.text, "cannot listen on unix:/nowhere/socket: No such file or "
                                  "directory; choose another path with --socket");
    net_free(net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    suite_add(suite, a_port_in_use_is_named_with_a_remedy);
    suite_add(suite, an_address_that_is_not_ours_is_named);
    suite_add(suite, a_name_may_stand_for_several_addresses);
    suite_add(suite, a_socket_is_for_owner_and_group_and_goes_at_the_end);
    suite_add(suite, a_socket_left_behind_is_replaced);
    suite_add(suite, a_socket_in_use_is_not_touched);
    suite_add(suite, a_file_that_is_no_socket_is_not_touched);
    suite_add(suite, a_socket_path_that_cannot_be_is_refused);
    return check_main(suite);
}
