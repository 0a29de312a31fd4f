// The blocking layer: an event loop for one client, turned inside the waits. Sending and receiving
// are tried first and polled for only when there was nothing to do, so that under load there is no
// system call but send and recv.

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/dialing.h"
#include "client/size.h"
#include "client/weir_state.h"

// Under load nothing is polled, so wake_fd is looked at now and then.
enum { TURNS_PER_WAKE_CHECK = 16, ACKS_WAIT_NS = 10000000 };

struct driver {
    struct dialing dialing;
    struct instant dial_until; // then the next address of the name is tried
    int fd;                    // -1: none
    bool is_broken;            // nothing can be sent any more; what came before is still received
    uint32_t turns;
    uint64_t losses;   // connections, and attempts to connect: each is a notice
    int64_t turned_ns; // when acknowledgements were sent last
};

int64_t weir_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct instant clock_instant(void)
{
    return (struct instant){.ns = weir_clock()};
}

static struct instant until_of(int64_t timeout_ms)
{
    return timeout_ms < 0 ? INSTANT_NEVER : instant_add(clock_instant(), duration_ms(timeout_ms));
}

static void hang_up(struct driver *driver)
{
    dialing_stop(&driver->dialing);
    if (driver->fd >= 0) {
        close(driver->fd);
    }
    driver->fd = -1;
    driver->is_broken = false;
}

static void driver_free(struct driver *driver)
{
    hang_up(driver);
    free(driver);
}

static void lose(struct weir *weir, int err, const char *text)
{
    hang_up(weir->driver);
    weir->driver->losses++;
    weir_disconnected(weir, err, text, weir_clock());
}

static void on_dialled(struct weir *weir, int outcome, int fd, const struct reason *reason)
{
    if (outcome == DIALING_WAITS) {
        // A host that swallows packets takes its share of the time, not all of it.
        struct instant now = clock_instant();
        uint32_t left = dialing_left(&weir->driver->dialing);
        struct duration share = {.ns = (weir_deadline(weir) - now.ns) / (left + 1)};
        weir->driver->dial_until = left > 0 ? instant_add(now, share) : INSTANT_NEVER;
        return;
    }
    if (outcome < 0) {
        lose(weir, outcome, reason->text);
        return;
    }
    weir->driver->fd = fd;
    if (weir_connected(weir, weir_clock()) != 0) {
        lose(weir, ERR_MEMORY, err_text(ERR_MEMORY));
    }
}

// Does with the socket what is wanted.
static void follow(struct weir *weir)
{
    struct driver *driver = weir->driver;
    struct reason reason = {0};
    int fd = -1;
    switch (weir_want(weir)) {
    case WEIR_WANT_CONNECT:
        if (driver->dialing.fd < 0) {
            int outcome = dialing_begin(&driver->dialing, weir_address(weir), &fd, &reason);
            on_dialled(weir, outcome, fd, &reason);
        }
        break;
    case WEIR_WANT_CLOSE:
        lose(weir, ERR_CLOSED, NULL);
        break;
    case WEIR_WANT_TIME:
    case WEIR_WANT_NOTHING:
        hang_up(driver);
        break;
    case WEIR_WANT_BYTES:
        break;
    }
}

static void send_some(struct weir *weir)
{
    struct driver *driver = weir->driver;
    if (driver->fd < 0 || driver->is_broken) {
        return;
    }
    struct weir_bytes output = weir_output(weir);
    if (output.length == 0) {
        return;
    }
    ssize_t sent = send(driver->fd, output.data, output.length, MSG_NOSIGNAL);
    if (sent > 0) {
        weir_sent(weir, (size_t)sent);
    } else if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
        driver->is_broken = true; // what the node said before it closed is still to be received
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        lose(weir, ERR_IO, strerror(errno));
    }
}

static bool receive_some(struct weir *weir)
{
    struct driver *driver = weir->driver;
    void *space;
    size_t length;
    if (driver->fd < 0 || weir_want(weir) != WEIR_WANT_BYTES) {
        return false;
    }
    if (weir_space(weir, &space, &length) != 0) {
        lose(weir, ERR_MEMORY, "no memory to receive");
        return true;
    }
    ssize_t received = recv(driver->fd, space, length, 0);
    if (received > 0) {
        weir_received(weir, (size_t)received, weir_clock());
        return true;
    }
    if (received == 0 || errno == ECONNRESET || errno == EPIPE) {
        lose(weir, ERR_CLOSED, "the node has closed the connection");
        return true;
    }
    if (errno != EAGAIN && errno != EINTR) {
        lose(weir, ERR_IO, strerror(errno));
        return true;
    }
    return false;
}

// Rounded up, so that a deadline is reached when the wait is over.
static int wait_ms(struct instant until)
{
    if (until.ns == INSTANT_NEVER.ns) {
        return -1;
    }
    int64_t left_ns = until.ns - weir_clock();
    int64_t left_ms = left_ns <= 0 ? 0 : (left_ns - 1) / 1000000 + 1;
    return left_ms > 1000000 ? 1000000 : (int)left_ms;
}

