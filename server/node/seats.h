// The seats of consumers in the first loop: each consumer's way to its group. For cluster.c and
// service.c.
#pragma once

struct cluster;
struct seats;
struct service;

int seats_new(struct cluster *cluster, struct seats **seats_out);
void seats_free(struct seats *seats); // closed, all letters taken

// Takes what consumers say; also after the cluster has shut down.
void seats_take_letters(struct seats *seats);

// Takes no more letters, and lets every consumer go.
void seats_close(struct seats *seats);
