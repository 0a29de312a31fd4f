// A flag beats the environment, also across kinds: -H or -p beats WEIR_SOCKET.

#include "client-cli/connection_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-cli/parse.h"
#include "client/weir.h"

enum { OPTION_SOCKET = 0x100 };

static const struct argp_option options[] = {
    {"host", 'H', "HOST[,...]", 0,
     "The node, or nodes of one cluster, each HOST or HOST:PORT; repeatable: the first one that "
     "answers, and the next one when it is gone (default: $WEIR_HOST or localhost)",
     90},
    {"port", 'p', "PORT", 0, "Port of a HOST without one (default: $WEIR_PORT or 3000)", 90},
    {"socket", OPTION_SOCKET, "PATH", 0, "Its Unix socket, instead (default: $WEIR_SOCKET)", 90},
    {"verbose", 'v', NULL, 0, "Say more, on stderr", 90},
    {0},
};

static void check_port(struct argp_state *state, const char *text, const char *where)
{
    uint64_t port;
    if (!parse_number(text, 1, 65535, &port)) {
        argp_error(state, "%s is not a port: '%s' (1 to 65535)", where, text);
    }
}

static void check_socket_path(struct argp_state *state, const char *path)
{
    if (strlen(path) > CONNECTION_PATH_MAX || !*path) {
        argp_error(state, "--socket: a path of 1 to %d bytes is needed, not '%s'",
                   CONNECTION_PATH_MAX, path);
    }
}

// As an address of libweir; the length is at most CONNECTION_HOST_MAX.
static void format_address(const char *text, size_t length, const char *port,
                           char out[CONNECTION_ADDRESS_SIZE])
{
    const char *colon = memchr(text, ':', length);
    bool is_ipv6 = colon && text[0] != '[' && memrchr(text, ':', length) != colon;
    bool has_port = colon && !is_ipv6 && !(text[0] == '[' && text[length - 1] == ']');
    snprintf(out, CONNECTION_ADDRESS_SIZE, "%s%.*s%s%s", is_ipv6 ? "[" : "", (int)length, text,
             is_ipv6    ? "]:"
             : has_port ? ""
                        : ":",
             has_port ? "" : port);
}

// The next of a list between commas, which may be empty. False: there is none.
static bool next_host(const char **rest, const char **text_out, size_t *length_out)
{
    if (!*rest) {
        return false;
    }
    *text_out = *rest;
    *length_out = strcspn(*rest, ",");
    *rest = (*rest)[*length_out] ? *rest + *length_out + 1 : NULL;
    return true;
}

// Returns how many there are.
static size_t check_hosts(struct argp_state *state, const char *list, const char *where)
{
    const char *rest = list;
    const char *text;
    size_t length;
    size_t count = 0;
    for (; next_host(&rest, &text, &length); count++) {
        char address[CONNECTION_ADDRESS_SIZE];
        struct weir_address_parts parts;
        struct weir_reason reason = {0};
        if (length == 0) {
            argp_error(state, "%s: '%s' lacks a host", where, list);
        } else if (length > CONNECTION_HOST_MAX) {
            argp_error(state, "%s: longer than %d bytes", where, CONNECTION_HOST_MAX);
        } else {
            format_address(text, length, "3000", address);
            if (weir_address_split(address, &parts, &reason) != 0) {
                argp_error(state, "%s: %s", where, reason.text);
            }
        }
    }
    return count;
}

static void check_count(struct argp_state *state, size_t count, const char *where)
{
    if (count > CONNECTION_ADDRESSES_MAX) {
        argp_error(state, "%s: more than %d addresses", where, CONNECTION_ADDRESSES_MAX);
    }
}

static void add_hosts(struct connection_options *connection, const char *list,
                      struct argp_state *state)
{
    connection->addresses_count += check_hosts(state, list, "-H");
    check_count(state, connection->addresses_count, "-H");
    if (connection->addresses_count <= CONNECTION_ADDRESSES_MAX) {
        connection->hosts[connection->hosts_count++] = list;
    }
}

static void check_environment(const struct connection_options *connection, struct argp_state *state)
{
    const char *host = getenv("WEIR_HOST");
    const char *port = getenv("WEIR_PORT");
    if (connection->hosts_count == 0 && host && *host) {
        check_count(state, check_hosts(state, host, "WEIR_HOST"), "WEIR_HOST");
    }
    if (!connection->port && port && *port) {
        check_port(state, port, "WEIR_PORT");
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct connection_options *connection = state->input;
    switch (key) {
    case 'H':
        add_hosts(connection, argument, state);
        return 0;
    case 'p':
        check_port(state, argument, "-p");
        connection->port = argument;
        return 0;
    case OPTION_SOCKET:
        check_socket_path(state, argument);
        connection->socket_path = argument;
        return 0;
    case 'v':
        connection->is_verbose = true;
        return 0;
    case ARGP_KEY_END:
        check_environment(connection, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp connection_options_argp = {.options = options, .parser = parse};

static const char *first_of(const char *given, const char *variable, const char *otherwise)
{
    const char *value = given ? given : getenv(variable);
    return value && *value ? value : otherwise;
}

void connection_address_format(const char *host, const char *port,
                               char out[CONNECTION_ADDRESS_SIZE])
{
    bool is_ipv6 = strchr(host, ':') && host[0] != '[';
    snprintf(out, CONNECTION_ADDRESS_SIZE, is_ipv6 ? "[%.*s]:%s" : "%.*s:%s", CONNECTION_HOST_MAX,
             host, port);
}

static void add_addresses(struct connection_addresses *addresses, const char *list,
                          const char *port)
{
    const char *text;
    size_t length;
    while (next_host(&list, &text, &length) && addresses->count < CONNECTION_ADDRESSES_MAX) {
        char *out = addresses->texts[addresses->count];
        addresses->list[addresses->count++] = out;
        format_address(text, length, port, out);
    }
}

void connection_options_addresses(const struct connection_options *connection,
                                  struct connection_addresses *addresses)
{
    bool is_tcp = connection->hosts_count > 0 || connection->port;
    const char *path = is_tcp && !connection->socket_path
                           ? NULL
                           : first_of(connection->socket_path, "WEIR_SOCKET", NULL);
    const char *port = first_of(connection->port, "WEIR_PORT", "3000");
    addresses->count = 0;
    if (path) {
        snprintf(addresses->texts[0], CONNECTION_ADDRESS_SIZE, path[0] == '/' ? "%s" : "./%s",
                 path);
        addresses->list[addresses->count++] = addresses->texts[0];
    } else if (connection->hosts_count == 0) {
        add_addresses(addresses, first_of(NULL, "WEIR_HOST", "localhost"), port);
    }
    for (size_t i = 0; !path && i < connection->hosts_count; i++) {
        add_addresses(addresses, connection->hosts[i], port);
    }
}
