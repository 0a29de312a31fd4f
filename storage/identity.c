// The identity is a text file, so that it can be read and, in an emergency, mended by hand; it is
// parsed strictly, because a node that guesses who it is may issue ids that another one issued.
// The lock is an open file description lock on the file `lock`: it goes away with the process
// however that ends, and holds against a second opening in the same process too. The pid in the
// file is only for the message.

#include "storage/identity.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Format 1 has no line of runs.
enum { IDENTITY_FORMAT = 2, FILE_BYTES_MAX = 1024 };

struct data_dir {
    char *path;
    char *log_path;
    char *index_path;
    int directory_fd;
    int lock_fd;
};

static const char *const KEYS[] = {"format", "cluster-name", "cluster", "node",
                                   "actor",  "run",          "runs"};
enum key {
    KEY_FORMAT,
    KEY_CLUSTER_NAME,
    KEY_CLUSTER,
    KEY_NODE,
    KEY_ACTOR,
    KEY_RUN,
    KEY_RUNS,
    KEYS_COUNT
};

// --- The directory

static bool is_denial(int error)
{
    return error == EACCES || error == EPERM || error == EROFS;
}

static int refuse(const char *path, int error, struct reason *reason)
{
    if (is_denial(error)) {
        return reason_set(
            reason, ERR_DENIED,
            "%s: %s: user %u must be able to write there (chown, or another --data-dir)", path,
            strerror(error), (unsigned)geteuid());
    }
    if (error == ENOENT) {
        return reason_set(reason, ERR_IO, "%s: the directory above it does not exist: create it",
                          path);
    }
    return reason_set(reason, ERR_IO, "%s: %s", path, strerror(error));
}

static int sync_directory_above(int directory_fd)
{
    int fd = openat(directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == EACCES ? 0 : -1; // not ours to read: then it was not ours to create in
    }
    int result = fsync(fd);
    close(fd);
    return result;
}

static int open_directory(struct data_dir *dir, struct reason *reason)
{
    bool is_new = mkdir(dir->path, 0700) == 0;
    if (!is_new && errno != EEXIST) {
        return refuse(dir->path, errno, reason);
    }
    dir->directory_fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->directory_fd < 0 && errno == ENOTDIR) {
        return reason_set(reason, ERR_FOREIGN, "%s is not a directory: choose another --data-dir",
                          dir->path);
    }
    if (dir->directory_fd < 0 || faccessat(dir->directory_fd, ".", W_OK, AT_EACCESS) != 0 ||
        (is_new && sync_directory_above(dir->directory_fd) != 0)) {
        return refuse(dir->path, errno, reason);
    }
    return 0;
}

// A directory with files of others and none of ours is somebody else's.
static int check_ours(const struct data_dir *dir, struct reason *reason)
{
    DIR *directory = opendir(dir->path);
    if (!directory) {
        return refuse(dir->path, errno, reason);
    }
    char stranger[NAME_MAX + 1] = "";
    bool is_ours = false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, "identity") == 0 || strcmp(name, "lock") == 0) {
            is_ours = true;
        } else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                   strcmp(name, "lost+found") != 0) {
            snprintf(stranger, sizeof stranger, "%s", name);
        }
    }
    closedir(directory);
    if (!is_ours && stranger[0] != '\0') {
        return reason_set(reason, ERR_FOREIGN,
                          "%s is not a data directory of weir (it holds \"%s\" and no identity): "
                          "choose an empty or a new directory",
                          dir->path, stranger);
    }
    return 0;
}

static int refuse_locked(const struct data_dir *dir, struct reason *reason)
{
    char text[32] = "";
    ssize_t length = pread(dir->lock_fd, text, sizeof text - 1, 0);
    long pid = length > 0 ? strtol(text, NULL, 10) : 0;
    if (pid <= 0) {
        return reason_set(reason, ERR_LOCKED,
                          "%s is in use by another process: stop it or choose another --data-dir",
                          dir->path);
    }
    return reason_set(reason, ERR_LOCKED,
                      "%s is in use by process %ld: stop it or choose another --data-dir",
                      dir->path, pid);
}

