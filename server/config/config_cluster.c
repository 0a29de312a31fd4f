// What a node must know to be one of a cluster: whom to dial, where it can be dialled itself, and
// the secret by which members know each other. The secret comes from a file that only its owner may
// read, never from the command line or the environment, which others can see.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config/config.h"

static int join(const char *host, uint16_t port, char *out, struct reason *reason)
{
    bool is_v6 = strchr(host, ':') != NULL;
    int length = snprintf(out, CONFIG_ADDRESS_BYTES_MAX + 1, is_v6 ? "[%s]:%u" : "%s:%u", host,
                          (unsigned)port);
    return length <= CONFIG_ADDRESS_BYTES_MAX
               ? 0
               : reason_set(reason, ERR_LIMIT, "the address %.100s... is too long", host);
}

// With the port of this node where there is none: nodes of a cluster mostly have the same.
static int complete(const struct config *config, const char *text, uint64_t port_default, char *out,
                    struct reason *reason)
{
    enum { PORT_DEFAULT = 3000 };
    char host[CONFIG_ADDRESS_BYTES_MAX + 1];
    uint16_t port = 0;
    uint64_t own = port_default != 0 ? port_default : config->port;
    int err = config_split_address(text, own != 0 ? own : PORT_DEFAULT, host, &port, reason);
    return err == 0 ? join(host, port, out, reason) : err;
}

int config_peer_address(const struct config *config, unsigned peer, char *out,
                        struct reason *reason)
{
    return complete(config, config->peers[peer], 0, out, reason);
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

static bool is_every(const char *host)
{
    return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

int config_advertise(const struct config *config, const char *const *listeners, unsigned count,
                     char *out, struct reason *reason)
{
    const char *best = NULL;
    bool is_beyond = false; // best is more than loopback
    bool is_open = false;   // to more than loopback
    uint16_t port = 0;
    for (unsigned i = 0; i < count; i++) {
        char host[CONFIG_ADDRESS_BYTES_MAX + 1];
        uint16_t own = 0;
        if (strncmp(listeners[i], "unix:", 5) == 0 ||
            config_split_address(listeners[i], 0, host, &own, NULL) != 0) {
            continue;
        }
        port = port == 0 ? own : port;
        is_open |= !is_loopback(host);
        if (!is_every(host) && (best == NULL || (!is_beyond && !is_loopback(host)))) {
            best = listeners[i];
            is_beyond = !is_loopback(host);
        }
    }
    if (config->advertise[0] != '\0') {
        return complete(config, config->advertise, port, out, reason);
    }
    // Loopback would be right for some peers and wrong for others.
    snprintf(out, CONFIG_ADDRESS_BYTES_MAX + 1, "%s",
             best == NULL || (is_open && !is_beyond) ? "" : best);
    return 0;
}

int config_check_cluster(const struct config *config, struct reason *reason)
{
    char host[CONFIG_ADDRESS_BYTES_MAX + 1];
    uint16_t port = 0;
    for (unsigned i = 0; i < config->listen_count && config->peers_count > 0; i++) {
        int err = config_split_address(config->listen[i], config->port, host, &port, reason);
        if (err != 0) {
            return err;
        }
        if (!is_loopback(host) && config->cluster_secret_file[0] == '\0') {
            return reason_set(reason, ERR_INVALID,
                              "there are peers, and %.40s can be reached from other machines: name "
                              "a file with a secret by cluster_secret_file, the same on every node "
                              "(head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE)",
                              config->listen[i]);
        }
    }
    return 0;
}

static int check_secret(const char *path, int fd, struct reason *reason)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return reason_set(reason, ERR_INVALID, "cluster_secret_file: %.150s is not a file", path);
    }
    // A file of root's may be for a group: so a supervisor of services hands it over.
    bool is_given = status.st_uid == 0 && geteuid() != 0;
    if ((status.st_mode & (is_given ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO)) != 0) {
        return reason_set(reason, ERR_INVALID,
                          "cluster_secret_file: %.100s is open to others (mode %03o): "
                          "chmod 600 %.100s",
                          path, (unsigned)(status.st_mode & 0777), path);
    }
    return 0;
}

static int read_secret(const char *path, int fd, uint8_t *out, size_t *length_out,
                       struct reason *reason)
{
    uint8_t bytes[CONFIG_SECRET_BYTES_MAX + 2]; // a newline, and one to see that it is too long
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < sizeof bytes) {
        got = read(fd, bytes + length, sizeof bytes - length);
        length += got > 0 ? (size_t)got : 0;
    }
    int err = 0;
    if (got < 0) {
        err = reason_set(reason, ERR_INVALID, "cluster_secret_file: cannot read %.150s: %s", path,
                         strerror(errno));
    }
    length -= length > 0 && bytes[length - 1] == '\n' ? 1 : 0;
    if (err == 0 && (length < CONFIG_SECRET_BYTES_MIN || length > CONFIG_SECRET_BYTES_MAX)) {
        err = reason_set(reason, ERR_INVALID,
                         "cluster_secret_file: %.100s must hold %d to %d bytes: make one with "
                         "head -c 32 /dev/urandom | base64",
                         path, CONFIG_SECRET_BYTES_MIN, CONFIG_SECRET_BYTES_MAX);
    }
    if (err == 0) {
        memcpy(out, bytes, length);
        *length_out = length;
    }
    explicit_bzero(bytes, sizeof bytes);
    return err;
}

int config_read_secret(const struct config *config, uint8_t *out, size_t *length_out,
                       struct reason *reason)
{
    const char *path = config->cluster_secret_file;
    *length_out = 0;
    if (path[0] == '\0') {
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return reason_set(reason, ERR_INVALID, "cluster_secret_file: cannot read %.150s: %s", path,
                          strerror(errno));
    }
    int err = check_secret(path, fd, reason);
    if (err == 0) {
        err = read_secret(path, fd, out, length_out, reason);
    }
    close(fd);
    return err;
}
