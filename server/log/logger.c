// A line is put together on the stack and goes out with a single write, so threads need no lock:
// files are opened for appending, and one write of a line is not torn by another. Opening anew puts
// the new file under the same descriptor (dup3), so a writer sees either the old or the new one.
// To the journal, lines begin with <priority> and carry no time; it has its own.
#include "server/log/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 2048 };

struct logger {
    enum log_level level;
    struct logger_part parts[LOGGER_PARTS_MAX];
    unsigned parts_count;
    bool is_journal;
    int fd;
    char *path; // NULL: stderr
};

// Whether stderr is a stream to the journal (systemd names its device and inode).
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device;
    unsigned long long inode;
    struct stat status;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static int open_file(const char *path, int *fd_out, struct reason *reason)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        int err = errno == EACCES || errno == EROFS || errno == EPERM ? ERR_DENIED : ERR_IO;
        return reason_set(reason, err,
                          "cannot open the log file %s: %s; choose another with --log-dest", path,
                          strerror(errno));
    }
    *fd_out = fd;
    return 0;
}

int logger_open(const struct logger_config *config, struct logger **logger_out,
                struct reason *reason)
{
    struct logger *logger = calloc(1, sizeof *logger);
    if (logger == NULL) {
        return reason_set(reason, ERR_MEMORY, "no memory for the log");
    }
    logger->level = config->level;
    logger->fd = STDERR_FILENO;
    logger->parts_count =
        config->parts_count < LOGGER_PARTS_MAX ? config->parts_count : LOGGER_PARTS_MAX;
    if (logger->parts_count > 0) {
        memcpy(logger->parts, config->parts, logger->parts_count * sizeof *config->parts);
    }
    if (strcmp(config->dest, "journal") == 0) {
        logger->is_journal = true;
    } else if (strcmp(config->dest, "stderr") == 0) {
        logger->is_journal = stderr_is_journal();
    } else {
        logger->path = strdup(config->dest);
        int err = logger->path == NULL ? reason_set(reason, ERR_MEMORY, "no memory for the log")
                                       : open_file(logger->path, &logger->fd, reason);
        if (err != 0) {
            free(logger->path);
            free(logger);
            return err;
        }
    }
    *logger_out = logger;
    return 0;
}

void logger_close(struct logger *logger)
{
    if (logger == NULL) {
        return;
    }
    if (logger->path != NULL) {
        close(logger->fd);
    }
    free(logger->path);
    free(logger);
}

int logger_reopen(struct logger *logger, struct reason *reason)
{
    if (logger->path == NULL) {
        return 0;
    }
    int fd = -1;
    int err = open_file(logger->path, &fd, reason);
    if (err != 0) {
        return err;
    }
    if (dup3(fd, logger->fd, O_CLOEXEC) < 0) {
        err = reason_set(reason, ERR_IO, "cannot switch to the new log file: %s", strerror(errno));
    }
    close(fd);
    return err;
}

bool logger_is_on(const struct logger *logger, enum log_level level, const char *part)
{
    for (unsigned i = 0; i < logger->parts_count; i++) {
        if (strcmp(logger->parts[i].name, part) == 0) {
            return level <= logger->parts[i].level;
        }
    }
    return level <= logger->level;
}

static const char *level_word(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return "error";
    case LOG_WARNING:
        return "warning";
    case LOG_INFO:
        return "info";
    case LOG_DEBUG:
        return "debug";
    case LOG_TRACE:
        return "trace";
    }
    return "?";
}

// The journal's numbers are those of syslog.
static int journal_priority(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return 3;
    case LOG_WARNING:
        return 4;
    case LOG_INFO:
        return 6;
    case LOG_DEBUG:
    case LOG_TRACE:
        return 7;
    }
    return 7;
}

// "2024-05-01T12:00:00.123Z warning store: "; returns its length.
static size_t format_head(const struct logger *logger, enum log_level level, const char *part,
                          char *line, size_t size)
{
    int length;
    if (logger->is_journal) {
        length = snprintf(line, size, "<%d>%s: ", journal_priority(level), part);
    } else {
        struct timespec now;
        struct tm day;
        char date[32];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &day);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &day);
        length = snprintf(line, size, "%s.%03dZ %s %s: ", date, (int)(now.tv_nsec / 1000000),
                          level_word(level), part);
    }
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

void logger_write_list(struct logger *logger, enum log_level level, const char *part,
                       const char *format, va_list arguments)
{
    if (!logger_is_on(logger, level, part)) {
        return;
    }
    int saved = errno;
    char line[LINE_BYTES_MAX];
    size_t length = format_head(logger, level, part, line, sizeof line - 1);
    errno = saved; // for %m
    int written = vsnprintf(line + length, sizeof line - 1 - length, format, arguments);
    size_t text_max = sizeof line - 2 - length;
    size_t text = written < 0 ? 0 : (size_t)written < text_max ? (size_t)written : text_max;
    for (size_t i = length; i < length + text; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    length += text;
    line[length++] = '\n';
    ssize_t done = write(logger->fd, line, length);
    (void)done; // there is nobody to tell
    errno = saved;
}

void logger_write(struct logger *logger, enum log_level level, const char *part, const char *format,
                  ...)
{
    va_list arguments;
    va_start(arguments, format);
    logger_write_list(logger, level, part, format, arguments);
    va_end(arguments);
}
