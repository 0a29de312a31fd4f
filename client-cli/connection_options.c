// A flag beats the environment, also across kinds: -H or -p beats WEIR_SOCKET.

#include "client-cli/connection_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-cli/parse.h"

enum { OPTION_SOCKET = 0x100 };

static const struct argp_option options[] = {
    {"host", 'H', "HOST", 0, "Name or address of the node (default: $WEIR_HOST or localhost)", 90},
    {"port", 'p', "PORT", 0, "Its port (default: $WEIR_PORT or 3000)", 90},
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

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct connection_options *connection = state->input;
    switch (key) {
    case 'H':
        if (strlen(argument) > CONNECTION_HOST_MAX) {
            argp_error(state, "-H: longer than %d bytes", CONNECTION_HOST_MAX);
        }
        connection->host = argument;
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
        if (!connection->port && getenv("WEIR_PORT") && *getenv("WEIR_PORT")) {
            check_port(state, getenv("WEIR_PORT"), "WEIR_PORT");
        }
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

void connection_options_address(const struct connection_options *connection,
                                char out[CONNECTION_ADDRESS_SIZE])
{
    bool is_tcp = connection->host || connection->port;
    const char *path = is_tcp && !connection->socket_path
                           ? NULL
                           : first_of(connection->socket_path, "WEIR_SOCKET", NULL);
    if (path) {
        snprintf(out, CONNECTION_ADDRESS_SIZE, path[0] == '/' ? "%s" : "./%s", path);
    } else {
        connection_address_format(first_of(connection->host, "WEIR_HOST", "localhost"),
                                  first_of(connection->port, "WEIR_PORT", "3000"), out);
    }
}
