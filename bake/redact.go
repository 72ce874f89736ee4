package bake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// redacted stands where a secret was.
const redacted = "•••"

// minShifted is the length from which the inner part of a Base64 text says enough to be worth hiding. Shorter ones would
// blank out ordinary words.
const minShifted = 6

// minLine is the length from which a line of a secret of several lines is hidden by itself. A brace of a key in JSON is no secret, but
// stands in every second line of a log.
const minLine = 4

// Redact returns a reporter that hides secrets from every text before it reaches r: the values themselves, each line of a
// value of several lines, and their forms in JSON, in a shell's quotes, in Base64 and in URLs, also as a part of a longer Base64 text.
func Redact(r Reporter, secrets []string) Reporter {
	hide := redactor(secrets)
	if hide == nil {
		return r
	}
	return ReporterFunc(func(e Event) {
		e.Text, e.Task = hide.Replace(e.Text), hide.Replace(e.Task)
		r.Report(e)
	})
}

// RedactText returns text without secrets, as [Redact] does.
func RedactText(text string, secrets []string) string {
	if hide := redactor(secrets); hide != nil {
		return hide.Replace(text)
	}
	return text
}

// RedactError returns err with a text that hides secrets as [Redact] does. The errors that it wraps can still be asked for,
// but their own texts are not hidden. It returns nil for nil.
func RedactError(err error, secrets []string) error {
	hide := redactor(secrets)
	if err == nil || hide == nil {
		return err
	}
	return &redactedError{err: err, text: hide.Replace(err.Error())}
}

type redactedError struct {
	err  error
	text string
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// redactor returns what replaces every form of the secrets, or nil where there is none. Longer forms come first: a secret
// that begins another one must not leave the other one's end.
func redactor(secrets []string) *strings.Replacer {
	var all []string
	for _, s := range secrets {
		all = append(all, forms(s)...)
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				all = append(all, forms(line)...)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	all = slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
	if len(all) == 0 {
		return nil
	}
	pairs := make([]string, 0, 2*len(all))
	for _, form := range all {
		pairs = append(pairs, form, redacted)
	}
	return strings.NewReplacer(pairs...)
}

func forms(secret string) []string {
	if strings.TrimSpace(secret) == "" {
		return nil
	}
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), inJSON(secret)}
	for _, quote := range []string{`'\''`, `'"'"'`} { // as bash and dash trace a command
		all = append(all, strings.ReplaceAll(secret, "'", quote))
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		all = append(all, enc.EncodeToString([]byte(secret)))
		for shift := range 3 {
			if s := shifted(enc, secret, shift); len(s) >= minShifted {
				all = append(all, s)
			}
		}
	}
	return all
}

// inJSON returns what stands between the quotes of a JSON text.
func inJSON(secret string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // only Go does so
	_ = e.Encode(secret)   //nolint:errchkjson // a text can be encoded
	return b.String()[1 : b.Len()-len("\"\n")]
}

// shifted returns the characters of a Base64 text that the secret alone decides where it begins shift bytes into a group of
// three: those that hold no bit of what stands before or behind it.
func shifted(enc *base64.Encoding, secret string, shift int) string {
	text := enc.EncodeToString(append(make([]byte, shift), secret...))
	first := (shift*8 + 5) / 6
	last := (shift + len(secret)) * 8 / 6
	return text[min(first, last):last]
}
