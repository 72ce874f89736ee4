package hygiene_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/hygiene"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

// look returns the findings in a tree, a line for each, without what to do.
func look(t *testing.T, files sandboxtest.Files, modes map[string]os.FileMode) []string {
	t.Helper()
	root := t.TempDir()
	files.Write(t, root)
	for name, mode := range modes {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	found, err := hygiene.Look(t.Context(), root, []string{secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for _, f := range found {
		if f.Fix == "" {
			t.Errorf("%s: nothing is said of what to do", f)
		}
		lines = append(lines, f.Path+": "+f.What)
	}
	return lines
}

// TestRules holds every rule against files that break it and files that only look like it.
func TestRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ bad, fine []string }{
		"host keys":  {[]string{"etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host__key"}, []string{"etc/ssh/ssh_host_rsa_key.pub", "etc/ssh/sub/ssh_host_rsa_key", "srv/etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_config"}},
		"identity":   {[]string{"etc/machine-id", "var/lib/dbus/machine-id"}, []string{"etc/machine-info", "var/machine-id"}},
		"history":    {[]string{"root/.bash_history", "root/.psql_history", "home/ada/.zsh_history"}, []string{"root/bash_history", "root/.bash_history.bak", "home/.bash_history", "home/ada/x/.bash_history"}},
		"leases":     {[]string{"var/lib/dhcp/dhclient.eth0.leases", "var/lib/dhcpcd/eth0.lease", "var/lib/NetworkManager/internal-1.lease"}, []string{"var/lib/dhcpcd/secret", "var/lib/NetworkManager/timestamps"}},
		"cloud-init": {[]string{"var/lib/cloud/instance", "var/lib/cloud/instances/i-1/sem/x"}, []string{"var/lib/cloud/seed/nocloud/user-data", "var/lib/cloud/scripts/x"}},
		"seed":       {[]string{"var/lib/systemd/random-seed"}, []string{"var/lib/systemd/random-seed.x"}},
		"cards":      {[]string{"etc/udev/rules.d/70-persistent-net.rules"}, []string{"etc/udev/rules.d/70-persistent-cd.rules"}},
		"logs":       {[]string{"var/log/syslog", "var/log/a/b/c/d", "var/log/.hidden"}, []string{"var/logs/x", "srv/var/log/x"}},
		"scratch":    {[]string{"tmp/x", "tmp/.x", "var/tmp/x", "run/x"}, []string{"srv/tmp/x", "var/run.x"}},
		"apt":        {[]string{"var/cache/apt/archives/a.deb", "var/cache/apt/pkgcache.bin", "var/lib/apt/lists/deb.example_InRelease"}, []string{"var/cache/apt/archives/lock", "var/cache/apt/archives/partial/a.deb", "var/lib/apt/lists/lock", "var/lib/apt/extended_states"}},
		"dnf":        {[]string{"var/cache/dnf/x.solv"}, []string{"var/lib/dnf/history.sqlite"}},
		"put aside":  {[]string{"etc/.resolv.conf.iibake", "usr/sbin/.invoke-rc.d.iibake", "usr/sbin/policy-rc.d"}, []string{"etc/resolv.conf.iibake", "etc/x/.y.iibake", "usr/bin/policy-rc.d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, file := range c.bad {
				got := look(t, sandboxtest.Files{file: "content"}, nil)
				if len(got) != 1 || !strings.HasPrefix("/"+file, strings.Split(got[0], ": ")[0]) {
					t.Errorf("%s: found %q, want one", file, got)
				}
			}
			files := sandboxtest.Files{}
			for _, file := range c.fine {
				files[file] = "content"
			}
			if got := look(t, files, nil); len(got) != 0 {
				t.Errorf("found %q", got)
			}
		})
	}
}

