package debian

import (
	"regexp"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// failure is something that apt says when a user can help it.
type failure struct {
	kind  error // ErrInvalid where the template is at fault, ErrUnavailable where it is this machine
	match *regexp.Regexp
	hint  func(in input) string
}

// failures are looked for in this order: what apt says of a missing key or suite comes with much that follows from it.
func failures() []failure {
	urls := func(in input) string {
		var list []string
		for _, a := range in.Archives {
			list = append(list, a.String())
		}
		return strings.Join(list, ", ")
	}
	return []failure{
		{
			sandbox.ErrUnavailable, regexp.MustCompile(`NO_PUBKEY|public key is not available|is not signed|Missing key|unusable key|EXPKEYSIG`),
			func(in input) string {
				return "this machine does not know the key of the archive: run apt-get install debian-archive-keyring, " +
					"or put the key of " + urls(in) + " into /etc/apt/trusted.gpg.d"
			},
		},
		{
			sandbox.ErrUnavailable, regexp.MustCompile(`Could not resolve|Temporary failure resolving|Could not connect|Cannot initiate the connection|` +
				`Connection (timed out|failed|refused)|Network is unreachable|Unable to connect to`),
			func(in input) string {
				return "this machine does not reach the archive: check its network, proxy (http_proxy) and the address (" + urls(in) + ")"
			},
		},
		{
			bake.ErrInvalid, regexp.MustCompile(`does not have a Release file|no longer has a Release file|404 +Not Found`),
			func(in input) string {
				return "the archive has no such suite or file: check suite, mirror and security (" + urls(in) + ")"
			},
		},
		{
			bake.ErrInvalid, regexp.MustCompile(`Unable to locate package|has no installation candidate|Version '.*' for '.*' was not found|` +
				`Couldn't find (any package|task)`),
			func(in input) string { return "check source.debian.packages and components (" + urls(in) + ")" },
		},
		{
			sandbox.ErrUnavailable, regexp.MustCompile(`Release file .* is (expired|not valid yet)`),
			func(input) string { return "the archive is out of date, or the clock of this machine is wrong" },
		},
	}
}
