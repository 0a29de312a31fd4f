// One allocation: the message, its entries, then the bytes that message and entries point to.

#include "server/node/peer_parcel.h"

#include <assert.h>
#include <stdlib.h>

// Walks the views of a message twice: once to add up their lengths, once to copy them.
struct packer {
    uint8_t *at; // NULL: only adds up
    size_t length;
};

static void pack(struct packer *packer, struct bytes *view)
{
    if (packer->at && view->length > 0) {
        memcpy(packer->at + packer->length, view->data, view->length);
        view->data = packer->at + packer->length;
    }
    packer->length += view->length;
}

static const void *pack_entries(struct packer *packer, const void *entries, size_t length)
{
    assert(packer->length == 0); // entries come first: they are aligned there
    struct bytes view = bytes_of(entries, length);
    pack(packer, &view);
    return view.data;
}

static void pack_members(struct packer *packer, struct peer_members *members)
{
    size_t length = members->count * sizeof *members->entries;
    const struct member_note *entries = members->entries;
    members->entries = pack_entries(packer, entries, length);
    // Where they were copied to they may be written.
    struct member_note *copies = (struct member_note *)(void *)packer->at;
    for (uint32_t i = 0; i < members->count; i++) {
        struct bytes address = entries[i].address;
        pack(packer, &address);
        if (copies) {
            copies[i].address = address;
        }
    }
}

static void pack_message(struct packer *packer, struct peer_message *message)
{
    switch (message->kind) {
    case PEER_HELLO:
        pack(packer, &message->hello.server_version);
        pack(packer, &message->hello.cluster_name);
        pack(packer, &message->hello.address);
        return;
    case PEER_PROOF:
        pack(packer, &message->proof.mac);
        return;
    case PEER_NOTE:
        message->note.entries = pack_entries(packer, message->note.entries,
                                             message->note.count * sizeof *message->note.entries);
        return;
    case PEER_PROMISES:
        message->promises.entries =
            pack_entries(packer, message->promises.entries,
                         message->promises.count * sizeof *message->promises.entries);
        return;
    case PEER_MEMBERS:
        pack_members(packer, &message->members);
        return;
    case PEER_ASK:
        pack(packer, &message->ask.address);
        return;
    case PEER_ANSWER:
        pack(packer, &message->answer.text);
        pack(packer, &message->answer.chunk);
        return;
    case PEER_REFUSE:
        pack(packer, &message->refuse.text);
        return;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        pack(packer, &message->forward.message);
        return;
    case PEER_FORWARD_END:
        pack(packer, &message->forward_end.untaken);
        return;
    case PEER_PULL:
    case PEER_UNPULL:
    case PEER_CREDIT:
    case PEER_HEARTBEAT:
        return;
    case PEER_CHUNKS:
        break;
    }
    assert(false);
}

struct peer_parcel *peer_parcel_new(const struct peer_message *message)
{
    struct peer_message copy = *message;
    struct packer packer = {0};
    pack_message(&packer, &copy);
    struct peer_parcel *parcel = malloc(sizeof *parcel + packer.length);
    if (!parcel) {
        return NULL;
    }
    list_init(&parcel->link);
    parcel->bytes = sizeof *parcel + packer.length;
    parcel->message = *message;
    packer = (struct packer){.at = parcel->data};
    pack_message(&packer, &parcel->message);
    return parcel;
}
