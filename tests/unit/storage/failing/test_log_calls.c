// The n-th write, sync and read of the process and the n-th allocation of our own code fail, for
// all n, under a log over RocksDB: what was acknowledged is there afterwards, and nothing hangs.
//
// Each n runs in a child of its own, which tells through a pipe how many events were acknowledged
// and which calls it made: an error may end it (RocksDB is allowed to abort), as a crash would.
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "proto/model/event.h"
#include "proto/model/slice.h"
#include "storage/disk_rocksdb.h"
#include "storage/store.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/failing/failing_calls.h"

enum { EVENTS = 12, CHILD_SECONDS_MAX = 30 };

struct log {
    struct disk *log;
    struct disk *index;
    struct store *store;
    struct store_port *port;
};

static void ignore_wake(void *context)
{
}

static int open_disk(const char *directory, const char *name, const char *const *families,
                     unsigned count, bool has_write_log, struct disk **disk_out)
{
    char path[300];
    struct reason reason;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    struct disk_rocksdb_config config = {.path = path,
                                         .families = families,
                                         .families_count = count,
                                         .has_write_log = has_write_log,
                                         .block_cache_bytes = 4 * MIB,
                                         .write_buffer_bytes = 4 * MIB};
    return disk_rocksdb_open(&config, disk_out, &reason);
}

static int log_open(const char *directory, struct log *log)
{
    struct reason reason;
    struct store_recovery recovery;
    const struct store_config config = {.actor = 1,
                                        .compress = true,
                                        .recent_bytes_max = 1 * MIB,
                                        .index_bytes_max = 1 * MIB,
                                        .walk_bytes = 1 * MIB,
                                        .seed = 1};
    *log = (struct log){0};
    int err = open_disk(directory, "log", LOG_FAMILY_NAMES, LOG_FAMILIES, true, &log->log);
    if (err == 0) {
        err = open_disk(directory, "index", INDEX_FAMILY_NAMES, INDEX_FAMILIES, false, &log->index);
    }
    if (err == 0) {
        err = store_open(&config, log->log, log->index, &log->store, &recovery, &reason);
    }
    return err ? err : store_port_open(log->store, ignore_wake, NULL, &log->port);
}

static void log_close(struct log *log, bool cleanly)
{
    store_port_close(log->port);
    if (!cleanly || (log->store && store_close(log->store))) {
        store_abandon(cleanly ? NULL : log->store);
    }
    disk_close(log->log);
    disk_close(log->index);
}

// Produces one event. 0: acknowledged.
static int produce_one(struct log *log, unsigned number)
{
    struct buffer event = {0};
    char data[20];
    snprintf(data, sizeof data, "%u", number);
    int err = event_append(&event, bytes_of_text("/a"), bytes_of_text(data), bytes_of(NULL, 0));
    if (err) {
        buffer_deinit(&event);
        return err;
    }
    struct append_run run = {.length = (uint32_t)event.length, .count = 1};
    struct append append = {.kind = APPEND_PRODUCE,
                            .bytes = buffer_bytes(&event),
                            .runs = &run,
                            .runs_count = 1,
                            .events = 1};
    store_append(log->port, &append);
    store_port_flush(log->port);
    while (store_step_commit(log->store, 1)) {
    }
    store_port_refresh(log->port);
    struct append *done = store_port_take_append(log->port);
    buffer_deinit(&event);
    if (done != &append) {
        _exit(3);
    }
    return append.result;
}

// How many events can be read; -1: an error said so.
static int count_events(struct log *log)
{
    struct read read;
    int events = 0;
    read_init(&read, READ_CANONICAL);
    if (version_vector_copy(&read.upper, store_port_vector(log->port))) {
        read_deinit(&read);
        return -1;
    }
    do {
        store_read(log->port, &read);
        while (store_step_read(log->store)) {
        }
        store_port_refresh(log->port);
        if (store_port_take_read(log->port) != &read) {
            _exit(4);
        }
        if (read.block) {
            events += (int)read.block->events;
            block_unref(read.block);
            read.block = NULL;
        }
    } while (read.result == 0 && !read.done);
    int result = read.result;
    read_deinit(&read);
    return result ? -1 : events;
}

