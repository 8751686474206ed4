# steps.sh - what tools/quickstart and tools/check share: packages, build trees, progress lines.
# Sourced by bash scripts that set `me` (their name) and run with set -u.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cores=$(nproc 2>/dev/null || echo 1)
logs=$root/build/logs

build_packages=(
	autoconf automake file gcc libc6-dev libcrypt-dev libelf-dev libjansson-dev liblmdb-dev
	libltdl-dev libseccomp-dev libssl-dev libsystemd-dev libtool libxxhash-dev libyaml-dev
	make pkgconf xz-utils
)

die() {
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

# seconds since the script began, as 1:05
elapsed() {
	printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60))
}

# A line that will be followed by its result; on a terminal alone the name shows at once.
begin() {
	step_name=$1 step_began=$SECONDS
	[ -t 1 ] && printf '  [%s] %s ...' "$(elapsed)" "$step_name"
	return 0
}

finish() { # RESULT
	[ -t 1 ] && printf '\r\033[K'
	printf '  [%s] %-46s %-7s %4d s\n' "$(elapsed)" "$step_name" "$1" $((SECONDS - step_began))
}

# A log without the lines in which make tells what it does.
quiet() {
	grep -vE '^ +(CC|CCLD|GEN|AR|LD|MKDIR) ' "$1"
}

# step NAME COMMAND...: quiet when it succeeds, its last words when it does not.
step() {
	local name=$1 log status=0
	shift
	mkdir -p "$logs" || die "cannot write $logs; free some space or check the rights"
	log=$logs/$(printf %s "$name" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//').log
	begin "$name"
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if [ $status = 0 ]; then
		finish ok
	else
		finish FAILED
		quiet "$log" | tail -n 30 | sed 's/^/    /'
		printf '    (all of it: %s)\n' "$log"
	fi
	return $status
}

missing_packages() {
	dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^ii *//p' | LC_ALL=C sort -u >/tmp/.postern-have.$$
	printf '%s\n' "$@" | LC_ALL=C sort -u | LC_ALL=C comm -23 - /tmp/.postern-have.$$
	rm -f /tmp/.postern-have.$$
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq &&
		apt-get install -y -qq --no-install-recommends "$@"
}

need_packages() {
	local missing
	command -v dpkg-query >/dev/null || die "needs Debian 12 (dpkg-query is not there)"
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} = 0 ] && return 0
	[ "$(id -u)" = 0 ] || die "these Debian packages are missing: ${missing[*]}
Run $me as root to have them installed, or: apt-get install --no-install-recommends ${missing[*]}"
	step "install ${#missing[@]} Debian packages" install_packages "${missing[@]}" ||
		die "the packages could not be installed; see above (network, package sources, disk space)"
}

need_space() { # MEGABYTES DIRECTORY
	local free
	free=$(df -Pm "$2" | awk 'NR==2 {print $4}')
	[ "${free:-0}" -ge "$1" ] ||
		die "$2 has ${free:-0} MB free, $1 MB are needed; free some space and run $me again"
}

bootstrap_now() {
	(cd "$root" && autoreconf -fi)
}

# Make ./configure if it is missing or older than what it is made from.
bootstrap() {
	local stale=
	[ -x "$root/configure" ] && [ -f "$root/Makefile.in" ] || stale=1
	[ -n "$stale" ] || stale=$(find "$root" -path "$root/build" -prune -o -path "$root/.git" -prune -o \
		\( -name configure.ac -o -name '*.am' \) -newer "$root/configure" -print)
	[ -z "$stale" ] || step "make ./configure" bootstrap_now
}

# configure_tree DIRECTORY OPTIONS...: once; again only if ./configure or the options changed.
configure_tree() {
	local tree=$1
	shift
	mkdir -p "$tree"
	if [ -f "$tree/Makefile" ] && [ "$tree/config.status" -nt "$root/configure" ] &&
		[ "$(cat "$tree/.options" 2>/dev/null)" = "$*" ]; then
		return 0
	fi
	# libtool is a shell script that runs once for each file: dash takes half of bash's time
	(cd "$tree" && CONFIG_SHELL=/bin/dash /bin/dash "$root/configure" -q "$@") &&
		printf '%s\n' "$*" >"$tree/.options"
}

build_tree() { # DIRECTORY OPTIONS...
	configure_tree "$@" && make -s -C "$1" -j"$cores"
}
