// Written beside itself and renamed over the old one, which is atomic. Then, not before, it is
// synced: a consumer that is killed as soon as it has printed must still have moved on, and a sync
// takes milliseconds. A power failure in just these may, on a file system that renames before it
// writes, leave an empty file, which is refused with what to do.

#include "client-cli/cursor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/weir.h"

enum { CURSOR_FILE_BYTES_MAX = 4 * 1024 * 1024 };

static int read_all(int fd, struct buffer *out)
{
    for (;;) {
        if (out->length > CURSOR_FILE_BYTES_MAX) {
            errno = EFBIG;
            return ERR_IO;
        }
        if (buffer_reserve(out, 65536) != 0) {
            errno = ENOMEM;
            return ERR_IO;
        }
        ssize_t count = read(fd, out->data + out->length, out->capacity - out->length);
        if (count == 0) {
            return 0;
        }
        if (count < 0 && errno != EINTR) {
            return ERR_IO;
        }
        out->length += count > 0 ? (size_t)count : 0;
    }
}

static int parse(const char *path, struct buffer *text, struct reason *reason)
{
    struct weir_reason why = {.text = "it contains a NUL"};
    while (text->length > 0 && memchr(" \t\r\n", text->data[text->length - 1], 4)) {
        text->length--;
    }
    if (buffer_reserve(text, 1) != 0) {
        return reason_set(reason, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    text->data[text->length] = '\0';
    const char *cursor = (const char *)text->data;
    if (strlen(cursor) != text->length || weir_cursor_check(cursor, &why) != 0) {
        return reason_set(reason, ERR_INVALID,
                          "cursor file %s holds no cursor: %s; remove it to start anew", path,
                          why.text);
    }
    return 0;
}

int cursor_file_open(struct cursor_file *file, const char *path, struct buffer *cursor_out,
                     struct reason *reason)
{
    *file = (struct cursor_file){.path = path};
    if (!path) {
        return CURSOR_FILE_NEW;
    }
    if (asprintf(&file->path_temporary, "%s.tmp", path) < 0) {
        file->path_temporary = NULL;
        return reason_set(reason, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    int outcome = CURSOR_FILE_NEW;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) {
        return reason_set(reason, ERR_IO, "cannot read cursor file %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        outcome = read_all(fd, cursor_out);
        if (outcome != 0) {
            reason_set(reason, ERR_IO, "cannot read cursor file %s: %s", path, strerror(errno));
        } else {
            outcome = parse(path, cursor_out, reason);
        }
        close(fd);
    }
    if (outcome < 0) {
        return outcome;
    }
    fd = open(file->path_temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return reason_set(reason, ERR_IO, "cannot write cursor file %s: %s", path, strerror(errno));
    }
    close(fd);
    unlink(file->path_temporary);
    return outcome;
}

void cursor_file_close(struct cursor_file *file)
{
    free(file->path_temporary);
    buffer_deinit(&file->written);
}

static bool replace(const struct cursor_file *file, struct bytes text)
{
    int fd = open(file->path_temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return false;
    }
    bool is_written = true;
    while (text.length > 0 && is_written) {
        ssize_t count = write(fd, text.data, text.length);
        is_written = count > 0 || (count < 0 && errno == EINTR);
        if (count > 0) {
            text = bytes_of(text.data + count, text.length - (size_t)count);
        }
    }
    is_written = is_written && rename(file->path_temporary, file->path) == 0;
    int error = errno;
    if (is_written) {
        (void)fdatasync(fd); // not all files can be synced
    } else {
        unlink(file->path_temporary);
    }
    close(fd);
    errno = error;
    return is_written;
}

int cursor_file_write(struct cursor_file *file, struct bytes cursor, struct instant now,
                      struct reason *reason)
{
    if (!file->path) {
        return 0;
    }
    struct buffer text = {0};
    int err = buffer_append(&text, cursor);
    err = err != 0 ? err : buffer_append(&text, bytes_of("\n", 1));
    if (err != 0) {
        buffer_deinit(&text);
        return reason_set(reason, err, "%s", err_text(err));
    }
    if (!bytes_equal(buffer_bytes(&text), buffer_bytes(&file->written)) &&
        !replace(file, buffer_bytes(&text))) {
        buffer_deinit(&text);
        return reason_set(reason, ERR_IO, "cannot write cursor file %s: %s", file->path,
                          strerror(errno));
    }
    buffer_deinit(&file->written);
    file->written = text;
    file->changed = now;
    return 0;
}
