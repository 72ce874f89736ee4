package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/test/localcloud/daemon"
)

// localCommands are those of the stories of iibake local.
func localCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"port": port, "kill9": kill9, "remember": remember, "recall": recall}
}

// endClouds ends what a story that failed has left running, wherever its state is.
func endClouds(e *testscript.Env) {
	_ = filepath.WalkDir(e.WorkDir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "process.json" {
			_, err = endCloud(context.Background(), filepath.Dir(name))
		}
		return err
	})
}

func processOf(ts *testscript.TestScript, args []string) daemon.Process {
	if len(args) < 1 {
		ts.Fatalf("want FOLDER")
	}
	p, err := daemon.Find(ts.MkAbs(args[0]))
	ts.Check(err)
	return p
}

// port sets PORT to that of the cloud in a state folder: port FOLDER
func port(ts *testscript.TestScript, _ bool, args []string) {
	p := processOf(ts, args)
	ts.Setenv("PORT", p.Endpoint[strings.LastIndex(p.Endpoint, ":")+1:])
}

// kill9 kills the process of a state folder: kill9 FOLDER
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	p := processOf(ts, args)
	ts.Check(syscall.Kill(p.PID, syscall.SIGKILL))
	for {
		if _, err := daemon.Find(ts.MkAbs(args[0])); errors.Is(err, daemon.ErrNotRunning) {
			return
		}
	}
}

func parameters(p daemon.Process) *ssm.Client {
	return ssm.New(ssm.Options{
		Region: "eu-west-1", BaseEndpoint: &p.Endpoint, Credentials: credentials.NewStaticCredentialsProvider(defaultAccount, "x", ""),
	})
}

// remember gives the cloud parameters, and lets the next command begin in the midst of it: remember FOLDER NUMBER
func remember(ts *testscript.TestScript, _ bool, args []string) {
	client := parameters(processOf(ts, args))
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	told := make(chan int, n)
	ctx, cancel := context.WithCancel(context.Background())
	ts.Defer(cancel)
	go func() {
		defer close(told)
		for i := range n {
			_, err := client.PutParameter(ctx, &ssm.PutParameterInput{
				Name: aws.String("/n/" + strconv.Itoa(i)), Value: aws.String("x"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
			}, func(o *ssm.Options) { o.RetryMaxAttempts = 1 })
			if err != nil {
				return
			}
			told <- i
		}
	}()
	for range n / 4 {
		<-told
	}
	ts.Setenv("TOLD", strconv.Itoa(n/4))
}

// recall checks that what remember was told is still there: recall FOLDER
func recall(ts *testscript.TestScript, _ bool, args []string) {
	client := parameters(processOf(ts, args))
	n, err := strconv.Atoi(ts.Getenv("TOLD"))
	ts.Check(err)
	for i := range n {
		_, err := client.GetParameter(context.Background(), &ssm.GetParameterInput{Name: aws.String("/n/" + strconv.Itoa(i))})
		if err != nil {
			ts.Fatalf("parameter %d of %d: %v", i, n, err)
		}
	}
}

func TestNewText(t *testing.T) {
	long := strings.Repeat("0123456789", 100)
	for _, c := range []struct{ before, now, want string }{
		{"", "", ""},
		{"", "a", "a"},
		{"a", "ab", "b"},
		{"ab", "ab", ""},
		{"a\n", "a\na\n", "a\n"}, // lines may be alike
		{"..", ".....", "..."},
		{long + "x", (long + "xyz")[500:], "yz"},
		{"lost", "all else", "all else"},
	} {
		if got := string(newText([]byte(c.before), []byte(c.now))); got != c.want {
			t.Errorf("%.20q then %.20q: got %q, want %q", c.before, c.now, got, c.want)
		}
	}
}

func TestEndpointOf(t *testing.T) {
	for in, want := range map[string]string{"0.0.0.0": "http://127.0.0.1:1", "::": "http://127.0.0.1:1", "::1": "http://[::1]:1", "127.0.0.2": "http://127.0.0.2:1"} {
		if got := endpointOf(&net.TCPAddr{IP: net.ParseIP(in), Port: 1}); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// Every setting reaches the process in the background.
func TestSettingsArePassedOn(t *testing.T) {
	s := settings{Simulate: true, Address: "127.0.0.2", Port: 7, Expose: true, Store: "/s", MaxInstances: 3, Memory: "2GiB", Scenario: "/x", Faults: "/f", Speed: "60", Seed: 9}
	args := strings.Join(s.arguments("/state"), " ")
	for _, f := range cloudFlags() {
		if name := f.Names()[0]; !strings.Contains(args, "--"+name+"=") {
			t.Errorf("%s is not in %s", name, args)
		}
	}
	if want := fmt.Sprintf("--state=%s ", "/state"); !strings.Contains(args, want) {
		t.Errorf("%s is not in %s", want, args)
	}
}

func TestWithCloudHint(t *testing.T) {
	if got := hints(withCloudHint(syscall.EROFS, "")); len(got) != 1 || !strings.Contains(got[0], "--state") {
		t.Errorf("got %q", got)
	}
	plain := errors.New("x")
	if got := withCloudHint(plain, ""); !errors.Is(got, plain) || len(hints(got)) > 0 {
		t.Errorf("got %v", got)
	}
}

// A cloud is started again by what it was made with.
func TestAsMade(t *testing.T) {
	t.Setenv("IIBAKE_LOCAL_STATE", "/usual")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cloud.json"), []byte(`{"simulate": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]settings{
		"iibake local up --simulate --state " + dir:                      {Port: defaultPort, Speed: "1"},
		"iibake local up --simulate --speed 60 --port 7 --state " + dir:  {Port: 7, Speed: "60"},
		"iibake local up --simulate --speed max --port 0 --state " + dir: {Port: 0, Speed: "max", Simulate: true},
	} {
		same(t, want, s.asMade(dir), want)
	}
	same(t, "real machines", settings{Port: defaultPort, Simulate: true, Speed: "60"}.asMade("/usual"), "iibake local up")
}
