/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For LD_PRELOAD: the descriptor numbered VDPA_DEVICE is a vhost-vdpa device.
 *
 * It is a socket of whoever plays the device: see vdpa.py. Each ioctl() goes
 * there, its number before its argument, and the answer is an errno, or 0,
 * before what is to become of the argument. The descriptor by which a queue is
 * kicked goes along. What is written to a vhost-vdpa device, changes of its
 * IOTLB, goes there anyway; and a socket cannot be mapped, which such a device
 * may refuse, too.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct message {
    uint64_t number;            /* of the request; then the errno */
    uint8_t argument[1024];
};

static size_t size_of(unsigned long request, const void *argument)
{
    const struct vhost_vdpa_config *config = argument;

    return _IOC_SIZE(request) + (request == VHOST_VDPA_GET_CONFIG ||
                                 request == VHOST_VDPA_SET_CONFIG
                                 ? config->len : 0);
}

static int tell(int device, const struct message *message, size_t size, int fd)
{
    struct iovec data = { (void *)message, size };
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(fd))];
    } right = {
        .header = { CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS },
    };
    struct msghdr all = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = fd < 0 ? NULL : &right,
        .msg_controllen = fd < 0 ? 0 : sizeof(right),
    };

    memcpy(CMSG_DATA(&right.header), &fd, sizeof(fd));
    return sendmsg(device, &all, MSG_NOSIGNAL);
}

static int ask(int device, unsigned long request, void *argument)
{
    const struct vhost_vring_file *file = argument;
    struct message message = { request };
    size_t size = size_of(request, argument);

    if (size > sizeof(message.argument)) {
        errno = E2BIG;
        return -1;
    }
    memcpy(message.argument, argument, size);
    if (tell(device, &message, sizeof(message.number) + size,
             request == VHOST_SET_VRING_KICK ? file->fd : -1) < 0 ||
        recv(device, &message, sizeof(message), 0) <
        (ssize_t)sizeof(message.number)) {
        errno = EIO;
        return -1;
    }
    if (message.number) {
        errno = message.number;
        return -1;
    }
    if (_IOC_DIR(request) & _IOC_READ) {
        memcpy(argument, message.argument, size);
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (_IOC_TYPE(request) == VHOST_VIRTIO &&
        fd == atoi(getenv("VDPA_DEVICE"))) {
        return ask(fd, request, argument);
    }
    return syscall(SYS_ioctl, fd, request, argument);
}
