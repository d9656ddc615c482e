/* One libsrtp session in each direction, driven by lines: cc -o session session.c -lsrtp2
 *
 *   session PROFILE KEY_AND_SALT MKI EXTENSION_IDS        numbers of DTLS; hex; hex or "-"; "1,3" or "-"
 *
 * Each line of input is a letter and a packet in hex: P protects RTP, U unprotects RTP, p and u the same for RTCP.
 * Each line of output is the result in hex, or "!" and libsrtp's error code.
 */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_BYTES_MAX 65536

static int parse_hex(const char *text, unsigned char *out) {
    int count = 0;
    unsigned value;
    for (; sscanf(text, "%2x", &value) == 1; text += 2)
        out[count++] = (unsigned char)value;
    return count;
}

static int parse_ids(char *text, int *ids) {
    int count = 0;
    for (char *item = strtok(text, ","); item && strcmp(item, "-"); item = strtok(NULL, ","))
        ids[count++] = atoi(item);
    return count;
}

static int set_policies(srtp_policy_t *policy, int profile) {
    switch (profile) {
    case 1: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtp); break;
    case 2: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy->rtp); break;
    case 3: srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtp); break;
    case 4: srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&policy->rtp); break;
    case 7: srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp); break;
    case 8: srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp); break;
    default: return 0;
    }
    if (profile <= 2)
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    else if (profile <= 4)
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtcp);
    else
        policy->rtcp = policy->rtp;
    return 1;
}

int main(int argc, char **argv) {
    static char line[2 * PACKET_BYTES_MAX + 8];
    static unsigned char packet[PACKET_BYTES_MAX + SRTP_MAX_TRAILER_LEN + 4];
    static unsigned char key[512], mki[512];
    static int ids[256];
    srtp_t sender, receiver;
    srtp_policy_t policy;
    srtp_master_key_t master = {0}, *masters = &master;

    if (argc != 5 || srtp_init())
        return 2;
    memset(&policy, 0, sizeof policy);
    if (!set_policies(&policy, atoi(argv[1])))
        return 2;
    parse_hex(argv[2], key);
    master.key = key;
    master.mki_id = mki;
    master.mki_size = (unsigned)parse_hex(argv[3], mki);
    if (master.mki_size) {
        policy.keys = &masters;
        policy.num_master_keys = 1;
    } else {
        policy.key = key;
    }
    policy.enc_xtn_hdr = ids;
    policy.enc_xtn_hdr_count = parse_ids(argv[4], ids);
    policy.window_size = 1024;
    policy.ssrc.type = ssrc_any_outbound;
    if (srtp_create(&sender, &policy))
        return 3;
    policy.ssrc.type = ssrc_any_inbound;
    if (srtp_create(&receiver, &policy))
        return 3;

    const unsigned use_mki = master.mki_size > 0;
    while (fgets(line, sizeof line, stdin)) {
        srtp_err_status_t status = srtp_err_status_bad_param;
        int count = parse_hex(line + 1, packet);
        switch (line[0]) {
        case 'P': status = srtp_protect_mki(sender, packet, &count, use_mki, 0); break;
        case 'U': status = srtp_unprotect_mki(receiver, packet, &count, use_mki); break;
        case 'p': status = srtp_protect_rtcp_mki(sender, packet, &count, use_mki, 0); break;
        case 'u': status = srtp_unprotect_rtcp_mki(receiver, packet, &count, use_mki); break;
        }
        if (status) {
            printf("!%d\n", status);
            continue;
        }
        for (int at = 0; at < count; at++)
            printf("%02x", packet[at]);
        printf("\n");
    }
    return 0;
}
