// Addresses of sockets. Internal to server/net.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

union net_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

enum { NET_ADDRESS_TEXT_MAX = 127 };

// How much of it the system wants to see.
socklen_t net_address_length(const union net_address *address);

uint16_t net_address_port(const union net_address *address);
void net_address_set_port(union net_address *address, uint16_t port);

// "127.0.0.1:3000", "[::1]:3000"; "unknown" for other families. `out` of `size` bytes.
void net_address_format(const union net_address *address, socklen_t length, char *out, size_t size);

// Whether the other side of a connected socket is on this machine: a Unix socket, loopback, or
// both sides have the same host.
bool net_address_is_local(int fd);

// Whether both sides of a connected socket are one: a dial that met itself.
bool net_address_is_self(int fd);

// Splits "host:port", "[::1]:3000". `host` of at least strlen(text) bytes. false: it is no such
// text, or the port is none.
bool net_address_split(const char *text, char *host, uint16_t *port_out);

// Only makes things better: without it the connection works as well.
void net_set_option(int fd, int level, int name, int value);
