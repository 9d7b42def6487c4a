/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eBPF engine: loads the steering program and gives it configurations.
 * Attaching the program to a tap is its caller's business: see
 * net/tap_steering.h, or QEMU's set_steering_ebpf hook.
 */
#ifndef EBPF_EBPF_RSS_H
#define EBPF_EBPF_RSS_H

#include "ebpf/ebpf_rss_fds.h"
#include "net/rss.h"

G_BEGIN_DECLS

/*
 * A loaded program and its maps. If the pointer exists, they do.
 *
 * Threads: each function may be called from any thread, and those that take
 * a handle from several at once, but ebpf_rss_set_all() only from one at a
 * time, and ebpf_rss_unload() only when no other call is under way.
 */
typedef struct EBPFRSS EBPFRSS;

/**
 * EBPFRSSState: what became of the configuration that was set last
 * @EBPF_RSS_IN_FORCE: each packet from now on is steered by it
 * @EBPF_RSS_DEFERRED: the one before it is in force; it is going to be, or to
 *                     be unavailable, within some milliseconds
 * @EBPF_RSS_UNAVAILABLE: it is not in force and will not be. The one before it
 *                        stays: the kernel may still be reading all other
 *                        slots, and lets us no longer wait for that to end.
 *                        To set one later may succeed.
 */
typedef enum EBPFRSSState {
    EBPF_RSS_IN_FORCE,
    EBPF_RSS_DEFERRED,
    EBPF_RSS_UNAVAILABLE,
} EBPFRSSState;

/**
 * EBPFRSSNotify: a configuration is not deferred any more
 *
 * Called once after ebpf_rss_set_all() returned EBPF_RSS_DEFERRED; once, too,
 * after several such calls before it. By then another configuration may have
 * been set, so ask ebpf_rss_state() what is true now.
 *
 * It is called from a thread of the library's, which has all signals blocked.
 * It must not block, and must not call any function with this handle: it is
 * for waking the thread that does.
 */
typedef void EBPFRSSNotify(void *opaque);

/**
 * ebpf_rss_open:
 * @name: tells which device it is for; shown by bpftool, as far as it fits
 * @fds: receives the descriptors, which are the caller's; close-on-exec
 *
 * Loads the program, which needs CAP_BPF and CAP_PERFMON, or root.
 *
 * Returns: false with @error set, and @fds not touched, on failure
 */
bool ebpf_rss_open(const char *name, int fds[EBPF_RSS_FDS], GError **error);

/* Where the service listens that the administrator may have enabled. */
#define EBPF_RSS_HELPER_SOCKET "/run/qemu-rss-helper.socket"

/**
 * ebpf_rss_open_by_helper:
 * @helper: path of the socket at which the service qemu-rss-helper listens, or
 *          else of the program qemu-rss-helper
 * @name: as for ebpf_rss_open()
 * @fds: as for ebpf_rss_open()
 *
 * Like ebpf_rss_open(), but in a helper process that has the privilege which
 * this process lacks. A service works also for a process that may not start
 * another or gain privileges (no_new_privs).
 *
 * Takes some ten milliseconds, a service some fifty, and never more than
 * eleven seconds: after ten, a helper that has not answered is left alone if
 * it is a service's. If it is a child it is killed, or left to a thread that
 * reaps it, where this process may not kill it. A connection that is closed
 * without an answer is tried again for five seconds, as the service may have
 * too many at a time. Any thread may call it, and the caller may have a
 * handler for SIGCHLD or ignore it.
 *
 * Returns: false with @error set to what is wrong with the helper
 * (RSS_ERROR_NO_ANSWER if it had its time and to ask again takes as long, else
 * RSS_ERROR_PRIVILEGE), and @fds not touched, on failure
 */
bool ebpf_rss_open_by_helper(const char *helper, const char *name,
                             int fds[EBPF_RSS_FDS], GError **error);

