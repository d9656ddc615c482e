/* A DTLS end made of NSS's libssl, on a UDP socket of the loopback interface.
 *
 *   peer ROLE PORT CERTIFICATE KEY FINGERPRINT MIN-MAX SUITES GROUPS PROFILES
 *   ROLE          client or server
 *   PORT          where the other end is
 *   CERTIFICATE   file, DER; "-": none
 *   KEY           file, PKCS #8 in DER
 *   FINGERPRINT   SHA-256 in hex that the other end's certificate must have
 *   MIN-MAX       versions as NSS counts them: 303 is DTLS 1.2, 304 is DTLS 1.3, in hex
 *   SUITES, GROUPS, PROFILES      numbers in hex, most preferred first, with commas between; "-": none
 *
 * Lines of input:   data HEX (sends a record), close (sends close_notify); the end of input ends the program.
 * Lines of output:  ready PORT LIBRARY_VERSION
 *                   connected VERSION SUITE GROUP PROFILE EXTENDED_MASTER_SECRET FINGERPRINT KEYS KEYS_WITH_CONTEXT
 *                       ("-" for keys that NSS does not export: those of suites with SHA-384, its bug 1312976)
 *                   data HEX, closed, failed ERROR
 *
 * Build: cc peer.c -o peer $(pkg-config --cflags --libs nss)
 */
#include <poll.h>
#include <private/pprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nspr.h>

#include <cert.h>
#include <keyhi.h>
#include <nss.h>
#include <pk11pub.h>
#include <ssl.h>
#include <sslerr.h>
#include <sslproto.h>

#define DATA_MAX 16384
#define NUMBERS_MAX 16
#define EXPORT_BYTES 60
#define POLL_MS_MAX 1000

static const char label[] = "EXTRACTOR-dtls_srtp";
static unsigned char expected[32];
static CERTCertificate *certificate;
static SECKEYPrivateKey *key;

static void fail(const char *what) {
    const char *name = PR_ErrorToName(PR_GetError());
    printf("failed %s\n", name ? name : what);
    fprintf(stderr, "%s: %s\n", what, name ? name : "?");
    exit(1);
}

static void print_hex(const unsigned char *data, int size) {
    for (int at = 0; at < size; at++)
        printf("%02x", data[at]);
}

static int parse_hex(const char *text, unsigned char *out, int size_max) {
    int size = 0;
    unsigned value;
    for (; size < size_max && sscanf(text, "%2x", &value) == 1; text += 2)
        out[size++] = (unsigned char)value;
    return size;
}

static int parse_numbers(char *text, unsigned *numbers) {
    int count = 0;
    for (char *item = strtok(text, ","); item && strcmp(item, "-") && count < NUMBERS_MAX; item = strtok(NULL, ","))
        numbers[count++] = (unsigned)strtoul(item, NULL, 16);
    return count;
}

static SECItem read_file(const char *path) {
    SECItem item = {siBuffer, malloc(DATA_MAX), 0};
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    item.len = (unsigned)fread(item.data, 1, DATA_MAX, file);
    fclose(file);
    return item;
}

static void load_identity(const char *certificate_path, const char *key_path) {
    SECItem der = read_file(certificate_path), pkcs8 = read_file(key_path), name = {siBuffer, NULL, 0}, *value;
    certificate = CERT_DecodeCertFromPackage((char *)der.data, (int)der.len);
    SECKEYPublicKey *public = certificate ? CERT_ExtractPublicKey(certificate) : NULL;
    if (!public)
        fail("certificate");
    value = public->keyType == rsaKey ? &public->u.rsa.modulus : &public->u.ec.publicValue;
    if (PK11_ImportDERPrivateKeyInfoAndReturnKey(
            PK11_GetInternalKeySlot(), &pkcs8, &name, value, PR_FALSE, PR_FALSE, KU_ALL, &key, NULL))
        fail("key");
}

static void fingerprint_of(PRFileDesc *ssl, unsigned char *fingerprint) {
    CERTCertificate *theirs = SSL_PeerCertificate(ssl);
    memset(fingerprint, 0, sizeof expected);
    if (theirs)
        PK11_HashBuf(SEC_OID_SHA256, fingerprint, theirs->derCert.data, (PRInt32)theirs->derCert.len);
}

