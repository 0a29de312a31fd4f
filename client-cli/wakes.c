// An epoll within a poll: libweir polls one descriptor, and which of ours was meant is asked here.
// Level-triggered, so that what was not handled wakes again.

#include "client-cli/wakes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TAKEN_MAX = 64 };

int wakes_open(struct wakes *wakes)
{
    wakes->fd = epoll_create1(EPOLL_CLOEXEC);
    return wakes->fd < 0 ? ERR_IO : 0;
}

void wakes_close(struct wakes *wakes)
{
    if (wakes->fd >= 0) {
        close(wakes->fd);
        wakes->fd = -1;
    }
}

int wakes_add(struct wakes *wakes, int fd, bool for_output, uint64_t tag)
{
    struct epoll_event event = {
        .events = for_output ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN,
        .data.u64 = tag,
    };
    if (epoll_ctl(wakes->fd, EPOLL_CTL_ADD, fd, &event) == 0) {
        return 0;
    }
    return errno == EPERM ? WAKES_ALWAYS_READY : ERR_IO;
}

void wakes_remove(struct wakes *wakes, int fd)
{
    (void)epoll_ctl(wakes->fd, EPOLL_CTL_DEL, fd, NULL);
}

void wakes_clear(struct wakes *wakes)
{
    int fresh = epoll_create1(EPOLL_CLOEXEC);
    if (fresh >= 0) {
        (void)dup3(fresh, wakes->fd, O_CLOEXEC); // whoever polls it has the number
        close(fresh);
    }
}

size_t wakes_take(struct wakes *wakes, uint64_t *tags_out, size_t max)
{
    struct epoll_event ready[TAKEN_MAX];
    int count = epoll_wait(wakes->fd, ready, max < TAKEN_MAX ? (int)max : TAKEN_MAX, 0);
    for (int i = 0; i < count; i++) {
        tags_out[i] = ready[i].data.u64;
    }
    return count > 0 ? (size_t)count : 0;
}