static int take_lock(struct data_dir *dir, struct reason *reason)
{
    dir->lock_fd =
        openat(dir->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0) {
        return refuse(dir->path, errno, reason);
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(dir->lock_fd, F_OFD_SETLK, &lock) != 0) {
        return errno == EAGAIN || errno == EACCES ? refuse_locked(dir, reason)
                                                  : refuse(dir->path, errno, reason);
    }
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(dir->lock_fd, 0) != 0 ||
        pwrite(dir->lock_fd, text, (size_t)length, 0) != length) {
        return refuse(dir->path, errno, reason);
    }
    return 0;
}

int data_dir_open(const char *path, struct data_dir **dir_out, struct reason *reason)
{
    struct data_dir *dir = calloc(1, sizeof *dir);
    if (!dir) {
        return reason_set(reason, ERR_MEMORY, "no memory to open %s", path);
    }
    dir->directory_fd = -1;
    dir->lock_fd = -1;
    dir->path = strdup(path);
    bool has_paths = dir->path && asprintf(&dir->log_path, "%s/log", path) >= 0 &&
                     asprintf(&dir->index_path, "%s/index", path) >= 0;
    int result = has_paths ? open_directory(dir, reason)
                           : reason_set(reason, ERR_MEMORY, "no memory to open %s", path);
    result = result ? result : check_ours(dir, reason);
    result = result ? result : take_lock(dir, reason);
    if (result) {
        data_dir_close(dir);
        return result;
    }
    *dir_out = dir;
    return 0;
}

void data_dir_close(struct data_dir *dir)
{
    if (!dir) {
        return;
    }
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    if (dir->directory_fd >= 0) {
        close(dir->directory_fd);
    }
    free(dir->path);
    free(dir->log_path);
    free(dir->index_path);
    free(dir);
}

const char *data_dir_log_path(const struct data_dir *dir)
{
    return dir->log_path;
}

const char *data_dir_index_path(const struct data_dir *dir)
{
    return dir->index_path;
}

// --- Reading the identity

// Where parsing is, for the messages.
struct parse {
    const struct data_dir *dir;
    unsigned line;
    unsigned lines; // that this format has
    struct reason *reason;
};

static int complain(const struct parse *parse, const char *what)
{
    return reason_set(parse->reason, ERR_CORRUPT,
                      "%s/identity, line %u: %s: restore the file from a backup", parse->dir->path,
                      parse->line, what);
}

static bool parse_number(const char *text, uint64_t max, uint64_t *number_out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0' || (digits > 1 && text[0] == '0')) {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0 || number > max) {
        return false;
    }
    *number_out = number;
    return true;
}

static bool is_name(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return length > 0 && length <= NAME_BYTES_MAX;
}

// "0123456789abcdef 0123456789abcdef": of this run, of the one before, ...
static bool parse_runs(const char *text, struct identity *identity)
{
    enum { DIGITS = 16 };
    while (identity->run_randoms_count < RUNS_REMEMBERED_MAX) {
        char digits[DIGITS + 1] = "";
        if (strspn(text, "0123456789abcdef") != DIGITS) {
            return false;
        }
        memcpy(digits, text, DIGITS);
        identity->run_randoms[identity->run_randoms_count++] = strtoull(digits, NULL, 16);
        if (text[DIGITS] != ' ') {
            return text[DIGITS] == '\0';
        }
        text += DIGITS + 1;
    }
    return false;
}

static int parse_format(struct parse *parse, const char *value)
{
    uint64_t format;
    if (!parse_number(value, UINT64_MAX, &format) || format == 0) {
        return complain(parse, "the format is not a number");
    }
    if (format > IDENTITY_FORMAT) {
        return reason_set(parse->reason, ERR_VERSION,
                          "%s/identity has format %" PRIu64
                          ", this version of weir knows %d: start the version that wrote it",
                          parse->dir->path, format, IDENTITY_FORMAT);
    }
    parse->lines = format == 1 ? KEY_RUNS : KEYS_COUNT;
    return 0;
}

