// Heads are written one behind the other into pages; what is added to a page directly behind the
// last piece makes that piece longer, so that many replies are one piece. A page has a fixed
// capacity (a larger one for a larger head) and is freed with the last piece that points into it.
// Blocks of few bytes are copied behind their head: that is cheaper than a piece of their own.

#include "server/frontend/output.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PAGE_BYTES = 4096,
    PIECES_MIN = 8,
    COPY_BYTES_MAX = 1024,
};

struct output_page {
    struct buffer buffer; // never grows beyond its first capacity
    size_t committed;     // that long it is in pieces
    uint32_t pieces;      // that point into it
};

static void page_free(struct output_page *page)
{
    buffer_deinit(&page->buffer);
    free(page);
}

static struct output_page *page_new(size_t room)
{
    struct output_page *page = calloc(1, sizeof *page);
    if (page && buffer_reserve(&page->buffer, room > PAGE_BYTES ? room : PAGE_BYTES)) {
        free(page);
        return NULL;
    }
    return page;
}

static struct output_piece *piece_at(const struct output *output, uint32_t i)
{
    return &output->pieces[(output->first + i) & (output->capacity - 1)];
}

// Drops the first piece.
static void piece_drop(struct output *output)
{
    struct output_piece *piece = piece_at(output, 0);
    block_unref(piece->block);
    if (piece->page && --piece->page->pieces == 0 && piece->page != output->page) {
        page_free(piece->page);
    }
    output->first = (output->first + 1) & (output->capacity - 1);
    output->count--;
}

void output_deinit(struct output *output)
{
    while (output->count > 0) {
        piece_drop(output);
    }
    if (output->page) {
        page_free(output->page);
    }
    free(output->pieces);
    *output = (struct output){0};
}

static int pieces_grow(struct output *output)
{
    uint32_t capacity = output->capacity > 0 ? 2 * output->capacity : PIECES_MIN;
    struct output_piece *pieces = malloc(capacity * sizeof *pieces);
    if (!pieces) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < output->count; i++) {
        pieces[i] = *piece_at(output, i);
    }
    free(output->pieces);
    output->pieces = pieces;
    output->capacity = capacity;
    output->first = 0;
    return 0;
}

static int piece_add(struct output *output, const struct output_piece *piece)
{
    if (output->count == output->capacity) {
        int err = pieces_grow(output);
        if (err) {
            return err;
        }
    }
    output->count++;
    *piece_at(output, output->count - 1) = *piece;
    return 0;
}

struct buffer *output_begin(struct output *output, size_t room)
{
    struct output_page *page = output->page;
    if (page && page->buffer.capacity - page->buffer.length >= room) {
        return &page->buffer;
    }
    struct output_page *fresh = page_new(room);
    if (!fresh) {
        return NULL;
    }
    if (page && page->pieces == 0) {
        page_free(page);
    }
    output->page = fresh;
    return &fresh->buffer;
}

int output_commit(struct output *output)
{
    struct output_page *page = output->page;
    const uint8_t *data = page->buffer.data + page->committed;
    size_t length = page->buffer.length - page->committed;
    struct output_piece *last = output->count > 0 ? piece_at(output, output->count - 1) : NULL;
    page->committed = page->buffer.length;
    output->bytes += length;
    if (last && last->page == page && last->data + last->length == data) {
        last->length += length;
        return 0;
    }
    const struct output_piece piece = {.data = data, .length = length, .page = page};
    int err = piece_add(output, &piece);
    page->pieces += err == 0;
    return err;
}

static int copy_block(struct output *output, const struct block *block, size_t offset,
                      size_t length)
{
    struct buffer *buffer = output_begin(output, length);
    if (!buffer) {
        return ERR_MEMORY;
    }
    int err = buffer_append(buffer, bytes_of(block->data + offset, length));
    return err ? err : output_commit(output);
}

int output_add_block(struct output *output, struct block *block, size_t offset, size_t length)
{
    assert(offset + length <= block->length);
    int err;
    if (length <= COPY_BYTES_MAX) {
        err = copy_block(output, block, offset, length);
        block_unref(block);
        return err;
    }
    const struct output_piece piece = {
        .data = block->data + offset,
        .length = length,
        .block = block,
    };
    err = piece_add(output, &piece);
    if (err) {
        block_unref(block);
        return err;
    }
    output->bytes += length;
    return 0;
}

size_t output_peek(const struct output *output, struct iovec *out, size_t max)
{
    size_t count = output->count < max ? output->count : max;
    for (uint32_t i = 0; i < count; i++) {
        const struct output_piece *piece = piece_at(output, i);
        out[i] =
            (struct iovec){.iov_base = (void *)(uintptr_t)piece->data, .iov_len = piece->length};
    }
    return count;
}

void output_sent(struct output *output, size_t length)
{
    assert(length <= output->bytes);
    output->bytes -= length;
    while (length > 0) {
        struct output_piece *piece = piece_at(output, 0);
        if (length < piece->length) {
            piece->data += length;
            piece->length -= length;
            return;
        }
        length -= piece->length;
        piece_drop(output);
    }
    if (output->count == 0 && output->page) {
        // Everything is sent: the page can be used from its beginning, unless it is a large one.
        struct output_page *page = output->page;
        if (page->buffer.capacity > PAGE_BYTES) {
            page_free(page);
            output->page = NULL;
        } else {
            buffer_clear(&page->buffer);
            page->committed = 0;
        }
    }
}
