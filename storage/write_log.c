// A log of writes is a row of 32 KiB blocks; a record in it has a header (checksum 4, length 2,
// type 1; little-endian; the checksum is CRC-32C over type and content, rotated and offset) and
// does not cross a block; what is left of a block below a header's length is zeros. Types 1 to 4
// are parts of writes. A header of zeros begins space that was reserved and never written. This
// is read once, when opening was refused, so a table-driven checksum is fast enough.

#include "storage/write_log.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BLOCK_BYTES = 32768,
    HEADER_BYTES = 7,
    TYPE_LAST = 4,
};

#define CRC_POLYNOMIAL UINT32_C(0x82f63b78)

static void crc_table_init(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ CRC_POLYNOMIAL : crc >> 1;
        }
        table[i] = crc;
    }
}

static uint32_t record_checksum(const uint32_t table[256], const uint8_t *data, size_t length)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

// Returns the offset of the first damaged record in a block, or -1.
static int block_find_damage(const uint32_t table[256], const uint8_t *block, size_t length,
                             bool is_last)
{
    size_t at = 0;
    while (at + HEADER_BYTES <= length) {
        const uint8_t *header = block + at;
        uint32_t checksum = (uint32_t)header[0] | (uint32_t)header[1] << 8 |
                            (uint32_t)header[2] << 16 | (uint32_t)header[3] << 24;
        size_t record_length = (size_t)header[4] | (size_t)header[5] << 8;
        uint8_t type = header[6];
        if (type == 0 && record_length == 0) {
            return -1;
        }
        if (at + HEADER_BYTES + record_length > length) {
            return is_last ? -1 : (int)at;
        }
        if (type > TYPE_LAST || record_checksum(table, header + 6, 1 + record_length) != checksum) {
            return (int)at;
        }
        at += HEADER_BYTES + record_length;
    }
    return -1;
}

static bool file_find_damage(const uint32_t table[256], const char *path, uint64_t *offset_out)
{
    FILE *file = fopen(path, "re");
    uint8_t *block = malloc(BLOCK_BYTES);
    bool is_found = false;
    if (file && block) {
        uint64_t at = 0;
        size_t length;
        while (!is_found && (length = fread(block, 1, BLOCK_BYTES, file)) > 0) {
            int damaged = block_find_damage(table, block, length, length < BLOCK_BYTES);
            if (damaged >= 0) {
                *offset_out = at + (uint64_t)damaged;
                is_found = true;
            }
            at += length;
        }
    }
    free(block);
    if (file) {
        fclose(file);
    }
    return is_found;
}

static uint64_t file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static int is_log_name(const struct dirent *entry)
{
    size_t digits = strspn(entry->d_name, "0123456789");
    return digits > 0 && strcmp(entry->d_name + digits, ".log") == 0;
}

bool write_log_find_damage(const char *database_path, struct write_log_damage *damage_out)
{
    uint32_t table[256];
    crc_table_init(table);
    struct dirent **entries = NULL;
    int count = scandir(database_path, &entries, is_log_name, versionsort);
    bool is_found = false;
    for (int i = 0; i < count; i++) {
        struct write_log_damage damage;
        int length =
            snprintf(damage.path, sizeof damage.path, "%s/%s", database_path, entries[i]->d_name);
        bool is_path = length > 0 && (size_t)length < sizeof damage.path;
        if (is_path && is_found) {
            damage_out->bytes += file_bytes(damage.path);
        } else if (is_path && file_find_damage(table, damage.path, &damage.offset)) {
            damage.bytes = file_bytes(damage.path) - damage.offset;
            *damage_out = damage;
            is_found = true;
        }
        free(entries[i]);
    }
    free(entries);
    return is_found;
}
