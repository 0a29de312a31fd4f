// A variable is a C string, and its name should be one that a shell can say: what does not fit is
// left out, not bent.

#include "client-cli/command_environment.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-cli/calendar.h"
#include "client-cli/parked.h"
#include "proto/base/err.h"

#define ATTRIBUTE_PREFIX "WEIR_ATTRIBUTE_"

// Linux takes 128 KiB for a variable, name and NUL included.
enum { VARIABLE_BYTES_MAX = 128 * 1024 - 1 };

void command_environment_deinit(struct command_environment *environment)
{
    for (size_t i = 0; i < environment->count; i++) {
        free(environment->variables[i]);
    }
    free(environment->variables);
    *environment = (struct command_environment){0};
}

// Takes the text, also when it fails; NULL: there was no memory for it.
static int add_taken(struct command_environment *environment, char *text)
{
    if (!text) {
        return WEIR_ERR_MEMORY;
    }
    if (environment->count + 1 >= environment->max) {
        size_t max = environment->max > 0 ? 2 * environment->max : 64;
        char **grown = reallocarray(environment->variables, max, sizeof *grown);
        if (!grown) {
            free(text);
            return WEIR_ERR_MEMORY;
        }
        environment->variables = grown;
        environment->max = max;
    }
    environment->variables[environment->count++] = text;
    environment->variables[environment->count] = NULL;
    return 0;
}

static PRINTF_LIKE(2, 3) int add(struct command_environment *environment, const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return add_taken(environment, length < 0 ? NULL : text);
}

static bool is_of_an_event(const char *variable)
{
    static const char *const names[] = {
        "WEIR_SUBSCRIPTION=", "WEIR_ID=",      "WEIR_NAMESPACE=", "WEIR_TIMESTAMP=",
        "WEIR_PARENT=",       "WEIR_ATTEMPT=", ATTRIBUTE_PREFIX,
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

// "WEIR_ATTRIBUTE_CONTENT_TYPE=" of content-type; the length with the equals sign.
static size_t format_name(struct weir_bytes key, char *out)
{
    size_t length = strlen(ATTRIBUTE_PREFIX);
    memcpy(out, ATTRIBUTE_PREFIX, length);
    for (size_t i = 0; i < key.length; i++) {
        char byte = ((const char *)key.data)[i];
        bool is_lower = byte >= 'a' && byte <= 'z';
        bool is_kept = (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        out[length++] = is_lower ? (char)(byte - 'a' + 'A') : is_kept ? byte : '_';
    }
    out[length++] = '=';
    return length;
}

static bool has_name(const struct command_environment *environment, const char *name, size_t length)
{
    for (size_t i = 0; i < environment->count; i++) {
        if (strncmp(environment->variables[i], name, length) == 0) {
            return true;
        }
    }
    return false;
}

// NULL: it was added, or *err_out says why not.
static const char *add_attribute(struct command_environment *environment,
                                 const struct weir_attribute *attribute, int *err_out)
{
    size_t name_max = strlen(ATTRIBUTE_PREFIX) + attribute->key.length + 1;
    size_t value_length = attribute->value.length;
    if (name_max + value_length > VARIABLE_BYTES_MAX) {
        return "its value is too long for a variable";
    }
    if (value_length > 0 && memchr(attribute->value.data, '\0', value_length)) {
        return "its value has a byte of zero";
    }
    char *text = malloc(name_max + value_length + 1);
    if (!text) {
        *err_out = WEIR_ERR_MEMORY;
        return NULL;
    }
    size_t length = format_name(attribute->key, text);
    if (has_name(environment, text, length)) {
        free(text);
        return "another one has the same variable";
    }
    if (value_length > 0) {
        memcpy(text + length, attribute->value.data, value_length);
    }
    text[length + value_length] = '\0';
    *err_out = add_taken(environment, text);
    return NULL;
}

static int add_attributes(struct command_environment *environment, const struct weir_event *event,
                          command_environment_left_out *left_out, void *context)
{
    static const char parent[] = "p";
    struct weir_attribute attribute;
    size_t position = 0;
    int outcome;
    while ((outcome = weir_event_attribute(event, &position, &attribute)) == 0) {
        if (attribute.key.length == 1 && memcmp(attribute.key.data, parent, 1) == 0) {
            continue;
        }
        char was[WEIR_ID_TEXT_SIZE];
        if (parked_was(event, &attribute, was)) {
            attribute.value = weir_text(was);
        }
        int err = 0;
        const char *why = add_attribute(environment, &attribute, &err);
        if (err != 0) {
            return err;
        }
        if (why) {
            left_out(context, attribute.key, why);
        }
    }
    return outcome == WEIR_NOTHING ? 0 : outcome;
}

int command_environment_make(struct command_environment *environment, char *const *inherited,
                             const char *subscription, const struct weir_event *event,
                             command_environment_left_out *left_out, void *context)
{
    char id[WEIR_ID_TEXT_SIZE];
    char parent[WEIR_ID_TEXT_SIZE];
    char timestamp[TIMESTAMP_TEXT_LENGTH + 1];
    int err = 0;
    for (size_t i = 0; err == 0 && inherited[i]; i++) {
        if (!is_of_an_event(inherited[i])) {
            err = add_taken(environment, strdup(inherited[i]));
        }
    }
    weir_id_format(event->id, id);
    weir_id_format(event->parent, parent);
    timestamp_format(event->timestamp_ms, timestamp);
    err = err != 0 ? err : add(environment, "WEIR_SUBSCRIPTION=%s", subscription);
    err = err != 0 ? err : add(environment, "WEIR_ID=%s", id);
    err = err != 0 ? err
                   : add(environment, "WEIR_NAMESPACE=%.*s", (int)event->name.length,
                         (const char *)event->name.data);
    err = err != 0 ? err : add(environment, "WEIR_TIMESTAMP=%s", timestamp);
    err = err != 0 ? err : add(environment, "WEIR_ATTEMPT=%" PRIu32, event->attempt);
    if (err == 0 && event->parent.counter > 0) {
        err = add(environment, "WEIR_PARENT=%s", parent);
    }
    return err != 0 ? err : add_attributes(environment, event, left_out, context);
}
