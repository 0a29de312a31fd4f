// weir-server: reads its configuration, raises its limits, and runs.
#include <argp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/config/config.h"
#include "server/run.h"

enum { EXIT_USAGE = 2, FILES_ENOUGH = 1000000 };

// Every connection is an open file: as many as the system allows without asking.
static uint64_t raise_files_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < FILES_ENOUGH ? limit.rlim_max : FILES_ENOUGH;
    if (limit.rlim_cur < before || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        limit.rlim_cur = before;
    }
    return limit.rlim_cur < FILES_ENOUGH ? limit.rlim_cur : FILES_ENOUGH;
}

static unsigned count_cores(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0) {
        return (unsigned)CPU_COUNT(&cores);
    }
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

static int check_secret(const struct config *config, struct reason *reason)
{
    uint8_t secret[CONFIG_SECRET_BYTES_MAX];
    size_t length;
    int err = config_read_secret(config, secret, &length, reason);
    explicit_bzero(secret, sizeof secret);
    return err;
}

int main(int argc, char **argv)
{
    static struct config config;
    struct reason reason = {0};
    argp_err_exit_status = EXIT_USAGE;
    struct machine machine = {.cores = count_cores(), .files_max = raise_files_max()};
    if (config_load(&config, argc, argv, environ, &reason) != 0) {
        if (reason.text[0] != '\0') {
            fprintf(stderr, "weir-server: %s\n", reason.text);
        }
        return EXIT_USAGE;
    }
    if (check_secret(&config, &reason) != 0) {
        fprintf(stderr, "weir-server: %s\n", reason.text);
        return EXIT_USAGE;
    }
    if (config.check_only) {
        for (unsigned i = 0; i < config.warnings_count; i++) {
            fprintf(stderr, "weir-server: warning: %s\n", config.warnings[i].text);
        }
        config_print(&config, &machine, stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return run(&config, &machine);
}
