package provision_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

const greeterService = `#!/bin/sh
### BEGIN INIT INFO
# Provides: greeter
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop:
### END INIT INFO
touch /etc/greeter.started
`

// debs are packages as trees. A content of DEBIAN/control is completed with what every package says.
func debs() map[string]sandboxtest.Files {
	return map[string]sandboxtest.Files{
		"greeter_1.0": {
			"DEBIAN/control":       "Package: greeter\nVersion: 1.0\nRecommends: polite\n",
			"DEBIAN/conffiles":     "/etc/greeter.conf\n",
			"DEBIAN/postinst":      "#!/bin/sh\nset -e\ninvoke-rc.d greeter start\ntest \"$DEBIAN_FRONTEND\" = noninteractive\nmkdir -p /var/log/greeter\n",
			"etc/greeter.conf":     "one\n",
			"etc/init.d/greeter":   greeterService,
			"usr/bin/greet":        "#!/bin/sh\necho 1.0\n",
			"var/cache/greeter/.k": "",
		},
		"greeter_2.0": {
			"DEBIAN/control":   "Package: greeter\nVersion: 2.0\nRecommends: polite\n",
			"DEBIAN/conffiles": "/etc/greeter.conf\n",
			"etc/greeter.conf": "two\n",
			"usr/bin/greet":    "#!/bin/sh\necho 2.0\n",
		},
		"polite_1.0": {"DEBIAN/control": "Package: polite\nVersion: 1.0\n"},
		"rude_1.0":   {"DEBIAN/control": "Package: rude\nVersion: 1.0\nConflicts: polite\n"},
		"broken_1.0": {
			"DEBIAN/control":  "Package: broken\nVersion: 1.0\n",
			"DEBIAN/postinst": "#!/bin/sh\necho this is why >&2\nexit 7\n",
		},
	}
}

// archive makes a package archive in dir.
func archive(t *testing.T, dir string) {
	t.Helper()
	var index strings.Builder
	for name, files := range debs() {
		tree := t.TempDir()
		control := files["DEBIAN/control"] + "Architecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: for tests\n"
		files["DEBIAN/control"] = control
		files.Write(t, tree)
		for _, program := range []string{"DEBIAN/postinst", "etc/init.d/greeter"} {
			_ = os.Chmod(filepath.Join(tree, program), 0o755)
		}
		deb := filepath.Join(dir, name+".deb")
		if out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "-b", tree, deb).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		content, err := os.ReadFile(deb)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&index, "%sFilename: ./%s.deb\nSize: %d\nSHA256: %x\n\n", control, name, len(content), sha256.Sum256(content))
	}
	if err := os.WriteFile(filepath.Join(dir, "Packages"), []byte(index.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// debian returns a bench with a small Debian that has apt, dnf and sudo, and installs from an archive of its own.
func debian(t *testing.T) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("bootstraps Debian")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--quiet", "--variant=apt", `--aptopt=Acquire::Retries "3"`,
		"--include=sudo,dnf,rpm,createrepo-c,systemd-sysv", "bookworm", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	archive(t, func() string {
		_ = os.Mkdir(filepath.Join(dir, "srv/apt"), 0o755)
		return filepath.Join(dir, "srv/apt")
	}())
	sandboxtest.Files{
		"etc/apt/sources.list":     "deb [trusted=yes] file:/srv/apt ./\n",
		"etc/yum.repos.d/own.repo": "[own]\nname=own\nbaseurl=file:///srv/rpm\ngpgcheck=0\n",
		"srv/rpm/hello.spec": "Name: hello-rpm\nVersion: 1\nRelease: 1\nSummary: for tests\nLicense: none\nBuildArch: noarch\n" +
			"%description\n%install\nmkdir -p %{buildroot}/usr/share\necho hi > %{buildroot}/usr/share/hello-rpm\n%files\n/usr/share/hello-rpm\n",
	}.Write(t, dir)
	return &bench{t: t, repo: t.TempDir(), disk: sandboxtest.DiskOf(t, 1<<30, dir)}
}

func TestDebian(t *testing.T) {
	b := debian(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"apt", aptSteps}, {"apt failures", aptFailures}, {"user", userSteps}, {"dnf", dnfSteps},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.t = t
			test.run(t, b)
		})
	}
}

// greeterState lists which of our packages are installed.
const greeterState = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' | grep -E '^(greeter|polite|rude) .* installed$'"

