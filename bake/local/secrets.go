package local

import (
	"fmt"
	"maps"
	"slices"

	"github.com/iibake/iibake/bake"
)

// secretsOf reads the values of every secret that t's steps use, to redact them and to look for them on the sealed disk.
func secretsOf(t bake.Template) ([]string, error) {
	var values []string
	for _, s := range t.Steps {
		for _, name := range slices.Sorted(maps.Keys(s.Env)) {
			if s.Env[name].Secret == nil {
				continue
			}
			v, err := s.Env[name].Resolve()
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", s.Pos, name, err)
			}
			if v != "" {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// environment returns what step i of t sees: what the env steps before it said, and its own.
func environment(t bake.Template, i int) (map[string]string, error) {
	env := map[string]string{}
	for j, s := range t.Steps[:i+1] {
		if j < i && s.Kind() != bake.StepEnv {
			continue
		}
		for name, v := range s.Env {
			text, err := v.Resolve()
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", s.Pos, name, err)
			}
			env[name] = text
		}
	}
	return env, nil
}
