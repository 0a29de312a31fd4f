// Sockets that are listened on, all of them in the first loop. Internal to server/net.
#pragma once

#include <ev.h>
#include <sys/types.h>

#include "server/net/loop.h"

enum { LISTENERS_MAX = 64, LISTENER_NAME_MAX = 127 };

struct listeners;

struct listener {
    struct listeners *all;
    ev_io acceptable;
    int fd;
    char name[LISTENER_NAME_MAX + 1];
    bool is_unix;
    dev_t device; // of the socket file that is ours to remove
    ino_t inode;
};

struct listeners {
    struct loop *loop;
    struct listener items[LISTENERS_MAX];
    unsigned count;
    ev_timer pause; // the system has no more files or memory: accept again then
    struct complaint no_files;
};

void listeners_init(struct listeners *listeners, struct loop *loop);
// Not yet accepting; see net_listen_tcp and net_listen_unix.
int listeners_add_tcp(struct listeners *listeners, const char *host, uint16_t port,
                      struct reason *reason) MUST_CHECK;
int listeners_add_unix(struct listeners *listeners, const char *path,
                       struct reason *reason) MUST_CHECK;
void listeners_start(struct listeners *listeners);
void listeners_close(struct listeners *listeners); // twice is fine
