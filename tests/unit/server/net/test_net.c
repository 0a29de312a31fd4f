#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/net/echo.h"

static void fill(uint8_t *bytes, size_t length, uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    random_bytes(&random, bytes, length);
}

// Frames of these lengths, back to back.
static size_t make_stream(uint8_t *out, const size_t *lengths, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        store_be32(out + at, (uint32_t)lengths[i]);
        fill(out + at + 4, lengths[i], i);
        at += 4 + lengths[i];
    }
    return at;
}

struct transfer {
    int fd;
    const uint8_t *bytes;
    size_t length;
    uint64_t seed; // of the cuts; 0: in one piece
};

static void *send_cut(void *context)
{
    const struct transfer *transfer = context;
    struct random random;
    random_init(&random, transfer->seed);
    size_t at = 0;
    while (at < transfer->length) {
        size_t left = transfer->length - at;
        size_t scale = (size_t)1 << random_below(&random, 18);
        size_t piece = transfer->seed == 0 ? left : 1 + (size_t)random_below(&random, scale);
        piece = piece < left ? piece : left;
        echo_send(transfer->fd, transfer->bytes + at, piece);
        at += piece;
    }
    return NULL;
}

// Sends in another thread, so that neither side can wait for the other; what comes back is the
// same.
static void check_echo(int fd, const uint8_t *bytes, size_t length, uint64_t seed)
{
    struct transfer transfer = {.fd = fd, .bytes = bytes, .length = length, .seed = seed};
    pthread_t thread;
    uint8_t *back = malloc(length);
    ck_assert_ptr_nonnull(back);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_cut, &transfer), 0);
    echo_receive(fd, back, length);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(memcmp(back, bytes, length), 0);
    free(back);
}

START_TEST(bytes_cut_anywhere_come_back_the_same)
{
    enum { FRAMES = 400 };
    static size_t lengths[FRAMES];
    struct echo_server server;
    struct random random;
    uint64_t seed = test_seed();
    size_t total = 0;
    random_init(&random, seed);
    for (int i = 0; i < FRAMES; i++) {
        size_t scale = (size_t)1 << random_below(&random, 20);
        lengths[i] = 20 + (size_t)random_below(&random, scale);
        total += 4 + lengths[i];
    }
    uint8_t *bytes = malloc(total);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(make_stream(bytes, lengths, FRAMES), total);
    echo_server_start(&server, (struct echo_options){.loops = 2});
    for (uint64_t i = 0; i < 4; i++) {
        int fd = i % 2 == 0 ? echo_connect(&server) : echo_connect_unix(&server);
        check_echo(fd, bytes, total, i < 2 ? 0 : seed + i);
        close(fd);
    }
    ck_assert(echo_server_stop(&server));
    free(bytes);
}
END_TEST

START_TEST(single_bytes_make_a_frame)
{
    static const size_t LENGTHS[] = {30, 0, 1, 300};
    uint8_t bytes[500];
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){0});
    size_t length = make_stream(bytes, LENGTHS, 4);
    int fd = echo_connect(&server);
    for (size_t i = 0; i < length; i++) {
        echo_send(fd, bytes + i, 1);
        poll(NULL, 0, i < 8 ? 5 : 0); // the first ones are read one by one
    }
    uint8_t back[500];
    echo_receive(fd, back, length);
    ck_assert_int_eq(memcmp(back, bytes, length), 0);
    close(fd);
    ck_assert(echo_server_stop(&server));
}
END_TEST

// Each frame alone is larger than what the loop may keep, so they are admitted one after another;
// a small one is not held up by them.
START_TEST(large_frames_share_little_memory)
{
    enum { CLIENTS = 6, LENGTH = 3 << 20 };
    struct echo_server server;
    struct transfer transfers[CLIENTS];
    pthread_t threads[CLIENTS];
    static const size_t LENGTHS[] = {LENGTH};
    uint8_t *bytes = malloc(4 + LENGTH);
    uint8_t *back = malloc(4 + LENGTH);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_nonnull(back);
    size_t length = make_stream(bytes, LENGTHS, 1);
    echo_server_start(&server, (struct echo_options){.receive_bytes = 1 << 20});
    for (int i = 0; i < CLIENTS; i++) {
        transfers[i] = (struct transfer){
            .fd = echo_connect(&server), .bytes = bytes, .length = length, .seed = 1};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_cut, &transfers[i]), 0);
    }
    int small = echo_connect(&server);
    echo_send_text(small, "small");
    echo_expect_text(small, "small");
    close(small);
    for (int i = 0; i < CLIENTS; i++) {
        echo_receive(transfers[i].fd, back, length);
        ck_assert_int_eq(memcmp(back, bytes, length), 0);
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        close(transfers[i].fd);
    }
    ck_assert(echo_server_stop(&server));
    free(bytes);
    free(back);
}
END_TEST

