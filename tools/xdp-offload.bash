# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of xdp-offload(8) for bash.

_xdp_offload()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local options= words=

    COMPREPLY=()
    case $before in
    --port)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    -d|--dev)
        COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$word"))
        return ;;
    sec|key|value|--timeout)
        return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "load show stats unload map --help --version" \
                             -- "$word"))
        return
    fi
    case ${COMP_WORDS[1]} in
    load)
        options="sec --port --timeout --foreground"
        if [ "$COMP_CWORD" -eq 3 ]; then
            COMPREPLY=($(compgen -f -- "$word"))
        fi ;;
    show|stats) options="--dev --json --timeout" ;;
    unload) options="--dev --timeout" ;;
    map)
        options="--dev --json --timeout"
        case $COMP_CWORD in
        2) words="list lookup update delete dump" ;;
        3) words=$(xdp-offload map list 2>/dev/null | cut -d' ' -f2) ;;
        *) words="key value hex any exist noexist" ;;
        esac ;;
    esac
    if [ "$COMP_CWORD" -eq 2 ] && [ "${COMP_WORDS[1]}" != map ]; then
        words=$(ls /sys/class/net)
    fi
    COMPREPLY+=($(compgen -W "$options $words" -- "$word"))
}

complete -F _xdp_offload xdp-offload
