// The configuration file: YAML, read by libfyaml, which is included here and nowhere else. The
// document is walked once; every error names file, line and column. Nothing is guessed: a number
// must be a plain number, a list a list, and a key that is not known is an error.
#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/config/config.h"

enum { FILE_BYTES_MAX = 1 << 20 };

struct reader {
    struct config *config;
    const char *path;
    struct reason *reason;
};

// Line and column of a node, counted from 1; those of `key` where the node has no mark of its own.
static struct fy_mark mark_of(struct fy_node *node, struct fy_node *key)
{
    struct fy_mark mark = {0};
    struct fy_token *token = node == NULL ? NULL : fy_node_get_scalar_token(node);
    if (token == NULL && key != NULL) {
        token = fy_node_get_scalar_token(key);
    }
    const struct fy_mark *start = token == NULL ? NULL : fy_token_start_mark(token);
    if (start != NULL) {
        mark = *start;
    }
    mark.line++;
    mark.column++;
    if (node != NULL && mark.column > 1 &&
        (fy_node_get_style(node) == FYNS_SINGLE_QUOTED ||
         fy_node_get_style(node) == FYNS_DOUBLE_QUOTED)) {
        mark.column--; // a quoted token begins behind its quote
    }
    return mark;
}

static int fail_at(struct reader *reader, struct fy_node *node, struct fy_node *key,
                   const char *text)
{
    struct fy_mark mark = mark_of(node, key);
    return reason_set(reader->reason, ERR_INVALID, "%s:%d:%d: %s", reader->path, mark.line,
                      mark.column, text);
}

