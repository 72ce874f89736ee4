package inspect

import (
	"net/url"
	"slices"
	"strings"
	"unicode"

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
			list = append(list, bake.Package{Name: word(s["package"]), Version: word(s["version"]), Arch: word(s["architecture"])})
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
			list = append(list, bake.Package{Name: word(f[0]), Version: word(f[1]), Arch: word(f[2])})
		}
	}
	return list
}

// aptLines reads sources in apt's one-line form: deb [options] URL suite component... The label of a disc stands in brackets, too; those
// of an address belong to it.
func aptLines(text string) []bake.Archive {
	var list []bake.Archive
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "deb" {
			continue
		}
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "deb"))
		if before, behind, ok := strings.Cut(line, "["); ok && (before == "" || before == "cdrom:") {
			_, behind, _ = strings.Cut(behind, "]")
			line = before + behind
		}
		if f := strings.Fields(line); len(f) >= 2 {
			list = append(list, archive(f[0], f[1], f[2:]))
		}
	}
	return list
}

// aptStanzas reads sources in apt's deb822 form.
func aptStanzas(text string) []bake.Archive {
	var list []bake.Archive
	for _, s := range stanzas(text) {
		if !slices.Contains(strings.Fields(s["types"]), "deb") || isOff(s["enabled"]) {
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

// isOff reports whether a setting of apt or dnf says no, in one of the words that either of them takes.
func isOff(value string) bool {
	return slices.Contains([]string{"no", "false", "0", "off", "without", "disable"}, strings.ToLower(strings.TrimSpace(value)))
}

// archive drops credentials, which addresses of private archives carry: what is read here is recorded.
func archive(address, suite string, components []string) bake.Archive {
	for i := range components {
		components[i] = word(components[i])
	}
	return bake.Archive{URL: strings.TrimRight(withoutUser(word(address)), "/"), Suite: word(suite), Components: components}
}

// word returns the first word of a text. What is read here is shown on terminals, and an image must not be able to paint them.
func word(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// withoutUser leaves the user and the password away, also where the password keeps the address from being one.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	switch scheme, rest, ok := strings.Cut(address, "://"); {
	case err != nil && ok:
		return scheme + "://" + rest[1+strings.LastIndexByte(rest, '@'):]
	case err != nil || u.User == nil:
		return address
	}
	u.User = nil
	return u.String()
}

// dnfRepos reads the addresses in dnf's repository files. They have no suite.
func dnfRepos(text string) []bake.Archive {
	var all, section []bake.Archive
	off, more := false, false // more: a line that is indented goes on with the addresses
	flush := func() {
		if !off {
			all = append(all, section...)
		}
		section, off, more = nil, false, false
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, "=")
		switch key = strings.TrimSpace(key); {
		case strings.TrimSpace(line) == "" || strings.ContainsAny(line[:1], "#;"):
		case strings.ContainsAny(line[:1], " \t"):
			if more {
				section = append(section, addresses(line)...)
			}
		case line[0] == '[':
			flush()
		default:
			off = off || key == "enabled" && isOff(value)
			if more = key == "baseurl"; more {
				section = append(section, addresses(value)...)
			}
		}
	}
	flush()
	return all
}

// addresses reads the value of a baseurl, which may hold several.
func addresses(value string) []bake.Archive {
	var list []bake.Archive
	for _, address := range strings.FieldsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == ',' }) {
		list = append(list, archive(address, "", nil))
	}
	return list
}
