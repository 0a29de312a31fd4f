// A reply is decoded in the buffer that it came in: whoever takes it may send, and close.
#include "tests/simulation/plain_client.h"

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

static struct plain_client *client_of(struct endpoint *endpoint)
{
    return container_of(endpoint, struct plain_client, endpoint);
}

static void send_out(struct plain_client *client)
{
    size_t room = network_room(&client->endpoint);
    size_t length = client->out.length < room ? client->out.length : room;
    if (length > 0) {
        network_write(&client->endpoint, bytes_of(client->out.data, length));
        buffer_consume(&client->out, length);
    }
}

static void take_replies(struct plain_client *client)
{
    struct bytes rest = buffer_bytes(&client->in);
    struct bytes message;
    size_t needed;
    while (plain_client_is_connected(client) && !client->world->violation.check &&
           frame_next(&rest, FRAME_BYTES_MAX, &message, &needed) == 0) {
        struct reply reply;
        struct reason reason = {0};
        if (reply_decode(message, &reply, &reason) != 0) {
            world_violation(client->world, "simulator", "a reply that cannot be read: %s",
                            reason.text);
            return;
        }
        client->ops->take(client, &reply);
    }
    buffer_consume(&client->in, client->in.length - rest.length);
}

static void on_readable(struct endpoint *endpoint)
{
    struct plain_client *client = client_of(endpoint);
    struct bytes bytes = network_readable(endpoint);
    if (bytes.length > 0) {
        memory_must(buffer_append(&client->in, bytes));
        network_consume(endpoint, bytes.length);
    }
    take_replies(client);
    if (plain_client_is_connected(client) && network_has_ended(endpoint)) {
        plain_client_close(client);
        client->ops->closed(client);
    }
}

static void on_writable(struct endpoint *endpoint)
{
    send_out(client_of(endpoint));
}

static const struct endpoint_ops PLAIN_CLIENT_OPS = {
    .readable = on_readable,
    .writable = on_writable,
};

void plain_client_init(struct plain_client *client, struct world *world,
                       const struct plain_client_ops *ops, const char *name)
{
    *client = (struct plain_client){.world = world, .ops = ops, .name = name};
    client->endpoint.ops = &PLAIN_CLIENT_OPS;
}

void plain_client_deinit(struct plain_client *client)
{
    plain_client_close(client);
    buffer_deinit(&client->in);
    buffer_deinit(&client->out);
}

bool plain_client_is_connected(const struct plain_client *client)
{
    return client->endpoint.connection;
}

bool plain_client_connect(struct plain_client *client, unsigned machine)
{
    struct machine *to = client->world->machines[machine];
    buffer_clear(&client->in);
    buffer_clear(&client->out);
    if (!machine_accept(to, &client->endpoint)) {
        return false;
    }
    client->machine = machine;
    client->life = to->life;
    struct request hello = {.kind = REQUEST_HELLO, .id = 1};
    hello.hello = (struct request_hello){
        .version_min = 1,
        .version_max = 1,
        .client_name = bytes_of_text(client->name),
        .features = client->features,
    };
    plain_client_send(client, &hello);
    return true;
}

void plain_client_close(struct plain_client *client)
{
    network_close(&client->endpoint);
}

void plain_client_send(struct plain_client *client, const struct request *request)
{
    memory_must(request_encode(request, &client->out));
    send_out(client);
}
