package bake_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

func redactText(text string, secrets ...string) string {
	var got bake.Event
	bake.Redact(bake.ReporterFunc(func(e bake.Event) { got = e }), secrets).Report(bake.Event{Text: text})
	return got.Text
}

func TestRedact(t *testing.T) {
	const secret = "s3cr3t/with+odd=chars"
	for _, c := range []struct{ name, text, want string }{
		{"plain", "token is " + secret + ".", "token is •••."},
		{"twice", secret + secret, "••••••"},
		{"query", "?t=" + url.QueryEscape(secret), "?t=•••"},
		{"path", "/" + url.PathEscape(secret), "/•••"},
		{"base64", base64.StdEncoding.EncodeToString([]byte(secret)), "•••"},
		{"base64 for a URL", base64.RawURLEncoding.EncodeToString([]byte(secret)), "•••"},
		{"none", "nothing to hide", "nothing to hide"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := redactText(c.text, secret); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := bake.RedactText(c.text, []string{secret}); got != c.want {
				t.Errorf("as a text: got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRedactKnowsLinesAndOverlaps(t *testing.T) {
	key := "-----BEGIN-----\nabcdefgh\n-----END-----\n"
	if got := redactText("read abcdefgh", key); got != "read •••" {
		t.Errorf("a line of a secret: got %q", got)
	}
	if got := redactText("password1234", "password", "password1234"); got != "•••" {
		t.Errorf("the longer secret must win: got %q", got)
	}
	if got := redactText("a b  c", "", " ", "\n"); got != "a b  c" {
		t.Errorf("blank secrets hide nothing: got %q", got)
	}
	if got := bake.RedactText("a b  c", nil); got != "a b  c" {
		t.Errorf("no secrets hide nothing: got %q", got)
	}
}

func TestRedactKnowsQuotes(t *testing.T) {
	const secret = `it's "so"<\>"`
	for text, want := range map[string]string{
		`{"password":"it's \"so\"<\\>\""}`: `{"password":"•••"}`,
		`+ login 'it'\''s "so"<\>"'`:       `+ login '•••'`,
		`+ login 'it'"'"'s "so"<\>"'`:      `+ login '•••'`,
	} {
		if got := redactText(text, secret); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// The braces of a key in JSON are lines of a secret, and so is their Base64 text: "ew" and "fQ". A log has to stay readable.
func TestRedactLeavesBracesAlone(t *testing.T) {
	const key = "{\n  \"private_key\": \"-----BEGIN\"\n}\n"
	const text = "a new view: { renewed }"
	if got := redactText(text, key); got != text {
		t.Errorf("got %q", got)
	}
	if got := redactText(`echo "private_key": "-----BEGIN"`, key); got != "echo •••" {
		t.Errorf("got %q", got)
	}
}

func TestRedactHidesSecretInsideBase64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9_-]{8,40}`).Draw(t, "secret")
		before := rapid.StringMatching(`[a-z]{0,7}:`).Draw(t, "before")
		after := rapid.StringMatching(`(@[a-z.]{1,7})?`).Draw(t, "after")
		text := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
		got := redactText(text, secret)
		if !strings.Contains(got, "•••") {
			t.Fatalf("%q in %q survived", secret, text)
		}
		left := len(got) - len("•••")
		if outside := (len(before)+len(after)+2)*8/6 + 6; left > outside {
			t.Fatalf("%q: %d characters of %q are left, at most %d stand for other text", got, left, text, outside)
		}
	})
}

func TestRedactTask(t *testing.T) {
	var got bake.Event
	r := bake.Redact(bake.ReporterFunc(func(e bake.Event) { got = e }), []string{"hunter22"})
	r.Report(bake.Event{Task: "step run echo hunter22", Image: "web", Kind: bake.EventStart})
	if got.Task != "step run echo •••" || got.Image != "web" || got.Kind != bake.EventStart {
		t.Errorf("got %+v", got)
	}
}

func TestRedactError(t *testing.T) {
	inner := fmt.Errorf("%w: curl -u me:hunter22", bake.ErrRefused)
	err := bake.RedactError(inner, []string{"hunter22"})
	if err.Error() != "refused: curl -u me:•••" {
		t.Errorf("got %q", err)
	}
	if !errors.Is(err, bake.ErrRefused) {
		t.Error("the sentinel is lost")
	}
	if bake.RedactError(nil, []string{"x"}) != nil {
		t.Error("nil became an error")
	}
	if got := bake.RedactError(inner, nil); got != inner { //nolint:errorlint // the very same error
		t.Errorf("without secrets: got %v", got)
	}
}
