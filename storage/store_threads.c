// Threads around the steps: each waits for work, does steps until there is none, and waits again.
// The committing thread is stopped first and finishes what was handed to it.
#include "storage/store_threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "storage/store.h"

enum { READERS_MAX = 64, SCRUB_CHUNKS_PER_STEP = 64 };

struct store_threads {
    struct store *store;
    atomic_bool stopping;
    atomic_int_fast64_t commit_step_since_ms; // monotonic; 0: in no step
    pthread_t commit;
    pthread_t index;
    pthread_t readers[READERS_MAX];
    unsigned readers_count;
    pthread_t scrub;
    uint64_t scrub_interval_ms;
    pthread_mutex_t scrub_lock;
    pthread_cond_t scrub_changed;
    bool has_commit;
    bool has_index;
    bool has_scrub;
};

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *commit_run(void *context)
{
    struct store_threads *threads = context;
    while (true) {
        store_wait_commit(threads->store);
        bool is_stopping = atomic_load(&threads->stopping);
        atomic_store(&threads->commit_step_since_ms, monotonic_ms());
        bool has_worked = store_step_commit(threads->store, wall_ms());
        atomic_store(&threads->commit_step_since_ms, 0);
        if (!has_worked && is_stopping) {
            return NULL;
        }
    }
}

uint64_t store_threads_commit_step_ms(struct store_threads *threads)
{
    int64_t since_ms = atomic_load(&threads->commit_step_since_ms);
    int64_t now_ms = monotonic_ms();
    return since_ms == 0 || since_ms > now_ms ? 0 : (uint64_t)(now_ms - since_ms);
}

static void *read_run(void *context)
{
    struct store_threads *threads = context;
    while (true) {
        store_wait_read(threads->store);
        bool is_stopping = atomic_load(&threads->stopping);
        if (!store_step_read(threads->store) && is_stopping) {
            return NULL;
        }
    }
}

static void *index_run(void *context)
{
    struct store_threads *threads = context;
    while (!atomic_load(&threads->stopping)) {
        if (!store_step_index(threads->store)) {
            store_wait_index(threads->store);
        }
    }
    return NULL;
}

// How long to rest after a step, so that the round takes the interval.
static uint64_t scrub_rest_ms(struct store_threads *threads)
{
    struct store_status status;
    store_status(threads->store, &status);
    return threads->scrub_interval_ms / (status.scrub_total / SCRUB_CHUNKS_PER_STEP + 1);
}

// Rests until then, or until it is to end.
static void scrub_rest(struct store_threads *threads, uint64_t rest_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(rest_ms / 1000);
    until.tv_nsec += (long)(rest_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int result = 0;
    pthread_mutex_lock(&threads->scrub_lock);
    while (!atomic_load(&threads->stopping) && result == 0) {
        result = pthread_cond_timedwait(&threads->scrub_changed, &threads->scrub_lock, &until);
    }
    pthread_mutex_unlock(&threads->scrub_lock);
}

static void *scrub_run(void *context)
{
    struct store_threads *threads = context;
    struct sched_param priority = {0};
    (void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &priority); // at best
    while (!atomic_load(&threads->stopping)) {
        scrub_rest(threads, scrub_rest_ms(threads));
        if (!atomic_load(&threads->stopping)) {
            (void)store_step_scrub(threads->store);
        }
    }
    return NULL;
}

static int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *context)
{
    if (pthread_create(thread, NULL, run, context) != 0) {
        return ERR_MEMORY;
    }
    pthread_setname_np(*thread, name);
    return 0;
}

// Signals are for the main thread: these inherit a mask that blocks them all.
static int threads_start(struct store_threads *threads, unsigned readers_count)
{
    int result = thread_start(&threads->commit, "weir-commit", commit_run, threads);
    threads->has_commit = result == 0;
    if (result == 0) {
        result = thread_start(&threads->index, "weir-index", index_run, threads);
        threads->has_index = result == 0;
    }
    while (result == 0 && threads->readers_count < readers_count) {
        result =
            thread_start(&threads->readers[threads->readers_count], "weir-read", read_run, threads);
        threads->readers_count += result == 0;
    }
    if (result == 0 && threads->scrub_interval_ms > 0) {
        result = thread_start(&threads->scrub, "weir-scrub", scrub_run, threads);
        threads->has_scrub = result == 0;
    }
    return result;
}

static void scrub_wait_init(struct store_threads *threads)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&threads->scrub_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&threads->scrub_lock, NULL);
}

int store_threads_start(struct store *store, unsigned readers_count, uint64_t scrub_interval_s,
                        struct store_threads **threads_out)
{
    struct store_threads *threads = calloc(1, sizeof *threads);
    sigset_t all;
    sigset_t before;
    if (threads == NULL) {
        return ERR_MEMORY;
    }
    threads->store = store;
    threads->scrub_interval_ms = scrub_interval_s * 1000;
    scrub_wait_init(threads);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = threads_start(threads, readers_count < READERS_MAX ? readers_count : READERS_MAX);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        store_threads_stop(threads);
        return result;
    }
    *threads_out = threads;
    return 0;
}

void store_threads_stop(struct store_threads *threads)
{
    if (threads == NULL) {
        return;
    }
    pthread_mutex_lock(&threads->scrub_lock);
    atomic_store(&threads->stopping, true);
    pthread_mutex_unlock(&threads->scrub_lock);
    pthread_cond_signal(&threads->scrub_changed);
    store_interrupt(threads->store);
    if (threads->has_commit) {
        pthread_join(threads->commit, NULL);
    }
    for (unsigned i = 0; i < threads->readers_count; i++) {
        pthread_join(threads->readers[i], NULL);
    }
    if (threads->has_index) {
        pthread_join(threads->index, NULL);
    }
    if (threads->has_scrub) {
        pthread_join(threads->scrub, NULL);
    }
    pthread_cond_destroy(&threads->scrub_changed);
    pthread_mutex_destroy(&threads->scrub_lock);
    free(threads);
}
