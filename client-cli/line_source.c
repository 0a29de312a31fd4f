// One buffer; what is taken is moved out when room is needed, so a byte moves at most about once.

#include "client-cli/line_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024 };

int line_source_open(struct line_source *source, const char *path, size_t line_max,
                     struct reason *reason)
{
    *source = (struct line_source){.fd = STDIN_FILENO, .line_max = line_max};
    if (strcmp(path, "-") != 0) {
        source->fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (source->fd < 0) {
        return reason_set(reason, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    return 0;
}

void line_source_close(struct line_source *source)
{
    if (source->fd > STDIN_FILENO) {
        close(source->fd);
    }
    buffer_deinit(&source->buffer);
}

int line_source_peek(struct line_source *source, struct bytes *line_out)
{
    size_t left = source->buffer.length - source->searched;
    const uint8_t *end =
        left > 0 ? memchr(source->buffer.data + source->searched, '\n', left) : NULL;
    size_t length;
    if (end) {
        length = (size_t)(end - source->buffer.data) - source->start;
    } else {
        source->searched = source->buffer.length;
        length = source->buffer.length - source->start;
    }
    if (!end && length <= source->line_max && !source->has_ended) {
        return LINE_NONE;
    }
    if (!end && length == 0) {
        return LINE_END;
    }
    if (length > source->line_max) {
        return ERR_LIMIT;
    }
    source->searched = source->start + length;
    *line_out = bytes_of(source->buffer.data + source->start, length);
    return 0;
}

void line_source_take(struct line_source *source)
{
    size_t behind = source->searched + 1; // the newline
    source->start = behind < source->buffer.length ? behind : source->buffer.length;
    source->searched = source->start;
    source->number++;
}

bool line_source_is_readable(const struct line_source *source)
{
    struct pollfd polled = {.fd = source->fd, .events = POLLIN};
    return source->has_ended || poll(&polled, 1, 0) > 0;
}

int line_source_read(struct line_source *source, struct reason *reason)
{
    struct buffer *buffer = &source->buffer;
    if (source->start > 0) {
        buffer_consume(buffer, source->start);
        source->searched -= source->start;
        source->start = 0;
    }
    int err = buffer_reserve(buffer, READ_BYTES);
    if (err != 0) {
        return reason_set(reason, err, "%s", err_text(err));
    }
    ssize_t count = read(source->fd, buffer->data + buffer->length, READ_BYTES);
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
        return reason_set(reason, ERR_IO, "cannot read the input: %s", strerror(errno));
    }
    source->has_ended = count == 0;
    buffer->length += count > 0 ? (size_t)count : 0;
    return 0;
}
