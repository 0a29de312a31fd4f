// The only file that sees xxHash. It is compiled in rather than called in its library: names are
// short, and for them the call would cost as much as the hash.

#include "proto/base/hash.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(sizeof(XXH128_canonical_t) == sizeof(struct hash128),
              "the canonical form is the hash");

static struct hash128 canonical(XXH128_hash_t hash)
{
    XXH128_canonical_t form;
    XXH128_canonicalFromHash(&form, hash);
    struct hash128 out;
    memcpy(out.bytes, form.digest, sizeof out.bytes);
    return out;
}

uint64_t hash64(struct bytes bytes)
{
    return XXH3_64bits(bytes.data, bytes.length);
}

uint64_t hash64_keyed(struct bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.length, seed);
}

struct hash128 hash128(struct bytes bytes)
{
    return canonical(XXH3_128bits(bytes.data, bytes.length));
}

struct hash128 hash128_keyed(struct bytes bytes, uint64_t seed)
{
    return canonical(XXH3_128bits_withSeed(bytes.data, bytes.length, seed));
}
