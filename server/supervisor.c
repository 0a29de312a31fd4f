// Signals come by a descriptor, so everything here is ordinary code. From the first signal to stop
// on, a second one ends the process at once, whatever it is doing, and so does an alarm when
// closing takes longer than a supervisor of services would wait.
//
// Signs of life: every period each loop is asked to answer, and the committing thread must not be
// in one and the same step for longer than two periods. Only if all are well is systemd told; it
// then ends a process that hangs, and a restart recovers.
#include "server/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "server/log/logger.h"
#include "server/net/net.h"
#include "server/node/cluster_view.h"
#include "storage/store.h"
#include "storage/store_threads.h"

enum {
    PERIOD_MS_DEFAULT = 10000,
    PERIOD_MS_MIN = 200,
    FATAL_ANSWER_MS = 200, // for producers to be told that the outcome is unknown
    STOP_MS_MAX = 4800,
};

struct watch {
    int64_t period_ms;
    int64_t next_ms;
    bool is_watched; // by systemd
    bool is_stopping;
    bool has_complained;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int supervisor_init(struct supervisor *supervisor)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->signal_fd < 0 ? ERR_IO : 0;
}

void supervisor_deinit(struct supervisor *supervisor)
{
    close(supervisor->signal_fd);
}

static void on_second_signal(int number)
{
    static const char TEXT[] = "weir-server: asked to stop again: ended at once\n";
    ssize_t done = write(STDERR_FILENO, TEXT, sizeof TEXT - 1);
    (void)done;
    _exit(1);
}

static void on_alarm(int number)
{
    static const char TEXT[] = "weir-server: stopped without closing the store: the disk does "
                               "not answer; the next start recovers\n";
    ssize_t done = write(STDERR_FILENO, TEXT, sizeof TEXT - 1);
    (void)done;
    _exit(0);
}

static void stop(struct supervisor *supervisor, struct watch *watch, const char *signal_name)
{
    struct sigaction second = {.sa_handler = on_second_signal};
    struct sigaction over = {.sa_handler = on_alarm};
    struct itimerval time_left = {
        .it_value = {.tv_sec = STOP_MS_MAX / 1000, .tv_usec = STOP_MS_MAX % 1000 * 1000},
    };
    sigset_t signals;
    watch->is_stopping = true;
    logger_write(supervisor->logger, LOG_INFO, "server", "%s: stopping", signal_name);
    sd_notify(0, "STOPPING=1\nSTATUS=finishing what was accepted");
    sigaction(SIGTERM, &second, NULL);
    sigaction(SIGINT, &second, NULL);
    sigaction(SIGALRM, &over, NULL);
    setitimer(ITIMER_REAL, &time_left, NULL);
    net_shut_down(supervisor->net);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

static void reopen_log(struct supervisor *supervisor)
{
    struct reason reason = {0};
    if (logger_reopen(supervisor->logger, &reason) != 0) {
        logger_write(supervisor->logger, LOG_ERROR, "server", "SIGHUP: %s", reason.text);
    } else {
        logger_write(supervisor->logger, LOG_INFO, "server", "SIGHUP: log opened anew");
    }
}

static void take_signals(struct supervisor *supervisor, struct watch *watch)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            reopen_log(supervisor);
        } else if (!watch->is_stopping) {
            stop(supervisor, watch, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        }
    }
}

static void tell_systemd(struct supervisor *supervisor, const struct watch *watch)
{
    struct store_status status;
    struct reason why = {0};
    store_status(supervisor->store, &status);
    cluster_why_not(supervisor->node, &why);
    sd_notifyf(0, "%sSTATUS=%" PRIu64 " connections, %" PRIu64 " events%s%s%s",
               watch->is_watched ? "WATCHDOG=1\n" : "", net_connections_count(supervisor->net),
               status.events, status.is_full ? "; disk reserve reached, produce is refused" : "",
               why.text[0] == '\0' ? "" : "; no produce: ", why.text);
}

static void look_for_life(struct supervisor *supervisor, struct watch *watch)
{
    const char *hung = NULL;
    uint64_t hung_ms = (uint64_t)watch->period_ms;
    uint64_t step_ms = store_threads_commit_step_ms(supervisor->threads);
    if (!net_has_answered(supervisor->net)) {
        hung = "an I/O loop";
    } else if (step_ms > (uint64_t)watch->period_ms * 2) {
        hung = "the committing thread";
        hung_ms = step_ms;
    }
    if (hung == NULL) {
        watch->has_complained = false;
        tell_systemd(supervisor, watch);
        net_ping(supervisor->net);
    } else if (!watch->has_complained) {
        watch->has_complained = true;
        logger_write(supervisor->logger, LOG_ERROR, "server",
                     "%s has given no sign of life for %" PRIu64 " ms%s", hung, hung_ms,
                     watch->is_watched ? "; systemd will restart the server" : "");
    }
}

// The outcome of the last commit is unknown; other loops get a moment to tell their producers.
static void end_fatally(struct supervisor *supervisor, const struct reason *fatal)
{
    int64_t end_ms = now_ms() + FATAL_ANSWER_MS;
    logger_write(supervisor->logger, LOG_ERROR, "server",
                 "outcome of the last commit is unknown: %s; restart recovers", fatal->text);
    net_ping(supervisor->net);
    while (!net_has_answered(supervisor->net) && now_ms() < end_ms) {
        struct pollfd event = {.fd = net_event_fd(supervisor->net), .events = POLLIN};
        eventfd_t count;
        if (poll(&event, 1, (int)(end_ms - now_ms() > 0 ? end_ms - now_ms() : 0)) > 0) {
            eventfd_read(event.fd, &count);
        }
    }
}

enum supervisor_end supervisor_run(struct supervisor *supervisor)
{
    uint64_t watchdog_us = 0;
    struct watch watch = {.period_ms = PERIOD_MS_DEFAULT};
    watch.is_watched = sd_watchdog_enabled(0, &watchdog_us) > 0;
    if (watch.is_watched && (int64_t)(watchdog_us / 4000) < watch.period_ms) {
        watch.period_ms = (int64_t)(watchdog_us / 4000);
    }
    watch.period_ms = watch.period_ms < PERIOD_MS_MIN ? PERIOD_MS_MIN : watch.period_ms;
    while (!net_is_finished(supervisor->net)) {
        struct reason fatal = {0};
        struct pollfd events[] = {
            {.fd = supervisor->signal_fd, .events = POLLIN},
            {.fd = net_event_fd(supervisor->net), .events = POLLIN},
        };
        int64_t left_ms = watch.next_ms - now_ms();
        int ready = poll(events, 2, left_ms < 0 ? 0 : (int)left_ms);
        if (ready > 0 && events[0].revents != 0) {
            take_signals(supervisor, &watch);
        }
        if (ready > 0 && events[1].revents != 0) {
            eventfd_t count;
            eventfd_read(events[1].fd, &count);
        }
        if (net_is_fatal(supervisor->net, &fatal)) {
            end_fatally(supervisor, &fatal);
            return SUPERVISOR_FATAL;
        }
        if (now_ms() >= watch.next_ms && !watch.is_stopping) {
            look_for_life(supervisor, &watch);
        }
        if (now_ms() >= watch.next_ms) {
            watch.next_ms = now_ms() + watch.period_ms;
        }
    }
    return SUPERVISOR_STOPPED;
}
