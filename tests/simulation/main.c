// The simulator's command line.
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/simulation/large.h"
#include "tests/simulation/plants.h"
#include "tests/simulation/run.h"

enum { FIND_SEEDS_MAX = 1000, LARGE_NODES = 16, REDUCED = 10 };

struct command {
    uint64_t first;
    uint64_t last;
    double hours; // 0: once through the range
    unsigned nodes;
    bool is_traced;
    bool is_apart;
    const char *find;
    const char *replay;
};

static void usage(FILE *out)
{
    fputs("usage: simulation [--seed N | --seeds A..B] [--hours H] [--nodes N] [--trace]\n"
          "                  [--plant NAME] [--find NAME] [--replay FILE] [--list-plants]\n\n"
          "Runs simulated clusters; the seed decides everything that happens.\n\n"
          "  --seed N        one seed\n"
          "  --seeds A..B    one after the other, up to the first violation\n"
          "  --hours H       from the seed on, for so long\n"
          "  --nodes N       so many machines, whatever the seed says, at most 1000; above 16\n"
          "                  no faults but a parting in two: prints how fast they converge,\n"
          "                  copies per event and what each node sends, beside the design's\n"
          "                  figures\n"
          "  --trace         print what happens\n"
          "  --plant NAME    with this bug planted\n"
          "  --find NAME     search the seeds (1..1000) for one that finds this bug\n"
          "  --replay FILE   lines of NAME SEED CHECK [NODES]: each finds its bug, and passes\n"
          "                  without it\n"
          "  --list-plants   print the names of all bugs\n",
          out);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Of this process and of those that ran seeds apart.
static double used_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return seconds(CLOCK_PROCESS_CPUTIME_ID) + (double)usage.ru_utime.tv_sec +
           (double)usage.ru_utime.tv_usec / 1e6;
}

// The seed of the run that is under way, for those who look at a failed assertion.
static volatile uint64_t seed_now;

static void on_abort(int signal_number)
{
    char text[80];
    int length = snprintf(text, sizeof text, "violation: seed %" PRIu64 ", check assertion\n",
                          (uint64_t)seed_now);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)length);
    _exit(written == length ? 1 : 2);
}

static void print_violation(uint64_t seed, const struct run_result *result)
{
    printf("violation: seed %" PRIu64 ", virtual time %.6f s, check %s\n  %s\n", seed, result->at_s,
           result->check, result->text);
}

static struct run_result run_one(const struct command *command, uint64_t seed)
{
    struct options options;
    struct run_result result;
    options_from_seed(&options, seed, command->nodes);
    seed_now = seed;
    if (command->is_apart) {
        run_seed_apart(&options, &result);
    } else {
        run_seed(&options, command->is_traced, &result);
    }
    return result;
}

static int run_large(const struct command *command)
{
    struct options options;
    double begun = used_seconds();
    options_from_seed(&options, command->first, command->nodes);
    printf("seed %" PRIu64 ", %u nodes\n", command->first, command->nodes);
    bool is_well = large_run(&options, command->is_traced);
    printf("%.0f s of a core\n", used_seconds() - begun);
    return is_well ? 0 : 1;
}

static int run_seeds(const struct command *command)
{
    if (command->nodes > LARGE_NODES) {
        return run_large(command);
    }
    double begun = used_seconds();
    double until = seconds(CLOCK_MONOTONIC) + command->hours * 3600;
    double virtual_s = 0;
    uint64_t violations = 0;
    uint64_t seed = command->first;
    for (; command->hours > 0 ? seconds(CLOCK_MONOTONIC) < until : seed <= command->last; seed++) {
        if (command->first == command->last || command->is_traced) {
            printf("seed %" PRIu64 "\n", seed);
        }
        struct run_result result = run_one(command, seed);
        virtual_s += result.virtual_s;
        if (result.is_violated) {
            print_violation(seed, &result);
            violations++;
            if (!command->is_apart) { // in a long run the others are looked at too
                return 1;
            }
        }
        if (command->first == command->last) {
            printf("passed: %.1f virtual seconds, %" PRIu64 " events, %" PRIu64
                   " produces acknowledged, %" PRIu64 " happenings\n"
                   "converged %.2f s after healing, %.1f bytes between machines per event\n"
                   "trace %016" PRIx64 "\n",
                   result.virtual_s, result.events, result.acked, result.happenings,
                   result.converged_s,
                   result.events > 0 ? (double)result.bytes / (double)result.events : 0,
                   result.trace);
        }
    }
    double used = used_seconds() - begun;
    printf("seeds %" PRIu64 "..%" PRIu64 ": %" PRIu64
           " violations, %.0f virtual seconds, %.1f for each second of "
           "a core\n",
           command->first, seed - 1, violations, virtual_s, virtual_s / (used > 0 ? used : 1));
    return violations > 0 ? 1 : 0;
}

