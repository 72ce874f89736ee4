package inspect

import (
	"net/url"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

// stanzas splits a file of "Key: value" fields, as dpkg and apt write them, into its paragraphs. A line that begins with a
// space goes on with the field before it.
func stanzas(text string) []map[string]string {
	var all []map[string]string
	now, last := map[string]string{}, ""
	flush := func() {
		if len(now) > 0 {
			all = append(all, now)
		}
		now, last = map[string]string{}, ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch key, value, ok := strings.Cut(line, ":"); {
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			now[last] += "\n" + strings.TrimSpace(line)
		case ok:
			last = strings.ToLower(key)
			now[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return all
}

// dpkgPackages reads dpkg's status file. Only what is installed counts: removed packages stay listed with their
// configuration.
func dpkgPackages(status string) []bake.Package {
	list := []bake.Package{}
	for _, s := range stanzas(status) {
		if strings.HasSuffix(s["status"], " installed") {
			list = append(list, bake.Package{Name: s["package"], Version: s["version"], Arch: s["architecture"]})
		}
	}
	return list
}

// rpmFormat makes rpm write what parseRPM reads. EVR carries the epoch only where there is one.
const rpmFormat = `%{NAME}\t%{EVR}\t%{ARCH}\n`

func parseRPM(out string) []bake.Package {
	list := []bake.Package{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) == 3 && f[0] != "gpg-pubkey" { // rpm keeps trusted keys as packages
			list = append(list, bake.Package{Name: f[0], Version: f[1], Arch: f[2]})
		}
	}
	return list
}

// aptLines reads sources in apt's one-line form: deb [options] URL suite component...
func aptLines(text string) []bake.Archive {
	var list []bake.Archive
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if open, rest, ok := strings.Cut(line, "["); ok {
			_, rest, _ = strings.Cut(rest, "]")
			line = open + rest
		}
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "deb" {
			list = append(list, archive(f[1], f[2], f[3:]))
		}
	}
	return list
}

// aptStanzas reads sources in apt's deb822 form.
func aptStanzas(text string) []bake.Archive {
	var list []bake.Archive
	for _, s := range stanzas(text) {
		if !slices.Contains(strings.Fields(s["types"]), "deb") || strings.EqualFold(s["enabled"], "no") {
			continue
		}
		for address := range strings.FieldsSeq(s["uris"]) {
			for suite := range strings.FieldsSeq(s["suites"]) {
				list = append(list, archive(address, suite, strings.Fields(s["components"])))
			}
		}
	}
	return list
}

// archive drops credentials, which addresses of private archives carry: what is read here is recorded.
func archive(address, suite string, components []string) bake.Archive {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		u.User = nil
		address = u.String()
	}
	return bake.Archive{URL: strings.TrimRight(address, "/"), Suite: suite, Components: components}
}

// dnfRepos reads the addresses in dnf's repository files. They have no suite.
func dnfRepos(text string) []bake.Archive {
	var list []bake.Archive
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, "=")
		if ok && strings.TrimSpace(key) == "baseurl" {
			list = append(list, archive(strings.TrimSpace(value), "", nil))
		}
	}
	return list
}
