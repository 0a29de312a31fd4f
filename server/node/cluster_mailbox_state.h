// The inside of the mailbox: what the driver sees of it.
#pragma once

#include "proto/base/list.h"
#include "server/node/cluster_mailbox.h"

struct cluster_mailbox;
struct node;

struct cluster_letter {
    struct list_node link;
    struct service *service; // who asks
    struct request_cluster request;
    void (*done)(void *context, struct cluster_reply *reply);
    void *context;
    struct cluster_reply *reply;
    uint64_t token; // of a command that the replica has
};

int cluster_mailbox_new(struct node *node) MUST_CHECK;
void cluster_mailbox_free(struct node *node);

// The next request, for the driver; it must be answered. NULL: none.
struct cluster_letter *cluster_mailbox_take(struct node *node);

// Sends the answer on its way; takes over both. `reply` NULL: there was no memory for one.
void cluster_mailbox_answer(struct node *node, struct cluster_letter *letter,
                            struct cluster_reply *reply);

// Asks for a turn of the driver.
void cluster_mailbox_call(struct node *node);

// Takes no more requests.
void cluster_mailbox_close(struct node *node);
