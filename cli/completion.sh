# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion for bash. It uses functions of bash-completion, so that colons in addresses do not
# separate words.

_iopfctl_names()
{
	local path

	for path in "$1"/*; do
		# compgen would expand other characters in a name.
		case ${path##*/} in
		*[!A-Za-z0-9:._-]*) ;;
		*) [ -e "$path" ] && echo "${path##*/}" ;;
		esac
	done
}

_iopfctl()
{
	local common="--config --help --json --sysfs --version" iopf=/sys/kernel/vfio_iopf
	local cur prev cword cmd="" word offer=""
	local -a words

	_get_comp_words_by_ref -n : cur prev words cword
	for word in "${words[@]:1:cword-1}"; do
		case $word in
		advise | probe | device | limits | list | set | help)
			cmd=$word
			break
			;;
		esac
	done
	case $cmd,$prev in
	*,--config | device,check | limits,check | limits,apply)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	*,--sysfs)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	device,mode | set,--device | set,-d) offer=$(_iopfctl_names $iopf/devices) ;;
	device,device) offer="list add remove check apply mode $common" ;;
	device,add | device,remove) offer="--apply --comment --first pci subsystem class address" ;;
	limits,*) offer="list check apply forget $common" ;;
	probe,*) offer="--all $common $(_iopfctl_names /sys/bus/pci/devices)" ;;
	help,*) offer="probe device limits list set advise" ;;
	list,*) offer="--count --interval --watch $common $(_iopfctl_names $iopf/containers)" ;;
	advise,*)
		offer="--apply --interval --max --seconds --sizes --slowdown --steps $common"
		offer="$offer $(_iopfctl_names $iopf/containers)"
		;;
	set,set) offer="--device $common $(_iopfctl_names $iopf/containers)" ;;
	set,*)
		compopt -o nospace
		case " ${words[*]} " in
		*" --device "* | *" -d "*) offer="mode= policy= enabled=" ;;
		*)
			offer="resident_high= resident_max= pinned_high= pinned_max= hot_pinned_max="
			offer="$offer policy= fault_workers_max= prefetch_max= aging_interval= min_residency="
			;;
		esac
		;;
	device,*) offer="arbitrary selective none $common" ;;
	*) offer="probe device list set limits advise help $common" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$cur")
	__ltrim_colon_completions "$cur"
}

complete -F _iopfctl iopfctl
