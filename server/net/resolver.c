// getaddrinfo blocks for as long as name servers take, so it is called in a thread that nobody
// waits for: it is detached, shares this object with the loop, and whoever is last frees it. One
// name is asked for at a time; the table of names is small and the longest unused gives way.
#include "server/net/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"

enum { NAMES_MAX = 64, FRESH_MS = 10000 };
static_assert(NAMES_MAX >= 2 * PEER_ADDRESSES_MAX, "configured names stay");

enum state { UNUSED, WANTED, ASKING, ANSWERED };

struct name {
    char host[PEER_ADDRESS_BYTES_MAX + 1];
    enum state state;
    struct resolved resolved; // empty: none was found
    struct instant fresh_until;
    uint64_t used; // when, counted in uses
    unsigned turn; // addresses are tried from a different one each time
};

struct resolver {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    void (*notify)(void *context);
    void *context;
    bool is_closed;
    bool has_thread;
    uint64_t uses;
    struct name names[NAMES_MAX];
};

static void resolve(const char *host, int flags, struct resolved *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *infos = NULL;
    *out = (struct resolved){0};
    if (getaddrinfo(host, NULL, &hints, &infos) != 0) {
        return;
    }
    for (struct addrinfo *info = infos; info != NULL && out->count < RESOLVED_ADDRESSES_MAX;
         info = info->ai_next) {
        if (info->ai_addrlen <= sizeof out->items[0]) {
            memcpy(&out->items[out->count++], info->ai_addr, info->ai_addrlen);
        }
    }
    freeaddrinfo(infos);
}

static struct name *next_wanted(struct resolver *resolver)
{
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        if (resolver->names[i].state == WANTED) {
            return &resolver->names[i];
        }
    }
    return NULL;
}

static void free_all(struct resolver *resolver)
{
    pthread_cond_destroy(&resolver->asked);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

static void *run(void *context)
{
    struct resolver *resolver = context;
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->is_closed) {
        struct name *name = next_wanted(resolver);
        if (name == NULL) {
            pthread_cond_wait(&resolver->asked, &resolver->lock);
            continue;
        }
        char host[sizeof name->host];
        struct resolved found;
        memcpy(host, name->host, sizeof host);
        name->state = ASKING; // so it is not given to another host meanwhile
        pthread_mutex_unlock(&resolver->lock);
        resolve(host, 0, &found);
        pthread_mutex_lock(&resolver->lock);
        name->state = ANSWERED;
        if (found.count > 0) { // else what was known is still the best guess
            name->resolved = found;
        }
        if (!resolver->is_closed) {
            resolver->notify(resolver->context);
        }
    }
    pthread_mutex_unlock(&resolver->lock);
    free_all(resolver);
    return NULL;
}

int resolver_new(void (*notify)(void *context), void *context, struct resolver **resolver_out)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return ERR_MEMORY;
    }
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->asked, NULL);
    resolver->notify = notify;
    resolver->context = context;
    *resolver_out = resolver;
    return 0;
}

void resolver_close(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    pthread_mutex_lock(&resolver->lock);
    resolver->is_closed = true;
    bool has_thread = resolver->has_thread;
    pthread_cond_signal(&resolver->asked);
    pthread_mutex_unlock(&resolver->lock);
    if (!has_thread) {
        free_all(resolver);
    }
}

static bool start_thread(struct resolver *resolver)
{
    pthread_t thread;
    if (!resolver->has_thread && pthread_create(&thread, NULL, run, resolver) == 0) {
        pthread_setname_np(thread, "weir-names");
        pthread_detach(thread);
        resolver->has_thread = true;
    }
    return resolver->has_thread;
}

static struct name *find_name(struct resolver *resolver, const char *host)
{
    struct name *spare = NULL;
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        struct name *name = &resolver->names[i];
        if (name->state != UNUSED && strcmp(name->host, host) == 0) {
            return name;
        }
        bool is_free = name->state == UNUSED || name->state == ANSWERED;
        if (is_free && (spare == NULL || name->used < spare->used)) {
            spare = name;
        }
    }
    if (spare != NULL) {
        *spare = (struct name){0};
        memcpy(spare->host, host, strlen(host) + 1);
    }
    return spare;
}

// Rotated, so that a name with an address that never answers is not stuck at that one.
static void copy_rotated(struct name *name, struct resolved *out)
{
    unsigned first = name->turn++ % name->resolved.count;
    out->count = name->resolved.count;
    for (unsigned i = 0; i < out->count; i++) {
        out->items[i] = name->resolved.items[(first + i) % out->count];
    }
}

static int find_locked(struct resolver *resolver, const char *host, bool is_new, struct instant now,
                       struct resolved *resolved_out)
{
    struct name *name = find_name(resolver, host);
    if (name == NULL || !start_thread(resolver)) {
        return ERR_NOT_FOUND;
    }
    name->used = ++resolver->uses;
    bool is_old = instant_reached(name->fresh_until, now) || name->resolved.count == 0;
    if (name->state == UNUSED || (is_new && is_old && name->state == ANSWERED)) {
        name->state = WANTED;
        name->fresh_until = instant_add(now, duration_ms(FRESH_MS));
        pthread_cond_signal(&resolver->asked);
    }
    if (name->resolved.count > 0) {
        copy_rotated(name, resolved_out);
        return 0;
    }
    return name->state == ANSWERED ? ERR_NOT_FOUND : RESOLVER_PENDING;
}

int resolver_find(struct resolver *resolver, const char *host, bool is_new, struct instant now,
                  struct resolved *resolved_out)
{
    resolve(host, AI_NUMERICHOST, resolved_out); // does not block: nobody is asked
    if (resolved_out->count > 0) {
        return 0;
    }
    pthread_mutex_lock(&resolver->lock);
    int err = find_locked(resolver, host, is_new, now, resolved_out);
    pthread_mutex_unlock(&resolver->lock);
    return err;
}