static bool is_woken(const struct weir *weir)
{
    struct pollfd wake = {.fd = weir->wake_fd, .events = POLLIN};
    return weir->wake_fd >= 0 && poll(&wake, 1, 0) > 0;
}

static void on_polled(struct weir *weir)
{
    struct driver *driver = weir->driver;
    if (driver->dialing.fd >= 0) {
        struct reason reason = {0};
        int fd = -1;
        int outcome = dialing_continue(&driver->dialing, weir_address(weir), &fd, &reason);
        on_dialled(weir, outcome, fd, &reason);
        return;
    }
    send_some(weir);
    (void)receive_some(weir);
}

static void check_dialing(struct weir *weir)
{
    struct driver *driver = weir->driver;
    if (driver->dialing.fd >= 0 && instant_reached(driver->dial_until, clock_instant())) {
        struct reason reason = {0};
        int fd = -1;
        int outcome = dialing_skip(&driver->dialing, weir_address(weir), &fd, &reason);
        on_dialled(weir, outcome, fd, &reason);
    }
}

// One turn of the loop; waits if there is nothing to do. 0, WEIR_LATE, WEIR_WOKEN.
static int turn(struct weir *weir, struct instant until)
{
    struct driver *driver = weir->driver;
    follow(weir);
    if (weir_want(weir) == WEIR_WANT_NOTHING) {
        return 0; // it has ended: weir_next says why
    }
    send_some(weir);
    if (++driver->turns % TURNS_PER_WAKE_CHECK == 0 && is_woken(weir)) {
        return WEIR_WOKEN;
    }
    if (receive_some(weir)) {
        return 0;
    }
    weir_tick(weir, weir_clock());
    check_dialing(weir);
    bool is_dialing = driver->dialing.fd >= 0;
    enum weir_want want = weir_want(weir);
    if (want == WEIR_WANT_CLOSE || (want == WEIR_WANT_CONNECT && !is_dialing)) {
        return 0; // there is something to do
    }
    bool sends = is_dialing || (!driver->is_broken && weir_output(weir).length > 0);
    struct pollfd polled[2] = {
        {.fd = is_dialing ? driver->dialing.fd : driver->fd,
         .events = (short)((is_dialing ? 0 : POLLIN) | (sends ? POLLOUT : 0))},
        {.fd = weir->wake_fd, .events = POLLIN},
    };
    struct instant deadline = instant_earlier(until, (struct instant){.ns = weir_deadline(weir)});
    deadline = is_dialing ? instant_earlier(deadline, driver->dial_until) : deadline;
    int count = poll(polled, 2, wait_ms(deadline));
    if (count > 0 && polled[1].revents) {
        return WEIR_WOKEN;
    }
    if (count > 0 && polled[0].revents) {
        on_polled(weir);
        return 0;
    }
    weir_tick(weir, weir_clock());
    return count <= 0 && instant_reached(until, clock_instant()) ? WEIR_LATE : 0;
}

int weir_turn(struct weir *weir)
{
    struct driver *driver = weir->driver;
    uint64_t losses = driver->losses;
    struct pollfd dialled = {.fd = driver->dialing.fd, .events = POLLOUT};
    if (dialled.fd >= 0 && poll(&dialled, 1, 0) > 0) {
        on_polled(weir);
    }
    follow(weir);
    send_some(weir);
    bool has_come = receive_some(weir);
    weir_tick(weir, weir_clock());
    check_dialing(weir);
    follow(weir);
    return has_come || driver->losses > losses ? 0 : WEIR_NOTHING;
}

void weir_push(struct weir *weir)
{
    weir_flush(weir);
    send_some(weir);
}

int weir_descriptor(struct weir *weir, bool *wants_output_out)
{
    struct driver *driver = weir->driver;
    bool is_dialing = driver->dialing.fd >= 0;
    *wants_output_out = is_dialing || (!driver->is_broken && weir_output(weir).length > 0);
    return is_dialing ? driver->dialing.fd : driver->fd;
}

static int give_reason(struct weir_reason *out, int err, const char *text)
{
    if (out) {
        struct reason reason;
        reason_set(&reason, err, "%s", text);
        memcpy(out->text, reason.text, sizeof out->text);
    }
    return err;
}

static int wait_ready(struct weir *weir, int64_t timeout_ms, struct weir_reason *reason)
{
    struct instant until = until_of(timeout_ms);
    while (!weir->is_ready) {
        if (weir->err != 0) {
            return give_reason(reason, weir->err, weir_reason_text(weir));
        }
        int outcome = turn(weir, until);
        if (outcome == WEIR_LATE) {
            const char *why = weir->lost.is_due ? weir->lost.reason.text : "nothing was heard";
            return give_reason(reason, WEIR_ERR_TIMEOUT, why);
        }
        if (outcome != 0) {
            return outcome;
        }
    }
    return 0;
}

