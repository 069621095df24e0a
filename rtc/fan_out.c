/* The fan-out of rtc/fan_out.py in C: same packets, same order, same datagrams.
 *
 * Needs nothing but a C compiler: libsrtp is the one in Python's wheel, reached by the address of
 * its srtp_protect. One thread, like the worker. tests/rtc/test_fan_out.py holds both to the same bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fan_out.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { SLOTS = 32, BUFFER = 2048, TRAILER = 160, HEADER = 12, MOST_SEGMENT = 1400 };

static unsigned char sealed[SLOTS][BUFFER + TRAILER];

static uint32_t get(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    while (bytes--)
        value = value << 8 | *at++;
    return value;
}

static void put(unsigned char *at, int bytes, uint32_t value)
{
    while (bytes--) {
        at[bytes] = (unsigned char)value;
        value >>= 8;
    }
}

/* RFC 7741 section 4.2; a cut packet stays as it is. */
static void shift_vp8(unsigned char *packet, int32_t size, const struct fan_out_leg *leg)
{
    int32_t at = HEADER + 4 * (packet[0] & 0x0f);
    if (packet[0] & 0x10) {
        if (size < at + 4)
            return;
        at += 4 + 4 * (int32_t)get(packet + at + 2, 2);
    }
    if (size < at + 2 || !(packet[at] & 0x80))
        return;
    unsigned char parts = packet[at + 1];
    at += 2;
    if (parts & 0x80) {
        if (size <= at)
            return;
        int bytes = packet[at] & 0x80 ? 2 : 1;
        if (size < at + bytes)
            return;
        if (leg->picture_id) {
            uint32_t mark = bytes == 2 ? 0x8000 : 0;
            uint32_t mask = bytes == 2 ? 0x7fff : 0x7f;
            put(packet + at, bytes, mark | ((get(packet + at, bytes) + leg->picture_id) & mask));
        }
        at += bytes;
    }
    if (parts & 0x40 && size > at && leg->tl0)
        packet[at] = (unsigned char)(packet[at] + leg->tl0);
}

/* 0, or why the system did not take them. */
static int send_run(int fd, const struct fan_out_leg *leg, struct iovec *parts, int count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control;
    struct msghdr message = {
        .msg_name = (void *)leg->address,
        .msg_namelen = leg->address_size,
        .msg_iov = parts,
        .msg_iovlen = (size_t)count,
    };
    if (count > 1) {
        uint16_t size = (uint16_t)parts[0].iov_len;
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.head.cmsg_level = IPPROTO_UDP;
        control.head.cmsg_type = UDP_SEGMENT;
        control.head.cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(&control.head), &size, sizeof size);
    }
    return sendmsg(fd, &message, 0) < 0 ? errno : 0;
}

static int32_t send_singly(int fd, const struct fan_out_leg *leg, struct iovec *parts, int count)
{
    int32_t dropped = 0;
    for (int i = 0; i < count; i++)
        dropped += send_run(fd, leg, parts + i, 1) != 0;
    return dropped;
}

static int run_end(const struct fan_out_leg *leg, const struct iovec *parts, int count, int at)
{
    size_t size = parts[at].iov_len;
    int end = at + 1;
    if (!leg->segments || size > MOST_SEGMENT)
        return end;
    while (end < count && parts[end].iov_len <= size && parts[end - 1].iov_len == size)
        end++;
    return end;
}

static int32_t send_all(int fd, struct fan_out_leg *leg, struct iovec *parts, int count)
{
    int32_t dropped = 0;
    for (int at = 0, end; at < count; at = end) {
        end = run_end(leg, parts, count, at);
        int failed = send_run(fd, leg, parts + at, end - at);
        if (!failed)
            continue;
        if (end - at == 1 || failed == EAGAIN || failed == ENOBUFS || failed == ENOMEM) {
            dropped += end - at;
            continue;
        }
        leg->segments = 0; /* a small MTU, or a card that cannot: this way takes them singly only */
        dropped += send_singly(fd, leg, parts + at, end - at);
    }
    return dropped;
}

int32_t fan_out(struct fan_out_order *order, struct fan_out_leg *const *legs, int32_t leg_count,
                const struct fan_out_packet *packets, int32_t packet_count)
{
    int32_t sent = 0;
    order->dropped = 0;
    if (packet_count > SLOTS)
        return 0;
    for (int32_t l = 0; l < leg_count; l++) {
        struct fan_out_leg *leg = legs[l];
        struct iovec parts[SLOTS];
        int count = 0;
        uint64_t bytes = 0;
        for (int32_t p = 0; p < packet_count; p++) {
            const struct fan_out_packet *packet = packets + p;
            unsigned char *copy = sealed[p];
            int length = packet->size;
            if (packet->index < leg->first_index || length < HEADER || length > BUFFER)
                continue;
            memcpy(copy, packet->data, (size_t)length);
            if (leg->is_shifted) {
                put(copy + 2, 2, get(copy + 2, 2) + leg->sequence);
                put(copy + 4, 4, get(copy + 4, 4) + leg->timestamp);
                if (leg->is_vp8 && (leg->picture_id || leg->tl0))
                    shift_vp8(copy, length, leg);
            }
            if (packet->wide_at && leg->wide_count) {
                uint64_t number = (*leg->wide_count)++;
                leg->wide_times[number & (uint32_t)order->wide_mask] = order->now;
                leg->wide_sizes[number & (uint32_t)order->wide_mask] = (uint16_t)length;
                put(copy + packet->wide_at, 2, (uint32_t)number);
            }
            if (order->protect(leg->session, copy, &length))
                continue;
            parts[count].iov_base = copy;
            parts[count++].iov_len = (size_t)length;
            bytes += (uint64_t)packet->size;
        }
        if (!count || !leg->address_size)
            continue;
        int32_t dropped = send_all(order->socket, leg, parts, count);
        leg->packets += (uint64_t)(count - dropped);
        leg->bytes += bytes;
        sent += count - dropped;
        order->dropped += dropped;
    }
    return sent;
}
