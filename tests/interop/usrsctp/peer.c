/* A usrsctp association that speaks bare SCTP packets over stdin and stdout, each after its length (4 bytes, big endian).
 *
 *   peer HOW WHAT [COUNT]
 *   HOW   connect: send INIT; listen: wait for one
 *   WHAT  echo: send every message back on its stream, answer a stream reset by one, end when the other end shuts down
 *         send: send COUNT messages (see size_of), reset stream 1, then shut down
 *         partial: send COUNT messages of 3000 bytes that are not repeated and one that is, then the same
 *
 * What happens is told on stderr, a line each. Build: cc peer.c -o peer -lusrsctp -lpthread
 * usrsctp must not be called from its own output callback; here that only writes to the pipe.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <usrsctp.h>

#define PORT 5000
#define MESSAGE_MAX (1 << 20)

struct message {
    struct message *next;
    uint16_t stream;
    uint16_t flags;
    uint32_t ppid;
    int is_partial;
    size_t size;
    unsigned char data[];
};

static int self; /* its address names the AF_CONN endpoint */
static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static struct message *head, **tail = &head;
static int is_up, is_over, reset_wanted, reset_done;

static void write_all(const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, at, size);
        if (n <= 0)
            _exit(0);
        at += n;
        size -= (size_t)n;
    }
}

static int on_packet(void *addr, void *data, size_t size, uint8_t tos, uint8_t set_df) {
    uint32_t length = htonl((uint32_t)size);
    (void)addr, (void)tos, (void)set_df;
    pthread_mutex_lock(&out_lock);
    write_all(&length, sizeof length);
    write_all(data, size);
    pthread_mutex_unlock(&out_lock);
    return 0;
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void queue(uint16_t stream, uint16_t flags, uint32_t ppid, int is_partial, const void *data, size_t size) {
    struct message *message = malloc(sizeof *message + size);
    *message = (struct message){NULL, stream, flags, ppid, is_partial, size};
    memcpy(message->data, data, size);
    *tail = message;
    tail = &message->next;
}

static void reset(struct socket *sock, const uint16_t *streams, unsigned count) {
    size_t size = sizeof(struct sctp_reset_streams) + count * sizeof(uint16_t);
    struct sctp_reset_streams *request = calloc(1, size);
    request->srs_flags = SCTP_STREAM_RESET_OUTGOING;
    request->srs_number_streams = (uint16_t)count;
    memcpy(request->srs_stream_list, streams, count * sizeof(uint16_t));
    if (usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_RESET_STREAMS, request, (socklen_t)size) < 0)
        fprintf(stderr, "reset: %s\n", strerror(errno));
    free(request);
}

static void on_notification(struct socket *sock, const union sctp_notification *event, int is_echo) {
    if (event->sn_header.sn_type == SCTP_ASSOC_CHANGE) {
        uint16_t state = event->sn_assoc_change.sac_state;
        fprintf(stderr, "association %u\n", state);
        is_up = is_up || state == SCTP_COMM_UP;
        is_over = is_over || state == SCTP_COMM_LOST || state == SCTP_SHUTDOWN_COMP || state == SCTP_CANT_STR_ASSOC;
    } else if (event->sn_header.sn_type == SCTP_STREAM_RESET_EVENT) {
        const struct sctp_stream_reset_event *change = &event->sn_strreset_event;
        unsigned count = (change->strreset_length - sizeof *change) / sizeof(uint16_t);
        fprintf(stderr, "reset flags %u streams %u\n", change->strreset_flags, count);
        if (is_echo && change->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN)
            reset(sock, change->strreset_stream_list, count);
        if (!is_echo && change->strreset_flags & SCTP_STREAM_RESET_OUTGOING_SSN)
            reset_done = 1;
    }
}

/* Take whatever has arrived; a message may come in parts. */
static void receive(struct socket *sock, int is_echo) {
    static unsigned char buffer[MESSAGE_MAX];
    static size_t filled;
    for (;;) {
        struct sctp_rcvinfo info = {0};
        socklen_t info_size = sizeof info, from_size = 0;
        unsigned info_type = 0;
        int flags = 0;
        ssize_t n = usrsctp_recvv(
            sock, buffer + filled, sizeof buffer - filled, NULL, &from_size, &info, &info_size, &info_type, &flags);
        if (n < 0 && (errno == EWOULDBLOCK || errno == EAGAIN))
            return;
        if (n <= 0) {
            is_over = 1;
            return;
        }
        if (flags & MSG_NOTIFICATION) {
            on_notification(sock, (const union sctp_notification *)(buffer + filled), is_echo);
            continue;
        }
        filled += (size_t)n;
        if (!(flags & MSG_EOR))
            continue;
        if (is_echo)
            queue(info.rcv_sid, info.rcv_flags & SCTP_UNORDERED, ntohl(info.rcv_ppid), 0, buffer, filled);
        filled = 0;
    }
}

