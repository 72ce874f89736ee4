package main

import (
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

func versionCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "show the version of iibake", Category: categoryProgram,
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			if wantsJSON(c) {
				return con.printJSON(readVersion())
			}
			return printVersion(con)
		},
	}
}

type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readVersion returns what the Go tool wrote into the binary: the tag that it was built from, or a pseudo-version.
func readVersion() version {
	v := version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func printVersion(con *console) error {
	v := readVersion()
	return con.printf("iibake %s (%s, %s)\n", v.Version, v.Go, v.Platform)
}