/**
 * ebpf_rss_adopt:
 * @fds: from ebpf_rss_open(), in this process or another; become the
 *       handle's, but stay the caller's on failure. @fds[EBPF_RSS_FD_GRACE]
 *       may be -1.
 * @notify: called after ebpf_rss_set_all() returned EBPF_RSS_DEFERRED, or NULL
 * @opaque: for @notify
 *
 * Needs no privilege. Where another process has configured the program before,
 * it takes an RCU grace period (some milliseconds). Until the first
 * ebpf_rss_set_all() the program returns queue 0 for every packet.
 *
 * Before a slot of the map is written again, the programs that may be reading
 * it must have ended. To wait for that takes one of these:
 *
 *  - @fds[EBPF_RSS_FD_GRACE], and Linux 6.0 or CAP_BPF;
 *  - a global membarrier(), which a kernel with nohz_full has not, and two
 *    processors that this thread may use.
 *
 * Returns: a handle for ebpf_rss_unload(), or NULL with @error set if a
 * descriptor is not what it must be (as far as the kernel tells: from Linux
 * 6.0 on that the program uses these maps, before it the types and sizes), or
 * there is no way to wait
 */
EBPFRSS *ebpf_rss_adopt(const int fds[EBPF_RSS_FDS],
                        EBPFRSSNotify *notify, void *opaque, GError **error);

/* ebpf_rss_open() and ebpf_rss_adopt() in one */
EBPFRSS *ebpf_rss_load(const char *name, EBPFRSSNotify *notify, void *opaque,
                       GError **error);

/**
 * ebpf_rss_object:
 * @size: receives the object's size in bytes
 *
 * Returns: the ELF object with the program and its maps, for another process
 * to load; NULL if this build has none
 */
const void *ebpf_rss_object(size_t *size);

/**
 * ebpf_rss_program_fd:
 *
 * For tap_steering_attach(). The program returns the queue as the table has it;
 * the tap takes it modulo the queues that are on.
 *
 * To run it by BPF_PROG_TEST_RUN, put 14 bytes of anything before the frame:
 * there the kernel takes 14 bytes for an Ethernet header, and a socket filter
 * starts behind them. In a tap it starts at the frame's own.
 *
 * Returns: the program's descriptor, which stays @rss's
 */
int ebpf_rss_program_fd(const EBPFRSS *rss);

/**
 * ebpf_rss_open_report:
 * @name: as for ebpf_rss_open()
 * @fds: of a steering program, from ebpf_rss_open(); stay the caller's
 * @report_fds: receives the descriptors, which are the caller's; close-on-exec
 *
 * Loads the program that reports hashes, beside the steering program and with
 * the same configurations. Takes the privileges of ebpf_rss_open(), and 18 KiB
 * of memory besides the program.
 *
 * Returns: false with @error set, and @report_fds not touched, on failure
 */
bool ebpf_rss_open_report(const char *name, const int fds[EBPF_RSS_FDS],
                          int report_fds[EBPF_RSS_REPORT_FDS],
                          GError **error);

/**
 * ebpf_rss_open_report_by_helper:
 * @helper, @name, @fds: as for ebpf_rss_open_by_helper()
 * @report_fds: as for ebpf_rss_open_report()
 *
 * Both programs from one helper. One of before there was a program that reports
 * hashes refuses (RSS_ERROR_PRIVILEGE); it may be asked for the other alone.
 *
 * Returns: as ebpf_rss_open_by_helper(), and then both are not touched
 */
bool ebpf_rss_open_report_by_helper(const char *helper, const char *name,
                                    int fds[EBPF_RSS_FDS],
                                    int report_fds[EBPF_RSS_REPORT_FDS],
                                    GError **error);

/**
 * ebpf_rss_check_report:
 * @fds: as for ebpf_rss_adopt()
 * @report_fds: as for ebpf_rss_adopt_report(); all stay the caller's
 *
 * For who must know it before @fds become a handle's.
 *
 * Returns: false with @error set if ebpf_rss_adopt_report() would refuse
 */
