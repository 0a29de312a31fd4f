// Addresses, as people write them. A bare IPv6 address has several colons and is a
// host; with a port it stands in brackets.
#include <stdlib.h>
#include <string.h>

#include "server/config/config.h"

static int invalid(const char *text, struct reason *reason)
{
    return reason_set(reason, ERR_INVALID,
                      "'%.100s' is not an address; valid are host, host:port, "
                      "[ipv6]:port and *",
                      text);
}

int config_split_address(const char *text, uint64_t port_default, char *host_out,
                         uint16_t *port_out, struct reason *reason)
{
    const char *host = text;
    size_t host_length = strlen(text);
    const char *port = NULL;
    if (host_length == 0 || host_length > CONFIG_ADDRESS_BYTES_MAX) {
        return invalid(text, reason);
    }
    const char *colon = strchr(text, ':');
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return invalid(text, reason);
        }
        host = text + 1;
        host_length = (size_t)(end - host);
        port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        host_length = (size_t)(colon - text);
        port = colon + 1;
    }
    for (size_t i = 0; i < host_length; i++) {
        if ((unsigned char)host[i] <= 0x20 || host[i] == 0x7f || host[i] == '/') {
            return invalid(text, reason);
        }
    }
    unsigned long number = (unsigned long)port_default;
    if (port != NULL) {
        size_t digits = strspn(port, "0123456789");
        number = strtoul(port, NULL, 10);
        if (digits == 0 || digits > 5 || port[digits] != '\0' || number > 65535) {
            return invalid(text, reason);
        }
    }
    if (host_length == 0 && host != text) {
        return invalid(text, reason);
    }
    memcpy(host_out, host_length == 0 ? "*" : host, host_length == 0 ? 1 : host_length);
    host_out[host_length == 0 ? 1 : host_length] = '\0';
    *port_out = (uint16_t)number;
    return 0;
}
