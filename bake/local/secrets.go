package local

import (
	"fmt"
	"maps"
	"slices"

	"github.com/iibake/iibake/bake"
)

// environments are the values that the env of each of t's steps stands for, as they were at one moment: a secret that is changed while an
// image is being baked would be neither hidden nor looked for.
type environments struct {
	own     []map[string]string // of each step
	secrets []string            // every secret among them, to redact them and to look for them on the sealed disk
}

func environmentsOf(t bake.Template) (environments, error) {
	var e environments
	for _, s := range t.Steps {
		own := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(s.Env)) {
			v := s.Env[name]
			text, err := v.Resolve()
			if err != nil {
				return environments{}, fmt.Errorf("%s: %s: %w", s.Pos, name, err)
			}
			if own[name] = text; v.Secret != nil && text != "" {
				e.secrets = append(e.secrets, text)
			}
		}
		e.own = append(e.own, own)
	}
	slices.Sort(e.secrets)
	e.secrets = slices.Compact(e.secrets)
	return e, nil
}

// step returns what step i of t sees: what the env steps before it said, and its own.
func (e environments) step(t bake.Template, i int) map[string]string {
	env := map[string]string{}
	for j, s := range t.Steps[:i+1] {
		if j == i || s.Kind() == bake.StepEnv {
			maps.Copy(env, e.own[j])
		}
	}
	return env
}
