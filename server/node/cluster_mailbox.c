// One lock and two kinds of lists: requests to the driver, and per service the answers to it. Both
// are rare (an operator's), so nothing here is made to be fast but the look of a service that has
// asked nothing. Letters are allocated by whoever asks, so that an answer can always be sent.

#include "server/node/cluster_mailbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/node/cluster_mailbox_state.h"
#include "server/node/node.h"
#include "server/node/service_state.h"

struct cluster_mailbox {
    pthread_mutex_t lock;
    struct list_node requests;
    uint32_t open_count;
    bool is_closed;
    struct service *driver; // the first service
};

int cluster_mailbox_new(struct node *node)
{
    struct cluster_mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox) {
        return ERR_MEMORY;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    list_init(&mailbox->requests);
    for (uint32_t i = 0; i < node->services_max && !mailbox->driver; i++) {
        if (node->services[i] && node->services[i]->cluster) {
            mailbox->driver = node->services[i];
        }
    }
    assert(mailbox->driver);
    node->mailbox = mailbox;
    return 0;
}

void cluster_mailbox_free(struct node *node)
{
    if (node->mailbox) {
        assert(list_is_empty(&node->mailbox->requests));
        pthread_mutex_destroy(&node->mailbox->lock);
        free(node->mailbox);
        node->mailbox = NULL;
    }
}

void cluster_reply_free(struct cluster_reply *reply)
{
    if (reply) {
        buffer_deinit(&reply->bytes);
        free(reply);
    }
}

int cluster_request(struct service *service, const struct request_cluster *request,
                    void (*done)(void *context, struct cluster_reply *reply), void *context)
{
    struct cluster_mailbox *mailbox = service->node->mailbox;
    if (!mailbox) {
        return ERR_UNSUPPORTED;
    }
    struct cluster_letter *letter = malloc(sizeof *letter);
    if (!letter) {
        return ERR_MEMORY;
    }
    *letter = (struct cluster_letter){
        .service = service,
        .request = *request,
        .done = done,
        .context = context,
    };
    list_init(&letter->link);
    pthread_mutex_lock(&mailbox->lock);
    int err = mailbox->is_closed                            ? ERR_CLOSED
              : mailbox->open_count >= CLUSTER_REQUESTS_MAX ? ERR_BUSY
                                                            : 0;
    if (err == 0) {
        mailbox->open_count++;
        list_append(&mailbox->requests, &letter->link);
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (err) {
        free(letter);
        return err;
    }
    service->cluster_asked++;
    service->in_flight++;
    service_wake(mailbox->driver);
    return 0;
}

struct cluster_letter *cluster_mailbox_take(struct node *node)
{
    struct cluster_mailbox *mailbox = node->mailbox;
    pthread_mutex_lock(&mailbox->lock);
    struct list_node *link = list_first(&mailbox->requests);
    if (link) {
        list_remove(link);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return link ? container_of(link, struct cluster_letter, link) : NULL;
}

void cluster_mailbox_answer(struct node *node, struct cluster_letter *letter,
                            struct cluster_reply *reply)
{
    struct cluster_mailbox *mailbox = node->mailbox;
    struct service *service = letter->service;
    letter->reply = reply;
    pthread_mutex_lock(&mailbox->lock);
    list_append(&service->cluster_answers, &letter->link);
    // Under the lock: once the service has the answer it may be idle, and go.
    service_wake(service);
    pthread_mutex_unlock(&mailbox->lock);
}

void cluster_mailbox_call(struct node *node)
{
    service_wake(node->mailbox->driver);
}

void cluster_mailbox_close(struct node *node)
{
    pthread_mutex_lock(&node->mailbox->lock);
    node->mailbox->is_closed = true;
    pthread_mutex_unlock(&node->mailbox->lock);
}

void cluster_answers_deliver(struct service *service)
{
    struct cluster_mailbox *mailbox = service->node->mailbox;
    while (service->cluster_asked > 0) {
        pthread_mutex_lock(&mailbox->lock);
        struct list_node *link = list_first(&service->cluster_answers);
        if (link) {
            list_remove(link);
            mailbox->open_count--;
        }
        pthread_mutex_unlock(&mailbox->lock);
        if (!link) {
            return;
        }
        struct cluster_letter *letter = container_of(link, struct cluster_letter, link);
        service->cluster_asked--;
        service->in_flight--;
        letter->done(letter->context, letter->reply);
        free(letter);
    }
}
