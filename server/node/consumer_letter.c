#include "server/node/consumer_letter.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/node/cluster.h"
#include "server/node/node.h"
#include "server/node/service_state.h"

struct consumer_mailbox {
    pthread_mutex_t lock;
    struct list_node letters;
    struct list_node latched; // the driver's: what came before its last refresh
    bool is_closed;
    struct service *driver; // the first service
};

static size_t letter_bytes(enum letter_kind kind)
{
    switch (kind) {
    case LETTER_ATTACH:
    case LETTER_CREDIT:
    case LETTER_ACK:
    case LETTER_NACK:
    case LETTER_ASK:
    case LETTER_ACKED:
    case LETTER_ANSWERED:
        break;
    case LETTER_UNTAKEN:
    case LETTER_DETACH:
    case LETTER_ATTACHED:
    case LETTER_ASSIGNED:
    case LETTER_CAUGHT_UP:
    case LETTER_MOVED:
    case LETTER_ENDED:
    case LETTER_GONE:
        return offsetof(struct consumer_letter, request.attach); // behind kind and id
    }
    return sizeof(struct consumer_letter);
}

struct consumer_letter *consumer_letter_new(enum letter_kind kind)
{
    struct consumer_letter *letter = calloc(1, letter_bytes(kind));
    if (letter) {
        letter->kind = kind;
        list_init(&letter->link);
    }
    return letter;
}

void consumer_letter_free(struct consumer_letter *letter)
{
    if (letter) {
        block_unref(letter->block);
        buffer_deinit(&letter->text);
        buffer_deinit(&letter->rows);
        buffer_deinit(&letter->consumers);
        free(letter);
    }
}

// --- Copies ------------------------------------------------------------------------------------

// Moves a view's bytes to the end of `text`, which has room.
static void keep(struct buffer *text, struct bytes *view)
{
    if (view->length > 0) {
        uint8_t *at = text->data + text->length;
        memcpy(at, view->data, view->length);
        text->length += view->length;
        *view = bytes_of(at, view->length);
    }
}

static size_t definition_length(const struct subscription_definition *definition)
{
    size_t length = definition->key_attribute.length;
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        length += definition->entries[i].text.length;
    }
    for (uint32_t i = 0; i < definition->attributes_count; i++) {
        length += definition->attributes[i].name.length + definition->attributes[i].value.length;
    }
    return length;
}

static void keep_definition(struct buffer *text, struct subscription_definition *definition)
{
    keep(text, &definition->key_attribute);
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        keep(text, &definition->entries[i].text);
    }
    for (uint32_t i = 0; i < definition->attributes_count; i++) {
        keep(text, &definition->attributes[i].name);
        keep(text, &definition->attributes[i].value);
    }
}

static size_t views_length(const struct request *request)
{
    const struct request_attach *attach = &request->attach;
    const struct request_subscriptions *subscriptions = &request->subscriptions;
    if (request->kind == REQUEST_ATTACH) {
        return attach->name.length + attach->start.cursor.length +
               definition_length(&attach->definition);
    }
    if (request->kind == REQUEST_SUBSCRIPTIONS) {
        return subscriptions->name.length + subscriptions->after_name.length +
               subscriptions->start.cursor.length + definition_length(&subscriptions->definition);
    }
    if (request->kind == REQUEST_ACK) {
        return request->ack.ranges.length;
    }
    return request->kind == REQUEST_NACK ? request->nack.ranges.length + request->nack.reason.length
                                         : 0;
}