// Copies a scalar's text; false: it is no scalar, or does not fit.
static bool scalar_text(struct fy_node *node, char *out, size_t size)
{
    size_t length = 0;
    const char *text =
        node == NULL || fy_node_is_alias(node) ? NULL : fy_node_get_scalar(node, &length);
    if (text == NULL || length >= size || memchr(text, '\0', length) != NULL) {
        return false;
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

static bool is_plain(struct fy_node *node)
{
    return fy_node_get_style(node) == FYNS_PLAIN;
}

// Sets one value, or one element of a list; `prefix` stands before the scalar's text.
static int set_scalar(struct reader *reader, enum config_key key, struct fy_node *name,
                      struct fy_node *node, const char *prefix)
{
    char value[CONFIG_PATH_BYTES_MAX + 2];
    char text[CONFIG_PATH_BYTES_MAX + 64];
    struct reason why = {0};
    const char *key_name = config_key_name(key);
    bool is_scalar = scalar_text(node, value, sizeof value);
    if (node == NULL ||
        (is_scalar && is_plain(node) &&
         (value[0] == '\0' || strcmp(value, "~") == 0 || strcmp(value, "null") == 0))) {
        reason_set(&why, ERR_INVALID, "%s: a value is missing", key_name);
        return fail_at(reader, name, name, why.text);
    }
    if (!is_scalar || (config_key_is_number(key) && !is_plain(node))) {
        reason_set(&why, ERR_INVALID, "%s: must be %s", key_name,
                   config_key_is_number(key) ? "a number" : "text");
        return fail_at(reader, node, name, why.text);
    }
    snprintf(text, sizeof text, "%s%s", prefix, value);
    struct config_source source = {.origin = CONFIG_FROM_FILE,
                                   .line = (unsigned)mark_of(name, node).line};
    int err = config_set(reader->config, key, source, text, &why);
    return err == 0 ? 0 : fail_at(reader, node, name, why.text);
}

static int set_addresses(struct reader *reader, enum config_key key, struct fy_node *name,
                         struct fy_node *node)
{
    struct reason why = {0};
    if (node == NULL || !fy_node_is_sequence(node)) {
        reason_set(&why, ERR_INVALID, "%s: must be a list, for example [127.0.0.1]",
                   config_key_name(key));
        return fail_at(reader, node, name, why.text);
    }
    struct config_source source = {.origin = CONFIG_FROM_FILE,
                                   .line = (unsigned)mark_of(name, NULL).line};
    config_clear_list(reader->config, key, source);
    void *position = NULL;
    struct fy_node *item;
    while ((item = fy_node_sequence_iterate(node, &position)) != NULL) {
        int err = set_scalar(reader, key, name, item, "");
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int set_log_parts(struct reader *reader, struct fy_node *name, struct fy_node *node)
{
    if (node == NULL || !fy_node_is_mapping(node)) {
        return fail_at(reader, node, name,
                       "log.parts: must be a mapping, for example {store: debug}");
    }
    void *position = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(node, &position)) != NULL) {
        char part[64];
        char prefix[66];
        struct fy_node *part_name = fy_node_pair_key(pair);
        if (!scalar_text(part_name, part, sizeof part)) {
            return fail_at(reader, part_name, name, "log.parts: a part's name must be a word");
        }
        snprintf(prefix, sizeof prefix, "%s=", part);
        int err = set_scalar(reader, CONFIG_LOG_PARTS, part_name, fy_node_pair_value(pair), prefix);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int set_pair(struct reader *reader, const char *section, struct fy_node_pair *pair)
{
    char word[64];
    char name[128];
    struct reason why = {0};
    struct fy_node *key_node = fy_node_pair_key(pair);
    struct fy_node *value = fy_node_pair_value(pair);
    enum config_key key;
    if (!scalar_text(key_node, word, sizeof word)) {
        return fail_at(reader, key_node, value, "a key must be a word");
    }
    snprintf(name, sizeof name, "%s%s", section, word);
    if (config_key_find(name, &key) == CONFIG_UNKNOWN) {
        const char *similar = config_key_similar(name);
        reason_set(&why, ERR_INVALID, "unknown key '%s'%s%s%s", name,
                   similar == NULL ? "" : "; did you mean '", similar == NULL ? "" : similar,
                   similar == NULL ? "" : "'?");
        return fail_at(reader, key_node, NULL, why.text);
    }
    if (key == CONFIG_LOG_PARTS) {
        return set_log_parts(reader, key_node, value);
    }
    if (config_key_is_list(key)) {
        return set_addresses(reader, key, key_node, value);
    }
    return set_scalar(reader, key, key_node, value, "");
}

static int walk(struct reader *reader, struct fy_node *root)
{
    void *position = NULL;
    struct fy_node_pair *pair;
    if (!fy_node_is_mapping(root)) {
        return fail_at(reader, root, NULL, "must be keys with values, for example port: 3000");
    }
    while ((pair = fy_node_mapping_iterate(root, &position)) != NULL) {
        char word[64];
        struct fy_node *section = fy_node_pair_value(pair);
        if (!scalar_text(fy_node_pair_key(pair), word, sizeof word) || strcmp(word, "log") != 0) {
            int err = set_pair(reader, "", pair);
            if (err != 0) {
                return err;
            }
            continue;
        }
        if (section == NULL || !fy_node_is_mapping(section)) {
            return fail_at(reader, section, fy_node_pair_key(pair),
                           "log: must be a mapping, for example {level: debug}");
        }
        void *inner = NULL;
        struct fy_node_pair *inner_pair;
        while ((inner_pair = fy_node_mapping_iterate(section, &inner)) != NULL) {
            int err = set_pair(reader, "log.", inner_pair);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

// What libfyaml has to say about a file that is no YAML.
static int fail_by_parser(struct reader *reader, struct fy_diag *diag)
{
    void *position = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &position);
    if (error == NULL || error->msg == NULL) {
        return reason_set(reader->reason, ERR_INVALID, "%s: is not valid YAML", reader->path);
    }
    return reason_set(reader->reason, ERR_INVALID, "%s:%d:%d: %s", reader->path, error->line,
                      error->column, error->msg);
}

static int parse_text(struct reader *reader, const char *text, size_t length)
{
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (diag == NULL) {
        return reason_set(reader->reason, ERR_MEMORY, "%s: no memory", reader->path);
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg parse_config = {.flags = FYPCF_DEFAULT_PARSE | FYPCF_QUIET, .diag = diag};
    struct fy_document *document = fy_document_build_from_string(&parse_config, text, length);
    int err;
    if (document == NULL) {
        err = fail_by_parser(reader, diag);
    } else {
        struct fy_node *root = fy_document_root(document);
        err = root == NULL ? 0 : walk(reader, root);
    }
    fy_document_destroy(document);
    fy_diag_destroy(diag);
    return err;
}

// Nothing but blanks and comments: libfyaml has no document for it.
static bool is_blank(const char *text)
{
    while (*text != '\0') {
        text += strspn(text, " \t\r\n");
        if (*text == '#') {
            text += strcspn(text, "\n");
        } else if (*text != '\0') {
            return false;
        }
    }
    return true;
}

int config_read_file(struct config *config, const char *path, struct reason *reason)
{
    struct reader reader = {.config = config, .path = path, .reason = reason};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return reason_set(reason, ERR_INVALID, "%s: cannot read the configuration: %s", path,
                          strerror(errno));
    }
    char *text = malloc(FILE_BYTES_MAX + 1);
    size_t length = text == NULL ? 0 : fread(text, 1, FILE_BYTES_MAX, file);
    int err;
    if (text == NULL) {
        err = reason_set(reason, ERR_MEMORY, "%s: no memory", path);
    } else if (ferror(file) != 0) {
        err = reason_set(reason, ERR_INVALID, "%s: cannot read the configuration: %s", path,
                         strerror(errno));
    } else if (length == FILE_BYTES_MAX || memchr(text, '\0', length) != NULL) {
        err = reason_set(reason, ERR_INVALID, "%s: is not a configuration file", path);
    } else {
        text[length] = '\0';
        err = is_blank(text) ? 0 : parse_text(&reader, text, length);
    }
    free(text);
    fclose(file);
    return err;
}
