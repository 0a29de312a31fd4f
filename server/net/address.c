// Only Internet addresses have a host and a port here; a Unix socket is always on this machine.
#include "server/net/address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

socklen_t net_address_length(const union net_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->in6 : sizeof address->in;
}

uint16_t net_address_port(const union net_address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->in6.sin6_port
                                                    : address->in.sin_port);
}

void net_address_set_port(union net_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6) {
        address->in6.sin6_port = htons(port);
    } else {
        address->in.sin_port = htons(port);
    }
}

void net_address_format(const union net_address *address, socklen_t length, char *out, size_t size)
{
    char host[64];
    char port[8];
    if (getnameinfo(&address->any, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(out, size, "unknown");
        return;
    }
    snprintf(out, size, address->any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool is_same_host(const union net_address *a, const union net_address *b)
{
    if (a->any.sa_family != b->any.sa_family) {
        return false;
    }
    return a->any.sa_family == AF_INET6
               ? memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0
               : a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

static bool is_loopback(const union net_address *address)
{
    if (address->any.sa_family == AF_INET) {
        return ntohl(address->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct in6_addr *host = &address->in6.sin6_addr;
    return address->any.sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(host) ||
            (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == IN_LOOPBACKNET));
}

static bool both_sides(int fd, union net_address *ours, union net_address *theirs)
{
    socklen_t length = sizeof *ours;
    if (getsockname(fd, &ours->any, &length) != 0) {
        return false;
    }
    length = sizeof *theirs;
    return getpeername(fd, &theirs->any, &length) == 0;
}

bool net_address_is_local(int fd)
{
    union net_address ours = {0};
    union net_address theirs = {0};
    if (!both_sides(fd, &ours, &theirs)) {
        return false;
    }
    if (ours.any.sa_family == AF_UNIX) {
        return true;
    }
    return ours.any.sa_family == AF_INET || ours.any.sa_family == AF_INET6
               ? is_loopback(&theirs) || is_same_host(&ours, &theirs)
               : false;
}

bool net_address_is_self(int fd)
{
    union net_address ours = {0};
    union net_address theirs = {0};
    return both_sides(fd, &ours, &theirs) && ours.any.sa_family != AF_UNIX &&
           is_same_host(&ours, &theirs) && net_address_port(&ours) == net_address_port(&theirs);
}

bool net_address_split(const char *text, char *host, uint16_t *port_out)
{
    const char *colon = strrchr(text, ':');
    const char *end = colon;
    if (colon == NULL || colon == text) {
        return false;
    }
    if (text[0] == '[') {
        text++;
        end = colon - 1;
        if (*end != ']') {
            return false;
        }
    } else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return false; // an IPv6 address without brackets
    }
    size_t digits = strspn(colon + 1, "0123456789");
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (end <= text || digits == 0 || digits > 5 || colon[1 + digits] != '\0' || port == 0 ||
        port > UINT16_MAX) {
        return false;
    }
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    *port_out = (uint16_t)port;
    return true;
}

void net_set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}