/* Take the certificate that was promised, whoever has signed it. */
static SECStatus check_certificate(void *arg, PRFileDesc *ssl, PRBool check_signature, PRBool is_server) {
    unsigned char fingerprint[sizeof expected];
    (void)arg, (void)check_signature, (void)is_server;
    fingerprint_of(ssl, fingerprint);
    if (!memcmp(fingerprint, expected, sizeof expected))
        return SECSuccess;
    PR_SetError(SSL_ERROR_BAD_CERTIFICATE, 0);
    return SECFailure;
}

static SECStatus give_certificate(
    void *arg, PRFileDesc *ssl, CERTDistNames *names, CERTCertificate **their_copy, SECKEYPrivateKey **key_copy) {
    (void)arg, (void)ssl, (void)names;
    if (!certificate)
        return SECFailure;
    *their_copy = CERT_DupCertificate(certificate);
    *key_copy = SECKEY_CopyPrivateKey(key);
    return SECSuccess;
}

static void choose_suites(PRFileDesc *ssl, char *text) {
    unsigned wanted[NUMBERS_MAX];
    int count = parse_numbers(text, wanted);
    for (int index = 0; index < SSL_NumImplementedCiphers; index++) {
        PRInt32 suite = SSL_ImplementedCiphers[index], is_wanted = suite >> 8 == 0x13;
        for (int at = 0; at < count; at++)
            is_wanted |= wanted[at] == (unsigned)suite;
        if (SSL_CipherPrefSet(ssl, suite, is_wanted))
            fail("suites");
    }
}

static void choose(PRFileDesc *ssl, char *versions, char *suites, char *groups, char *profiles) {
    unsigned numbers[NUMBERS_MAX];
    SSLNamedGroup named[NUMBERS_MAX];
    PRUint16 srtp[NUMBERS_MAX];
    SSLVersionRange range = {0, 0};
    unsigned low, high;
    if (sscanf(versions, "%x-%x", &low, &high) != 2)
        fail("versions");
    range.min = (PRUint16)low;
    range.max = (PRUint16)high;
    if (SSL_VersionRangeSet(ssl, &range))
        fail("versions");
    choose_suites(ssl, suites);
    int count = parse_numbers(groups, numbers);
    for (int at = 0; at < count; at++)
        named[at] = (SSLNamedGroup)numbers[at];
    if (SSL_NamedGroupConfig(ssl, named, (unsigned)count))
        fail("groups");
    count = parse_numbers(profiles, numbers);
    for (int at = 0; at < count; at++)
        srtp[at] = (PRUint16)numbers[at];
    if (count && SSL_SetSRTPCiphers(ssl, srtp, (unsigned)count))
        fail("profiles");
}

static void set_role(PRFileDesc *ssl, int is_server) {
    SSL_OptionSet(ssl, SSL_SECURITY, PR_TRUE);
    SSL_OptionSet(ssl, SSL_HANDSHAKE_AS_CLIENT, !is_server);
    SSL_OptionSet(ssl, SSL_HANDSHAKE_AS_SERVER, is_server);
    SSL_OptionSet(ssl, SSL_ENABLE_EXTENDED_MASTER_SECRET, PR_TRUE);
    SSL_OptionSet(ssl, SSL_NO_CACHE, PR_TRUE);
    SSL_AuthCertificateHook(ssl, check_certificate, NULL);
    SSL_GetClientAuthDataHook(ssl, give_certificate, NULL);
    if (is_server) {
        SSL_OptionSet(ssl, SSL_REQUEST_CERTIFICATE, PR_TRUE);
        SSL_OptionSet(ssl, SSL_REQUIRE_CERTIFICATE, SSL_REQUIRE_ALWAYS);
        if (SSL_ConfigServerCert(ssl, certificate, key, NULL, 0))
            fail("server certificate");
    }
    if (!is_server && SSL_SetURL(ssl, "localhost"))
        fail("name");
    if (SSL_ResetHandshake(ssl, is_server))
        fail("handshake");
}

static PRFileDesc *open_socket(PRUint16 remote_port) {
    PRNetAddr local, remote;
    PRSocketOptionData option = {.option = PR_SockOpt_Nonblocking, .value.non_blocking = PR_TRUE};
    PRFileDesc *udp = PR_NewUDPSocket();
    PR_InitializeNetAddr(PR_IpAddrLoopback, 0, &local);
    PR_InitializeNetAddr(PR_IpAddrLoopback, remote_port, &remote);
    if (PR_Bind(udp, &local) || PR_Connect(udp, &remote, PR_INTERVAL_NO_TIMEOUT) || PR_GetSockName(udp, &local))
        fail("socket");
    PR_SetSocketOption(udp, &option);
    printf("ready %u %s\n", PR_ntohs(local.inet.port), NSS_GetVersion());
    fflush(stdout);
    return udp;
}

