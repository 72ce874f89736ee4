# shellcheck shell=bash disable=SC2034
# What the scripts of this folder share: where things are, which packages and tools they need, and how to get them.
# It is sourced, never run. Every list and every pinned version stands here and nowhere else.

# The Go that is fetched where none, or too old a one, is installed. go.mod says which is too old.
GO_VERSION=1.26.8

# Tools that are not packaged by Debian, built from source at exactly these versions.
GOLANGCI_LINT=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOTESTSUM=gotest.tools/gotestsum@v1.13.0

# Clients of AWS that the local cloud must serve unchanged. Packer 1.9.4 is the last one under the MPL.
PACKER=github.com/hashicorp/packer@v1.9.4
PACKER_AMAZON=github.com/hashicorp/packer-plugin-amazon@v1.8.0

# What iibake itself runs on a build host. The same list stands in .goreleaser.yaml as the package's recommendations.
RUNTIME_PACKAGES=(
	ca-certificates git          # templates are baked from a commit
	mmdebstrap                   # bootstraps Debian ...
	debian-archive-keyring       # ... and checks its signatures, also on Ubuntu
	e2fsprogs dosfstools mtools mount util-linux # file systems
	qemu-system-x86 qemu-utils ovmf # boots images, reads and writes qcow2, vmdk and vhd
)

# What building, checking and testing need on top.
# gcc and libc6-dev: the race detector. busybox-static: small roots for tests. xz and zstd: what our decoders must agree with.
# fdisk: a second opinion on partition tables. python3-venv: boto3 and the emulators that the local cloud is compared with. openssl: digests for
# the AWS CLI.
DEVELOPER_PACKAGES=(gcc libc6-dev jq shellcheck busybox-static xz-utils zstd fdisk python3-venv openssl)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/iibake

# heading TEXT... opens a section of the output.
heading() { printf '\n==> %s\n' "$*"; }

# die TEXT... ends the script.
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# need_root ends the script unless it runs as root: loop devices, mounts and chroots need it.
need_root() {
	[ "$(id -u)" = 0 ] || die "must run as root, for loop devices and mounts: sudo $0 $*"
}

# need_packages NAME... installs those Debian packages that are missing.
need_packages() {
	local missing=() p
	command -v dpkg-query >/dev/null ||
		die "this machine has no dpkg; install what these Debian packages hold, then run it again: $*"
	for p in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return
	heading "installing ${missing[*]}"
	[ "$(id -u)" = 0 ] || die "must run as root to install packages"
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "${missing[@]}"
}

# need_awscli installs the AWS CLI as Debian has it. Ubuntu 24.04 has none; there, whichever is installed will do.
need_awscli() {
	[ ! -x /usr/bin/aws ] || return 0
	apt-cache show awscli >/dev/null 2>&1 || apt-get -qq update
	if apt-cache show awscli >/dev/null 2>&1; then
		need_packages awscli
	else
		command -v aws >/dev/null || die "this distribution has no awscli: install the AWS CLI"
	fi
}

# go_is_enough succeeds where the go in PATH can build the module.
go_is_enough() {
	local have want
	have=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return
	want=$(sed -n 's/^go //p' "$ROOT/go.mod")
	[ "$(printf '%s\n' "$want" "${have#go}" | sort -V | head -n 1)" = "$want" ]
}

# need_go puts a Go that can build the module into PATH. The toolchain is a Go module like any other: whichever Go the
# distribution has fetches it, and checks it against Go's checksum database.
need_go() {
	PATH=$PATH:/usr/local/go/bin
	export PATH GOTOOLCHAIN=local
	go_is_enough && return
	local dir=$CACHE/go$GO_VERSION module
	if [ ! -x "$dir/bin/go" ]; then
		command -v go >/dev/null || need_packages golang-go ca-certificates
		module=golang.org/toolchain@v0.0.1-go$GO_VERSION.$(go env GOHOSTOS)-$(go env GOHOSTARCH)
		heading "fetching Go $GO_VERSION"
		(cd / && GO111MODULE=on GOFLAGS=-modcacherw go mod download "$module")
		rm -rf "$dir.new"
		mkdir -p "$CACHE"
		cp -r "$(go env GOMODCACHE)/$module" "$dir.new"
		chmod -R u+w "$dir.new"
		# A module holds no permissions.
		chmod -R a+x "$dir.new/bin" "$dir.new/pkg/tool"
		mv "$dir.new" "$dir"
	fi
	PATH=$dir/bin:$PATH
	go_is_enough || die "Go $GO_VERSION from $dir does not run"
}

# tool MODULE@VERSION prints the path of a Go program, built once and kept.
tool() {
	local name=${1%@*} dir=$CACHE/tools/${1##*@}
	name=${name##*/}
	if [ ! -x "$dir/$name" ]; then
		heading "building $1, once" >&2
		(cd / && GOBIN=$dir GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags='-s -w' "$1" >&2)
	fi
	printf '%s\n' "$dir/$name"
}

# packer_build MODULE@VERSION FOLDER builds a program in its own module: go install refuses those with replacements.
packer_build() {
	local name=${1%@*} source
	name=${name##*/}
	[ -x "$2/$name" ] && return
	heading "building $1, once" >&2
	source=$(cd / && go mod download -json "$1" | jq -r .Dir) || return
	mkdir -p "$2"
	(cd "$source" && CGO_ENABLED=0 nice go build -mod=readonly -trimpath -ldflags='-s -w' -o "$2/$name" .)
}

# need_packer builds Packer and its plugin for AWS, where the tests look for them. It takes some minutes, once.
need_packer() {
	local module
	for module in "$PACKER" "$PACKER_AMAZON"; do
		packer_build "$module" "$CACHE/tools/${module##*@}" || die "cannot build $module"
	done
}
