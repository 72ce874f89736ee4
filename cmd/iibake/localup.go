package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud"
	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/daemon"
)

func localUpCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "up", Usage: "start the cloud in the background, unless it is up",
		Description: "eval \"$(iibake local env)\" then points the AWS CLI and everything else that speaks AWS to it.\n" +
			"Inside a project the blocks of disks are those of the project's store, so that a published image costs no second copy.",
		Flags: append(cloudFlags(),
			stateFlag(), outputFlag(),
			&cli.BoolFlag{Name: "foreground", Usage: "do not go into the background, and log to standard error"}),
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			dir, err := stateDir(c)
			if err != nil {
				return err
			}
			s, err := readSettings(c)
			if err != nil {
				return err
			}
			if s.Store == "" && localcloud.IsNew(dir) {
				s.Store = projectStore(c)
			}
			if c.Bool("foreground") {
				return serveCloud(con, c, dir, s)
			}
			return startCloud(con, c, dir, s)
		},
	}
}

// cloudFlags are the settings of a cloud.
func cloudFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "simulate", Usage: "simulate the instances, on a clock of their own"},
		&cli.IntFlag{Name: "port", Aliases: []string{"p"}, Value: defaultPort, Usage: "answer on TCP `PORT`; 0 takes any"},
		&cli.StringFlag{Name: "address", Value: "127.0.0.1", Usage: "answer on this `IP` address of the loopback interface"},
		&cli.BoolFlag{Name: "expose", Usage: "let --address be one that other hosts reach: whoever does may run machines here"},
		&cli.StringFlag{Name: "store", Usage: "the blocks of disks are in `FOLDER`", DefaultText: "the project's, otherwise one in the state folder"},
		&cli.IntFlag{Name: "max-instances", Usage: "run at most `N` machines at a time", DefaultText: "as many as fit into the memory"},
		&cli.StringFlag{Name: "memory", Usage: "give all machines together at most `SIZE`", DefaultText: "what the host can spare"},
		&cli.StringFlag{Name: "scenario", Usage: "have simulated instances behave as the YAML `FILE` says"},
		&cli.StringFlag{Name: "faults", Usage: "have calls fail as the YAML `FILE` says"},
		&cli.StringFlag{Name: "speed", Value: "1", Usage: "let simulated time pass at `FACTOR`: 60 makes a minute of a second, max goes as fast as work allows, 0 stands still"},
		&cli.Uint64Flag{Name: "seed", Usage: "have chance decide as in another run with this `NUMBER`"},
	}
}

// settings are those of a cloud, as the options say them.
type settings struct {
	Simulate     bool   `json:"simulate"`
	Address      string `json:"address"`
	Port         int    `json:"port"`
	Expose       bool   `json:"expose"`
	Store        string `json:"store"` // empty where nothing was said
	MaxInstances int    `json:"max_instances"`
	Memory       string `json:"memory"`
	Scenario     string `json:"scenario"` // absolute path
	Faults       string `json:"faults"`   // absolute path
	Speed        string `json:"speed"`
	Seed         uint64 `json:"seed"`
}

func readSettings(c *cli.Context) (settings, error) {
	s := settings{
		Simulate: c.Bool("simulate"), Address: c.String("address"), Port: c.Int("port"), Expose: c.Bool("expose"),
		Store: c.String("store"), MaxInstances: c.Int("max-instances"), Memory: c.String("memory"),
		Scenario: c.String("scenario"), Faults: c.String("faults"), Speed: c.String("speed"), Seed: c.Uint64("seed"),
	}
	for _, path := range []*string{&s.Store, &s.Scenario, &s.Faults} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return s, err
		}
		*path = abs
	}
	return s, s.check()
}

func (s settings) check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errUsage}, args...)...))
	}
	if s.Port < 0 || s.Port > math.MaxUint16 {
		bad("--port %d: want 0 to 65535", s.Port)
	}
	ip := net.ParseIP(s.Address)
	switch {
	case ip == nil:
		bad("--address %s: want an IP address", s.Address)
	case !ip.IsLoopback() && !s.Expose:
		errs = append(errs, withHint(fmt.Errorf("%w: --address %s: other hosts reach it, and could run machines here as you", errUsage, s.Address),
			"add --expose if that is meant"))
	}
	if s.MaxInstances < 0 {
		bad("--max-instances %d: want 1 or more", s.MaxInstances)
	}
	if _, err := s.memory(); err != nil {
		bad("--memory: %w", err)
	}
	if _, err := s.speed(); err != nil {
		bad("--speed %s: want a factor such as 60, max, or 0", s.Speed)
	}
	if !s.Simulate && (s.Scenario != "" || s.Speed != "1") {
		bad("--scenario and --speed are for simulated instances: add --simulate")
	}
	return errors.Join(errs...)
}

