package provision_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

// accounts is an image whose programs for accounts write down how they were called. useradd makes an account, too: uid and gid 500, and the
// home that -d says. What the real ones do is tested where they are.
func accounts(t *testing.T, more sandboxtest.Files) *bench {
	t.Helper()
	image := sandboxtest.Busybox(t)
	for _, program := range []string{"usermod", "groupadd", "visudo"} {
		image["usr/sbin/"+program] = "#!/bin/sh\necho " + program + " \"$@\" >> /called\n"
	}
	image["usr/sbin/useradd"] = `#!/bin/sh -e
echo useradd "$@" >> /called
home=/home/x
while [ $# -gt 1 ]; do [ "$1" = -d ] && home=$2; shift; done
echo "$1:x:500:500::$home:/bin/sh" >> /etc/passwd
`
	maps.Copy(image, more)
	return &bench{t: t, repo: t.TempDir(), disk: sandboxtest.Disk(t, 32<<20, image)}
}

// TestUserCalls pins how accounts are made and changed.
func TestUserCalls(t *testing.T) {
	uid := 900
	b := accounts(t, sandboxtest.Files{"bin/bash": "#!/bin/sh\n"})
	for _, u := range []bake.User{
		{Name: "ops"},
		{Name: "ops"}, // is there now: nothing to change
		{Name: "ops", Shell: "/bin/sh"},
		{Name: "svc", System: true},
		{Name: "app", System: true, Home: "/srv/app", Shell: "/bin/sh", UID: &uid},
		{Name: "deploy", Groups: []string{"docker", "ops"}},
		{Name: "root", Groups: []string{"docker"}},
	} {
		b.must(bake.Step{User: &u})
	}
	b.want("cat /called", strings.Join([]string{
		"useradd -p * -m -s /bin/bash -- ops",
		"usermod -s /bin/sh -- ops",
		"useradd -p * -M -r -s /usr/sbin/nologin -- svc",
		"useradd -p * -m -r -u 900 -d /srv/app -s /bin/sh -- app",
		"groupadd -f -- docker",
		"groupadd -f -- ops",
		"useradd -p * -m -s /bin/bash -G docker,ops -- deploy",
		"groupadd -f -- docker",
		"usermod -a -G docker -- root",
	}, "\n"))
}

// TestUserWithoutBash: the shell that an image does not have is nobody's.
func TestUserWithoutBash(t *testing.T) {
	b := accounts(t, nil)
	b.must(bake.Step{User: &bake.User{Name: "ops"}})
	b.want("cat /called", "useradd -p * -m -- ops")
}

// TestKeys: what lets somebody in belongs to the account alone, and is put right where it does not.
func TestKeys(t *testing.T) {
	const one, two = "ssh-ed25519 AAAA1 ada", "ssh-ed25519 AAAA2"
	b := accounts(t, nil)
	user := bake.User{Name: "ops", Home: "/srv/ops", Keys: []string{one, two}}
	b.must(bake.Step{User: &user})
	const state = "cd /srv/ops; stat -c '%n %a %u:%g' .ssh .ssh/authorized_keys; cat .ssh/authorized_keys"
	const right = ".ssh 700 500:500\n.ssh/authorized_keys 600 500:500\n"
	b.want(state, right+one+"\n"+two)
	inode := look(t, b.disk, "stat -c '%i %Z' /srv/ops/.ssh/authorized_keys")
	b.must(bake.Step{User: &user})
	b.want("stat -c '%i %Z' /srv/ops/.ssh/authorized_keys", inode) // nothing was written again

	b.must(bake.Step{Run: "chmod 666 /srv/ops/.ssh/authorized_keys"})
	b.must(bake.Step{User: &user})
	b.want(state, right+one+"\n"+two)
	b.must(bake.Step{Run: "chown 33 /srv/ops/.ssh/authorized_keys"})
	b.must(bake.Step{User: &user})
	b.want(state, right+one+"\n"+two)

	user.Keys = []string{two}
	b.must(bake.Step{User: &user})
	b.want(state, right+two) // whose key is no longer listed does not get in

	b.must(bake.Step{Run: "ln -sf /etc/passwd /srv/ops/.ssh/authorized_keys"})
	user.Keys = []string{one}
	if err := b.do(bake.Step{User: &user}); err == nil {
		t.Error("keys were written through a link")
	}
	b.want("grep -c ssh /etc/passwd || true", "0")
}

