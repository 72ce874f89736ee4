package provision

import (
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

// aptGet returns a call of apt-get. dpkg need not sync what it unpacks: a disk that crashes is thrown away.
func aptGet(args ...string) []string {
	return append([]string{
		"apt-get", "-q", "-y",
		"-o", "Dpkg::Use-Pty=0",
		"-o", "Dpkg::Options::=--force-confdef",
		"-o", "Dpkg::Options::=--force-confold",
		"-o", "Dpkg::Options::=--force-unsafe-io",
		"-o", "Acquire::Retries=3",
		"-o", "Acquire::Languages=none",
		"-o", "APT::Update::Error-Mode=any",
	}, args...)
}

// aptCommands returns the calls that make the change. Package lists are in memory and so empty at the beginning of a step.
func aptCommands(p bake.Packages) [][]string {
	var calls [][]string
	options := []string{"--no-install-recommends"}
	if p.Recommends {
		options = []string{"--install-recommends"}
	}
	if p.Upgrade || len(p.Install) > 0 {
		calls = append(calls, aptGet("update"))
	}
	if p.Upgrade {
		calls = append(calls, aptGet(append(options, "dist-upgrade")...))
	}
	if len(p.Install) > 0 {
		if slices.ContainsFunc(p.Install, func(name string) bool { return strings.Contains(name, "=") }) {
			options = append(options, "--allow-downgrades") // an exact version is meant
		}
		// One call for both, so that a package can take another's place.
		call := slices.Concat(options, []string{"--purge", "install", "--"}, p.Install)
		for _, name := range p.Remove {
			call = append(call, name+"-")
		}
		calls = append(calls, aptGet(call...))
	} else if len(p.Remove) > 0 {
		calls = append(calls, aptGet(append([]string{"purge", "--"}, p.Remove...)...))
	}
	return calls
}

// dnfCommands returns the calls that make the change.
func dnfCommands(p bake.Packages) [][]string {
	weak := "False"
	if p.Recommends {
		weak = "True"
	}
	dnf := func(verb string, names ...string) []string {
		return append([]string{"dnf", "-y", "--setopt=install_weak_deps=" + weak, "--setopt=retries=3", "--setopt=keepcache=0", verb}, names...)
	}
	var calls [][]string
	if p.Upgrade {
		calls = append(calls, dnf("upgrade"))
	}
	if len(p.Remove) > 0 {
		calls = append(calls, dnf("remove", p.Remove...))
	}
	if len(p.Install) > 0 {
		names := slices.Clone(p.Install)
		for i := range names {
			names[i] = strings.Replace(names[i], "=", "-", 1) // name=version, as rpm writes it
		}
		calls = append(calls, dnf("install", names...))
	}
	return calls
}

// offline recognises package managers that could not reach their archive.
func offline(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return slices.ContainsFunc([]string{
			"Temporary failure resolving", "Could not resolve", "Could not connect to", "Unable to connect to", "Failed to connect to",
			"Connection timed out", "Connection refused", "Network is unreachable", "No route to host", "Couldn't connect to server",
			"Could not handshake", "Timeout was reached",
		}, func(sign string) bool { return strings.Contains(line, sign) })
	})
}