// TestWhatEmptyMeans: of some files the name is enough, of others only what is in them.
func TestWhatEmptyMeans(t *testing.T) {
	t.Parallel()
	fine := sandboxtest.Files{
		"etc/machine-id": "uninitialized\n", "var/lib/dbus/machine-id": "->/etc/machine-id", "root/.bash_history": "->/dev/null", "home/ada/.x_history": "", "var/log/journal/": "",
		"var/log/lastlog": "", "var/log/link": "->/x", "var/lib/dhcp/folder/": "", "var/lib/cloud/instances/": "", "tmp/": "", "run/": "", "var/cache/dnf/": "", "var/lib/dhcp/none": "",
	}
	if got := look(t, fine, nil); len(got) != 0 {
		t.Errorf("found %q", got)
	}
	bad := sandboxtest.Files{
		"etc/ssh/ssh_host_rsa_key": "", "tmp/link": "->x", "run/folder/": "", "var/tmp/.empty": "", "var/lib/systemd/random-seed": "", "usr/sbin/policy-rc.d": "->/bin/true",
		"var/lib/cloud/instance": "->instances/x", "var/cache/dnf/folder/": "", "etc/machine-id": "\n", "var/lib/dhcp/x": "\x00",
	}
	got := look(t, bad, nil)
	for name := range bad {
		name = "/" + strings.TrimSuffix(name, "/")
		if n := len(slices.DeleteFunc(slices.Clone(got), func(line string) bool { return !strings.HasPrefix(line, name+": ") })); n != 1 {
			t.Errorf("%s: %d findings", name, n)
		}
	}
	if len(got) != len(bad) {
		t.Errorf("found %q", got)
	}
}

