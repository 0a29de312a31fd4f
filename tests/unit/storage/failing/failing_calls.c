// Symbols of the executable come before those of shared libraries, so defining a libc function here
// puts us between RocksDB and the kernel. Allocations are wrapped by the linker instead, which
// touches only what is linked into the executable: our own code.
#include "tests/unit/storage/failing/failing_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

static atomic_uint_fast64_t counts[FAILING_CALLS];
static atomic_uint_fast64_t armed[FAILING_CALLS];

void failing_calls_arm(enum failing_call call, uint64_t nth)
{
    atomic_store(&armed[call], 0);
    atomic_store(&counts[call], 0);
    atomic_store(&armed[call], nth);
}

uint64_t failing_calls_count(enum failing_call call)
{
    return atomic_load(&counts[call]);
}

static bool fails(enum failing_call call)
{
    return atomic_fetch_add(&counts[call], 1) + 1 == atomic_load(&armed[call]);
}

#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (!real) {                                                                                   \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                                        \
    }

static ssize_t io_error(void)
{
    errno = EIO;
    return -1;
}

ssize_t write(int fd, const void *data, size_t length);
ssize_t write(int fd, const void *data, size_t length)
{
    REAL(write)
    return fd > 2 && fails(FAILING_WRITE) ? io_error() : real(fd, data, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at);
ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
    REAL(pwrite)
    return fails(FAILING_WRITE) ? io_error() : real(fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at);
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
    REAL(pwrite64)
    return fails(FAILING_WRITE) ? io_error() : real(fd, data, length, at);
}

int fsync(int fd);
int fsync(int fd)
{
    REAL(fsync)
    return fails(FAILING_SYNC) ? (int)io_error() : real(fd);
}

int fdatasync(int fd);
int fdatasync(int fd)
{
    REAL(fdatasync)
    return fails(FAILING_SYNC) ? (int)io_error() : real(fd);
}

ssize_t read(int fd, void *data, size_t length);
ssize_t read(int fd, void *data, size_t length)
{
    REAL(read)
    return fd > 2 && fails(FAILING_READ) ? io_error() : real(fd, data, length);
}

ssize_t pread(int fd, void *data, size_t length, off_t at);
ssize_t pread(int fd, void *data, size_t length, off_t at)
{
    REAL(pread)
    return fails(FAILING_READ) ? io_error() : real(fd, data, length, at);
}

ssize_t pread64(int fd, void *data, size_t length, off64_t at);
ssize_t pread64(int fd, void *data, size_t length, off64_t at)
{
    REAL(pread64)
    return fails(FAILING_READ) ? io_error() : real(fd, data, length, at);
}

void *__real_malloc(size_t length);
void *__real_calloc(size_t count, size_t length);
void *__real_realloc(void *memory, size_t length);
void *__wrap_malloc(size_t length);
void *__wrap_calloc(size_t count, size_t length);
void *__wrap_realloc(void *memory, size_t length);

void *__wrap_malloc(size_t length)
{
    return fails(FAILING_ALLOCATION) ? NULL : __real_malloc(length);
}

void *__wrap_calloc(size_t count, size_t length)
{
    return fails(FAILING_ALLOCATION) ? NULL : __real_calloc(count, length);
}

void *__wrap_realloc(void *memory, size_t length)
{
    return fails(FAILING_ALLOCATION) ? NULL : __real_realloc(memory, length);
}