func TestKeysNeedAHome(t *testing.T) {
	b := accounts(t, nil)
	for _, home := range []string{"/nonexistent", ""} {
		user := bake.User{Name: "svc" + strings.Trim(home, "/"), System: true, Home: home, Keys: []string{"ssh-ed25519 AAAA"}}
		if home == "" { // an account that was there before, and has none
			b.must(bake.Step{Run: "echo 'svc:x:7:7:::/bin/sh' >> /etc/passwd"})
		}
		err := b.do(bake.Step{User: &user})
		if !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "ssh_keys need a home: give it one") {
			t.Errorf("home %q: %v", home, err)
		}
	}
	b.want("find / -xdev -name authorized_keys", "")
}

// TestSudo: a rule that visudo does not like never gets where sudo reads it.
func TestSudo(t *testing.T) {
	step := bake.Step{User: &bake.User{Name: "ops", Sudo: true}}
	b := accounts(t, nil)
	if err := b.do(step); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "install it in an earlier step") {
		t.Errorf("without sudo: %v", err)
	}
	b = accounts(t, sandboxtest.Files{"etc/sudoers.d/": ""})
	b.must(step)
	b.want("cat /etc/sudoers.d/90-iibake-ops; stat -c '%a %u:%g' /etc/sudoers.d/90-iibake-ops; tail -n 1 /called",
		"ops ALL=(ALL:ALL) NOPASSWD: ALL\n440 0:0\nvisudo -c -q -f /tmp/iibake-sudoers")
	b.must(bake.Step{Run: "chmod 666 /etc/sudoers.d/90-iibake-ops"}) // sudo would ignore it
	b.must(step)
	b.want("stat -c '%a' /etc/sudoers.d/90-iibake-ops", "440")

	b = accounts(t, sandboxtest.Files{"etc/sudoers.d/": "", "usr/sbin/visudo": "#!/bin/sh\necho broken >&2\nexit 1\n"})
	if err := b.do(step); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("visudo refused: %v", err)
	}
	b.want("ls /etc/sudoers.d", "")
}

// TestUserFails: what a program for accounts says is the error, and nothing more is done.
func TestUserFails(t *testing.T) {
	b := accounts(t, sandboxtest.Files{"etc/sudoers.d/": "", "usr/sbin/groupadd": "#!/bin/sh\necho \"no such luck\" >&2\nexit 4\n"})
	err := b.do(bake.Step{User: &bake.User{Name: "ops", Groups: []string{"x"}, Sudo: true, Keys: []string{"ssh-ed25519 AAAA"}}})
	failure := (*provision.Failure)(nil)
	if !errors.As(err, &failure) || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("got %v", err)
	}
	b.want("ls /called /etc/sudoers.d 2>&1 | grep -v cannot", "ls: /called: No such file or directory\n/etc/sudoers.d:")
	if err := b.do(bake.Step{User: &bake.User{Name: "ops"}}); err != nil {
		t.Errorf("without groups: %v", err)
	}
}

// TestPackagesChoosesByTheImage: apt-get comes first, then dnf, and what is not installed need not be removed.
func TestPackagesChoosesByTheImage(t *testing.T) {
	image := sandboxtest.Busybox(t)
	image["usr/bin/dnf"] = "#!/bin/sh\necho dnf \"$@\" >> /called\n"
	b := &bench{t: t, repo: t.TempDir(), disk: sandboxtest.Disk(t, 32<<20, image)}
	step := bake.Step{Packages: &bake.Packages{Install: []string{"a=1"}, Remove: []string{"b"}}}
	const options = "-y --setopt=install_weak_deps=False --setopt=retries=3 --setopt=keepcache=0"
	b.must(step)
	b.want("cat /called", "dnf "+options+" remove b\ndnf "+options+" install a-1")

	image["usr/bin/apt-get"] = "#!/bin/sh\nfor last; do :; done; echo apt-get \"$last\" >> /called\n"
	image["usr/bin/dpkg-query"] = `#!/bin/sh
for last; do :; done
case $last in
there) printf 'installed ';;
config) printf 'config-files ';;
gone) printf 'not-installed ';;
foreign) printf 'not-installed installed ';;
*) echo "no packages found" >&2; exit 1;;
esac
`
	b = &bench{t: t, repo: t.TempDir(), disk: sandboxtest.Disk(t, 32<<20, image)}
	b.must(bake.Step{Packages: &bake.Packages{Remove: []string{"never", "gone"}}})
	b.want("ls /called 2>&1 || true", "ls: /called: No such file or directory")
	b.must(bake.Step{Packages: &bake.Packages{Install: []string{"a"}, Remove: []string{"there", "gone", "never", "config", "foreign"}}})
	b.want("cat /called", "apt-get update\napt-get foreign-") // in one call, the last word of which is told here
	b.must(bake.Step{Dnf: &bake.Packages{Upgrade: true}})
	b.want("tail -n 1 /called", "dnf "+options+" upgrade")
}
