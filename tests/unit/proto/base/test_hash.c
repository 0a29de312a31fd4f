// Hashes are XXH3 as xxHash publishes it, in its canonical form, wherever they are computed.

#include "proto/base/hash.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

START_TEST(is_xxh3_in_canonical_form)
{
    ck_assert_uint_eq(hash64(bytes_of(NULL, 0)), 0x2d06800538d394c2);
    ck_assert_uint_eq(hash64(bytes_of_text("weir")), 0x09831dc741817118);
    struct hash128 empty = hash128(bytes_of(NULL, 0));
    assert_bytes_are(bytes_of(empty.bytes, 16), "99aa06d3014798d86001c324468d497f");
    struct hash128 weir = hash128(bytes_of_text("weir"));
    assert_bytes_are(bytes_of(weir.bytes, 16), "58611f8d7be1fe2c3921234764190df9");
}
END_TEST

START_TEST(a_key_changes_the_hash)
{
    struct bytes name = bytes_of_text("/orders/eu");
    ck_assert_uint_ne(hash64_keyed(name, 1), hash64_keyed(name, 2));
    ck_assert_uint_eq(hash64_keyed(name, 0), hash64(name));
    struct hash128 one = hash128_keyed(name, 1);
    struct hash128 two = hash128_keyed(name, 2);
    struct hash128 zero = hash128_keyed(name, 0);
    struct hash128 none = hash128(name);
    ck_assert(!hash128_equal(&one, &two));
    ck_assert(hash128_equal(&zero, &none));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash");
    suite_add(suite, is_xxh3_in_canonical_form);
    suite_add(suite, a_key_changes_the_hash);
    return check_main(suite);
}
