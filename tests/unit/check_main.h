// Runs one suite of Check as a program that prints TAP. CK_FORK=no runs it in one process, as the
// sanitizers and debuggers want it. A randomised test takes its seed from test_seed, which prints
// it; WEIR_TEST_SEED repeats a run.
#pragma once

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// Check writes a line to a file at every assertion that holds, to tell where a crash was. Tests
// here make millions: only those that fail speak.
#define _mark_point(file, line) ((void)0)

static inline int check_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline uint64_t test_seed(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("# WEIR_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

// How many of so many random rounds to run: fewer under the sanitizers.
static inline unsigned test_rounds(unsigned rounds)
{
    return getenv("WEIR_TEST_REDUCED") ? rounds / 10 + 1 : rounds;
}

// Adds a case of its own for each test, so that a failure is named by what should have held.
static inline void suite_add(Suite *suite, const TTest *test)
{
    TCase *test_case = tcase_create(test->name);
    tcase_set_timeout(test_case, 60);
    tcase_add_test(test_case, test);
    suite_add_tcase(suite, test_case);
}