// One that claims a large frame and stalls is closed by its front end's deadline in earnest; here
// it goes, and the one in line gets its memory.
START_TEST(a_large_frame_that_never_comes_leaves_its_memory_to_others)
{
    enum { LENGTH = 3 << 20 };
    static const size_t LENGTHS[] = {LENGTH};
    struct echo_server server;
    uint8_t *bytes = malloc(4 + LENGTH);
    ck_assert_ptr_nonnull(bytes);
    size_t length = make_stream(bytes, LENGTHS, 1);
    echo_server_start(&server, (struct echo_options){.receive_bytes = 1 << 20});
    int stalled = echo_connect(&server);
    echo_send_text(stalled, "first");
    echo_expect_text(stalled, "first");
    echo_send(stalled, bytes, 1000);
    int other = echo_connect(&server);
    struct transfer transfer = {.fd = other, .bytes = bytes, .length = length};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, send_cut, &transfer), 0);
    poll(NULL, 0, 50);
    close(stalled);
    uint8_t *back = malloc(length);
    echo_receive(other, back, length);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    close(other);
    ck_assert(echo_server_stop(&server));
    free(bytes);
    free(back);
}
END_TEST

// Sends without reading until nothing moves any more; returns how much went.
static size_t send_until_stuck(int fd, const uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        struct pollfd event = {.fd = fd, .events = POLLOUT};
        if (poll(&event, 1, 300) == 0) {
            return done;
        }
        ssize_t sent = send(fd, bytes + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        done += sent > 0 ? (size_t)sent : 0;
    }
    return done;
}

START_TEST(a_client_that_does_not_read_is_not_read_from)
{
    enum { FRAMES = 64, LENGTH = 1 << 20 };
    static size_t lengths[FRAMES];
    struct echo_server server;
    for (int i = 0; i < FRAMES; i++) {
        lengths[i] = LENGTH;
    }
    uint8_t *bytes = malloc(FRAMES * (4 + LENGTH));
    uint8_t *back = malloc(FRAMES * (4 + LENGTH));
    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_nonnull(back);
    size_t length = make_stream(bytes, lengths, FRAMES);
    echo_server_start(&server, (struct echo_options){0});
    int fd = echo_connect_unix(&server);
    size_t sent = send_until_stuck(fd, bytes, length);
    ck_assert_uint_lt(sent, length / 2);
    // Others are served meanwhile.
    int other = echo_connect(&server);
    echo_send_text(other, "hello");
    echo_expect_text(other, "hello");
    close(other);
    struct transfer rest = {.fd = fd, .bytes = bytes + sent, .length = length - sent};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, send_cut, &rest), 0);
    echo_receive(fd, back, length);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(memcmp(back, bytes, length), 0);
    close(fd);
    ck_assert(echo_server_stop(&server));
    free(bytes);
    free(back);
}
END_TEST

START_TEST(connections_are_spread_over_the_loops)
{
    enum { LOOPS = 4, CLIENTS = 40 };
    struct echo_server server;
    int fds[CLIENTS];
    unsigned counts[LOOPS] = {0};
    echo_server_start(&server, (struct echo_options){.loops = LOOPS});
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t answer[5];
        fds[i] = echo_connect(&server);
        echo_send_text(fds[i], "loop");
        echo_receive(fds[i], answer, sizeof answer);
        ck_assert_uint_lt(answer[4], LOOPS);
        counts[answer[4]]++;
    }
    for (int i = 0; i < LOOPS; i++) {
        ck_assert_uint_eq(counts[i], CLIENTS / LOOPS);
        ck_assert_int_eq(echo_service_connections(server.services[i]), CLIENTS / LOOPS);
    }
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    ck_assert(echo_server_stop(&server));
}
END_TEST

START_TEST(a_wake_from_the_service_is_answered)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){.loops = 2});
    int fds[] = {echo_connect(&server), echo_connect_unix(&server)};
    for (int i = 0; i < 200; i++) {
        echo_send_text(fds[i % 2], "later");
        echo_expect_text(fds[i % 2], "later");
    }
    close(fds[0]);
    close(fds[1]);
    ck_assert(echo_server_stop(&server));
}
END_TEST