int consumer_letter_copy(struct consumer_letter *letter, const struct request *request)
{
    struct buffer *text = &letter->text;
    if (buffer_reserve(text, views_length(request) + 1)) {
        return ERR_MEMORY;
    }
    letter->request = *request;
    struct request *copy = &letter->request;
    if (copy->kind == REQUEST_ATTACH) {
        copy->attach.client = bytes_of(NULL, 0); // is the letter's reason
        keep(text, &copy->attach.name);
        keep(text, &copy->attach.start.cursor);
        keep_definition(text, &copy->attach.definition);
    } else if (copy->kind == REQUEST_SUBSCRIPTIONS) {
        keep(text, &copy->subscriptions.name);
        keep(text, &copy->subscriptions.after_name);
        keep(text, &copy->subscriptions.start.cursor);
        keep_definition(text, &copy->subscriptions.definition);
    } else if (copy->kind == REQUEST_ACK) {
        keep(text, &copy->ack.ranges);
    } else if (copy->kind == REQUEST_NACK) {
        keep(text, &copy->nack.ranges);
        keep(text, &copy->nack.reason);
    }
    return 0;
}

// --- As a reply --------------------------------------------------------------------------------

static void fill_error(const struct consumer_letter *letter, struct reply *head)
{
    head->kind = REPLY_ERROR;
    head->error.code = letter->error;
    head->error.text = bytes_of_text(letter->reason.text);
}

static void fill_ended(const struct consumer_letter *letter, uint64_t delivered, struct reply *head)
{
    if (letter->end_reason == 0) {
        fill_error(letter, head);
        return;
    }
    head->kind = DELIVERY_END;
    head->end.reason = letter->end_reason;
    head->end.delivered = delivered;
}

static void fill_answer(const struct consumer_letter *letter, struct reply *head)
{
    if (letter->error) {
        fill_error(letter, head);
    } else if (letter->kind == LETTER_ACKED) {
        head->kind = REPLY_ACKED;
        head->acked.count = letter->count;
    } else {
        head->kind = REPLY_SUBSCRIPTIONS;
        head->subscriptions.text = bytes_of_text(letter->reason.text);
        head->subscriptions.more = letter->more;
        head->subscriptions.rows = buffer_bytes(&letter->rows);
        head->subscriptions.consumers = buffer_bytes(&letter->consumers);
    }
}

void consumer_letter_fill(const struct consumer_letter *letter, uint64_t delivered,
                          struct reply *head)
{
    if (letter->kind == LETTER_ATTACHED) {
        const struct uuid *node = &letter->coordinator;
        head->kind = REPLY_ATTACHED;
        head->cursor = buffer_bytes(&letter->rows);
        head->attached.generation = letter->generation;
        head->attached.is_created = letter->is_created;
        head->attached.remark = bytes_of_text(letter->reason.text);
        head->attached.coordinator = bytes_of(node->bytes, sizeof node->bytes);
    } else if (letter->kind == LETTER_ASSIGNED) {
        bool is_chunks = letter->block && letter->block->kind == BLOCK_CHUNKS;
        head->kind = is_chunks ? DELIVERY_ASSIGNED_CHUNKS : DELIVERY_ASSIGNED;
        head->assigned.attempt = letter->attempt;
    } else if (letter->kind == LETTER_CAUGHT_UP || letter->kind == LETTER_MOVED) {
        head->kind = DELIVERY_MARK;
        head->mark.kind = letter->kind == LETTER_MOVED ? MARK_MOVED : MARK_CAUGHT_UP;
    } else if (letter->kind == LETTER_ENDED) {
        fill_ended(letter, delivered, head);
    } else {
        assert(letter->kind == LETTER_ACKED || letter->kind == LETTER_ANSWERED);
        fill_answer(letter, head);
    }
}

// --- The mailbox -------------------------------------------------------------------------------

int consumer_mailbox_new(struct node *node)
{
    struct consumer_mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox) {
        return ERR_MEMORY;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    list_init(&mailbox->letters);
    list_init(&mailbox->latched);
    for (uint32_t i = 0; i < node->services_max && !mailbox->driver; i++) {
        if (node->services[i] && node->services[i]->cluster) {
            mailbox->driver = node->services[i];
        }
    }
    assert(mailbox->driver);
    node->consumers = mailbox;
    return 0;
}

