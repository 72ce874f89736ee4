package template_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/template"
)

// TestForms holds every form of a text that there is against Load and against the schema, which must say the same of each: what an editor
// underlines is what iibake refuses.
func TestForms(t *testing.T) {
	t.Parallel()
	a64 := strings.Repeat("a", 64)
	type form struct {
		line      string // with VALUE in it
		project   bool   // it belongs into iibake.yaml, behind small; otherwise into the template, behind its name
		good, bad []string
	}
	const source = "source: { debian: { suite: bookworm } }\n"
	for name, f := range map[string]form{
		"size": {
			line: source + "disk_size: VALUE", good: []string{"1GiB", "1 GiB", "'1073741824'", "1073741824", "+1073741824", "' 1GiB '", "'+2GiB'", "1024MiB", "1048576KiB", "64TiB", "0001GiB"},
			bad: []string{"1gib", "1GB", "1G", "1.5GiB", "'1GiB GiB'", "-1GiB", "''", "GiB", "1_073_741_824KiB", "0x40000000KiB", "true", "１GiB"},
		},
		"duration": {
			line: source + "refresh_after: VALUE", good: []string{"1m", "1h30m", "90d", "+5m", "1.5h", ".5h", "1.h", "60000000us", "60000000µs", "60000000μs", "'60000ms'", "1h0m0s", "106751d"},
			bad: []string{"7", "1", "-5m", "1w", "1 h", "5M", "1d12h", "+5d", "1.5d", "''", "'0 m'", "d", "h", "1h-30m", "true", "９0d"},
		},
		"duration that may be nothing": {
			line: "channels: { x: { soak: VALUE } }", project: true, good: []string{"0", "'0'", "0s", "-0s", "+0s", "0d", "-0.0h", "1ns"}, bad: []string{"-1ns", "'00'", "''", "'0.0'", "-0d"},
		},
		"moment": {
			line: "channels: { x: { freeze: [{ from: VALUE, until: 2099-01-01 00:00 }] } }", project: true,
			good: []string{"2026-12-20 18:00", "2026-12-20 08:00", "2024-02-29 23:59"},
			bad:  []string{"2026-12-20 8:00", "'2026-12-20  18:00'", "2026-12-20 24:00", "2026-12-20 18:60", "2026-12-20", "2026-12-20 18", "2026-12-20 18:00:00", "2026-12-20T18:00", "26-12-20 18:00", "'2026-12-20 18:00 '", "18:00"},
		},
		"moment of a week": {
			line: "channels: { x: { freeze: [{ from: VALUE, until: Mon 00:01 }] } }", project: true,
			good: []string{"Mon 00:00", "Sun 23:59", "Fri 16:00"}, bad: []string{"mon 00:00", "Monday 00:00", "Mon 0:00", "Mon  00:00", "Mon", "Mon 24:00", "Mo 00:00", "Mon 00:00Z"},
		},
		"mode": {
			line: source + "steps: [{ copy: { from: web.yaml, to: /x, mode: VALUE } }]", good: []string{"'0644'", "0644", "644", "'7777'", "'1'", "'00000755'"},
			bad: []string{"'0888'", "'17777'", "rw", "u+x", "''", "-1", "'+644'", "'0o644'", "[0644]"},
		},
		"name of an image": {
			line: "name: VALUE\n" + source, good: []string{"a", "'0'", "a-b-c", "web2", "'2'"},
			bad: []string{"A", "a_b", "a.b", "a--b", "-a", "a-", "''", "a b", "ä", "a/b", "a@b", "a:b", "2", "true", `"a\n"`},
		},
		"reference to an image": {
			line: "source: { image: VALUE }", good: []string{"a@candidate", "a-b:1", "a:2026.11.22-1-gabc", "a:A_b"},
			bad: []string{"a", "a@", "'@candidate'", "'a:'", "A@candidate", "a@candidate:1", "a:-1", "a:1@candidate", "'sha256:'", "a b@candidate"},
		},
		"suite": {line: "source: { debian: { suite: VALUE } }", good: []string{"bookworm", "'12'", "stable-updates", "'0.9'"}, bad: []string{"Bookworm", "-x", ".x", "a b", "a/b", "''"}},
		"package": {
			line: source + "steps: [{ apt: [VALUE] }]", good: []string{"nginx", "g++", "libc6:i386", "a=1:2.0~rc1-3+b1", "nginx/bookworm", "'@core'", "a_b", "'0ad'", "A"},
			bad: []string{"-o", "nginx-", "'a b'", "a;b", "''", "'../x'", "a:", "a=", "'*'", "'$x'", "'a\\\\b'"},
		},
		"sha256": {
			line: "source: { disk: { url: http://x/y, sha256: VALUE } }", good: []string{a64, "'" + strings.Repeat("0", 64) + "'"},
			bad: []string{a64 + "a", a64[1:], strings.ToUpper(a64), "sha256:" + a64, strings.Repeat("g", 64), "''"},
		},
		"url": {
			line: "source: { disk: { url: VALUE, sha256: " + a64 + " } }", good: []string{"http://x", "'https://x:8443/a?b=c#d'", "'http://[::1]/x'", "'https://x?y'", "http://日本/x", "https://x/a@b"},
			bad: []string{"ftp://x", "x", "http://", "http:///x", "http://me@x", "https://me:pass@x/y", "'http://x y'", "'http://x/y z'", "HTTP://x", "//x", "''"},
		},
		"absolute path": {
			line: source + "steps: [{ copy: { from: web.yaml, to: VALUE } }]", good: []string{"/", "/a", "/a/", "'/a b'", "/日本"}, bad: []string{"a", "./a", "''", `"/a\nb"`, `"/\x7f"`, "~/a"},
		},
		"path in the repository": {
			line: source + "steps: [{ script: VALUE }]", good: []string{"web.yaml", "./web.yaml", "'.//web.yaml'"}, bad: []string{"''"},
		},
		"user": {
			line: source + "steps: [{ user: VALUE }]", good: []string{"a", "_x", "www-data", "a1_-", a64[:31]}, bad: []string{a64[:32], "1a", "A", "a.b", "-a", "''", "a b", "ä"},
		},
		"uid": {line: source + "steps: [{ user: { name: a, uid: VALUE } }]", good: []string{"1", "65533", "+7"}, bad: []string{"0", "65534", "-1", "a", "'900'", "99999999999999999999"}},
		"owner": {
			line: source + "steps: [{ copy: { from: web.yaml, to: /x, owner: VALUE } }]", good: []string{"'a:b'", "'0:0'", "'a:0'", "'33:www-data'"}, bad: []string{"a", "'a:'", "':a'", "'a:b:c'", "'A:b'", "'-1:0'", "'a b:c'", "''"},
		},
		"ssh key": {
			line: source + "steps: [{ user: { name: a, ssh_keys: [VALUE] } }]",
			good: []string{"ssh-ed25519 AAAA", "ssh-rsa AAAA+/= me@x y", "ecdsa-sha2-nistp256 AAAA", "sk-ssh-ed25519@openssh.com AAAA", "'ssh-rsa AAAA '"},
			bad:  []string{"AAAA", "ssh-rsa", "'command=\"x\" ssh-rsa AAAA'", `"ssh-rsa AAAA\nssh-rsa BBBB"`, "'ssh-rsa  AAAA'", "ssh-rsa AA_A", "''"},
		},
		"unit": {
			line: source + "tests: { allowed_failed_units: [VALUE] }", good: []string{"a.service", "getty@tty1.service", "dev-sda1.swap", `'a\x2db.mount'`}, bad: []string{"a", "a.", ".service", "-a.service", "a.Service", "a b.service", "''"},
		},
		"path of a request": {
			line: source + "tests: { http: [{ path: VALUE }] }", good: []string{"/", "'/a?b=c&d'", "/日本"}, bad: []string{"a", "''", "'/a b'", "'/a#b'", `"/\n"`},
		},
		"line": {line: source + "description: VALUE", good: []string{"a", "' '", "'a: b # c'", "日本", "\"tab is none: \\u00e9\""}, bad: []string{`"a\tb"`, `"a\nb"`, `"\x7f"`, "''", "5", "true", "null"}},
		"variable": {
			line: source + "vars: { VALUE: x }", good: []string{"a", "_", "A1", "yes", "null_"}, bad: []string{"a-b", "1a", "a.b", "''", "ä", "'a b'"},
		},
		"port":  {line: source + "tests: { tcp: [VALUE] }", good: []string{"1", "65535", "{ port: 22 }"}, bad: []string{"0", "65536", "-22", "ssh", "'22'", "[22]"}},
		"truth": {line: source + "publish: { tpm: VALUE }", good: []string{"true", "false", "True", "TRUE"}, bad: []string{"yes", "'true'", "1", "on", "tRUE", "''", "[]"}},
		"name of a channel": {
			line: "channels: { VALUE: {} }", project: true, good: []string{"a", "a.b-c_d", "'0'", "'1.5'"}, bad: []string{"A", "a--b", "a.", ".a", "''", "a b", "a/b", "a@b"},
		},
		"endpoint": {
			line: "targets: { x: { endpoint: VALUE } }", project: true, good: []string{"local", "http://127.0.0.1:4566", "https://x/y"}, bad: []string{"Local", "localhost", "http://a:b@x", "''", "x:1"},
		},
		"region": {
			line: "targets: { x: { region: VALUE } }", project: true, good: []string{"eu-west-1", "us-gov-west-1", "ap-southeast-12"}, bad: []string{"eu", "eu-west", "eu-west-1a", "EU-WEST-1", "eu_west_1", "''"},
		},
		"role": {
			line: "targets: { x: { region: eu-west-1, role_arn: VALUE } }", project: true,
			good: []string{"arn:aws:iam::111122223333:role/x", "'arn:aws-cn:iam::111122223333:role/path/x+=,.@_-'"},
			bad:  []string{"x", "arn:aws:iam::11112222333:role/x", "arn:aws:iam::111122223333:user/x", "arn:aws:iam::111122223333:role/", "arn:aws:sts::111122223333:role/x", "''"},
		},
		"parameter": {
			line: "channels: { x: { parameter: VALUE } }", project: true, good: []string{"/a", "'/a/{image}'", "'/{image}-x/b.c_d'"}, bad: []string{"a", "/", "/a/", "//a", "'/{name}'", "'/a b'", "'/{image'", "''"},
		},
		"percentage": {
			line: "targets: { t: { region: eu-west-1 } }\nfleets: { x: { target: t, auto_scaling_group: g, refresh: { min_healthy: VALUE } } }", project: true,
			good: []string{"10", "100"}, bad: []string{"-1", "101", "50%", "0.5", "''"},
		},
		"word of a list": {
			line: "targets: { t: { region: eu-west-1 } }\nfleets: { x: { target: t, auto_scaling_group: g, refresh: { protected: VALUE } } }", project: true,
			good: []string{"refresh", "ignore", "wait"}, bad: []string{"Wait", "terminate", "''", "true", "[wait]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, before, file := template.TemplateFile, "version: 1\nname: web\n", "web.yaml"
			if strings.HasPrefix(f.line, "name: ") {
				before = "version: 1\n"
			}
			if f.project {
				kind, before, file = template.ProjectFile, small, "iibake.yaml"
			}
			schema := compile(t, kind)
			for i, value := range append(f.good, f.bad...) {
				content := before + strings.Replace(f.line, "VALUE", value, 1) + "\n"
				dir := project(t, small, web)
				write(t, dir, file, content)
				_, err := template.Load(dir, template.Options{})
				if good := i < len(f.good); (err == nil) != good {
					t.Errorf("%s: Load says %v: want good %v", value, err, good)
				}
				if err != nil {
					checkErrors(t, err)
				}
				if good, err := i < len(f.good), validate(t, schema, content); (err == nil) != good {
					t.Errorf("%s: the schema says %v: want good %v", value, err, good)
				}
			}
		})
	}
}

