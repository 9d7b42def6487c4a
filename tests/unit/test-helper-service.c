/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ebpf_rss_open_by_helper() at the socket of a service that is wrong in all
 * ways. As in test-helper.c this program is the helper too; a listener, in
 * another process, runs it for each connection.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call_helper.h"
#include "ebpf/rss_child.h"
#include "ebpf/rss_helper.h"
#include "fake_helper.h"

enum {
    NOBODY = 65534,
    SERVICE_MS = 2000,          /* for one that ends; half for attempts */
};

typedef struct Service {
    char *folder, *path;
    int socket;                 /* that listens */
    pid_t pid;                  /* of the listener; 0: nobody accepts */
} Service;

static struct sockaddr_un address_of(const Service *service)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    g_strlcpy(address.sun_path, service->path, sizeof(address.sun_path));
    return address;
}

/* @backlog: of listen(); negative: it does not listen */
static Service make_service(int type, int backlog)
{
    char *folder = g_dir_make_tmp("qemu-ebpf-service-XXXXXX", NULL);
    Service service = {
        .folder = folder,
        .path = g_build_filename(folder, "socket", NULL),
        .socket = socket(AF_UNIX, type | SOCK_CLOEXEC, 0),
    };
    struct sockaddr_un address = address_of(&service);

    g_assert_cmpint(bind(service.socket, (struct sockaddr *)&address,
                         sizeof(address)), ==, 0);
    if (backlog >= 0) {
        g_assert_cmpint(listen(service.socket, backlog), ==, 0);
    }
    return service;
}

/* What a service manager does for one connection. */
static void serve(int connection)
{
    char request[200] = "", *end = request + sizeof(request) - 1;
    g_autofree char *name = NULL;
    char *argv[] = { (char *)"/proc/self/exe", (char *)"--fd=3", NULL, NULL };
    RssChild child;

    if (recv(connection, request, end - request, 0) > 0 &&
        g_str_has_prefix(request, RSS_HELPER_REQUEST)) {
        argv[2] = name = g_strconcat("--name=",
                                     request + strlen(RSS_HELPER_REQUEST),
                                     NULL);
        rss_child_start(argv, connection, &child);
    }
    close(connection);
}

/* @refused: so many connections are closed at once */
static Service start_service(int refused)
{
    Service service = make_service(SOCK_SEQPACKET, 8);

    service.pid = fork();
    g_assert_cmpint(service.pid, >=, 0);
    if (service.pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
            int connection = accept4(service.socket, NULL, NULL,
                                     SOCK_CLOEXEC);

            if (refused > 0) {
                refused--;
                close(connection);
            } else {
                serve(connection);
            }
        }
    }
    return service;
}

static void end_service(Service *service)
{
    if (service->pid) {
        kill(service->pid, SIGKILL);
        waitpid(service->pid, NULL, 0);
    }
    close(service->socket);
    unlink(service->path);
    rmdir(service->folder);
    g_free(service->path);
    g_free(service->folder);
}

/* The part of a message that does not come from a child. */
static char *without_child(const char *message)
{
    const char *part = message ? strstr(message, "exe: ") : NULL;
    g_auto(GStrv) parts = g_strsplit(part ? part + 3 : message ? message : "",
                                     ", with exit", 2);

    return message ? g_strdup(parts[0] ? parts[0] : "") : NULL;
}

static void test_answer(const void *data)
{
    const FakeHelper *fake = data;
    g_autofree char *message = without_child(fake->message);
    bool ends = message && strstr(message, "without an answer");
    Service service = start_service(0);

    call_helper(service.path, fake->name, message,
                ends ? SERVICE_MS : fake->timeout_ms);
    end_service(&service);
}

/* It is asked for what a helper accepts, and no more. */
static void test_name(void)
{
    g_autofree char *longest = g_strnfill(200, 'n');
    Service service = start_service(0);

    call_helper(service.path, "/machine/x y\n", ": _machine_x_y_", LONG_MS);
    call_helper(service.path, "", ": _", LONG_MS);
    longest[RSS_HELPER_NAME_MAX] = '\0';
    call_helper(service.path, longest, longest, LONG_MS);
    end_service(&service);
}

/* As many helpers as it may have: it has room when others have ended. */
static void test_busy(void)
{
    Service service = start_service(3);

    call_helper(service.path, "loaded", NULL, LONG_MS);
    end_service(&service);
}

static void test_broken(void)
{
    Service service = start_service(INT_MAX);

    call_helper(service.path, "loaded", "ended without an answer",
                SERVICE_MS);
    end_service(&service);
}

static void check_unused(int type, int backlog, const char *message)
{
    Service service = make_service(type, backlog);

    call_helper(service.path, "loaded", message, SHORT_MS);
    end_service(&service);
}

/* A socket that is left from a service, or is another's. */
static void test_unused(void)
{
    check_unused(SOCK_SEQPACKET, -1, ": Connection refused");
    check_unused(SOCK_STREAM, 8, ": Protocol wrong type for socket");
    check_unused(SOCK_SEQPACKET, 8, "did not answer within 0.3 s");
}

/* Nobody accepts, so the second one has to wait. */
static void test_full(void)
{
    Service service = make_service(SOCK_SEQPACKET, 0);
    struct sockaddr_un address = address_of(&service);
    int first = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(first, (struct sockaddr *)&address,
                            sizeof(address)), ==, 0);
    call_helper(service.path, "loaded", "did not answer within 0.3 s",
                SHORT_MS);
    close(first);
    end_service(&service);
}

static void test_not_allowed(void)
{
    Service service = make_service(SOCK_SEQPACKET, 8);
    bool root = geteuid() == 0;

    g_assert_cmpint(chmod(service.folder, 0755), ==, 0);
    g_assert_cmpint(chmod(service.path, 0), ==, 0);
    if (root) {
        g_assert_cmpint(seteuid(NOBODY), ==, 0);    /* root may do anything */
    }
    call_helper(service.path, "loaded", ": Permission denied", LONG_MS);
    if (root) {
        g_assert_cmpint(seteuid(0), ==, 0);
    }
    end_service(&service);
}

/* It is another process that needs the privilege. */
static void test_no_new_privs(void)
{
    Service service;

    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        return;
    }
    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    service = start_service(0);
    call_helper(service.path, "loaded", NULL, LONG_MS);
    end_service(&service);
}

/* A path that no socket's address can hold. */
static void test_long_path(void)
{
    Service service = make_service(SOCK_SEQPACKET, 8);
    g_autofree char *part = g_strnfill(120, 'x');
    g_autofree char *path = g_build_filename(service.folder, part, NULL);

    g_assert_cmpint(rename(service.path, path), ==, 0);
    call_helper(path, "loaded", ": File name too long", LONG_MS);
    unlink(path);
    end_service(&service);
}

int main(int argc, char **argv)
{
    fake_helper_if_asked(argc, argv);
    g_test_init(&argc, &argv, NULL);
    fake_helper_add_tests("/helper-service/answer/", test_answer);
    g_test_add_func("/helper-service/name", test_name);
    g_test_add_func("/helper-service/busy", test_busy);
    g_test_add_func("/helper-service/broken", test_broken);
    g_test_add_func("/helper-service/unused", test_unused);
    g_test_add_func("/helper-service/full", test_full);
    g_test_add_func("/helper-service/not-allowed", test_not_allowed);
    g_test_add_func("/helper-service/no-new-privs", test_no_new_privs);
    g_test_add_func("/helper-service/long-path", test_long_path);
    return g_test_run();
}
