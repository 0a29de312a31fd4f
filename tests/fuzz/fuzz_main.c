// Runs a fuzz target over the files of the folders that are given, without a fuzzer, and prints
// TAP: so that every input that ever mattered stays a test under any compiler. Each input is an
// allocation of its exact size.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz_target.h"

enum { PATH_LENGTH_MAX = 4096, FILES_MAX = 100000 };

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return -1;
    }
    int result = -1;
    if (fseek(file, 0, SEEK_END) == 0) {
        long length = ftell(file);
        rewind(file);
        size_t size = length > 0 ? (size_t)length : 0;
        uint8_t *data = malloc(size ? size : 1);
        if (data && fread(data, 1, size, file) == size) {
            result = LLVMFuzzerTestOneInput(data, size);
        }
        free(data);
    }
    fclose(file);
    return result;
}

static unsigned run_folder(const char *folder, unsigned number)
{
    DIR *entries = opendir(folder);
    if (!entries) {
        printf("not ok %u - %s cannot be opened\n", ++number, folder);
        return number;
    }
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL && number < FILES_MAX) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[PATH_LENGTH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int result = run_file(path);
        printf("%s %u - %s\n", result == 0 ? "ok" : "not ok", ++number, entry->d_name);
        fflush(stdout); // a crash shows which input came before it
    }
    closedir(entries);
    return number;
}

int main(int count, char **arguments)
{
    unsigned number = 0;
    for (int i = 1; i < count; i++) {
        unsigned before = number;
        number = run_folder(arguments[i], number);
        if (number == before) {
            printf("not ok %u - %s is empty\n", ++number, arguments[i]);
        }
    }
    printf("1..%u\n", number);
    return EXIT_SUCCESS;
}
