package template

import "regexp"

// form is the form of a text: a pattern that both this package and JSON Schema understand, and how to say it to people.
type form struct{ pattern, says string }

// forms holds the compiled patterns of the forms that were met.
type forms map[string]*regexp.Regexp

// formOf returns the form that a `format` or `keys` tag names.
func formOf(name string) form {
	switch name {
	case "image":
		return form{`^[a-z0-9]+(-[a-z0-9]+)*$`, "write lower-case letters, digits and single dashes, for example web-server"}
	case "image-ref":
		return form{
			`^[a-z0-9]+(-[a-z0-9]+)*(@[a-z0-9]+([._-][a-z0-9]+)*|:[0-9A-Za-z][0-9A-Za-z._-]*)$`,
			"write name@channel or name:version, for example base@candidate",
		}
	case "name":
		return form{`^[a-z0-9]+([._-][a-z0-9]+)*$`, "write lower-case letters and digits, separated by single dashes, dots or underscores, for example web-eu"}
	case "line":
		return form{`^[^\x00-\x1f\x7f]+$`, "write one line of text"}
	case "variable":
		return form{`^[A-Za-z_][A-Za-z0-9_]*$`, "write letters, digits and underscores, for example LEVEL"}
	case "env":
		return form{`^[A-Za-z_][A-Za-z0-9_]*$`, "write the name of an environment variable: letters, digits and underscores, for example LEVEL"}
	case "suite":
		return form{`^[a-z0-9][a-z0-9.-]*$`, "write a plain word, for example bookworm"}
	case "package":
		return form{
			`^[A-Za-z0-9@]([A-Za-z0-9+._:~=/-]*[A-Za-z0-9+._~])?$`,
			"write the name of a package, which neither begins nor ends with a dash, for example nginx",
		}
	case "sha256":
		return form{`^[0-9a-f]{64}$`, "write the 64 lower-case hexadecimal digits that sha256sum prints"}
	case "url":
		return form{`^https?://[^\s/?#@]+([/?#]\S*)?$`, "write an http or https address without a user or a password, for example https://example.org/disk.qcow2"}
	case "url-or-none":
		return form{`^(none|https?://[^\s/?#@]+([/?#]\S*)?)$`, "write an http or https address, or none"}
	case "url-path":
		return form{`^/[^\s#]*$`, "write a path that begins with a slash, for example /health"}
	case "absolute":
		return form{`^/([^\x00-\x1f\x7f]*)$`, "write an absolute path, for example /var/www/html/"}
	case "user":
		return form{`^[a-z_][a-z0-9_-]{0,30}$`, "write up to 31 lower-case letters, digits, dashes and underscores, beginning with a letter, for example deploy"}
	case "owner":
		return form{`^([a-z_][a-z0-9_-]{0,30}|[0-9]+):([a-z_][a-z0-9_-]{0,30}|[0-9]+)$`, "write user:group by name or number, for example www-data:www-data"}
	case "unit":
		return form{`^[A-Za-z0-9@_:][A-Za-z0-9@_:.\\-]*\.[a-z]+$`, "write the name of a systemd unit with its type, for example nginx.service"}
	case "ssh-key":
		return form{`^(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\x00-\x1f\x7f]*)?$`, "write a public key as it stands in an id_ed25519.pub, without options before it"}
	case "endpoint":
		return form{`^(local|https?://[^\s/?#@]+([/?#]\S*)?)$`, "write local, or an http or https address"}
	case "region":
		return form{`^[a-z]{2}(-[a-z]+)+-[0-9]+$`, "write an AWS region, for example eu-west-1"}
	case "zone":
		return form{`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`, "write a time zone as Europe/Berlin or UTC"}
	case "parameter":
		return form{`^(/([A-Za-z0-9_.-]|\{image\})+)+$`, "write the path of an SSM parameter, for example /images/{image}/production"}
	case "role":
		return form{`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$`, "write the ARN of a role, for example arn:aws:iam::111122223333:role/iibake"}
	}
	panic("bake/template: no format is named " + name)
}

// check returns "" where text has the form that name stands for or name is empty, else what to write instead.
func (f forms) check(name, text string) string {
	if name == "" {
		return ""
	}
	form := formOf(name)
	compiled, ok := f[name]
	if !ok {
		compiled = regexp.MustCompile(form.pattern)
		f[name] = compiled
	}
	if compiled.MatchString(text) {
		return ""
	}
	return form.says
}