func aptSteps(t *testing.T, b *bench) {
	t.Helper()
	b.must(bake.Step{Apt: &bake.Packages{Install: []string{"greeter=1.0"}}})
	b.want(greeterState, "greeter 1.0 installed")
	b.want("ls /etc/greeter.started 2>/dev/null || echo not started", "not started")
	b.want("ls -d /var/log/greeter; find /var/lib/apt/lists /var/cache/apt -type f -size +0", "/var/log/greeter")

	b.must(bake.Step{Run: "echo mine > /etc/greeter.conf"})
	b.must(bake.Step{Apt: &bake.Packages{Upgrade: true}})
	b.want(greeterState+"; cat /etc/greeter.conf", "greeter 2.0 installed\nmine")
	b.must(bake.Step{Packages: &bake.Packages{Install: []string{"greeter=1.0", "polite"}, Recommends: true}})
	b.want(greeterState, "greeter 1.0 installed\npolite 1.0 installed")
	b.must(bake.Step{Apt: &bake.Packages{Install: []string{"rude"}, Remove: []string{"polite", "never-heard-of"}}})
	b.want(greeterState, "greeter 1.0 installed\nrude 1.0 installed")
	b.must(bake.Step{Apt: &bake.Packages{Remove: []string{"greeter"}}})
	b.want(greeterState+"; ls /etc/greeter.conf 2>&1 | cut -d: -f3", "rude 1.0 installed\n No such file or directory")
	if log := strings.Join(b.log, "\n"); strings.Contains(log, "Reading package lists...\nGet") {
		t.Error("removing needs no lists")
	}
}

func aptFailures(t *testing.T, b *bench) {
	t.Helper()
	err := b.do(bake.Step{Apt: &bake.Packages{Install: []string{"broken"}}})
	f := (*provision.Failure)(nil)
	if !errors.As(err, &f) || !slices.Contains(f.Tail, "this is why") || !strings.Contains(err.Error(), "exit status 100") {
		t.Fatalf("%+v", err)
	}
	b.must(bake.Step{Apt: &bake.Packages{Remove: []string{"broken"}}})
	err = b.do(bake.Step{Apt: &bake.Packages{Install: []string{"no-such-package"}}})
	if err == nil || !strings.Contains(err.Error(), "Unable to locate package no-such-package") || errors.Is(err, provision.ErrNoNetwork) {
		t.Fatal(err)
	}
	b.must(bake.Step{Run: "mv /etc/apt/sources.list /root; echo 'deb [trusted=yes] http://127.0.0.1:1/ ./' > /etc/apt/sources.list"})
	err = b.do(bake.Step{Apt: &bake.Packages{Install: []string{"greeter"}}})
	if !errors.Is(err, provision.ErrNoNetwork) {
		t.Fatal(err)
	}
	b.must(bake.Step{Run: "mv /root/sources.list /etc/apt/sources.list"})
}

func userSteps(t *testing.T, b *bench) {
	t.Helper()
	uid := 1234
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI ops@example.org"
	deploy := bake.User{Name: "deploy", UID: &uid, Groups: []string{"ops", "sudo"}, Keys: []string{key}, Sudo: true}
	b.must(bake.Step{User: &deploy})
	b.want("getent passwd deploy; id -nG deploy | tr ' ' '\n' | sort | xargs", "deploy:x:1234:1234::/home/deploy:/bin/bash\ndeploy ops sudo")
	b.want("cd /home/deploy; stat -c '%n %a %u' .ssh .ssh/authorized_keys; cat .ssh/authorized_keys",
		".ssh 700 1234\n.ssh/authorized_keys 600 1234\n"+key)
	b.want("stat -c '%a %u' /etc/sudoers.d/90-iibake-deploy; visudo -c -q && echo valid; getent shadow deploy | cut -d: -f2", "440 0\nvalid\n*")
	deploy.Shell = "/bin/sh"
	b.must(bake.Step{User: &deploy})
	b.want("getent passwd deploy", "deploy:x:1234:1234::/home/deploy:/bin/sh")
	b.must(bake.Step{User: &bake.User{Name: "daemon-x", System: true}})
	b.want("getent passwd daemon-x | cut -d: -f6-; ls /home", "/home/daemon-x:/usr/sbin/nologin\ndeploy")
	if err := b.do(bake.Step{User: &bake.User{Name: "bad name"}}); err == nil || !strings.Contains(err.Error(), "invalid user name") {
		t.Error(err)
	}
	if err := b.do(bake.Step{User: &bake.User{Name: "daemon-y", System: true, Home: "/nonexistent", Keys: []string{key}}}); err == nil {
		t.Error("keys without a home")
	}
}

func dnfSteps(t *testing.T, b *bench) {
	t.Helper()
	b.must(bake.Step{Run: "cd /srv/rpm && rpmbuild -bb --define \"_rpmdir /srv/rpm\" hello.spec && createrepo_c ."})
	b.must(bake.Step{Dnf: &bake.Packages{Install: []string{"hello-rpm=1"}, Upgrade: true}})
	b.want("cat /usr/share/hello-rpm; rpm -q hello-rpm; ls /var/cache/dnf | wc -l", "hi\nhello-rpm-1-1.noarch\n0")
	b.must(bake.Step{Dnf: &bake.Packages{Remove: []string{"hello-rpm"}}})
	b.want("rpm -q hello-rpm || :", "package hello-rpm is not installed")
}