void consumer_mailbox_free(struct node *node)
{
    if (node->consumers) {
        assert(list_is_empty(&node->consumers->letters));
        assert(list_is_empty(&node->consumers->latched));
        pthread_mutex_destroy(&node->consumers->lock);
        free(node->consumers);
        node->consumers = NULL;
    }
}

bool consumer_letter_send(struct node *node, struct consumer_letter *letter)
{
    struct consumer_mailbox *mailbox = node->consumers;
    if (!mailbox) {
        return false;
    }
    pthread_mutex_lock(&mailbox->lock);
    bool is_taken = !mailbox->is_closed;
    if (is_taken) {
        list_append(&mailbox->letters, &letter->link);
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (is_taken) {
        service_wake(mailbox->driver);
    }
    return is_taken;
}

void consumer_letter_reply(struct node *node, struct consumer_letter *letter)
{
    struct service *service = letter->service;
    pthread_mutex_lock(&node->consumers->lock);
    list_append(&service->consumer_letters, &letter->link);
    // Under the lock: once the service has the last one it may be idle, and go.
    service_wake(service);
    pthread_mutex_unlock(&node->consumers->lock);
}

static struct consumer_letter *take_first(struct consumer_mailbox *mailbox, struct list_node *list)
{
    pthread_mutex_lock(&mailbox->lock);
    struct list_node *link = list_first(list);
    if (link) {
        list_remove(link);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return link ? container_of(link, struct consumer_letter, link) : NULL;
}

void consumer_mailbox_latch(struct node *node)
{
    struct consumer_mailbox *mailbox = node->consumers;
    struct list_node *link;
    if (!mailbox) {
        return;
    }
    pthread_mutex_lock(&mailbox->lock);
    while ((link = list_first(&mailbox->letters)) != NULL) {
        list_remove(link);
        list_append(&mailbox->latched, link);
    }
    pthread_mutex_unlock(&mailbox->lock);
}

// Whoever asks for `after` waits until the driver has looked at what his own loop has seen.
static bool asks_for_after(const struct consumer_letter *letter)
{
    const struct request *request = &letter->request;
    return (letter->kind == LETTER_ATTACH && request->attach.after.cursor.length > 0) ||
           (letter->kind == LETTER_ASK && request->subscriptions.after.cursor.length > 0);
}

static void refuse_late(struct node *node, struct consumer_letter *letter)
{
    letter->kind = letter->kind == LETTER_ATTACH ? LETTER_ENDED : LETTER_ANSWERED;
    letter->error = WIRE_TIMEOUT;
    reason_set(&letter->reason, 0,
               "this node has not looked at everything that `after` names, and it took too long");
    consumer_letter_reply(node, letter);
}

struct consumer_letter *consumer_mailbox_take(struct node *node)
{
    struct consumer_mailbox *mailbox = node->consumers;
    struct list_node *link;
    while (mailbox && (link = list_first(&mailbox->latched)) != NULL) {
        const struct service *driver = mailbox->driver;
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        bool waits =
            asks_for_after(letter) && !mailbox->is_closed && !cluster_has_all_news(driver->cluster);
        bool is_late = waits && instant_reached(letter->until, driver->now);
        if (waits && !is_late) {
            return NULL;
        }
        list_remove(link);
        if (!is_late) {
            return letter;
        }
        refuse_late(node, letter);
    }
    return NULL;
}

struct consumer_letter *consumer_letters_take(struct service *service)
{
    struct consumer_mailbox *mailbox = service->node->consumers;
    return mailbox ? take_first(mailbox, &service->consumer_letters) : NULL;
}

void consumer_mailbox_close(struct node *node)
{
    if (node->consumers) {
        pthread_mutex_lock(&node->consumers->lock);
        node->consumers->is_closed = true;
        pthread_mutex_unlock(&node->consumers->lock);
        consumer_mailbox_latch(node);
    }
}
