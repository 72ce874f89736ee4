package hygiene

import (
	"bytes"
	"encoding/base64"
	"path"
	"slices"
	"strings"
)

// rule is a file that must not be there, or must be empty.
type rule struct {
	pattern string // as path.Match has it; one that ends in /** means everything below
	what    string
	fix     string
	empty   bool // an empty file is fine
}

const (
	notSealed = "the seal should have removed it: report this as a bug of iibake, and remove it in the last step meanwhile"
	leaveOut  = "keep the step from writing it, or remove it in the same step"
)

// rules are what belongs to one machine or to the build.
func rules() []rule {
	return []rule{
		{"/etc/ssh/ssh_host_*_key", "an SSH host key, which every machine of this image would share", notSealed, false},
		{"/etc/machine-id", "the identity of one machine", notSealed, true},
		{"/var/lib/dbus/machine-id", "the identity of one machine", notSealed, true},
		{"/root/.*_history", "what somebody typed", notSealed, true},
		{"/home/*/.*_history", "what somebody typed", notSealed, true},
		{"/var/lib/dhcp/*", "a lease of one machine", notSealed, true},
		{"/var/lib/dhcpcd/*.lease", "a lease of one machine", notSealed, true},
		{"/var/lib/NetworkManager/*.lease", "a lease of one machine", notSealed, true},
		{"/var/lib/cloud/instance", "the state of one machine's cloud-init", notSealed, false},
		{"/var/lib/cloud/instances/*", "the state of one machine's cloud-init", notSealed, false},
		{"/var/lib/systemd/random-seed", "a random seed that every machine would begin with", notSealed, false},
		{"/etc/udev/rules.d/70-persistent-net.rules", "the network cards of one machine", notSealed, false},
		{"/var/log/**", "a log of the build", notSealed, true},
		{"/tmp/*", "a temporary file", notSealed, false},
		{"/var/tmp/*", "a temporary file", notSealed, false},
		{"/run/*", "a file that belongs in memory", notSealed, false},
		{"/var/cache/apt/archives/*.deb", "a downloaded package", notSealed, false},
		{"/var/cache/apt/*.bin", "a package cache", notSealed, false},
		{"/var/lib/apt/lists/*_*", "a package list", notSealed, false},
		{"/var/cache/dnf/*", "a package cache", notSealed, false},
		{"/etc/.*.iibake", "a file that was put aside for the build", notSealed, false},
		{"/usr/sbin/policy-rc.d", "it keeps every service from starting", leaveOut, false},
		{"/usr/sbin/.*.iibake", "a file that was put aside for the build", notSealed, false},
	}
}

func (r rule) matches(name string) bool {
	if dir, ok := strings.CutSuffix(r.pattern, "**"); ok {
		return strings.HasPrefix(name, dir)
	}
	ok, err := path.Match(r.pattern, name)
	return ok && err == nil
}

// folders reports whether a folder itself, and not only what is in it, breaks the rule.
func (r rule) folders() bool { return strings.HasSuffix(r.pattern, "/*") && !r.empty }

// credential is a file by whose name and content one recognises something secret.
type credential struct {
	name string // end of the path; with a slash at its end a folder, all of whose files count
	text string // must be in the file
	what string
}

func credentials() []credential {
	return []credential{
		{"/.aws/credentials", "aws_secret_access_key", "AWS credentials"},
		{"/.netrc", "password", "a password"},
		{"/.docker/config.json", `"auth"`, "credentials of a container registry"},
		{"/.git-credentials", "://", "credentials of git"},
		{"/.npmrc", "_authToken", "credentials of npm"},
		{"/.pypirc", "password", "credentials of PyPI"},
		{"/.pgpass", ":", "a password of PostgreSQL"},
		{"/etc/apt/auth.conf", "password", "credentials of a package archive"},
		{"/etc/apt/auth.conf.d/", "password", "credentials of a package archive"},
	}
}

func (c credential) matches(name string) bool {
	return strings.HasSuffix(name, c.name) || strings.HasSuffix(c.name, "/") && strings.HasPrefix(name, c.name)
}

// snakeoil is a key that no one trusts: packages make it so that servers can start.
const snakeoil = "/etc/ssl/private/ssl-cert-snakeoil.key"

// secretIn recognises credentials in the content of a file.
func secretIn(name string, content []byte) string {
	if name == snakeoil {
		return ""
	}
	if hasKey(content) {
		return "a private key"
	}
	for _, c := range credentials() {
		if c.matches(name) && bytes.Contains(content, []byte(c.text)) {
			return c.what
		}
	}
	return ""
}

// credentialFile reports whether a file is known by its name to hold something secret.
func credentialFile(name string) bool {
	return slices.ContainsFunc(credentials(), func(c credential) bool { return c.matches(name) })
}

const (
	pemMark   = "PRIVATE KEY-----"
	puttyMark = "PuTTY-User-Key-File-"
)

// keyMarks are texts that every private key has one of.
func keyMarks() [][]byte { return [][]byte{[]byte(pemMark), []byte(puttyMark)} }

// hasKey reports whether a private key begins on one of the lines: OpenSSL's and OpenSSH's look alike. It may be indented, as in YAML, where all
// of it is there, or stand in the quotes of JSON with its lines in one.
func hasKey(content []byte) bool {
	if bytes.HasPrefix(content, []byte(puttyMark)) {
		return true
	}
	for {
		before, after, found := bytes.Cut(content, []byte(pemMark))
		if !found {
			return false
		}
		line := before[bytes.LastIndexByte(before, '\n')+1:]
		if prefix, _, ok := bytes.Cut(line, []byte("-----BEGIN ")); ok {
			ends := bytes.ContainsAny(after[:min(2, len(after))], "\r\n")
			indented := len(bytes.TrimLeft(prefix, " \t")) == 0
			switch {
			case len(prefix) == 0 && ends, indented && ends && wholeKey(after), bytes.HasSuffix(prefix, []byte{'"'}) && quotedKey(after):
				return true
			}
		}
		content = after
	}
}

// wholeKey reports whether a text goes on as a key does to its end, line by line. The examples in the texts of programs, cloud-init's among them,
// leave out what would make them one.
func wholeKey(after []byte) bool {
	digits := 0
	for line := range bytes.Lines(after) {
		line = bytes.TrimSpace(line)
		switch _, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(line), "=")); {
		case bytes.HasPrefix(line, []byte("-----END ")):
			return digits > 0
		case len(line) == 0, bytes.Contains(line, []byte(": ")): // the headers of an encrypted one
		case err != nil:
			return false
		default:
			digits += len(line)
		}
	}
	return false
}

// quotedKey reports whether a text goes on as a key does in quotes: with an end of line that is written out, and digits of base 64. What a
// program looks for in keys does not.
func quotedKey(after []byte) bool {
	digits, ok := bytes.CutPrefix(bytes.TrimPrefix(after, []byte(`\r`)), []byte(`\n`))
	const enough = 32
	if !ok || len(digits) < enough {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(string(digits[:enough]))
	return err == nil
}

// passwords returns the users of a shadow file who can log in with a password, or without any.
func passwords(shadow string) (known, none []string) {
	for line := range strings.Lines(shadow) {
		user, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		hash, _, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case hash == "":
			none = append(none, user)
		case !strings.HasPrefix(hash, "!") && !strings.HasPrefix(hash, "*"):
			known = append(known, user)
		}
	}
	return known, none
}
