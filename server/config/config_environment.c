// Configuration by environment variables, for containers. Lists are separated by commas. An empty
// variable counts as not set. Variables of the client (WEIR_HOST) share the prefix and are left
// alone; one that nobody knows is only warned of, because it may be meant for another program.
#include <string.h>

#include "server/config/config.h"

static int set_list(struct config *config, enum config_key key, struct config_source source,
                    const char *text, struct reason *reason)
{
    char copy[2048];
    if (strlen(text) >= sizeof copy) {
        return reason_set(reason, ERR_LIMIT, "%s: too long", config_key_name(key));
    }
    memcpy(copy, text, strlen(text) + 1);
    char *state = NULL;
    for (char *word = strtok_r(copy, ", ", &state); word != NULL;
         word = strtok_r(NULL, ", ", &state)) {
        int err = config_set(config, key, source, word, reason);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int set_variable(struct config *config, const char *name, const char *text,
                        struct reason *reason)
{
    struct config_source source = {.origin = CONFIG_FROM_ENVIRONMENT};
    for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
        if (strcmp(name, config_key_environment(key)) == 0) {
            return config_key_is_list(key) ? set_list(config, key, source, text, reason)
                                           : config_set(config, key, source, text, reason);
        }
    }
    if (strcmp(name, "WEIR_CONFIG") == 0) {
        if (strlen(text) > CONFIG_PATH_BYTES_MAX) {
            return reason_set(reason, ERR_LIMIT, "the path is too long");
        }
        if (config->file[0] == '\0') {
            memcpy(config->file, text, strlen(text) + 1);
        }
        return 0;
    }
    if (strcmp(name, "WEIR_HOST") != 0) {
        config_warn(config, "environment variable %.100s is not one of weir-server's: ignored",
                    name);
    }
    return 0;
}

int config_read_environment(struct config *config, char **environment, struct reason *reason)
{
    for (char **variable = environment; *variable != NULL; variable++) {
        const char *equals = strchr(*variable, '=');
        if (strncmp(*variable, "WEIR_", 5) != 0 || equals == NULL || equals[1] == '\0') {
            continue;
        }
        char name[128];
        size_t length = (size_t)(equals - *variable);
        if (length >= sizeof name) {
            continue;
        }
        memcpy(name, *variable, length);
        name[length] = '\0';
        struct reason why = {0};
        int err = set_variable(config, name, equals + 1, &why);
        if (err != 0) {
            return reason_set(reason, err, "environment variable %s: %s", name, why.text);
        }
    }
    return 0;
}
