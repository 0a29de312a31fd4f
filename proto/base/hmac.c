// The only file that sees OpenSSL. The algorithm is fetched for each use: that costs microseconds,
// twice per connection between members, and leaves nothing that would have to be kept or shared.

#include "proto/base/hmac.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static bool authenticate(EVP_MAC_CTX *state, struct bytes key, const struct bytes *pieces,
                         size_t count, uint8_t out[HMAC_LENGTH])
{
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    // A key that is NULL would mean: the one of before.
    const uint8_t *key_data = key.length > 0 ? key.data : (const uint8_t *)"";
    if (EVP_MAC_init(state, key_data, key.length, parameters) != 1) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].length > 0 && EVP_MAC_update(state, pieces[i].data, pieces[i].length) != 1) {
            return false;
        }
    }
    size_t length = 0;
    return EVP_MAC_final(state, out, &length, HMAC_LENGTH) == 1 && length == HMAC_LENGTH;
}

int hmac_sha256(struct bytes key, const struct bytes *pieces, size_t count,
                uint8_t out[HMAC_LENGTH])
{
    assert(count == 0 || pieces);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *state = mac ? EVP_MAC_CTX_new(mac) : NULL;
    bool is_done = state && authenticate(state, key, pieces, count, out);
    EVP_MAC_CTX_free(state);
    EVP_MAC_free(mac);
    return is_done ? 0 : ERR_MEMORY;
}

bool hmac_equal(const uint8_t a[HMAC_LENGTH], const uint8_t b[HMAC_LENGTH])
{
    return CRYPTO_memcmp(a, b, HMAC_LENGTH) == 0;
}
