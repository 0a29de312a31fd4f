// HMAC-SHA-256 (RFC 2104, FIPS 198-1), by OpenSSL's libcrypto, wrapped here and nowhere else.
#pragma once

#include "proto/base/bytes.h"

enum { HMAC_LENGTH = 32 };

// Over the pieces, one behind the other. ERR_MEMORY.
int hmac_sha256(struct bytes key, const struct bytes *pieces, size_t count,
                uint8_t out[HMAC_LENGTH]) MUST_CHECK;

// In a time that does not tell where they differ.
bool hmac_equal(const uint8_t a[HMAC_LENGTH], const uint8_t b[HMAC_LENGTH]);