// A folder that must not be there is found once, and not each file in it.
func TestFoldersAreFoundOnce(t *testing.T) {
	t.Parallel()
	got := look(t, sandboxtest.Files{"tmp/build/a": "x", "tmp/build/b/c": pem, "var/lib/cloud/instances/i-1/user-data": secret, "var/log/a/x": "x", "var/log/a/y": "y"}, nil)
	want := []string{
		"/tmp/build: a temporary file", "/var/lib/cloud/instances/i-1: the state of one machine's cloud-init", "/var/log/a/x: a log of the build", "/var/log/a/y: a log of the build",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

const digits = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"

// TestKeysAreRecognised however they are written, and texts about keys are not keys.
func TestKeysAreRecognised(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		content string
		key     bool
	}{
		{pem, true},
		{strings.ReplaceAll(pem, "\n", "\r\n"), true},
		{"-----BEGIN PRIVATE KEY-----\n" + digits, true},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + digits, true},
		{"-----BEGIN EC PRIVATE KEY-----\n", true},
		{"bag attributes\n\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", true},
		{"write_files:\n  - content: |\n      -----BEGIN RSA PRIVATE KEY-----\n      " + digits + "      " + digits + "      -----END RSA PRIVATE KEY-----\n", true},
		{"\t-----BEGIN RSA PRIVATE KEY-----\r\n\tProc-Type: 4,ENCRYPTED\r\n\t\r\n\t" + digits + "\t-----END RSA PRIVATE KEY-----\r\n", true},
		{"    rsa_private: |\n      -----BEGIN RSA PRIVATE KEY-----\n      " + digits + "      ...\n      -----END RSA PRIVATE KEY-----\n", false}, // in cloud-init
		{"  -----BEGIN RSA PRIVATE KEY-----\n  -----END RSA PRIVATE KEY-----\n", false},
		{"  -----BEGIN RSA PRIVATE KEY-----\n  " + digits, false}, // no end
		{`{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\n` + strings.TrimSpace(digits) + `\n-----END PRIVATE KEY-----\n"}`, true},
		{`KEY="-----BEGIN PRIVATE KEY-----\r\n` + digits, true},
		{"PuTTY-User-Key-File-2: ssh-rsa\n", true},
		{"a\nx -----BEGIN PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----\n" + digits, true}, // the second one
		{"-----BEGIN PUBLIC KEY-----\n" + digits, false},
		{"-----BEGIN CERTIFICATE-----\n" + digits, false},
		{"-----END PRIVATE KEY-----\n", false},
		{"-----BEGIN PRIVATE KEY-----", false}, // no key behind it
		{"-----BEGIN PRIVATE KEY----- and so on\n", false},
		{"if line == '-----BEGIN RSA PRIVATE KEY-----':\n", false},
		{`mark = "-----BEGIN RSA PRIVATE KEY-----\n"` + "\n", false},
		{`mark = "-----BEGIN RSA PRIVATE KEY-----\n" + body + "\n-----END RSA PRIVATE KEY-----\n"`, false},
		{"# -----BEGIN RSA PRIVATE KEY-----\n", false},
		{"begins later: PuTTY-User-Key-File-2: ssh-rsa\n", false},
		{"PRIVATE KEY-----\nPRIVATE KEY-----\n", false},
		{`"-----BEGIN PRIVATE KEY-----\n` + digits[:32], true},
		{`"-----BEGIN PRIVATE KEY-----\n` + digits[:31], false},
		{`"-----BEGIN PRIVATE KEY-----` + digits, false},
		{`x-----BEGIN PRIVATE KEY-----\n` + digits, false},
		{"-----BEGIN \nPRIVATE KEY-----\n", false},
	} {
		want := []string{}
		if c.key {
			want = append(want, "/srv/file: a private key")
		}
		if got := look(t, sandboxtest.Files{"srv/file": c.content}, nil); !slices.Equal(got, want) {
			t.Errorf("%q: found %q", c.content, got)
		}
	}
	if got := look(t, sandboxtest.Files{"etc/ssl/private/ssl-cert-snakeoil.key": pem, "srv/etc/ssl/private/ssl-cert-snakeoil.key": pem}, nil); len(got) != 1 {
		t.Errorf("found %q: want the one that is no snake oil", got)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, content, want string }{
		{"root/.aws/credentials", "[default]\naws_secret_access_key = x\n", "AWS credentials"},
		{"root/.aws/credentials", "[default]\nrole_arn = x\n", ""},
		{"srv/app/.netrc", "machine x login y password z", "a password"},
		{"srv/app/netrc", "machine x login y password z", ""},
		{"root/.docker/config.json", `{"auths":{"x":{"auth":"eA=="}}}`, "credentials of a container registry"},
		{"root/.docker/config.json", `{"auths":{"x":{}},"credsStore":"pass"}`, ""},
		{"root/.git-credentials", "https://me:x@example.org\n", "credentials of git"},
		{"home/a/.npmrc", "//registry/:_authToken=x\n", "credentials of npm"},
		{"home/a/.npmrc", "save-exact=true\n", ""},
		{"root/.pypirc", "password: x\n", "credentials of PyPI"},
		{"var/lib/postgresql/.pgpass", "h:5432:*:u:p\n", "a password of PostgreSQL"},
		{"etc/apt/auth.conf", "machine x login y password z", "credentials of a package archive"},
		{"etc/apt/auth.conf.d/private.conf", "machine x login y password z", "credentials of a package archive"},
		{"etc/apt/auth.conf.d/private.conf", "# machine x\n", ""},
		{"srv/etc/apt/auth.conf.d/private.conf", "machine x login y password z", ""},
		{"root/.netrc", "password " + secret, "a password|the value of a secret"},
		{"srv/x", "x" + secret + "y", "the value of a secret"},
		{"srv/x", strings.ToUpper(secret), ""},
	} {
		var want []string
		for what := range strings.SplitSeq(c.want, "|") {
			if what != "" {
				want = append(want, "/"+c.file+": "+what)
			}
		}
		if got := look(t, sandboxtest.Files{c.file: c.content}, nil); !slices.Equal(got, append([]string{}, want...)) {
			t.Errorf("%s %q: found %q, want %q", c.file, c.content, got, want)
		}
	}
}