static int parse_value(struct parse *parse, enum key key, const char *value,
                       struct identity *identity)
{
    uint64_t number;
    switch (key) {
    case KEY_FORMAT:
        return parse_format(parse, value);
    case KEY_CLUSTER_NAME:
        if (!is_name(value)) {
            return complain(parse, "not a cluster name");
        }
        memcpy(identity->cluster_name, value, strlen(value) + 1);
        return 0;
    case KEY_CLUSTER:
        return uuid_parse(value, &identity->cluster) == 0 ? 0 : complain(parse, "not a uuid");
    case KEY_NODE:
        return uuid_parse(value, &identity->node) == 0 ? 0 : complain(parse, "not a uuid");
    case KEY_ACTOR:
        if (!parse_number(value, UINT16_MAX, &number)) {
            return complain(parse, "not an actor");
        }
        identity->actor = (uint16_t)number;
        return (number == 0) == uuid_is_zero(&identity->cluster)
                   ? 0
                   : complain(parse, "an actor and a cluster belong together");
    case KEY_RUN:
        return parse_number(value, UINT64_MAX, &identity->run) ? 0
                                                               : complain(parse, "not a number");
    case KEY_RUNS:
        return parse_runs(value, identity) ? 0 : complain(parse, "not the bits of runs");
    case KEYS_COUNT:
        break;
    }
    assert(!"a key of the table");
    return ERR_CORRUPT;
}

// One line without its end: the keys in their order, each once.
static int parse_line(struct parse *parse, char *line, struct identity *identity)
{
    if (parse->line > parse->lines) {
        return complain(parse, "nothing is expected after the last line");
    }
    const char *key = KEYS[parse->line - 1];
    size_t key_length = strlen(key);
    if (strncmp(line, key, key_length) != 0 || strncmp(line + key_length, ": ", 2) != 0) {
        char what[64];
        snprintf(what, sizeof what, "expected \"%s: ...\"", key);
        return complain(parse, what);
    }
    return parse_value(parse, (enum key)(parse->line - 1), line + key_length + 2, identity);
}

static int parse_identity(const struct data_dir *dir, char *text, size_t length,
                          struct identity *identity_out, struct reason *reason)
{
    struct parse parse = {.dir = dir, .line = 1, .lines = KEYS_COUNT, .reason = reason};
    struct identity identity = {0};
    for (size_t at = 0; at < length;) {
        char *end = memchr(text + at, '\n', length - at);
        if (!end || memchr(text + at, '\0', (size_t)(end - text) - at)) {
            return complain(&parse, "the line is cut short");
        }
        *end = '\0';
        int result = parse_line(&parse, text + at, &identity);
        if (result) {
            return result;
        }
        at = (size_t)(end - text) + 1;
        parse.line++;
    }
    if (parse.line <= parse.lines) {
        return complain(&parse, "the file ends here");
    }
    *identity_out = identity;
    return 0;
}

