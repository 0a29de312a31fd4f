// HMAC-SHA-256 is what RFC 4231 publishes, however its input is cut into pieces.

#include "proto/base/hmac.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

// The test cases of RFC 4231 whose results are not cut short, in hex.
static const struct {
    const char *key; // repeated `key_repeats` times, as is the data
    unsigned key_repeats;
    const char *data;
    unsigned data_repeats;
    const char *mac;
} CASES[] = {
    {"0b", 20, "4869205468657265", 1,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", 1, "7768617420646f2079612077616e7420666f72206e6f7468696e673f", 1,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aa", 20, "dd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819", 1, "cd", 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"aa", 131,
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b"
     "6579204669727374",
     1, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
};

static void append_repeated(struct buffer *out, const char *hex, unsigned repeats)
{
    for (unsigned i = 0; i < repeats; i++) {
        append_hex(out, hex);
    }
}

START_TEST(is_what_the_rfc_publishes)
{
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct buffer key = {0};
        struct buffer data = {0};
        append_repeated(&key, CASES[i].key, CASES[i].key_repeats);
        append_repeated(&data, CASES[i].data, CASES[i].data_repeats);
        for (size_t cut = 0; cut <= data.length; cut++) {
            struct bytes pieces[] = {
                bytes_of(data.data, cut),
                bytes_of(NULL, 0),
                bytes_of(data.data + cut, data.length - cut),
            };
            uint8_t mac[HMAC_LENGTH];
            ck_assert_int_eq(hmac_sha256(buffer_bytes(&key), pieces, 3, mac), 0);
            assert_bytes_are(bytes_of(mac, sizeof mac), CASES[i].mac);
        }
        buffer_deinit(&data);
        buffer_deinit(&key);
    }
}
END_TEST

START_TEST(nothing_is_authenticated_by_nothing)
{
    uint8_t mac[HMAC_LENGTH];
    ck_assert_int_eq(hmac_sha256((struct bytes){0}, NULL, 0, mac), 0);
    assert_bytes_are(bytes_of(mac, sizeof mac),
                     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(every_byte_is_compared)
{
    uint8_t a[HMAC_LENGTH];
    uint8_t b[HMAC_LENGTH];
    struct bytes piece = bytes_of_text("hello");
    ck_assert_int_eq(hmac_sha256(bytes_of_text("key"), &piece, 1, a), 0);
    memcpy(b, a, sizeof a);
    ck_assert(hmac_equal(a, b));
    for (size_t i = 0; i < 8 * sizeof a; i++) {
        b[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert(!hmac_equal(a, b));
        b[i / 8] = a[i / 8];
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hmac");
    suite_add(suite, is_what_the_rfc_publishes);
    suite_add(suite, nothing_is_authenticated_by_nothing);
    suite_add(suite, every_byte_is_compared);
    return check_main(suite);
}