// The child's life: open, produce, index, read, close, open and read again; whatever fails, it goes
// on with what is left or leaves.
static void child_run(const char *directory, int report, enum failing_call call, uint64_t nth)
{
    struct log log;
    const struct rlimit no_core = {0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECONDS_MAX);
    failing_calls_arm(call, nth);
    for (unsigned life = 0; life < 2; life++) {
        if (log_open(directory, &log)) {
            _exit(1);
        }
        unsigned acknowledged = 0;
        for (unsigned i = 0; i < EVENTS / 2; i++) {
            if (produce_one(&log, i) == 0) {
                acknowledged++;
                if (syscall(SYS_write, report, "A", 1) != 1) { // not one of those that fail
                    _exit(5);
                }
            }
            store_step_index(log.store);
        }
        int seen = count_events(&log);
        if (seen >= 0 && (unsigned)seen < acknowledged) {
            _exit(6);
        }
        log_close(&log, store_port_fatal(log.port) == 0);
    }
    uint64_t calls = failing_calls_count(call);
    failing_calls_arm(call, 0);
    if (calls < nth) {
        _exit(7); // it was never reached
    }
    _exit(0);
}

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    char child[512];
    while (directory && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            if (unlink(child)) {
                remove_tree(child);
            }
        }
    }
    if (directory) {
        closedir(directory);
    }
    rmdir(path);
}

// Opens what the child left: exit code 0 when it holds what was acknowledged and no more than was
// produced. A child too: threads of RocksDB do not survive a fork, so this process never opens one.
static void child_verify(const char *directory, int acknowledged)
{
    struct log log;
    if (log_open(directory, &log)) {
        _exit(1);
    }
    int seen = count_events(&log);
    log_close(&log, true);
    _exit(seen >= acknowledged && seen <= EVENTS ? 0 : 2);
}

struct fate {
    int code;         // exit code, -1: it aborted
    int acknowledged; // how many events it was promised
};

// Runs one child: `nth` 0 verifies that `acknowledged` events are there.
static struct fate child_watch(const char *directory, enum failing_call call, uint64_t nth,
                               int acknowledged)
{
    struct fate fate = {0};
    int report[2];
    char byte;
    int status;
    ck_assert_int_eq(pipe(report), 0);
    fflush(stdout);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(report[0]);
        close(2); // what RocksDB says when it aborts
        if (nth == 0) {
            child_verify(directory, acknowledged);
        }
        child_run(directory, report[1], call, nth);
    }
    close(report[1]);
    while (read(report[0], &byte, 1) == 1) {
        fate.acknowledged++;
    }
    close(report[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(!WIFSIGNALED(status) || WTERMSIG(status) == SIGABRT,
                  "call %d, number %llu: ended by signal %d", call, (unsigned long long)nth,
                  WTERMSIG(status));
    fate.code = WIFSIGNALED(status) ? -1 : WEXITSTATUS(status);
    return fate;
}

static void fail_every(enum failing_call call)
{
    for (uint64_t nth = 1;; nth++) {
        // In memory where there is such a place: thousands of syncs are made here.
        bool is_shm = access("/dev/shm", W_OK) == 0;
        char directory[64];
        snprintf(directory, sizeof directory, "%s/weir-failing-XXXXXX",
                 is_shm ? "/dev/shm" : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        ck_assert_uint_lt(nth, 5000);
        struct fate fate = child_watch(directory, call, nth, 0);
        ck_assert_msg(fate.code <= 1 || fate.code == 7, "call %d, number %llu: exit %d", call,
                      (unsigned long long)nth, fate.code);
        struct fate verified = child_watch(directory, call, 0, fate.acknowledged);
        ck_assert_msg(verified.code == 0, "call %d, number %llu: %s", call, (unsigned long long)nth,
                      verified.code == 1 ? "does not open again" : "not what was acknowledged");
        remove_tree(directory);
        if (fate.code == 7) {
            ck_assert_uint_gt(nth, 5);
            printf("# %d calls failed in turn\n", (int)nth - 1);
            return;
        }
    }
}

START_TEST(a_failure_of_any_write_of_the_process_loses_nothing)
{
    fail_every(FAILING_WRITE);
}
END_TEST

START_TEST(a_failure_of_any_sync_of_the_process_loses_nothing)
{
    fail_every(FAILING_SYNC);
}
END_TEST

START_TEST(a_failure_of_any_read_of_the_process_loses_nothing)
{
    fail_every(FAILING_READ);
}
END_TEST

START_TEST(a_failure_of_any_allocation_of_ours_loses_nothing)
{
    fail_every(FAILING_ALLOCATION);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_calls");
    const TTest *tests[] = {
        a_failure_of_any_write_of_the_process_loses_nothing,
        a_failure_of_any_sync_of_the_process_loses_nothing,
        a_failure_of_any_read_of_the_process_loses_nothing,
        a_failure_of_any_allocation_of_ours_loses_nothing,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_set_timeout(test_case, 300);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    return check_main(suite);
}