START_TEST(deadlines_are_kept)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){0});
    int fd = echo_connect(&server);
    for (int i = 0; i < 3; i++) {
        echo_send_text(fd, "soon");
        echo_expect_text(fd, "soon");
    }
    echo_send_text(fd, "late");
    echo_expect_text(fd, "late");
    echo_expect_end(fd);
    close(fd);
    ck_assert(echo_server_stop(&server));
}
END_TEST

// Without lingering, what is still on its way to the server would make a reset of the end, and the
// answer would be lost.
START_TEST(the_last_answer_arrives_although_more_was_sent)
{
    struct echo_server server;
    uint8_t more[100000] = {0};
    echo_server_start(&server, (struct echo_options){0});
    for (int i = 0; i < 20; i++) {
        int fd = i % 2 == 0 ? echo_connect(&server) : echo_connect_unix(&server);
        echo_send_text(fd, "refuse");
        if (send(fd, more, sizeof more, MSG_NOSIGNAL) > 0) {
            echo_expect_text(fd, "refused");
            echo_expect_end(fd);
        }
        close(fd);
    }
    ck_assert(echo_server_stop(&server));
}
END_TEST

START_TEST(a_client_that_has_said_all_still_gets_its_answers)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){0});
    int fd = echo_connect(&server);
    echo_send_text(fd, "one");
    echo_send_text(fd, "later");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    echo_expect_text(fd, "one");
    echo_expect_text(fd, "later");
    echo_expect_end(fd);
    close(fd);
    ck_assert(echo_server_stop(&server));
}
END_TEST

static bool has_none(void *context)
{
    const struct echo_server *server = context;
    return net_connections_count(server->net) == 0;
}

START_TEST(clients_that_go_away_are_forgotten)
{
    struct echo_server server;
    struct linger reset = {.l_onoff = 1};
    echo_server_start(&server, (struct echo_options){.loops = 2});
    for (int i = 0; i < 60; i++) {
        int fd = i % 2 == 0 ? echo_connect(&server) : echo_connect_unix(&server);
        if (i % 3 == 0) {
            echo_send(fd, "\0\0", 2);
        } else if (i % 3 == 1) {
            echo_send_text(fd, "subscribe");
        }
        if (i % 5 == 0) {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(fd);
    }
    ck_assert(echo_wait(has_none, &server));
    ck_assert(echo_server_stop(&server));
}
END_TEST

START_TEST(connections_beyond_the_maximum_are_closed)
{
    struct echo_server server;
    echo_server_start(&server, (struct echo_options){.connections_max = 2});
    int fds[] = {echo_connect(&server), echo_connect_unix(&server)};
    for (int i = 0; i < 2; i++) {
        echo_send_text(fds[i], "in");
        echo_expect_text(fds[i], "in");
    }
    for (int i = 0; i < 3; i++) {
        int fd = echo_connect(&server);
        echo_send(fd, "\0\0\0\3out", 7); // at once: it may be refused after the first byte
        echo_expect_gone(fd);
        close(fd);
    }
    ck_assert_uint_eq(atomic_load(&server.lines), 1);
    int peer = echo_connect(&server);
    echo_send_text(peer, "peer");
    echo_expect_text(peer, "met");
    close(peer);
    close(fds[0]);
    close(fds[1]);
    ck_assert(echo_wait(has_none, &server));
    int fd = echo_connect(&server);
    echo_send_text(fd, "in");
    echo_expect_text(fd, "in");
    close(fd);
    ck_assert(echo_server_stop(&server));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    suite_add(suite, bytes_cut_anywhere_come_back_the_same);
    suite_add(suite, single_bytes_make_a_frame);
    suite_add(suite, large_frames_share_little_memory);
    suite_add(suite, a_large_frame_that_never_comes_leaves_its_memory_to_others);
    suite_add(suite, a_client_that_does_not_read_is_not_read_from);
    suite_add(suite, connections_are_spread_over_the_loops);
    suite_add(suite, a_wake_from_the_service_is_answered);
    suite_add(suite, deadlines_are_kept);
    suite_add(suite, the_last_answer_arrives_although_more_was_sent);
    suite_add(suite, a_client_that_has_said_all_still_gets_its_answers);
    suite_add(suite, clients_that_go_away_are_forgotten);
    suite_add(suite, connections_beyond_the_maximum_are_closed);
    return check_main(suite);
}
