// The options that say where the nodes are: the same before and behind the subcommand.
#pragma once

#include <argp.h>
#include <stdbool.h>

enum {
    CONNECTION_ADDRESS_SIZE = 288,
    CONNECTION_ADDRESSES_MAX = 64, // what libweir takes
    CONNECTION_PATH_MAX = 107,
    CONNECTION_HOST_MAX = 255,
};

struct connection_options {
    const char *hosts[CONNECTION_ADDRESSES_MAX]; // each HOST[:PORT], or several between commas
    size_t hosts_count;                          // 0: none was given
    size_t addresses_count;                      // in them
    const char *port;
    const char *socket_path;
    bool is_verbose;
};

// A parser for use as a child; its input is a struct connection_options.
extern const struct argp connection_options_argp;

// Addresses of libweir. The list points into the texts.
struct connection_addresses {
    const char *list[CONNECTION_ADDRESSES_MAX];
    size_t count; // at least 1
    char texts[CONNECTION_ADDRESSES_MAX][CONNECTION_ADDRESS_SIZE];
};

// What was given, else WEIR_HOST, WEIR_PORT, WEIR_SOCKET, else localhost and 3000; in the order in
// which they were given.
void connection_options_addresses(const struct connection_options *options,
                                  struct connection_addresses *out);

// "host:port", with brackets where the host is an IPv6 address.
void connection_address_format(const char *host, const char *port,
                               char out[CONNECTION_ADDRESS_SIZE]);
