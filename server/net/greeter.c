// An epoll set of its own, inside that of the loop. libev takes a descriptor out of its set only
// when it is closed, or after one more event; by then a connection that was handed over belongs to
// another thread, which may have closed it and got the same number again for something else. Here
// a descriptor leaves the set before another thread hears of it.
#include "server/net/greeter.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "server/net/connection.h"

enum { EVENTS_PER_TURN = 64 };

static void greet_some(struct greeter *greeter)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(greeter->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < count; i++) {
        connection_on_readable(events[i].data.ptr);
    }
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    greet_some(container_of(watcher, struct greeter, readable));
}

int greeter_init(struct greeter *greeter, struct ev_loop *ev)
{
    greeter->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (greeter->epoll_fd < 0) {
        return ERR_IO;
    }
    ev_io_init(&greeter->readable, on_readable, greeter->epoll_fd, EV_READ);
    ev_io_start(ev, &greeter->readable);
    return 0;
}

void greeter_deinit(struct greeter *greeter)
{
    if (greeter->epoll_fd >= 0) {
        close(greeter->epoll_fd);
    }
}

int greeter_add(struct greeter *greeter, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    return epoll_ctl(greeter->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) == 0 ? 0 : ERR_IO;
}

void greeter_remove(struct greeter *greeter, struct connection *connection)
{
    (void)epoll_ctl(greeter->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL); // it is in the set
}
