// The blocks of docs/protocol.md that begin with a heading behind three backticks.
#pragma once

#include "proto/base/bytes.h"

struct document {
    struct buffer text;
    struct bytes rest;
};

void document_open(struct document *document);
void document_close(struct document *document);

// The next block: the words of its heading, the second possibly empty, and its lines.
// False: there are no more.
bool document_next(struct document *document, struct bytes *first_word_out,
                   struct bytes *second_word_out, struct bytes *lines_out);

// Takes the next line off *text, or the next word off *line; false: there is none.
bool text_next_line(struct bytes *text, struct bytes *line_out);
bool text_next_word(struct bytes *line, struct bytes *word_out);

// Appends the bytes of hex digits with white space and comments ('#' up to the end of the line).
void append_commented_hex(struct buffer *out, struct bytes text);

bool text_is(struct bytes bytes, const char *text);
