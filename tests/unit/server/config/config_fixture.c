// Texts become files of a fixed name in a directory of their own, so that error messages can be
// compared whole.
#include "tests/unit/server/config/config_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int read_text(struct config *config, const char *text, struct reason *reason)
{
    char directory[] = "/tmp/weir-test-XXXXXX";
    char before[1024];
    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    FILE *file = fopen("weir.yaml", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    ck_assert_int_eq(fclose(file), 0);
    int err = config_read_file(config, "weir.yaml", reason);
    ck_assert_int_eq(unlink("weir.yaml"), 0);
    ck_assert_int_eq(chdir(before), 0);
    ck_assert_int_eq(rmdir(directory), 0);
    return err;
}

// The program's own arguments are not const, but nobody writes to them.
static char **writable(const char **texts)
{
    return (char **)(uintptr_t)texts;
}

int read_variable_list(struct config *config, const char **variables, struct reason *reason)
{
    return config_read_environment(config, writable(variables), reason);
}

int read_flag_list(struct config *config, const char **flags, struct reason *reason)
{
    int count = 0;
    while (flags[count] != NULL) {
        count++;
    }
    return config_read_flags(config, count, writable(flags), reason);
}

void print_values(const struct config *config, struct printed *out)
{
    char text[16384];
    FILE *file = fmemopen(text, sizeof text, "w");
    ck_assert_ptr_nonnull(file);
    config_print(config, &(struct machine){.cores = 4, .files_max = 20000}, file);
    ck_assert_int_eq(fclose(file), 0);
    size_t length = 0;
    char *state = NULL;
    for (char *line = strtok_r(text, "\n", &state); line != NULL;
         line = strtok_r(NULL, "\n", &state)) {
        const char *comment = strrchr(line, '#');
        size_t kept = comment == NULL ? strlen(line) : (size_t)(comment - line);
        while (kept > 0 && line[kept - 1] == ' ') {
            kept--;
        }
        memcpy(out->text + length, line, kept);
        length += kept;
        out->text[length++] = '\n';
    }
    out->text[length] = '\0';
}
