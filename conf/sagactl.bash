# bash completion for sagactl. Commands and options are asked of the program itself, so that they can't differ from it.

_sagactl_words() {
	# Options as argp prints them: "  -s, --socket=PATH   ..." and "      --json   ...".
	sagactl "$@" --help 2>/dev/null | sed -nE 's/^ +(-[A-Za-z], )?(--[a-z0-9-]+)(=?)[A-Z]*.*/\2\3/p'
}

_sagactl() {
	local current=${COMP_WORDS[COMP_CWORD]} command='' word i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--socket | -s | --admin-socket | --timeout) ((i++)) ;;
		-*) ;;
		*)
			command=$word
			break
			;;
		esac
	done
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--socket | -s | --admin-socket | --failed)
		COMPREPLY=($(compgen -f -- "$current"))
		return
		;;
	esac
	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$(_sagactl_words $command)" -- "$current"))
		[[ ${COMPREPLY[*]} == *= ]] && compopt -o nospace 2>/dev/null
	elif [[ -z $command ]]; then
		COMPREPLY=($(compgen -W "$(sagactl --help 2>/dev/null |
			sed -nE '/^ ?Commands:/,/--help/s/^  ([a-z-]+) .*/\1/p')" -- "$current"))
	elif [[ $command == log-level ]]; then
		COMPREPLY=($(compgen -W "debug info warn error" -- "$current"))
	elif [[ $command == sagas ]]; then
		COMPREPLY=($(compgen -W "list show retry resolve cancel" -- "$current"))
	elif [[ $command == put || $command == run || $command == load ]]; then
		COMPREPLY=($(compgen -f -- "$current"))
	fi
}

complete -o filenames -F _sagactl sagactl
