/* What rtc/fan_out_c.py and rtc/fan_out.c say to each other: plain C, for cffi reads it, too. */

struct fan_out_packet {
    const unsigned char *data; /* opened, with its layer's numbers */
    int64_t index;             /* in its layer */
    int32_t size;
    int32_t wide_at; /* offset of its transport-wide number; 0: it has none */
};

struct fan_out_leg {
    void *session;             /* srtp_t */
    unsigned char address[28]; /* sockaddr_in or sockaddr_in6 */
    uint32_t address_size;
    int64_t first_index; /* of the layer: what is older is not for him */
    uint64_t packets;    /* sent to him, and their plain bytes */
    uint64_t bytes;
    uint64_t *wide_count; /* his transport's next number, its moments and sizes; NULL: none */
    double *wide_times;
    uint16_t *wide_sizes;
    uint32_t timestamp; /* what is added to the layer's numbers */
    uint16_t sequence;
    uint16_t picture_id;
    uint8_t tl0;
    uint8_t is_shifted;
    uint8_t is_vp8;
    uint8_t segments; /* the way to him takes several datagrams in one send */
};

struct fan_out_order {
    int (*protect)(void *session, void *packet, int *length);
    double now;
    int32_t socket;
    int32_t dropped; /* answer: what the system did not take */
    int32_t wide_mask;
};

int32_t fan_out(struct fan_out_order *order, struct fan_out_leg *const *legs, int32_t leg_count,
                const struct fan_out_packet *packets, int32_t packet_count);
