// The effective configuration as YAML that can be used as a file again, and the search for the key
// that somebody may have meant.
#include <stdlib.h>
#include <string.h>

#include "server/config/config.h"
#include "server/config/memory_budget.h"

static void describe_source(const struct config *config, struct config_source source,
                            enum config_key key, char out[128])
{
    switch (source.origin) {
    case CONFIG_FROM_DEFAULT:
        snprintf(out, 128, "default");
        break;
    case CONFIG_FROM_FILE:
        snprintf(out, 128, "file, line %u", source.line);
        break;
    case CONFIG_FROM_ENVIRONMENT:
        snprintf(out, 128, "environment, %s", config_key_environment(key));
        break;
    case CONFIG_FROM_FLAG:
        snprintf(out, 128, "flag, %s", config_key_flag(key));
        break;
    }
}

// A YAML scalar; quoted unless it is plain beyond doubt.
static void format_text(const char *text, char *out, size_t size)
{
    static const char PLAIN[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
    if (text[0] != '\0' && text[0] != '-' && strspn(text, PLAIN) == strlen(text)) {
        snprintf(out, size, "%s", text);
        return;
    }
    size_t length = 0;
    out[length++] = '\'';
    for (const char *c = text; *c != '\0' && length + 4 < size; c++) {
        if (*c == '\'') {
            out[length++] = '\'';
        }
        out[length++] = *c;
    }
    out[length++] = '\'';
    out[length] = '\0';
}

static void print_line(FILE *out, const char *indent, const char *name, const char *value,
                       const char *source)
{
    int width = 36 - (int)strlen(indent) - (int)strlen(name) - (value[0] == '\0' ? 1 : 2);
    fprintf(out, "%s%s:%s%-*s # %s\n", indent, name, value[0] == '\0' ? "" : " ",
            width > 1 ? width : 1, value, source);
}

static const char *text_of(const struct config *config, enum config_key key)
{
    return key == CONFIG_DATA_DIR              ? config->data_dir
           : key == CONFIG_CLUSTER_NAME        ? config->cluster_name
           : key == CONFIG_SOCKET              ? config->socket
           : key == CONFIG_ADVERTISE           ? config->advertise
           : key == CONFIG_CLUSTER_SECRET_FILE ? config->cluster_secret_file
                                               : config->log_dest;
}

static void format_value(const struct config *config, enum config_key key,
                         const struct machine *machine, char *out, size_t size)
{
    if (config_key_is_number(key)) {
        uint64_t number = config_number(config, key, machine);
        if (number == CONFIG_AUTO) {
            snprintf(out, size, "auto");
        } else {
            snprintf(out, size, "%llu", (unsigned long long)number);
        }
    } else if (key == CONFIG_COMPRESSION) {
        snprintf(out, size, "%s", config->compression == CONFIG_COMPRESSION_LZ4 ? "lz4" : "none");
    } else if (key == CONFIG_BOOTSTRAP) {
        snprintf(out, size, "%s", config->bootstrap != 0 ? "true" : "false");
    } else if (key == CONFIG_LOG_LEVEL) {
        snprintf(out, size, "%s", config_level_name(config->log_level));
    } else {
        format_text(text_of(config, key), out, size);
    }
}

static void print_addresses(const struct config *config, enum config_key key, const char *source,
                            FILE *out)
{
    bool is_listen = key == CONFIG_LISTEN;
    unsigned count = is_listen ? config->listen_count : config->peers_count;
    print_line(out, "", config_key_name(key), count == 0 ? "[]" : "", source);
    for (unsigned i = 0; i < count; i++) {
        char text[2 * CONFIG_ADDRESS_BYTES_MAX];
        format_text(is_listen ? config->listen[i] : config->peers[i], text, sizeof text);
        fprintf(out, "  - %s\n", text);
    }
}

static void print_log_parts(const struct config *config, FILE *out)
{
    if (config->log_parts_count == 0) {
        print_line(out, "  ", "parts", "{}", "default");
        return;
    }
    fprintf(out, "  parts:\n");
    for (unsigned i = 0; i < config->log_parts_count; i++) {
        char source[128];
        const struct config_log_part *part = &config->log_parts[i];
        describe_source(config, part->source, CONFIG_LOG_PARTS, source);
        print_line(out, "    ", part->name, config_level_name(part->level), source);
    }
}

void config_print(const struct config *config, const struct machine *machine, FILE *out)
{
    fprintf(out, "# weir-server %s%s%s\n", WEIR_VERSION, config->file[0] == '\0' ? "" : ", file ",
            config->file);
    for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
        char source[128];
        char value[2 * CONFIG_PATH_BYTES_MAX];
        const char *name = config_key_name(key);
        bool is_nested = strncmp(name, "log.", 4) == 0;
        describe_source(config, config->sources[key], key, source);
        if (key == CONFIG_LOG_LEVEL) {
            fprintf(out, "log:\n");
        }
        if (key == CONFIG_LOG_PARTS) {
            print_log_parts(config, out);
        } else if (config_key_is_list(key)) {
            print_addresses(config, key, source, out);
        } else {
            format_value(config, key, machine, value, sizeof value);
            print_line(out, is_nested ? "  " : "", is_nested ? name + 4 : name, value, source);
        }
    }
    struct memory_budget budget = memory_budget_divide(
        config->max_memory_mb * MIB,
        config->recent_cache_mb == CONFIG_AUTO ? UINT64_MAX : config->recent_cache_mb * MIB);
    memory_budget_print(&budget, out);
}

// Insertions, deletions and replacements between two short words.
static unsigned edit_distance(const char *a, const char *b)
{
    enum { WORD_MAX = 40 };
    unsigned row[WORD_MAX + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > WORD_MAX || b_length > WORD_MAX) {
        return WORD_MAX;
    }
    for (unsigned j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            unsigned shifted = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shifted ? replaced : shifted;
        }
    }
    return row[b_length];
}

const char *config_key_similar(const char *name)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(name) / 2 + 1;
    best_distance = best_distance < 4 ? best_distance : 4;
    for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
        unsigned distance = edit_distance(name, config_key_name(key));
        if (distance < best_distance) {
            best_distance = distance;
            best = config_key_name(key);
        }
    }
    return best;
}
