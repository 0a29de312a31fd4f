// All that wait in a service are in one list, which is walked when the node's vector has grown. A
// session may have only few of them (it counts as saturated beyond), so the walk is short; the
// deadlines are timers.

#include "server/node/waiter.h"

#include "server/node/node.h"
#include "server/node/service_state.h"
#include "server/node/session.h"

static void waiter_expired(struct timer *timer)
{
    struct waiter *waiter = container_of(timer, struct waiter, timer);
    waiter_stop(waiter);
    waiter->resolve(waiter, ERR_TIMEOUT);
}

void waiter_init(struct waiter *waiter, struct session *session,
                 void (*resolve)(struct waiter *waiter, int result))
{
    *waiter = (struct waiter){.session = session, .resolve = resolve};
    waiter->timer.expired = waiter_expired;
    list_init(&waiter->link);
}

void waiter_deinit(struct waiter *waiter)
{
    waiter_stop(waiter);
    version_vector_deinit(&waiter->need);
}

int waiter_take_after(struct waiter *waiter, const struct request_after *after)
{
    const struct service *service = waiter->session->service;
    uint32_t timeout_ms =
        after->timeout_ms != 0 ? after->timeout_ms : service->node->after_timeout_ms;
    waiter->deadline = instant_add(service->now, duration_ms(timeout_ms));
    if (after->cursor.length == 0) {
        return 0;
    }
    struct bytes rest = after->cursor;
    int err = version_vector_decode(&rest, &waiter->need);
    return err == 0 && rest.length > 0 ? ERR_INVALID : err;
}

bool waiter_is_covered(const struct waiter *waiter)
{
    const struct service *service = waiter->session->service;
    return waiter->need.count == 0 ||
           version_vector_includes(store_port_vector(service->port), &waiter->need);
}

int waiter_begin(struct waiter *waiter)
{
    struct service *service = waiter->session->service;
    int err = timer_set(&service->timers, &waiter->timer, waiter->deadline);
    if (err) {
        return err;
    }
    list_append(&service->waiters, &waiter->link);
    waiter->session->waiters_count++;
    return 0;
}

void waiter_stop(struct waiter *waiter)
{
    if (!waiter_is_waiting(waiter)) {
        return;
    }
    list_remove(&waiter->link);
    timer_clear(&waiter->session->service->timers, &waiter->timer);
    waiter->session->waiters_count--;
    session_relieve(waiter->session);
}

void waiters_check(struct service *service)
{
    LIST_FOR_EACH(&service->waiters, link)
    {
        struct waiter *waiter = container_of(link, struct waiter, link);
        if (waiter_is_covered(waiter)) {
            waiter_stop(waiter);
            waiter->resolve(waiter, 0);
        }
    }
}

void waiters_close(struct service *service)
{
    struct list_node *link;
    while ((link = list_first(&service->waiters)) != NULL) {
        struct waiter *waiter = container_of(link, struct waiter, link);
        waiter_stop(waiter);
        waiter->resolve(waiter, ERR_CLOSED);
    }
}
