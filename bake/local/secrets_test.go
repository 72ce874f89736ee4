package local_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
)

// Whoever shows an event or an error shows no secret, whatever part of it he shows: the command line's results,
// annotations and summaries are made of nothing else.
func TestNothingThatABuilderTellsHoldsASecret(t *testing.T) {
	const secret = "correct-horse\nbattery-staple"
	t.Setenv("TEST_TOKEN", secret)
	k := newKitchen(t)
	s := run(`echo "$TOKEN"; echo "$TOKEN" | tail -n 1 | base64; echo "the end: $TOKEN" >&2; exit 3`)
	s.Name = "say battery-staple"
	s.Env = map[string]bake.Value{"TOKEN": {Secret: &bake.Secret{Env: "TEST_TOKEN"}}}
	_, err := k.bake(t.Context(), k.template("web", s))
	var step *local.StepError
	if !errors.As(err, &step) || len(step.Tail) != 5 {
		t.Fatalf("got %+v", err)
	}
	told := []string{k.events.text(), step.Title, strings.Join(step.Tail, "\n")}
	for e := err; e != nil; e = errors.Unwrap(e) {
		told = append(told, e.Error())
		if e == error(step) { //nolint:errorlint // the very same error
			told = append(told, step.Err.Error(), fmt.Sprintf("%+v", *step))
			break
		}
	}
	for _, text := range told {
		for _, form := range []string{"correct-horse", "battery-staple", base64.StdEncoding.EncodeToString([]byte("battery-stap"))} {
			if strings.Contains(text, form) {
				t.Errorf("%q stands in:\n%s", form, text)
			}
		}
	}
	if !strings.Contains(step.Err.Error(), "exit status 3") {
		t.Errorf("why it failed is lost: %v", step.Err)
	}
}