bool ebpf_rss_check_report(const int fds[EBPF_RSS_FDS],
                           const int report_fds[EBPF_RSS_REPORT_FDS],
                           GError **error);

/**
 * ebpf_rss_adopt_report:
 * @rss: a handle that has not reported hashes before
 * @report_fds: opened with or for the descriptors of @rss, in this process or
 *              another; become the handle's, but stay the caller's on failure
 *
 * Needs no privilege. From the next ebpf_rss_set_all() on, each packet's report
 * is that of one whole configuration, as its queue is. Until then there is
 * nothing to report: attach the program after it.
 *
 * Returns: false with @error set if a descriptor is not what it must be, as
 * far as the kernel tells
 */
bool ebpf_rss_adopt_report(EBPFRSS *rss,
                           const int report_fds[EBPF_RSS_REPORT_FDS],
                           GError **error);

/**
 * ebpf_rss_report_fd:
 *
 * For vhost-net (docs/devel/vhost_net_hash.rst). The program, a socket filter,
 * writes a packet's hash into cb[0] and its VIRTIO_NET_HASH_REPORT_* into
 * cb[1]; both are 0 if the packet has none.
 *
 * Returns: the program's descriptor, which stays @rss's; -1 if it has none
 */
int ebpf_rss_report_fd(const EBPFRSS *rss);

/**
 * ebpf_rss_set_all:
 * @config: a whole configuration, one that rss_config_check() accepts
 *
 * Puts @config in force, whole and at once: each packet is steered by the
 * configuration before it or by @config, never by a mixture. Takes a few
 * microseconds and needs no privilege.
 *
 * After several calls in one RCU grace period (some milliseconds) there is
 * no slot left that no program may be reading. Then @config waits for the end
 * of that period, in place of any that is waiting already, and the
 * configuration in force stays so until then. Where this process can have no
 * thread more, the call itself waits for it.
 *
 * Returns: what became of @config. If that is EBPF_RSS_DEFERRED, the handle's
 * EBPFRSSNotify is called when it has changed.
 */
EBPFRSSState ebpf_rss_set_all(EBPFRSS *rss, const RssConfig *config);

/**
 * ebpf_rss_state:
 *
 * Returns: what has become by now of the configuration that was set last, of
 * those for which ebpf_rss_set_all() did not return EBPF_RSS_UNAVAILABLE;
 * EBPF_RSS_IN_FORCE if none was
 */
EBPFRSSState ebpf_rss_state(const EBPFRSS *rss);

/**
 * ebpf_rss_wait:
 * @timeout_ms: in milliseconds
 *
 * Waits until the configuration that ebpf_rss_state() tells of is not deferred
 * any more. For who has no EBPFRSSNotify, or has nothing else to do.
 *
 * Returns: as ebpf_rss_state(); EBPF_RSS_DEFERRED if the time is over
 */
EBPFRSSState ebpf_rss_wait(const EBPFRSS *rss, unsigned timeout_ms);

/**
 * ebpf_rss_set_counting:
 *
 * Makes the program count packets, which it does not from the start: the
 * counters are shared by processors.
 */
void ebpf_rss_set_counting(EBPFRSS *rss, bool on);

/**
 * ebpf_rss_get_counters:
 *
 * Returns: what was counted since the program was loaded
 */
RssCounters ebpf_rss_get_counters(const EBPFRSS *rss);

/**
 * ebpf_rss_unload:
 * @rss: a handle or NULL
 *
 * The program itself lives on while it is attached to a tap: detach it first.
 * If a configuration was set in the last moment, some of the descriptors are
 * closed a grace period later.
 * When this returns, the handle's EBPFRSSNotify is not called any more.
 */
void ebpf_rss_unload(EBPFRSS *rss);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EBPFRSS, ebpf_rss_unload)

G_END_DECLS

#endif
