// The options that say where the node is: the same before and behind the subcommand.
#pragma once

#include <argp.h>
#include <stdbool.h>

enum { CONNECTION_ADDRESS_SIZE = 288, CONNECTION_PATH_MAX = 107, CONNECTION_HOST_MAX = 255 };

struct connection_options {
    const char *host; // NULL: not given
    const char *port;
    const char *socket_path;
    bool is_verbose;
};

// A parser for use as a child; its input is a struct connection_options.
extern const struct argp connection_options_argp;

// What was given, else WEIR_HOST, WEIR_PORT, WEIR_SOCKET, else localhost and 3000; as an address of
// libweir.
void connection_options_address(const struct connection_options *options,
                                char out[CONNECTION_ADDRESS_SIZE]);

// "host:port", with brackets where the host is an IPv6 address.
void connection_address_format(const char *host, const char *port,
                               char out[CONNECTION_ADDRESS_SIZE]);
