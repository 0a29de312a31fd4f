// The document is read whole, from the path that the build passes, and walked line by line.

#include "tests/unit/proto/wire/protocol_document.h"

#include <check.h>
#include <stdio.h>

void document_open(struct document *document)
{
    *document = (struct document){0};
    FILE *file = fopen(PROTOCOL_DOCUMENT, "r");
    ck_assert_msg(file, "cannot open %s", PROTOCOL_DOCUMENT);
    char part[4096];
    size_t length;
    while ((length = fread(part, 1, sizeof part, file)) > 0) {
        ck_assert_int_eq(buffer_append(&document->text, bytes_of(part, length)), 0);
    }
    ck_assert_int_eq(fclose(file), 0);
    document->rest = buffer_bytes(&document->text);
}

void document_close(struct document *document)
{
    buffer_deinit(&document->text);
}

bool text_next_line(struct bytes *text, struct bytes *line_out)
{
    if (text->length == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->length);
    size_t length = end ? (size_t)(end - text->data) : text->length;
    size_t passed = end ? length + 1 : length;
    *line_out = bytes_of(text->data, length);
    *text = bytes_of(text->data + passed, text->length - passed);
    return true;
}

bool text_next_word(struct bytes *line, struct bytes *word_out)
{
    size_t start = 0;
    while (start < line->length && line->data[start] == ' ') {
        start++;
    }
    size_t end = start;
    while (end < line->length && line->data[end] != ' ') {
        end++;
    }
    *word_out = bytes_of(line->data + start, end - start);
    *line = bytes_of(line->data + end, line->length - end);
    return end > start;
}

bool text_is(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static bool is_fence(struct bytes line)
{
    return line.length >= 3 && memcmp(line.data, "```", 3) == 0;
}

bool document_next(struct document *document, struct bytes *first_word_out,
                   struct bytes *second_word_out, struct bytes *lines_out)
{
    struct bytes line;
    while (text_next_line(&document->rest, &line)) {
        if (!is_fence(line)) {
            continue;
        }
        struct bytes heading = bytes_of(line.data + 3, line.length - 3);
        const uint8_t *start = document->rest.data;
        do {
            ck_assert_msg(text_next_line(&document->rest, &line), "a block does not end");
        } while (!is_fence(line));
        if (!text_next_word(&heading, first_word_out)) {
            continue;
        }
        (void)text_next_word(&heading, second_word_out);
        *lines_out = bytes_of(start, (size_t)(line.data - start));
        return true;
    }
    return false;
}

static int digit_of(uint8_t character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

void append_commented_hex(struct buffer *out, struct bytes text)
{
    struct bytes line;
    while (text_next_line(&text, &line)) {
        struct bytes word;
        while (text_next_word(&line, &word) && word.data[0] != '#') {
            ck_assert_uint_eq(word.length, 2);
            int high = digit_of(word.data[0]);
            int low = digit_of(word.data[1]);
            ck_assert_int_ge(high, 0);
            ck_assert_int_ge(low, 0);
            uint8_t byte = (uint8_t)(high << 4 | low);
            ck_assert_int_eq(buffer_append(out, bytes_of(&byte, 1)), 0);
        }
    }
}