int weir_open(const struct weir_options *options, int64_t timeout_ms, struct weir **weir_out,
              struct weir_reason *reason)
{
    struct weir *weir;
    struct weir_options seeded = {.size = sizeof seeded};
    struct reason why = {0};
    int outcome = options ? size_read(options, sizeof seeded, &seeded, sizeof seeded, &why) : 0;
    if (outcome != 0) {
        return give_reason(reason, outcome, why.text);
    }
    seeded.size = sizeof seeded;
    if (seeded.seed == 0) {
        (void)!getrandom(&seeded.seed, sizeof seeded.seed, GRND_NONBLOCK);
    }
    outcome = weir_new(&seeded, weir_clock(), &weir, reason);
    if (outcome != 0) {
        return outcome;
    }
    struct driver *driver = calloc(1, sizeof *driver);
    if (!driver) {
        weir_free(weir);
        return give_reason(reason, WEIR_ERR_MEMORY, err_text(ERR_MEMORY));
    }
    driver->fd = -1;
    driver->dialing.fd = -1;
    weir->driver = driver;
    weir->driver_free = driver_free;
    outcome = wait_ready(weir, timeout_ms, reason);
    if (outcome != 0) {
        weir_free(weir);
        return outcome;
    }
    *weir_out = weir;
    return 0;
}

// Acknowledgements go out although there are notices still: a program may take its time with each.
static void send_acks(struct weir *weir)
{
    struct driver *driver = weir->driver;
    if (!list_is_empty(&weir->sending) &&
        (weir->acks_due || weir_clock() - driver->turned_ns > ACKS_WAIT_NS)) {
        weir_flush_acks(weir);
        send_some(weir);
        driver->turned_ns = weir_clock();
    }
}

int weir_wait_next(struct weir *weir, int64_t timeout_ms, const struct weir_notice **notice_out)
{
    struct instant until = until_of(timeout_ms);
    weir_flush(weir);
    send_acks(weir);
    for (;;) {
        int outcome = weir_next(weir, notice_out);
        if (outcome == WEIR_NOTHING) {
            weir_flush_acks(weir);
            outcome = turn(weir, until);
            if (outcome == 0) {
                continue;
            }
        }
        return outcome;
    }
}

// Answers are taken past all that waits for weir_next.
static int turn_for_answers(struct weir *weir, struct instant until)
{
    if (weir->err != 0) {
        return weir->err;
    }
    int outcome = turn(weir, until);
    if (weir->want == WEIR_WANT_BYTES) {
        weir_pump(weir);
    }
    return outcome;
}

int weir_wait_produced(struct weir *weir, uint64_t ticket, int64_t timeout_ms,
                       struct weir_produced *produced_out)
{
    struct instant until = until_of(timeout_ms);
    weir_flush(weir);
    for (;;) {
        int outcome = produces_take_ticket(&weir->produces, ticket, produced_out);
        if (outcome != WEIR_LATE) {
            return outcome;
        }
        outcome = turn_for_answers(weir, until);
        if (outcome != 0) {
            return outcome;
        }
    }
}

int weir_wait_acked(struct weir *weir, uint64_t attachment, int64_t timeout_ms)
{
    struct instant until = until_of(timeout_ms);
    for (;;) {
        if (!weir_find_attachment(weir, attachment)) {
            return WEIR_NOTHING;
        }
        if (weir_acks_pending(weir, attachment) == 0) {
            return 0;
        }
        weir_flush_acks(weir);
        int outcome = turn_for_answers(weir, until);
        if (outcome != 0) {
            return outcome;
        }
    }
}

int weir_wait_result(struct weir *weir, uint64_t ticket, int64_t timeout_ms,
                     const struct weir_result **result_out)
{
    struct instant until = until_of(timeout_ms);
    struct requests *requests = &weir->requests;
    asked_free(requests->waited);
    requests->waited = NULL;
    for (;;) {
        struct asked *asked = requests_take_ticket(requests, ticket);
        if (asked) {
            requests->waited = asked;
            *result_out = &asked->result;
            return 0;
        }
        int outcome =
            requests_awaits(requests, ticket) ? turn_for_answers(weir, until) : WEIR_NOTHING;
        if (outcome != 0) {
            return outcome;
        }
    }
}

static int take_results(struct weir *weir)
{
    weir_on_produced *on_produced;
    struct weir_produced produced;
    while (produces_take(&weir->produces, &produced, &on_produced)) {
        if (on_produced) {
            on_produced(weir, &produced);
        } else if (produced.err != 0) {
            return reason_set(&weir->reason, produced.err, "%s", produced.text);
        }
    }
    return 0;
}

int weir_wait_settled(struct weir *weir, uint64_t events_max, int64_t timeout_ms)
{
    struct instant until = until_of(timeout_ms);
    weir_flush(weir);
    for (;;) {
        int outcome = take_results(weir);
        if (outcome == 0 && weir_pending(weir) > events_max) {
            outcome = turn_for_answers(weir, until);
            if (outcome == 0) {
                continue;
            }
        }
        return outcome;
    }
}
