// Ways to break a message that hold for every kind, in both directions.
#pragma once

#include "proto/base/bytes.h"

// Decodes a message that ends exactly where its allocation ends; returns the decoder's result.
typedef int decode_function(struct bytes message);

// Appends `message` with its element `index` replaced by `value`, or without it and all behind it
// when `value` is empty.
void append_with_element(struct buffer *out, struct bytes message, size_t index,
                         struct bytes value);

// Appends `message` with `count` more elements, which `values` holds.
void append_with_more(struct buffer *out, struct bytes message, size_t count, struct bytes values);

size_t message_elements(struct bytes message);

void assert_prefixes_refused(decode_function *decode, struct bytes message);
void assert_longer_bytes_refused(decode_function *decode, struct bytes message);
void assert_wrong_types_refused(decode_function *decode, struct bytes message);

// But for the last `optional` ones, without which the message is taken.
void assert_missing_elements_refused(decode_function *decode, struct bytes message,
                                     size_t optional);
void assert_further_elements_passed(decode_function *decode, struct bytes message);
void assert_deep_nesting_refused(decode_function *decode, struct bytes message);