static void print_connected(PRFileDesc *ssl) {
    static const unsigned char context[] = "context";
    unsigned char fingerprint[sizeof expected], keys[EXPORT_BYTES];
    SSLChannelInfo info;
    PRUint16 profile = 0;
    SSL_GetChannelInfo(ssl, &info, sizeof info);
    SSL_GetSRTPCipher(ssl, &profile);
    fingerprint_of(ssl, fingerprint);
    printf("connected %x %x %x %x %d ", info.protocolVersion, info.cipherSuite, (unsigned)info.keaGroup, profile,
           (int)info.extendedMasterSecretUsed);
    print_hex(fingerprint, sizeof fingerprint);
    for (int has_context = 0; has_context <= 1; has_context++) {
        unsigned size = has_context ? sizeof context - 1 : 0;
        printf(" ");
        if (SSL_ExportKeyingMaterial(ssl, label, sizeof label - 1, has_context, context, size, keys, sizeof keys))
            printf("-");
        else
            print_hex(keys, sizeof keys);
    }
    printf("\n");
}

/* Everything that has come, until there is no more. */
static int receive(PRFileDesc *ssl) {
    static unsigned char data[DATA_MAX];
    for (;;) {
        PRInt32 size = PR_Recv(ssl, data, sizeof data, 0, PR_INTERVAL_NO_WAIT);
        if (size > 0) {
            printf("data ");
            print_hex(data, size);
            printf("\n");
        } else if (size == 0) {
            printf("closed\n");
            return 0;
        } else if (PR_GetError() == PR_WOULD_BLOCK_ERROR || PR_GetError() == PR_CONNECT_REFUSED_ERROR) {
            return 1;
        } else {
            fail("receive");
        }
    }
}

static int obey(PRFileDesc *ssl) {
    static char line[2 * DATA_MAX + 16];
    static unsigned char data[DATA_MAX];
    if (!fgets(line, sizeof line, stdin))
        return 0;
    if (!strncmp(line, "data ", 5)) {
        int size = parse_hex(line + 5, data, sizeof data);
        if (PR_Send(ssl, data, size, 0, PR_INTERVAL_NO_WAIT) != size)
            fail("send");
    } else if (!strncmp(line, "close", 5)) {
        PR_Shutdown(ssl, PR_SHUTDOWN_SEND);
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 10)
        return 2;
    int is_server = !strcmp(argv[1], "server"), is_connected = 0, is_open = 1;
    if (NSS_NoDB_Init(NULL) || NSS_SetDomesticPolicy())
        fail("NSS");
    if (strcmp(argv[3], "-"))
        load_identity(argv[3], argv[4]);
    parse_hex(argv[5], expected, sizeof expected);
    setvbuf(stdin, NULL, _IONBF, 0); /* else poll() knows nothing of lines that are in the buffer */
    PRFileDesc *udp = open_socket((PRUint16)atoi(argv[2])), *ssl = DTLS_ImportFD(NULL, udp);
    struct pollfd wait[] = {{STDIN_FILENO, POLLIN, 0}, {PR_FileDesc2NativeHandle(udp), POLLIN, 0}};
    if (!ssl)
        fail("DTLS");
    choose(ssl, argv[6], argv[7], argv[8], argv[9]);
    set_role(ssl, is_server);
    for (;;) {
        PRIntervalTime timeout;
        int wait_ms = POLL_MS_MAX;
        if (!is_connected && SSL_ForceHandshake(ssl) == SECSuccess) {
            is_connected = 1;
            print_connected(ssl);
        } else if (!is_connected && PR_GetError() != PR_WOULD_BLOCK_ERROR && PR_GetError() != PR_CONNECT_REFUSED_ERROR) {
            fail("handshake");
        }
        if (is_connected && is_open)
            is_open = receive(ssl);
        fflush(stdout);
        if (DTLS_GetHandshakeTimeout(ssl, &timeout) == SECSuccess && PR_IntervalToMilliseconds(timeout) < POLL_MS_MAX)
            wait_ms = (int)PR_IntervalToMilliseconds(timeout) + 1;
        poll(wait, is_open ? 2 : 1, wait_ms);
        if (wait[0].revents && !obey(ssl))
            return 0;
    }
}
