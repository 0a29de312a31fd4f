#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/check_main.h"
#include "tests/unit/server/config/config_fixture.h"

static char path[64];

static void setup(void)
{
    memcpy(path, "/tmp/weir-test-secret-XXXXXX", sizeof "/tmp/weir-test-secret-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    ck_assert_int_eq(unlink(path), 0);
}

static void write_secret(size_t length, const char *end, mode_t mode)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < length; i++) {
        fputc((int)(i % 251), file);
    }
    fputs(end, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static int read_secret(uint8_t *out, size_t *length_out, struct reason *reason)
{
    struct config config;
    config_init(&config);
    memcpy(config.cluster_secret_file, path, strlen(path) + 1);
    return config_read_secret(&config, out, length_out, reason);
}

START_TEST(a_secret_is_read_without_its_last_newline)
{
    static const size_t LENGTHS[] = {16, 300, 1024};
    uint8_t bytes[CONFIG_SECRET_BYTES_MAX];
    size_t length = 0;
    struct reason reason = {0};
    for (unsigned i = 0; i < 6; i++) {
        write_secret(LENGTHS[i / 2], i % 2 == 0 ? "" : "\n", 0600);
        ck_assert_msg(read_secret(bytes, &length, &reason) == 0, "%s", reason.text);
        ck_assert_uint_eq(length, LENGTHS[i / 2]);
        for (size_t j = 0; j < length; j++) {
            ck_assert_uint_eq(bytes[j], j % 251);
        }
    }
    write_secret(16, "\n\n", 0400);
    ck_assert_int_eq(read_secret(bytes, &length, &reason), 0);
    ck_assert_uint_eq(length, 17);
}
END_TEST

static void expect_refused(const char *word)
{
    uint8_t bytes[CONFIG_SECRET_BYTES_MAX];
    size_t length = 0;
    struct reason reason = {0};
    ck_assert_int_eq(read_secret(bytes, &length, &reason), ERR_INVALID);
    ck_assert_uint_eq(length, 0);
    ck_assert_msg(strstr(reason.text, "cluster_secret_file") != NULL, "%s", reason.text);
    ck_assert_msg(strstr(reason.text, word) != NULL, "%s", reason.text);
}

START_TEST(a_secret_that_others_can_read_is_none)
{
    write_secret(32, "", 0640);
    expect_refused("chmod 600");
    write_secret(32, "", 0604);
    expect_refused("mode 604");
}
END_TEST

// As systemd hands over what only root may read. Without root's rights nothing is given.
START_TEST(a_secret_that_root_gives_to_a_group_is_taken)
{
    uint8_t bytes[CONFIG_SECRET_BYTES_MAX];
    size_t length = 0;
    int status = 0;
    write_secret(32, "", 0640);
    if (geteuid() != 0) {
        expect_refused("chmod 600");
        return;
    }
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct reason reason = {0};
        bool is_taken = seteuid(65534) == 0 && read_secret(bytes, &length, &reason) == 0;
        bool is_refused = seteuid(0) == 0 && chmod(path, 0660) == 0 && seteuid(65534) == 0 &&
                          read_secret(bytes, &length, &reason) == ERR_INVALID;
        _exit(is_taken && is_refused ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(a_secret_is_neither_short_nor_long)
{
    write_secret(15, "\n", 0600);
    expect_refused("16 to 1024");
    write_secret(0, "", 0600);
    expect_refused("16 to 1024");
    write_secret(1025, "", 0600);
    expect_refused("16 to 1024");
    write_secret(1025, "\n", 0600);
    expect_refused("16 to 1024");
}
END_TEST

START_TEST(a_secret_that_is_not_there_is_named)
{
    char kept[sizeof path];
    memcpy(kept, path, sizeof path);
    memcpy(path, "/nowhere/secret", sizeof "/nowhere/secret");
    expect_refused("/nowhere/secret");
    memcpy(path, "/tmp", sizeof "/tmp");
    expect_refused("not a file");
    memcpy(path, kept, sizeof path);
}
END_TEST

// --- What fits together

static int check(const char *text, struct reason *reason)
{
    struct config config;
    config_init(&config);
    ck_assert_msg(read_text(&config, text, reason) == 0, "%s", reason->text);
    return config_finish(&config, reason);
}

START_TEST(peers_beyond_this_machine_need_a_secret)
{
    struct reason reason = {0};
    ck_assert_int_eq(check("peers: [a]\nlisten: [127.0.0.1, '[::1]', localhost]", &reason), 0);
    ck_assert_int_eq(check("listen: ['*']", &reason), 0);
    ck_assert_int_eq(check("peers: [a]\nlisten: ['*']\ncluster_secret_file: /a", &reason), 0);
    ck_assert_int_eq(check("peers: [a]\nlisten: ['*']", &reason), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(reason.text, "cluster_secret_file"));
    ck_assert_ptr_nonnull(strstr(reason.text, "chmod 600"));
    ck_assert_int_eq(check("peers: [a]\nlisten: [127.0.0.1, 10.0.0.1]", &reason), ERR_INVALID);
    ck_assert_int_eq(check("peers: [a]\nlisten: [127.example]", &reason), ERR_INVALID);
}
END_TEST

START_TEST(what_cannot_be_dialled_is_no_peer)
{
    static const char *const BAD[] = {"*", ":3000", "a:0", "0:0", "a:b", "a b"};
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    for (unsigned i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        ck_assert_int_eq(read_flags(&config, &reason, "--peer-addr", BAD[i]), ERR_INVALID);
        ck_assert_int_eq(strncmp(reason.text, "--peer-addr: peers: '", 21), 0);
        ck_assert_int_eq(read_flags(&config, &reason, "--advertise", BAD[i]), ERR_INVALID);
    }
    ck_assert_uint_eq(config.peers_count, 0);
    ck_assert_str_eq(config.advertise, "");
}
END_TEST

START_TEST(peers_have_the_port_of_this_node_unless_they_name_one)
{
    struct config config;
    struct reason reason = {0};
    char address[CONFIG_ADDRESS_BYTES_MAX + 1];
    config_init(&config);
    ck_assert_int_eq(read_flags(&config, &reason, "--peer-addr", "a", "--peer-addr", "::1",
                                "--peer-addr", "b:5", "-p", "4000"),
                     0);
    static const char *const EXPECTED[] = {"a:4000", "[::1]:4000", "b:5"};
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(config_peer_address(&config, i, address, &reason), 0);
        ck_assert_str_eq(address, EXPECTED[i]);
    }
    config.port = 0;
    ck_assert_int_eq(config_peer_address(&config, 0, address, &reason), 0);
    ck_assert_str_eq(address, "a:3000");
}
END_TEST

START_TEST(the_advertised_address_is_one_that_others_can_dial)
{
    static const struct {
        const char *configured;
        const char *listeners[3];
        const char *expected;
    } CASES[] = {
        {"", {"127.0.0.1:3000"}, "127.0.0.1:3000"},
        {"", {"127.0.0.1:3000", "[::1]:3000", "unix:/a"}, "127.0.0.1:3000"},
        {"", {"127.0.0.1:3000", "10.0.0.1:3001"}, "10.0.0.1:3001"},
        {"", {"10.0.0.1:3001", "10.0.0.2:3001"}, "10.0.0.1:3001"},
        {"", {"[2001:db8::1]:5"}, "[2001:db8::1]:5"},
        {"", {"0.0.0.0:3000", "[::]:3000"}, ""},
        {"", {"127.0.0.1:3000", "0.0.0.0:3001"}, ""},
        {"", {"unix:/a"}, ""},
        {"db1", {"0.0.0.0:3007"}, "db1:3007"},
        {"db1:4", {"127.0.0.1:3000"}, "db1:4"},
        {"::2", {"0.0.0.0:3007"}, "[::2]:3007"},
        {"db1", {"unix:/a"}, "db1:3000"},
    };
    for (unsigned i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct config config;
        struct reason reason = {0};
        char address[CONFIG_ADDRESS_BYTES_MAX + 1];
        unsigned count = 0;
        while (count < 3 && CASES[i].listeners[count] != NULL) {
            count++;
        }
        config_init(&config);
        memcpy(config.advertise, CASES[i].configured, strlen(CASES[i].configured) + 1);
        ck_assert_int_eq(config_advertise(&config, CASES[i].listeners, count, address, &reason), 0);
        ck_assert_str_eq(address, CASES[i].expected);
    }
}
END_TEST

static void suite_add_with_file(Suite *suite, const TTest *test)
{
    TCase *test_case = tcase_create(test->name);
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, test);
    suite_add_tcase(suite, test_case);
}

int main(void)
{
    Suite *suite = suite_create("config_cluster");
    suite_add_with_file(suite, a_secret_is_read_without_its_last_newline);
    suite_add_with_file(suite, a_secret_that_others_can_read_is_none);
    suite_add_with_file(suite, a_secret_that_root_gives_to_a_group_is_taken);
    suite_add_with_file(suite, a_secret_is_neither_short_nor_long);
    suite_add_with_file(suite, a_secret_that_is_not_there_is_named);
    suite_add(suite, peers_beyond_this_machine_need_a_secret);
    suite_add(suite, what_cannot_be_dialled_is_no_peer);
    suite_add(suite, peers_have_the_port_of_this_node_unless_they_name_one);
    suite_add(suite, the_advertised_address_is_one_that_others_can_dial);
    return check_main(suite);
}