static int find(struct command *command)
{
    planted = plant_of_name(command->find);
    command->is_apart = true;
    uint64_t first = command->first == 0 ? 1 : command->first;
    for (uint64_t seed = first; seed < first + FIND_SEEDS_MAX; seed++) {
        struct run_result result = run_one(command, seed);
        if (result.is_violated) {
            printf("%s %" PRIu64 " %s\n", command->find, seed, result.check);
            printf("# %s\n", result.text);
            return 0;
        }
    }
    printf("%s is not found by seeds %" PRIu64 "..%" PRIu64 "\n", command->find, first,
           first + FIND_SEEDS_MAX - 1);
    return 1;
}

// One line of the list. Returns whether it holds.
static bool replay_one(struct command *command, const char *name, uint64_t seed, const char *check,
                       unsigned nodes)
{
    planted = plant_of_name(name);
    if (planted == PLANTED_NONE) {
        printf("%s: there is no bug of that name\n", name);
        return false;
    }
    command->nodes = nodes;
    struct run_result with = run_one(command, seed);
    planted = PLANTED_NONE;
    struct run_result without = run_one(command, seed);
    bool is_found = with.is_violated && strcmp(with.check, check) == 0;
    printf("%s: seed %" PRIu64 " %s (%s)%s\n", name, seed, is_found ? "finds it" : "MISSES it",
           with.is_violated ? with.check : "no violation",
           without.is_violated ? ", and FAILS without it" : "");
    if (without.is_violated) {
        print_violation(seed, &without);
    }
    return is_found && !without.is_violated;
}

static int replay(struct command *command)
{
    FILE *file = fopen(command->replay, "r");
    char line[256];
    bool is_listed[PLANTED_COUNT] = {false};
    bool is_well = file != NULL;
    command->is_apart = true;
    while (file && fgets(line, sizeof line, file)) {
        char name[64];
        char check[64];
        uint64_t seed;
        unsigned nodes = 0;
        if (line[0] != '#' &&
            sscanf(line, "%63s %" SCNu64 " %63s %u", name, &seed, check, &nodes) >= 3) {
            is_well &= replay_one(command, name, seed, check, nodes);
            is_listed[plant_of_name(name)] = true;
        } else if (sscanf(line, "%63s - %63s", name, check) == 2) {
            printf("%s", line); // why there is none
            is_listed[plant_of_name(name)] = true;
        }
    }
    for (unsigned i = 1; i < PLANTED_COUNT; i++) {
        if (!is_listed[i]) {
            printf("%s: no seed is listed that finds it\n", plant_name((enum planted)i));
            is_well = false;
        }
    }
    if (file) {
        fclose(file);
    }
    return is_well ? 0 : 1;
}

static int list_plants(void)
{
    for (unsigned i = 1; i < PLANTED_COUNT; i++) {
        printf("%s\n", plant_name((enum planted)i));
    }
    return 0;
}

static const struct option OPTIONS[] = {
    {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'S'},
    {"hours", required_argument, NULL, 'H'}, {"nodes", required_argument, NULL, 'n'},
    {"trace", no_argument, NULL, 't'},       {"plant", required_argument, NULL, 'p'},
    {"find", required_argument, NULL, 'f'},  {"replay", required_argument, NULL, 'r'},
    {"list-plants", no_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
    {"apart", no_argument, NULL, 'a'},       {NULL, 0, NULL, 0},
};

static bool set_seeds(struct command *command, const char *text)
{
    return sscanf(text, "%" SCNu64 "..%" SCNu64, &command->first, &command->last) == 2;
}

// false: the argument is wrong.
static bool take_option(struct command *command, int option, const char *argument)
{
    switch (option) {
    case 's':
        command->first = command->last = strtoull(argument, NULL, 10);
        return true;
    case 'S':
        return set_seeds(command, argument);
    case 'H':
        command->hours = strtod(argument, NULL);
        command->is_apart = true;
        return command->hours > 0;
    case 'n':
        command->nodes = (unsigned)strtoul(argument, NULL, 10);
        return command->nodes >= 1 && command->nodes <= SIMULATION_NODES_MAX;
    case 't':
        command->is_traced = true;
        return true;
    case 'a':
        command->is_apart = true;
        return true;
    case 'p':
        planted = plant_of_name(argument);
        return planted != PLANTED_NONE;
    case 'f':
        command->find = argument;
        return plant_of_name(argument) != PLANTED_NONE;
    case 'r':
        command->replay = argument;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct command command = {.first = 1, .last = 1};
    int option;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            return 0;
        }
        if (option == 'l') {
            return list_plants();
        }
        if (!take_option(&command, option, optarg)) {
            usage(stderr);
            return 2;
        }
    }
    signal(SIGABRT, on_abort);
    if (getenv("WEIR_TEST_REDUCED") && command.last > command.first + REDUCED) {
        command.last = command.first + REDUCED;
    }
    if (command.replay) {
        return replay(&command);
    }
    return command.find ? find(&command) : run_seeds(&command);
}
