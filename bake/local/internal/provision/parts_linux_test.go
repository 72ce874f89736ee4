package provision_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

// calls writes command lines without the options that every call has.
func calls(list [][]string) string {
	var lines []string
	for _, argv := range list {
		var kept []string
		for i, word := range argv {
			if word == "-o" || i > 0 && argv[i-1] == "-o" || strings.HasPrefix(word, "--setopt=retries") || word == "--setopt=keepcache=0" {
				continue
			}
			kept = append(kept, word)
		}
		lines = append(lines, strings.Join(kept, " "))
	}
	return strings.Join(lines, "\n")
}

func TestAptCalls(t *testing.T) {
	t.Parallel()
	const update = "apt-get -q -y update"
	for name, c := range map[string]struct {
		p    bake.Packages
		want string
	}{
		"nothing":      {bake.Packages{}, ""},
		"install":      {bake.Packages{Install: []string{"a", "b"}}, update + "\napt-get -q -y --no-install-recommends --purge install -- a b"},
		"recommends":   {bake.Packages{Install: []string{"a"}, Recommends: true}, update + "\napt-get -q -y --install-recommends --purge install -- a"},
		"upgrade":      {bake.Packages{Upgrade: true}, update + "\napt-get -q -y --no-install-recommends dist-upgrade"},
		"remove":       {bake.Packages{Remove: []string{"a", "b"}}, "apt-get -q -y purge -- a b"}, // no lists are needed
		"exchange":     {bake.Packages{Install: []string{"a"}, Remove: []string{"b", "c"}}, update + "\napt-get -q -y --no-install-recommends --purge install -- a b- c-"},
		"exact":        {bake.Packages{Install: []string{"a", "b=1"}}, update + "\napt-get -q -y --no-install-recommends --allow-downgrades --purge install -- a b=1"},
		"upgrade most": {bake.Packages{Upgrade: true, Remove: []string{"b"}, Recommends: true}, update + "\napt-get -q -y --install-recommends dist-upgrade\napt-get -q -y purge -- b"},
		"all": {
			bake.Packages{Upgrade: true, Install: []string{"a=1"}, Remove: []string{"b"}},
			update + "\napt-get -q -y --no-install-recommends dist-upgrade\napt-get -q -y --no-install-recommends --allow-downgrades --purge install -- a=1 b-",
		},
	} {
		if got := calls(provision.AptCommands(c.p)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestDnfCalls(t *testing.T) {
	t.Parallel()
	p := bake.Packages{Upgrade: true, Install: []string{"a=1:2=3", "b"}, Remove: []string{"c"}}
	want := "dnf -y --setopt=install_weak_deps=False upgrade\ndnf -y --setopt=install_weak_deps=False remove c\ndnf -y --setopt=install_weak_deps=False install a-1:2=3 b"
	if got := calls(provision.DnfCommands(p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p.Install[0] != "a=1:2=3" {
		t.Errorf("the template itself was changed: %v", p.Install)
	}
	if got := calls(provision.DnfCommands(bake.Packages{Install: []string{"a"}, Recommends: true})); got != "dnf -y --setopt=install_weak_deps=True install a" {
		t.Errorf("got %s", got)
	}
	if got := provision.DnfCommands(bake.Packages{}); got != nil {
		t.Errorf("nothing is asked for: got %v", got)
	}
}

// Properties of the calls of apt: nothing that is to be removed is installed, every name is there, and no name is taken for an option.
func TestAptCallsHoldEveryName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9][a-z0-9+.-]{0,8}[a-z0-9]`), 0, 12, rapid.ID[string]).Draw(t, "names")
		n := rapid.IntRange(0, len(names)).Draw(t, "installed")
		p := bake.Packages{Install: names[:n], Remove: names[n:], Upgrade: rapid.Bool().Draw(t, "upgrade")}
		said := map[string]int{}
		for _, argv := range provision.AptCommands(p) {
			behind := false
			for _, word := range argv {
				if behind {
					said[word]++
				}
				behind = behind || word == "--"
			}
		}
		for i, name := range names {
			if i >= n && n > 0 {
				name += "-"
			}
			if said[name] != 1 {
				t.Fatalf("%s is said %d times in %v", name, said[name], said)
			}
		}
		if len(said) != len(names) {
			t.Fatalf("%v for %v", said, names)
		}
	})
}

func TestOffline(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"": false,
		"Temporary failure resolving 'deb.debian.org'":                                   true,
		"Err:1 http://deb.debian.org bookworm InRelease":                                 false,
		"  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: refused)":       true,
		"Curl error (6): Couldn't resolve host name":                                     false,
		"Curl error (7): Couldn't connect to server for http://x [Failed to connect to]": true,
		"Curl error (28): Timeout was reached for https://x":                             true,
		"E: Unable to locate package nginx":                                              false,
		"connect: Network is unreachable":                                                true,
	} {
		if got := provision.Offline([]string{"before", line, "behind"}); got != want {
			t.Errorf("%q: got %v", line, got)
		}
	}
	if provision.Offline(nil) {
		t.Error("a program that said nothing")
	}
}

// TestTarget pins what slashes at the ends of from and to mean.
func TestTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		folder   bool
		want     string
	}{
		{"a.conf", "/etc/b.conf", false, "/etc/b.conf"},
		{"a.conf", "/etc/", false, "/etc/a.conf"},
		{"x/y/a.conf", "/etc/", false, "/etc/a.conf"},
		{"./a.conf", "/", false, "/a.conf"},
		{"a.conf", "/etc//b/../c.conf", false, "/etc/c.conf"},
		{"site", "/srv", true, "/srv"},
		{"site/", "/srv", true, "/srv"},
		{"site", "/srv/", true, "/srv/site"},
		{"site/", "/srv/", true, "/srv"},
		{"x/site", "/srv/", true, "/srv/site"},
		{"x/site/", "/", true, "/"},
		{"site", "/", true, "/site"},
	} {
		if got := provision.Target(bake.Copy{From: c.from, To: c.to}, c.folder); got != c.want {
			t.Errorf("%s to %s: got %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

func TestUserMod(t *testing.T) {
	t.Parallel()
	uid := 0
	for want, u := range map[string]bake.User{
		"usermod":                   {Name: "a", System: true, Sudo: true},
		"usermod -u 0":              {UID: &uid},
		"usermod -a -G x,y":         {Groups: []string{"x", "y"}},
		"usermod -d /h -s /bin/zsh": {Home: "/h", Shell: "/bin/zsh"},
	} {
		if got := strings.Join(provision.UserMod(u), " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	sandboxtest.Files{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nshort:x:7\nweb:x:33:34:www:/var/www:/bin/false\n\n1000:x:5:6::/:/bin/sh\nodd:x:many:0::/:/bin/sh\n" +
			"oddgroup:x:8:many::/:/bin/sh\nweb:x:99:99:second:/:/bin/sh\nlast:x:40:41::/:/bin/sh",
		"etc/group": "root:x:0:\nstaff:x:50:web,root\r\nodd:x::\n",
	}.Write(t, root)
	for text, want := range map[string]string{
		"":                      "0:0",
		"root":                  "0:0",
		":staff":                "0:50",
		"web":                   "33:34",
		"web:":                  "33:34",
		"web:staff":             "33:50",
		"last":                  "40:41", // no end of line behind it
		"33:33":                 "33:33",
		"77":                    "77:77",
		"0:0":                   "0:0",
		"1000":                  "5:6", // a name of digits is a name first
		"4294967294:4294967294": "4294967294:4294967294",
		"4294967295":            "has no user 4294967295", // to chown it means: leave it
		"web:4294967296":        "has no group 4294967296",
		"99999999999999999999":  "has no user",
		"-1:0":                  "has no user -1",
		"0:-1":                  "has no group -1",
		"0x10":                  "has no user",
		"short":                 "has no user short",
		"we":                    "has no user we",
		"web:web":               "has no group web",
		"odd":                   "/etc/passwd of the image",
		"oddgroup":              `"many"`,
		"root:odd":              "/etc/group of the image",
	} {
		uid, gid, err := provision.OwnerIn(root, text)
		got := fmt.Sprintf("%d:%d", uid, gid)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if strings.Contains(want, "has no") && (!errors.Is(err, bake.ErrInvalid) || !strings.Contains(got, "make it in an earlier step")) {
			t.Errorf("%q: got %v: want one that says what to do", text, err)
		}
	}
	if _, _, err := provision.OwnerIn(t.TempDir(), "root"); err == nil {
		t.Error("an image without passwd has a root")
	}
}