// TestSchemaTellsEditors pins what an editor shows beside the structure: where the schema comes from, what a key means, what it is when
// absent, and how it can look.
func TestSchemaTellsEditors(t *testing.T) {
	t.Parallel()
	type words struct {
		Default  any
		Examples []any
	}
	for kind, wants := range map[template.Kind]map[string]words{
		template.TemplateFile: {
			"/properties/arch":                           {Default: "amd64"},
			"/properties/version":                        {},
			"/properties/disk_size":                      {Examples: []any{"4GiB"}},
			"/$defs/tests/properties/reboot":             {Default: true},
			"/$defs/boot/properties/cpus":                {Default: 2.0},
			"/$defs/boot/properties/firmware":            {Default: []any{"bios"}},
			"/$defs/boot/properties/memory":              {Default: "1GiB"},
			"/$defs/step/properties/timeout":             {Default: "1h"},
			"/$defs/debian/properties/components":        {Default: []any{"main"}},
			"/$defs/tests/properties/tcp":                {Examples: []any{[]any{22.0}}},
			"/$defs/publish/properties/tpm":              {},
			"/$defs/retain/properties/last":              {Examples: []any{10.0}},
			"/$defs/debian/properties/packages":          {Examples: []any{[]any{"curl"}}},
			"/$defs/httpprobe/properties/path":           {Default: "/"},
			"/$defs/httpprobe/properties/status":         {Default: 200.0},
			"/$defs/secret/properties/env":               {Examples: []any{"TOKEN"}},
			"/$defs/secret-without-variables":            {},
			"/$defs/packages/anyOf/1/properties/install": {Examples: []any{[]any{"nginx"}}},
		},
		template.ProjectFile: {
			"/properties/catalog":                                     {Default: ".iibake"},
			"/$defs/refresh-without-variables/properties/canary":      {Default: true},
			"/$defs/refresh-without-variables/properties/max_healthy": {Default: 110.0},
			"/$defs/refresh-without-variables/properties/checkpoints": {Examples: []any{[]any{10.0, 50.0, 100.0}}},
			"/$defs/freeze-without-variables/properties/zone":         {Default: "UTC", Examples: []any{"Europe/Berlin"}},
			"/$defs/channel-without-variables/properties/after":       {Examples: []any{"staging"}},
		},
	} {
		b, err := template.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		top := doc.(map[string]any)
		if top["$schema"] != "https://json-schema.org/draft/2020-12/schema" || !strings.HasSuffix(fmt.Sprint(top["$id"]), "/"+string(kind)+".schema.json") || top["title"] != "iibake "+string(kind) {
			t.Errorf("%s: the head is %v, %v, %v", kind, top["$schema"], top["$id"], top["title"])
		}
		for place, want := range wants {
			at := doc
			for _, name := range strings.Split(place, "/")[1:] {
				switch in := at.(type) {
				case map[string]any:
					at = in[name]
				case []any:
					at = in[int(name[0]-'0')]
				}
			}
			has, ok := at.(map[string]any)
			if !ok {
				t.Errorf("%s: there is no %s", kind, place)
				continue
			}
			if strings.Contains(place, "/properties/") && len(fmt.Sprint(has["description"])) < 10 {
				t.Errorf("%s: %s is not described", kind, place)
			}
			if !reflect.DeepEqual(has["default"], want.Default) {
				t.Errorf("%s: %s is %v by default, want %v", kind, place, has["default"], want.Default)
			}
			if have, _ := has["examples"].([]any); want.Examples != nil && !reflect.DeepEqual(have, want.Examples) {
				t.Errorf("%s: the examples of %s are %v, want %v", kind, place, have, want.Examples)
			}
		}
	}
}