// TestOwnedFiles: what a package brought is the package's affair, by either name of a merged /usr, but for what lies in /etc and for secrets.
func TestOwnedFiles(t *testing.T) {
	t.Parallel()
	list := "/.\n/bin/su\n/usr/lib64/key.pem\n/sbin/mount\n/etc/brought.conf\n/opt/key.pem\n/srv/key.pem\r\n"
	got := look(t, sandboxtest.Files{
		"var/lib/dpkg/info/a:amd64.list": list, "usr/bin/su": "x", "usr/bin/sudo": "x", "lib64/key.pem": pem, "opt/key.pem": pem, "srv/key.pem": pem, "sbin/mount": "x",
		"etc/brought.conf": "a: " + secret + "\n" + pem, "etc/open.conf": "x", "usr/share/locked": "x", "usr/share/open": "x", "usr/bin/wall": "x",
	}, map[string]os.FileMode{
		"usr/bin/su": 0o755 | os.ModeSetuid, "usr/bin/sudo": 0o700 | os.ModeSetuid, "sbin/mount": 0o755 | os.ModeSetgid, "etc/brought.conf": 0o646, "etc/open.conf": 0o602,
		"usr/share/locked": 0o644 | os.ModeSetgid, "usr/share/open": 0o777, "usr/bin/wall": 0o755 | os.ModeSetgid,
	})
	want := []string{
		"/etc/brought.conf: everybody may write to it", "/etc/brought.conf: the value of a secret", "/etc/open.conf: everybody may write to it",
		"/srv/key.pem: a private key", // a line of the list ends with a newline alone
		"/usr/bin/sudo: a set-user-id program that no package brought", "/usr/bin/wall: a set-user-id program that no package brought",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestShadow: an account that a password opens is found in both files, and one that none opens is not.
func TestShadow(t *testing.T) {
	t.Parallel()
	got := look(t, sandboxtest.Files{
		"etc/shadow":  "root:$y$j9T$x:1::::::\n\nlocked:!$6$x:1::::::\nnone::1::::::\nstar:*:1::::::\nbang:!!:1::::::\ncut\nonlyuser:\nodd:x\nlast:$1$x:",
		"etc/shadow-": "old:$6$x:1::::::\r\n",
	}, nil)
	want := []string{
		"/etc/shadow: user root has a password, the same on every machine", "/etc/shadow: user last has a password, the same on every machine",
		"/etc/shadow: user none needs no password to log in", "/etc/shadow-: user old has a password, the same on every machine",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := look(t, sandboxtest.Files{"etc/": "", "etc/shadow": "->/nowhere"}, nil); len(got) != 0 {
		t.Errorf("found %q in an image without accounts", got)
	}
}

// TestLargeFilesAreLeftToTheirBlocks: a file that is too large to search is not read.
func TestLargeFilesAreLeftToTheirBlocks(t *testing.T) {
	t.Parallel()
	const limit = 32 << 20
	for size, want := range map[int64]int{limit: 1, limit + 1: 0} {
		root := t.TempDir()
		name := filepath.Join(root, "file")
		if err := errors.Join(os.WriteFile(name, []byte(pem), 0o644), os.Truncate(name, size)); err != nil {
			t.Fatal(err)
		}
		if found, err := hygiene.Look(t.Context(), root, nil, nil); err != nil || len(found) != want {
			t.Errorf("%d bytes: %v, %v", size, found, err)
		}
	}
}

// TestUnreadable: what cannot be looked at is an error, not a clean image.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, files := range []sandboxtest.Files{{"etc/shadow/x": ""}, {"var/lib/dpkg/info/a.list/x": ""}} {
		root := t.TempDir()
		files.Write(t, root)
		if found, err := hygiene.Look(t.Context(), root, nil, nil); err == nil {
			t.Errorf("%v: found %v and no error", files, found)
		}
	}
	if _, err := hygiene.Look(t.Context(), filepath.Join(t.TempDir(), "nothing"), nil, nil); err == nil {
		t.Error("nothing at all is clean")
	}
}