/* Send what is queued, as far as the send buffer takes it. */
static void pump(struct socket *sock) {
    while (head) {
        struct message *message = head;
        struct sctp_sendv_spa how = {.sendv_flags = SCTP_SEND_SNDINFO_VALID | SCTP_SEND_PRINFO_VALID};
        how.sendv_sndinfo.snd_sid = message->stream;
        how.sendv_sndinfo.snd_flags = message->flags;
        how.sendv_sndinfo.snd_ppid = htonl(message->ppid);
        how.sendv_prinfo.pr_policy = message->is_partial ? SCTP_PR_SCTP_RTX : SCTP_PR_SCTP_NONE;
        if (usrsctp_sendv(sock, message->data, message->size, NULL, 0, &how, sizeof how, SCTP_SENDV_SPA, 0) < 0) {
            if (errno == EWOULDBLOCK || errno == EAGAIN)
                return;
            fail("sendv");
        }
        head = message->next;
        if (!head)
            tail = &head;
        free(message);
    }
    if (reset_wanted) {
        uint16_t stream = 1;
        reset_wanted = 0;
        reset(sock, &stream, 1);
    }
}

/* 1 byte to 256 KiB, the same rule as in the test. */
static size_t size_of(unsigned index) {
    static const size_t sizes[] = {1, 10, 1000, 1131, 1132, 1133, 5000, 16384, 65536, 262144};
    return sizes[index % 10] - (index % 10 > 1 ? index / 10 % 7 : 0);
}

static struct socket *prepare(void) {
    struct socket *sock = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    struct sockaddr_conn local = {.sconn_family = AF_CONN, .sconn_port = htons(PORT), .sconn_addr = &self};
    struct sctp_assoc_value enable = {.assoc_id = SCTP_ALL_ASSOC, .assoc_value = SCTP_ENABLE_RESET_STREAM_REQ};
    struct sctp_initmsg init = {.sinit_num_ostreams = 65535, .sinit_max_instreams = 65535};
    uint16_t events[] = {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT, SCTP_SHUTDOWN_EVENT};
    int on = 1, size = 4 * MESSAGE_MAX;
    if (!sock)
        fail("socket");
    usrsctp_set_non_blocking(sock, 1);
    usrsctp_setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    usrsctp_setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
    usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on);
    usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init);
    usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &enable, sizeof enable);
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
        struct sctp_event event = {.se_assoc_id = SCTP_ALL_ASSOC, .se_type = events[i], .se_on = 1};
        usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event);
    }
    if (usrsctp_bind(sock, (struct sockaddr *)&local, sizeof local) < 0)
        fail("bind");
    return sock;
}

static int read_all(void *data, size_t size) {
    for (char *at = data; size > 0;) {
        ssize_t n = read(STDIN_FILENO, at, size);
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

static int feed(void) {
    static unsigned char packet[65536];
    uint32_t length;
    if (!read_all(&length, sizeof length) || ntohl(length) > sizeof packet || !read_all(packet, ntohl(length)))
        return 0;
    usrsctp_conninput(&self, packet, ntohl(length), 0);
    return 1;
}

int main(int argc, char **argv) {
    int is_echo = argc > 2 && !strcmp(argv[2], "echo"), is_listening = argc > 1 && !strcmp(argv[1], "listen");
    int is_partial = argc > 2 && !strcmp(argv[2], "partial");
    unsigned count = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    int was_up = 0, was_shut = 0;
    struct sockaddr_conn remote = {.sconn_family = AF_CONN, .sconn_port = htons(PORT), .sconn_addr = &self};

    usrsctp_init(0, on_packet, NULL);
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    usrsctp_register_address(&self);
    struct socket *listener = prepare(), *sock = is_listening ? NULL : listener;
    if (is_listening && usrsctp_listen(listener, 1) < 0)
        fail("listen");
    if (!is_listening && usrsctp_connect(sock, (struct sockaddr *)&remote, sizeof remote) < 0 && errno != EINPROGRESS)
        fail("connect");

    while (!is_over) {
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        for (int budget = 64; budget > 0 && poll(&wait, 1, budget == 64 ? 2 : 0) > 0; budget--)
            if (!feed())
                return 0;
        if (!sock) {
            sock = usrsctp_accept(listener, NULL, NULL);
            if (!sock)
                continue;
            usrsctp_set_non_blocking(sock, 1);
            is_up = 1;
        }
        receive(sock, is_echo);
        if (is_up && !was_up && !is_echo) {
            static unsigned char data[MESSAGE_MAX];
            for (unsigned index = 0; index < count; index++) {
                size_t size = is_partial ? 3000 : size_of(index);
                memset(data, (int)(index & 0xff), size);
                queue(1, 0, 53, is_partial, data, size);
            }
            if (is_partial)
                queue(2, 0, 53, 0, "reliable", 8);
            reset_wanted = 1;
        }
        was_up = is_up;
        if (is_up && !was_shut)
            pump(sock);
        if (reset_done && !was_shut) {
            was_shut = 1;
            usrsctp_shutdown(sock, SHUT_WR);
        }
    }
    fprintf(stderr, "over\n");
    usleep(50000); /* the last packet may still be on its way out of the timer thread */
    return 0;
}
