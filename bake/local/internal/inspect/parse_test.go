package inspect_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/inspect"
)

// short writes packages in a line.
func short(list []bake.Package) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.Name + "=" + p.Version + "/" + p.Arch
	}
	return strings.Join(words, " ")
}

// sources writes archives in a line.
func sources(list []bake.Archive) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = strings.Join(slices.Concat([]string{a.URL, a.Suite}, a.Components), " ")
	}
	return strings.TrimSpace(strings.Join(words, ", "))
}

func TestDpkgStatus(t *testing.T) {
	t.Parallel()
	const a = "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                         {"", ""},
		"blank lines only":                {"\n\n  \n", ""},
		"one, without an end of line":     {strings.TrimSuffix(a, "\n"), "a=1/all"},
		"several blank lines between":     {a + "\n\n\n" + strings.ReplaceAll(a, "a\n", "b\n"), "a=1/all b=1/all"},
		"a line of spaces ends a package": {a + " \t\n" + strings.ReplaceAll(a, "a\n", "b\n"), "a=1/all b=1/all"},
		"ends of lines of Windows":        {strings.ReplaceAll(a+"\n"+a, "\n", "\r\n"), "a=1/all a=1/all"},
		"of a key twice the last counts":  {"PACKAGE: x\n" + a, "a=1/all"},
		"the word of a key counts":        {"package: a\nSTATUS: hold ok installed\nVersion: 1\nArchitecture: all\n", "a=1/all"},
		"a comment":                       {"# Package: x\n" + a + "#Version: 9\n", "a=1/all"},
		"an epoch and a tilde":            {strings.Replace(a, ": 1", ": 1:2~rc1-3", 1), "a=1:2~rc1-3/all"},
		"half configured is not there":    {strings.Replace(a, "ok installed", "ok half-configured", 1), ""},
		"triggers are still to come":      {strings.Replace(a, "ok installed", "ok triggers-pending", 1), ""},
		"not installed, with a dash":      {strings.Replace(a, "ok installed", "ok not-installed", 1), ""},
		"the status of another field":     {strings.Replace(a, "Status", "Old-Status", 1), ""},
		"what goes on is no field":        {"Package: a\nDescription: x\n Status: install ok installed\n\tVersion: 2\n", ""},
		"a line without a colon":          {"nonsense\n" + a, "a=1/all"},
		"what moves a cursor":             {"Package: a\x1b[2J\nStatus: x installed\nVersion: 1\r2\n 3\nArchitecture: all\n", "a=1/all"},
		"begins with what goes on":        {" Package: x\n\n" + a, "a=1/all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := short(inspect.DpkgPackages(c.text)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRPMOutput(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "",
		"bash\t5.1-1\tx86_64":             "bash=5.1-1/x86_64",
		"bash\t5.1-1\tx86_64\r\n":         "bash=5.1-1/x86_64",
		"gpg-pubkey\t1-2\t(none)\n":       "",
		"a\t1\n":                          "",
		"a\t1\tnoarch\textra\n":           "",
		"warning: something about\tb\n":   "",
		"a\t1\tnoarch\na\t2\tnoarch\n":    "a=1/noarch a=2/noarch",
		"gpg-pubkey-tools\t1\tnoarch\n\n": "gpg-pubkey-tools=1/noarch",
	} {
		if got := short(inspect.ParseRPM(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestAptLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"deb http://a/ x main":                                    "http://a x main",
		"  deb\thttp://a \t x\tmain  contrib \r\n":                "http://a x main contrib",
		"deb http://a ./":                                         "http://a ./",
		"deb http://a":                                            "",
		"deb-src http://a x main":                                 "",
		"debug http://a x main":                                   "",
		"# deb http://a x main":                                   "",
		"deb http://a x main # contrib":                           "http://a x main",
		"deb [ arch=amd64 signed-by=/a.gpg ] http://a x main":     "http://a x main",
		"deb [arch=amd64 http://a x main":                         "",
		"deb http://a x main\n\ndeb http://b y main\n":            "http://a x main, http://b y main",
		"deb file:/srv/apt ./":                                    "file:/srv/apt ./",
		"deb mirror+https://a/list x main":                        "mirror+https://a/list x main",
		"deb https://user:secret@a/debian/ x main":                "https://a/debian x main",
		"deb https://token@a:8443/debian x main":                  "https://a:8443/debian x main",
		"deb https://user:100%secret@a/debian x main":             "https://a/debian x main",
		"deb https://user:sec/ret@a/debian x main":                "https://a/debian x main",
		"deb https://user:se@cret%@a/debian x main":               "https://a/debian x main",
		"deb http://a/pool@2024/ x main":                          "http://a/pool@2024 x main",
		"deb http://[2001:db8::1]/debian x":                       "http://[2001:db8::1]/debian x",
		"deb [trusted=yes] http://[::1]:80/ x main":               "http://[::1]:80 x main",
		"deb cdrom:[Debian 12 _Bookworm_ - 10:22]/ bookworm main": "cdrom: bookworm main",
		"deb[arch=amd64] http://a x main":                         "",
		"deb":                                                     "",
		"deb [arch=amd64]":                                        "",
		"deb http://a x main\ndeb [trusted=yes] http://b ./ # ]x": "http://a x main, http://b ./",
	} {
		if got := sources(inspect.AptLines(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestAptStanzas(t *testing.T) {
	t.Parallel()
	const a = "Types: deb\nURIs: http://a/\nSuites: x\nComponents: main\n"
	for text, want := range map[string]string{
		"":                                  "",
		a:                                   "http://a x main",
		strings.ReplaceAll(a, "\n", "\r\n"): "http://a x main",
		"# " + strings.ReplaceAll(a, "\n", "\n# "):                   "",
		strings.Replace(a, "deb", "deb-src", 1):                      "",
		strings.Replace(a, "deb", "deb-src deb", 1):                  "http://a x main",
		a + "Enabled: no\n":                                          "",
		a + "Enabled: No\n":                                          "",
		a + "enabled: false\n":                                       "",
		a + "Enabled: 0\n":                                           "",
		a + "Enabled: off\n":                                         "",
		a + "Enabled: yes\n":                                         "http://a x main",
		a + "Enabled: 1\n":                                           "http://a x main",
		a + "Enabled: no\n\n" + a:                                    "http://a x main",
		"Types: deb\nSuites: x\nComponents: main\n":                  "",
		"Types: deb\nURIs: http://a\nSuites: ./\n":                   "http://a ./",
		strings.Replace(a, "x", "x y", 1):                            "http://a x main, http://a y main",
		strings.Replace(a, " x", "\n x\n\ty", 1):                     "http://a x main, http://a y main",
		strings.Replace(a, "http://a/", "\n http://a\n http://b", 1): "http://a x main, http://b x main",
		strings.Replace(a, "http://a", "http://me:secret@a", 1):      "http://a x main",
		a + "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n Enabled: no\n -----END PGP PUBLIC KEY BLOCK-----\n": "http://a x main",
	} {
		if got := sources(inspect.AptStanzas(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestDnfRepos(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "",
		"[a]\nbaseurl=http://a/":               "http://a",
		"[a]\r\nbaseurl = http://a/os/\r\n":    "http://a/os",
		"[a]\n#baseurl=http://a\n;baseurl=b\n": "",
		"[a]\nmirrorlist=http://a\n":           "",
		"[a]\nbaseurl=http://a\nenabled=1\n":   "http://a",
		"[a]\nbaseurl=http://a\nenabled=0\n":   "",
		"[a]\nenabled = False\nbaseurl=http://a\n[b]\nbaseurl=http://b\n":                       "http://b",
		"[a]\nbaseurl=http://a\n\n[b]\nenabled=0\nbaseurl=http://b\n":                           "http://a",
		"[a]\nbaseurl=http://a, http://b http://c\n":                                            "http://a , http://b , http://c",
		"[a]\nbaseurl=http://a\n  http://b\n# between\n\thttp://c\nname=x\n more of the name\n": "http://a , http://b , http://c",
		"[a]\nname=x\n http://not.one\nbaseurl=http://a\n":                                      "http://a",
		"[a]\nbaseurl=http://a\n[b]\n http://not.one\n":                                         "http://a",
		"[a]\nbaseurl=http://a?x=1&y=2\n":                                                       "http://a?x=1&y=2",
		"[a]\nbaseurl=http://me:secret@a http://me:secret@b\n http://me:se%cret@c\n":            "http://a , http://b , http://c",
		"[a]\nbaseurl=\n http://a\n":                                                            "http://a",
	} {
		if got := sources(inspect.DnfRepos(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// No password that an address can carry gets into a record, whatever it is made of and whoever wrote the file.
func TestNoPasswordIsRecorded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		password := "hunter2" + rapid.StringMatching(`[A-Za-z0-9%:;!$&'()*+=@^|~._-]{0,8}`).Draw(t, "tail")
		address := "https://me:" + password + "@archive.example/debian"
		for form, list := range map[string][]bake.Archive{
			"line":   inspect.AptLines("deb " + address + " sid main\n"),
			"stanza": inspect.AptStanzas("Types: deb\nURIs: " + address + "\nSuites: sid\n"),
			"repo":   inspect.DnfRepos("[a]\nbaseurl=" + address + "\n"),
		} {
			if len(list) != 1 || list[0].URL != "https://archive.example/debian" {
				t.Fatalf("%s: %+v", form, list)
			}
		}
	})
}

// FuzzParse: what an image holds comes from anywhere.
func FuzzParse(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\n\n \n:\n")
	f.Add("[a]\nbaseurl=http://a:b@c\n =\n\tx")
	f.Add("deb [x] https://a:%@b c")
	f.Add("Package: a\x1b[2J\nStatus: x installed\nVersion: 1\r2\n 3\nArchitecture: \n")
	f.Fuzz(func(t *testing.T, text string) {
		var words []string
		for _, p := range slices.Concat(inspect.DpkgPackages(text), inspect.ParseRPM(text)) {
			words = append(words, p.Name, p.Version, p.Arch)
		}
		for _, a := range slices.Concat(inspect.AptLines(text), inspect.AptStanzas(text), inspect.DnfRepos(text)) {
			words = append(words, a.URL, a.Suite)
			words = append(words, a.Components...)
		}
		for _, word := range words {
			if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
				t.Errorf("%q is not one word", word)
			}
		}
	})
}