static bool is_there(const struct data_dir *dir, const char *name)
{
    return faccessat(dir->directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// The index is made after the log: a log that is missing while it is there was there once, and an
// empty one in its place would issue ids again.
static int check_log(const struct data_dir *dir, struct reason *reason)
{
    if (is_there(dir, "log/CURRENT") || !is_there(dir, "index/CURRENT")) {
        return 0;
    }
    return reason_set(reason, ERR_CORRUPT,
                      "%s/CURRENT is missing, but %s is there: restore the data directory, or "
                      "choose a new one",
                      dir->log_path, dir->index_path);
}

static int check_fresh(const struct data_dir *dir, struct reason *reason)
{
    if (!is_there(dir, "log")) {
        int result = check_log(dir, reason);
        return result ? result : IDENTITY_FRESH;
    }
    return reason_set(reason, ERR_CORRUPT,
                      "%s/identity is missing, but %s is there: restore the file from a backup",
                      dir->path, dir->log_path);
}

int identity_read(struct data_dir *dir, struct identity *identity_out, struct reason *reason)
{
    int fd = openat(dir->directory_fd, "identity", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? check_fresh(dir, reason) : refuse(dir->path, errno, reason);
    }
    char text[FILE_BYTES_MAX + 1];
    ssize_t length = read(fd, text, sizeof text);
    int error = errno;
    close(fd);
    if (length < 0) {
        return refuse(dir->path, error, reason);
    }
    if ((size_t)length > FILE_BYTES_MAX) {
        return reason_set(reason, ERR_CORRUPT,
                          "%s/identity is longer than an identity can be: restore the file from a "
                          "backup",
                          dir->path);
    }
    int result = parse_identity(dir, text, (size_t)length, identity_out, reason);
    return result ? result : check_log(dir, reason);
}

// --- Writing it

static int write_file(const struct data_dir *dir, const char *name, const char *text, size_t length)
{
    int fd = openat(dir->directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    errno = EIO;
    int error = write(fd, text, length) == (ssize_t)length && fsync(fd) == 0 ? 0 : errno;
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    return error;
}

enum { RUNS_BYTES_MAX = RUNS_REMEMBERED_MAX * 17 + 1 };

static void format_runs(const struct identity *identity, char out[RUNS_BYTES_MAX])
{
    size_t length = 0;
    assert(identity->run_randoms_count >= 1);
    assert(identity->run_randoms_count <= RUNS_REMEMBERED_MAX);
    for (uint32_t i = 0; i < identity->run_randoms_count; i++) {
        length += (size_t)snprintf(out + length, RUNS_BYTES_MAX - length, "%s%016" PRIx64,
                                   i == 0 ? "" : " ", identity->run_randoms[i]);
    }
}

int identity_write(struct data_dir *dir, const struct identity *identity, struct reason *reason)
{
    if (!is_name(identity->cluster_name)) {
        return reason_set(reason, ERR_INVALID,
                          "a cluster name has 1 to %d bytes and no control characters",
                          NAME_BYTES_MAX);
    }
    char cluster[UUID_TEXT_LENGTH + 1];
    char node[UUID_TEXT_LENGTH + 1];
    uuid_format(&identity->cluster, cluster);
    uuid_format(&identity->node, node);
    char text[FILE_BYTES_MAX];
    char runs[RUNS_BYTES_MAX];
    format_runs(identity, runs);
    int length = snprintf(text, sizeof text,
                          "format: %d\ncluster-name: %s\ncluster: %s\nnode: %s\nactor: %u\n"
                          "run: %" PRIu64 "\nruns: %s\n",
                          IDENTITY_FORMAT, identity->cluster_name, cluster, node,
                          (unsigned)identity->actor, identity->run, runs);
    assert(length > 0 && (size_t)length < sizeof text);
    int error = write_file(dir, "identity.new", text, (size_t)length);
    if (error == 0 &&
        (renameat(dir->directory_fd, "identity.new", dir->directory_fd, "identity") != 0 ||
         fsync(dir->directory_fd) != 0)) {
        error = errno;
    }
    return error == 0 ? 0 : refuse(dir->path, error, reason);
}

void identity_begin_run(struct identity *identity, uint64_t random)
{
    uint32_t kept = identity->run_randoms_count;
    kept = kept < RUNS_REMEMBERED_MAX ? kept : RUNS_REMEMBERED_MAX - 1;
    memmove(identity->run_randoms + 1, identity->run_randoms,
            kept * sizeof identity->run_randoms[0]);
    identity->run_randoms[0] = random;
    identity->run_randoms_count = kept + 1;
    identity->run++;
}