func (s settings) memory() (size bake.Size, err error) {
	if s.Memory != "" {
		err = size.UnmarshalText([]byte(s.Memory))
	}
	return size, err
}

func (s settings) speed() (float64, error) {
	if s.Speed == "max" {
		return localcloud.Fast, nil
	}
	f, err := strconv.ParseFloat(s.Speed, 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0) || f < 0) {
		err = strconv.ErrRange
	}
	return f, err
}

// startCloud starts the cloud in the background and waits until it answers.
func startCloud(con *console, c *cli.Context, dir string, s settings) error {
	unlock, err := daemon.Lock(dir)
	if err != nil {
		return withHint(err, "choose another folder with --state")
	}
	defer func() { _ = unlock() }()
	p, err := daemon.Find(dir)
	switch {
	case err == nil:
		if err := compareSettings(c, p, s); err != nil {
			return err
		}
		if err := (admin.Client{Endpoint: p.Endpoint}).Health(c.Context); err != nil {
			return withHint(fmt.Errorf("process %d has the local cloud and does not answer: %w", p.PID, err), "iibake local down ends it; iibake local logs says more")
		}
		return tellUp(con, c, p, "is up already")
	case !errors.Is(err, daemon.ErrNotRunning):
		return err
	}
	report, err := daemon.Start(c.Context, dir, s.arguments(dir))
	if err != nil {
		return err
	}
	if report.Error != "" {
		return withHint(&remoteError{report.Error, report.Code}, report.Hints...)
	}
	if err := (admin.Client{Endpoint: report.Endpoint}).Health(c.Context); err != nil {
		return err
	}
	if p, err = daemon.Find(dir); err != nil {
		return err
	}
	return tellUp(con, c, p, "is up")
}

// arguments are those that start a cloud in the foreground with these settings.
func (s settings) arguments(dir string) []string {
	args := []string{
		"local", "up", "--foreground", "--state=" + dir, "--address=" + s.Address, "--port=" + strconv.Itoa(s.Port), "--speed=" + s.Speed,
		"--max-instances=" + strconv.Itoa(s.MaxInstances), "--seed=" + strconv.FormatUint(s.Seed, 10),
		fmt.Sprintf("--simulate=%t", s.Simulate), fmt.Sprintf("--expose=%t", s.Expose),
	}
	for name, value := range map[string]string{"store": s.Store, "memory": s.Memory, "scenario": s.Scenario, "faults": s.Faults} {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	return args
}

// compareSettings refuses to go on where an option that was given says something else than the cloud that is up does.
func compareSettings(c *cli.Context, p daemon.Process, s settings) error {
	has, wants := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	asked, err := json.Marshal(s)
	if err == nil {
		err = errors.Join(json.Unmarshal(asked, &wants), json.Unmarshal(p.Settings, &has))
	}
	if err != nil {
		return fmt.Errorf("settings of the local cloud: %w", err)
	}
	var different []string
	for _, f := range cloudFlags() {
		name := f.Names()[0]
		key := strings.ReplaceAll(name, "-", "_")
		if c.IsSet(name) && !bytes.Equal(has[key], wants[key]) {
			different = append(different, fmt.Sprintf("--%s is %s, not %s", name, has[key], wants[key]))
		}
	}
	if len(different) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("%w: the local cloud is up with other settings: %s", bake.ErrRefused, strings.Join(different, ", ")),
		"run iibake local down first, or start another cloud with --state and --port")
}

// tellUp writes where the cloud answers.
func tellUp(con *console, c *cli.Context, p daemon.Process, what string) error {
	if wantsJSON(c) {
		return con.printJSON(struct {
			Endpoint string `json:"endpoint"`
			PID      int    `json:"pid"`
		}{p.Endpoint, p.PID})
	}
	if err := con.printf("the local cloud %s: %s\n", what, p.Endpoint); err != nil {
		return err
	}
	_, err := fmt.Fprintln(con.err, `eval "$(iibake local env)" points this shell to it`)
	return err
}

// remoteError is what another process of ours said when it failed, and the exit code that it would have ended with.
type remoteError struct {
	text string
	code int
}

func (e *remoteError) Error() string { return e.text }

// report tells the process that started this one, if one did, why it fails.
func report(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(err, daemon.TellStarter(daemon.Report{Error: err.Error(), Hints: hints(err), Code: exitCode(ctx, err)}))
}
