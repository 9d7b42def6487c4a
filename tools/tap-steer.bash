# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of tap-steer(8) for bash.

_tap_steer()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local types="ipv4 tcpv4 udpv4 ipv6 tcpv6 udpv6 ip_ex tcp_ex udp_ex all none"
    local options="--netns" devices=

    COMPREPLY=()
    case $before in
    obj|--pcap)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    --types)
        COMPREPLY=($(compgen -W "$types" -- "$word"))
        return ;;
    -n|--netns)
        COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$word"))
        return ;;
    sec|--key|--queues|--weights|--interval|--times)
        return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "load rss set show unload top try
                                --help --version --netns" -- "$word"))
        return
    fi
    case ${COMP_WORDS[1]} in
    load) options+=" obj sec --fallback --yes --force --own-queue --queues" ;;
    rss) options+=" --key --types --queues --weights --count --force
                    --own-queue" ;;
    set) options+=" --key --types --queues --weights --count --no-count" ;;
    show) options+=" --json --prometheus" ;;
    unload) options+=" --fallback --force --own-queue" ;;
    top) options+=" --interval --times" ;;
    try) options+=" obj sec --fallback --pcap --queues --json" ;;
    esac
    if [ "$COMP_CWORD" -eq 2 ]; then
        devices=$(ls /sys/class/net)
    fi
    COMPREPLY=($(compgen -W "$options $devices" -- "$word"))
}

complete -F _tap_steer tap-steer
